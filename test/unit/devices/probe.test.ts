/** The report of `kw device probe` as lines for people. */
import { expect, test } from 'vitest';
import { formatProbe } from '../../../src/lib/devices/probe.ts';
import { Tally } from '../../../src/lib/devices/shared/tally.ts';

test('a problem that came several times says so once', () => {
  const tally = new Tally();
  tally.add('value', 'x', () => 'no number: "a"', 4);
  const report = {
    url: 'mqtt://broker:1883/a',
    device_id: 'broker',
    facts: [],
    samples: [],
    problems: tally.problems(),
    up: false,
    timestamp: '',
    duration_ms: 5,
  };
  expect(formatProbe(report)).toBe(
    [
      'url       mqtt://broker:1883/a',
      'duration  5.0 ms',
      'problem   value: no number: "a" (4 times)',
      'answer    none',
    ].join('\n'),
  );
});
