import { describe, expect, it } from 'vitest';
import { load } from './support.ts';

const GOOD = `- name: pdu_outlet_power_watt
  device_id: pdu-1
  url: snmp://public@pdu-1/1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.1
`;

/** The good entry with more keys, and its problems. */
function problemsOf(...lines: string[]): string[] {
  return load(GOOD + lines.map((line) => `  ${line}\n`).join('')).problems;
}

describe('an entry', () => {
  it("has Kwollect's defaults", () => {
    const { entries, problems } = load(GOOD);
    expect(problems).toEqual([]);
    expect(entries).toEqual([
      {
        name: 'pdu_outlet_power_watt',
        deviceId: 'pdu-1',
        url: expect.objectContaining({ hostPort: 'pdu-1' }),
        driver: expect.objectContaining({ schemes: ['snmp'] }),
        updateEveryMs: 10_000,
        optionalUpdateEveryMs: undefined,
        scaleFactor: undefined,
        labels: {},
        optional: false,
        unit: undefined,
        description: undefined,
        timeoutMs: undefined,
        place: { file: expect.stringMatching(/m\.yaml$/), line: 1, column: 3 },
      },
    ]);
  });

  it('reads every key', () => {
    const { entries, problems } = load(
      `${GOOD}  update_every: 5000
  optional_update_every: 1000
  optional: true
  scale_factor: 0.1
  labels: {"_device_alias": "node-1", port: 7, shared: yes}
  unit: watt
  description: what the outlet gives
  timeout: 900
`,
    );
    expect(problems).toEqual([]);
    expect(entries[0]).toMatchObject({
      updateEveryMs: 5000,
      optionalUpdateEveryMs: 1000,
      optional: true,
      scaleFactor: 0.1,
      labels: { _device_alias: 'node-1', port: '7', shared: 'yes' },
      unit: 'watt',
      description: 'what the outlet gives',
      timeoutMs: 900,
    });
  });
});

describe('a mistake', () => {
  it.each([
    ['updat_every: 1000', 'm.yaml:4:3: error: unknown key "updat_every" (did you mean "update_every"?)'],
    [
      'update_every: 5s',
      'm.yaml:4:17: error: update_every must be a whole number of milliseconds, and this is "5s" (write update_every: 5000)',
    ],
  ])('%j is told with its place', (line, expected) => {
    expect(problemsOf(line)).toEqual([expected]);
  });
});
