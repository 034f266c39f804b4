/** Paths into JSON as Redfish and MQTT users write them. */
import { describe, expect, test } from 'vitest';
import { DeviceUrlError } from '../../../../src/lib/devices/driver.ts';
import { parseJsonPath } from '../../../../src/lib/devices/shared/jsonPath.ts';

describe('a path', () => {
  test.each([
    ['$.a.b', ['a', 'b']],
    ['a.b', ['a', 'b']],
    ['$[0].x', ['0', 'x']],
    ['list[-1]', ['list', '-1']],
    ['$[\'a b\']["c.d"]', ['a b', 'c.d']],
    ['Oem.Average Power', ['Oem', 'Average Power']],
    ['ENERGY.Power', ['ENERGY', 'Power']],
    ['$', []],
    ['', []],
  ])('%j leads to %j', (text, tokens) => {
    expect(parseJsonPath(text, 0)).toEqual(tokens);
  });

  test.each(['$.', '$..a', '$.a[', '$[x]', '$.*', '$a', '$[1:2]'])('%j is refused', (text) => {
    expect(() => parseJsonPath(text, 0)).toThrow(DeviceUrlError);
  });
});
