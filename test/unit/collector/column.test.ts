/** Columns of a stream that one process leaves to another: each mean is stored by exactly one of them. */
import { describe, expect, it } from 'vitest';
import { Columns } from '../../../src/lib/collector/columns.ts';

const series = { deviceId: 'wm-port0', metricId: 'wattmetre_power_watt', labels: {} };
const AT_US = 1_800_000_000_000_000;
const SECOND_US = 1_000_000;

/** Who stores the means of which seconds, beside AT_US, of a wattmeter whose clock is ahead by so much. */
function meansOf(aheadUs: number): { old: number[]; next: number[] } {
  const old = new Columns();
  const next = new Columns(AT_US);
  const seconds = (columns: Columns, firstUs: number, lastUs: number) => {
    const column = columns.open(series, () => {});
    // What is gathered at the end is stored, too, though its second is not over.
    for (let us = firstUs - (firstUs % SECOND_US); us <= lastUs; us += SECOND_US) {
      if (columns === old && us + SECOND_US > lastUs) columns.endAt(AT_US);
      column.add(us, 1);
    }
    return Array.from({ length: column.rows }, (_, row) => (column.timestampUs(row) - AT_US) / SECOND_US);
  };
  return {
    old: seconds(old, AT_US - 3 * SECOND_US + aheadUs, AT_US - 20_000 + aheadUs),
    next: seconds(next, AT_US + 20_000 + aheadUs, AT_US + 3 * SECOND_US - 20_000 + aheadUs),
  };
}

describe('Columns', () => {
  it.each([0, 15_000, -15_000, 400_000, -400_000, 5_400_000, -5_400_000])(
    'of two processes hold each second once, with a clock %i us ahead',
    (aheadUs) => {
      const { old, next } = meansOf(aheadUs);
      const all = [...old, ...next];
      expect(all).toEqual(Array.from(all, (_, index) => (all[0] as number) + index));
      expect(old.length).toBeGreaterThan(1);
      expect(next.length).toBeGreaterThan(1);
    },
  );
});
