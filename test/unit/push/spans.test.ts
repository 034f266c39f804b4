/** Batches are cut so that no statement writes into more days than a server can lock. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayOf, splitByDays } from '../../../src/lib/push/spans.ts';

const DAY_US = 86_400e6;
const rows = (...days: number[]) => days.map((day) => ({ timestampUs: day * DAY_US + 5 }));

describe('splitByDays', () => {
  it('leaves a batch of few days as it is', () => {
    const batch = rows(1, 2, 1, 2, 2);
    expect([...splitByDays(batch, 2)]).toEqual([batch]);
    expect([...splitByDays([], 2)]).toEqual([]);
  });

  it('knows days before 1970, and their borders', () => {
    expect([-1, 0, DAY_US - 1, DAY_US].map((timestampUs) => dayOf({ timestampUs }))).toEqual([-1, 0, 0, 1]);
  });

  it('keeps every row and their order, with at most so many days a part', () => {
    const days = fc.array(fc.integer({ min: -4000, max: 25_000 }), { maxLength: 200 });
    fc.assert(
      fc.property(days, fc.integer({ min: 1, max: 20 }), (some, maxDays) => {
        const batch = rows(...some);
        const parts = [...splitByDays(batch, maxDays)];
        expect(parts.flat()).toEqual(batch);
        for (const part of parts) expect(new Set(part.map(dayOf)).size).toBeLessThanOrEqual(maxDays);
        // No part is smaller than it must be.
        for (const [index, part] of parts.entries()) {
          const next = parts[index + 1]?.[0];
          if (next) expect(new Set([...part, next].map(dayOf)).size).toBe(maxDays + 1);
        }
      }),
    );
  });
});
