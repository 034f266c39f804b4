/** What a search for the values of a group keeps of a BMC, whose answers the test makes up. */
import { expect, test } from 'vitest';
import { SourceFinder } from '../../../../src/lib/devices/redfish/sourceFinder.ts';

const ROOT = '/redfish/v1';
const MB = 1_000_000;

/** A BMC of so many chassis, each with the power in a resource of its own. */
function bmcOf(chassis: number, chassisBytes: number) {
  const asked: string[] = [];
  const bodyOf = (path: string): Record<string, unknown> => {
    if (path === `${ROOT}/`) return { Chassis: { '@odata.id': `${ROOT}/Chassis` } };
    if (path === `${ROOT}/Chassis`) {
      const ids = Array.from({ length: chassis }, (_, index) => `${path}/${index}`);
      return { Members: ids.map((id) => ({ '@odata.id': id })) };
    }
    if (path.endsWith('/Power')) return { PowerControl: [{ PowerConsumedWatts: 200 }] };
    return { Power: { '@odata.id': `${path}/Power` } };
  };
  const get = async (path: string) => {
    asked.push(path);
    const bodyBytes = /\/Chassis\/\d+$/.test(path) ? chassisBytes : 0;
    return { path, body: bodyOf(path), bodyBytes, timestampUs: 0 };
  };
  return { asked, finder: new SourceFinder({ get }) };
}

test('a search takes 20 MB', async () => {
  const { finder } = bmcOf(20, MB);
  expect(await finder.search('power', 0)).toEqual([]);
  expect(finder.known('power')).toHaveLength(20);
});

test('beyond that nothing more is asked for, and what was found until then is read', async () => {
  const { finder, asked } = bmcOf(30, MB);
  const failures = await finder.search('power', 0);
  expect(finder.known('power')).toHaveLength(20);
  expect(asked.at(-1)).toBe(`${ROOT}/Chassis/20`);
  expect(failures).toHaveLength(10);
  expect(failures[9]).toMatchObject({
    kind: 'limit',
    message: 'has more than 20 MB to search: the rest is not looked at',
  });
});
