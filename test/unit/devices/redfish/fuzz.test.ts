/** Whatever JSON a BMC answers with: what reads values, groups and links returns, and never leaves the host. */
import { describe, expect, test } from 'vitest';
import { RedfishError } from '../../../../src/lib/devices/redfish/failure.ts';
import { findSources } from '../../../../src/lib/devices/redfish/groups.ts';
import { linkOf, sameHostPath } from '../../../../src/lib/devices/redfish/links.ts';
import { readingOf } from '../../../../src/lib/devices/redfish/value.ts';
import { follow, formatPointer, parsePointer } from '../../../../src/lib/devices/shared/pointer.ts';
import { random } from '../../../support/random.ts';
import { newTree, oldTree, sensorsTree, type Tree } from '../../../support/redfishServer.ts';

const next = random(20261122);
const below = (bound: number) => next() % bound;
const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;

const PATHS = [oldTree(), newTree(), sensorsTree()].flatMap((tree) => Object.keys(tree));
const ODD: readonly (() => unknown)[] = [
  () => null,
  () => [],
  () => ({}),
  () => pick([0, -1, 1e308, 1.5, 2 ** 60]),
  () =>
    pick([
      '',
      ' ',
      'N/A',
      '12',
      '\0',
      '\ud800',
      'x'.repeat(5000),
      '#',
      '//h/redfish/v1/x',
      '/redfish/v1/../x',
    ]),
  () => pick([true, false]),
  () => ({ '@odata.id': pick(PATHS) }),
  () => ({
    '@odata.id': pick(['http://h/redfish/v1/x', '\\\\h\\x', '/etc/passwd', '/redfish/v1/%2e%2e/x', 7, null]),
  }),
  () => Array.from({ length: below(50) }, () => ({ '@odata.id': pick(PATHS) })),
];

/** Replaces some members, at any depth, by something else. */
function mutated(value: unknown, chance: number): unknown {
  if (below(1000) < chance) return pick(ODD)();
  if (Array.isArray(value)) return value.map((item) => mutated(item, chance));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, mutated(member, chance)]));
}

describe('a BMC that says anything', () => {
  test('ends each search for a group, within its bounds and below /redfish/: 3000 trees', {
    timeout: 60_000,
  }, async () => {
    let found = 0;
    for (let round = 0; round < 3000; round++) {
      const tree = mutated(pick([oldTree, newTree, sensorsTree])(), pick([5, 20, 100])) as Tree;
      const asked = new Set<string>();
      let requests = 0;
      const fetch = async (path: string) => {
        requests++;
        asked.add(path);
        const body =
          typeof tree === 'object' && tree !== null
            ? tree[path.split('?')[0]?.replace(/\/$/, '') ?? '']
            : undefined;
        if (path === '/redfish/v1/') return mutated({ Chassis: { '@odata.id': '/redfish/v1/Chassis' } }, 20);
        if (body === undefined) throw new RedfishError('missing', 'nothing', 'resource', true);
        return body;
      };
      const sources = await findSources(pick(['power', 'temperatures']), fetch).catch((error) => {
        if (error instanceof RedfishError) return undefined;
        throw error;
      });
      expect(requests).toBeLessThan(2000);
      for (const path of asked)
        if (!/^\/redfish\/[\x21-\x7e]*$/.test(path)) throw new Error(`asked for ${path}`);
      for (const { path, readings } of sources?.sources ?? []) {
        for (const { sensor, value, holder } of readings(mutated(tree[path], 100))) {
          if (typeof sensor !== 'string' || sensor === '') throw new Error('a sensor without a name');
          readingOf(value, holder);
          found++;
        }
      }
    }
    expect(found).toBeGreaterThan(3000);
  });

  test('gives no value that is not a finite number, an infinity or a text: 100000 values', {
    timeout: 60_000,
  }, () => {
    for (let round = 0; round < 100_000; round++) {
      const reading = readingOf(
        mutated(pick(ODD)(), 200),
        mutated({ Status: { State: pick(['Enabled', 'Absent', 7]) } }, 100),
      );
      if (reading.kind === 'number') expect(reading.number).not.toBeNaN();
    }
  });

  test('leads nowhere but to paths below /redfish/ by its links and redirects: 100000 texts', {
    timeout: 60_000,
  }, () => {
    const pieces = [
      '/',
      '//',
      '..',
      '.',
      '%2e',
      '\\',
      '#',
      '?',
      'redfish',
      'v1',
      'http://',
      'h',
      '@',
      ':',
      '\t',
      '\r\n',
      'é',
      ' ',
    ];
    for (let round = 0; round < 100_000; round++) {
      const text = Array.from({ length: 1 + below(9) }, () => pick(pieces)).join('');
      for (const path of [
        linkOf(text),
        sameHostPath(text, 'https://h:443'),
        sameHostPath(text, 'https://h:443', '/redfish/v1/x'),
      ]) {
        if (path === undefined) continue;
        if (!/^\/redfish\/[\x21-\x7e]*$/.test(path))
          throw new Error(`${JSON.stringify(text)} leads to ${path}`);
        expect(new URL(path, 'https://h').pathname).toMatch(/^\/redfish\//);
      }
    }
  });
});

describe('a JSON pointer', () => {
  test.each([
    ['', { a: 1 }],
    ['a', 1],
    ['/a', 1],
    ['l/1/x', 'y'],
    ['l/01', undefined],
    ['l/-', undefined],
    ['l/-1/x', 'y'],
    ['l/-3', undefined],
    ['l/2', undefined],
    ['l/length', undefined],
    ['__proto__', undefined],
    ['constructor/name', undefined],
    ['a/b', undefined],
    ['m~0n/~1', 8],
  ])('%j is followed by the rules of RFC 6901, and numbers from the end', (text, value) => {
    const document = text === '' ? { a: 1 } : { a: 1, l: [0, { x: 'y' }], 'm~n': { '/': 8 } };
    expect(text === '' ? document : follow(document, parsePointer(text))?.value).toEqual(value);
  });

  test('is written as it is read', () => {
    for (const tokens of [
      ['a', '0', 'b'],
      ['~', '/', '%', '?', '#', ' ', 'é'],
      ['@Redfish.x', ''],
    ])
      expect(parsePointer(decodeURIComponent(formatPointer(tokens)))).toEqual(tokens);
  });
});
