/** Portions in which a selection is read; see src/lib/metrics/windows.ts and interval.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Interval, intersect, span, union } from '../../../src/lib/metrics/interval.ts';
import { windows } from '../../../src/lib/metrics/windows.ts';

const S = 1e6;

function batchesOf(times: Interval[], compressed: Interval[], rowsPerUs: number) {
  const found: { fromUs: number; toUs: number; compressed: boolean }[][] = [];
  const generator = windows(times, compressed);
  let rows = 0;
  for (let next = generator.next(0); !next.done; next = generator.next(rows)) {
    found.push([...next.value]);
    rows = next.value.reduce((sum, { fromUs, toUs }) => sum + (toUs - fromUs + 1) * rowsPerUs, 0);
  }
  return found;
}

describe('windows', () => {
  it('begin with one slice, so that the first rows come soon', () => {
    const [first] = batchesOf([{ fromUs: 0, toUs: 1000 * S }], [], 240 / S);
    expect(first).toEqual([{ fromUs: 0, toUs: 20 * S - 1, compressed: false }]);
  });

  it('grow where rows are rare and shrink where they are dense', () => {
    const year = [{ fromUs: 0, toUs: 365 * 86_400 * S }];
    expect(batchesOf(year, [], 0.1 / S).flat().length).toBeLessThan(150);
    const dense = batchesOf([{ fromUs: 0, toUs: 100 * S }], [], 10_000 / S);
    const lengths = dense.slice(1, -1).flatMap((batch) => batch.map(({ fromUs, toUs }) => toUs - fromUs + 1));
    expect(Math.max(...lengths)).toBeLessThan(4 * S);
  });

  it('have compressed chunks whole', () => {
    const hour = 3600 * S;
    const found = batchesOf(
      [{ fromUs: 0, toUs: 10 * hour }],
      [
        { fromUs: -hour, toUs: hour - 1 },
        { fromUs: 2 * hour, toUs: 3 * hour - 1 },
      ],
      1 / S,
    ).flat();
    expect(found.filter(({ compressed }) => compressed)).toEqual([
      { fromUs: 0, toUs: hour - 1, compressed: true },
      { fromUs: 2 * hour, toUs: 3 * hour - 1, compressed: true },
    ]);
  });

  const interval = fc
    .tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 500 }))
    .map(([from, length]) => ({ fromUs: from * 100_000, toUs: (from + length) * 100_000 + 7 }));

  it('cover the times exactly, in order, each microsecond once', () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 6 }), fc.array(interval, { maxLength: 4 }), (a, b) => {
        const times = union(a);
        const found = batchesOf(times, union(b), 500 / S).flat();
        found.reduce((last, { fromUs, toUs }) => {
          expect(fromUs).toBeGreaterThan(last);
          expect(toUs).toBeGreaterThanOrEqual(fromUs);
          return toUs;
        }, Number.NEGATIVE_INFINITY);
        expect(union(found)).toEqual(times);
      }),
      { numRuns: 50 },
    );
  });
});

describe('intervals', () => {
  it('include both ends', () => {
    expect(intersect({ fromUs: 1, toUs: 5 }, { fromUs: 5, toUs: 9 })).toEqual({ fromUs: 5, toUs: 5 });
    expect(intersect({ fromUs: 1, toUs: 5 }, { fromUs: 6, toUs: 9 })).toBeUndefined();
  });

  it('that touch or overlap are one', () => {
    expect(
      union([
        { fromUs: 10, toUs: 20 },
        { fromUs: 1, toUs: 4 },
        { fromUs: 5, toUs: 6 },
        { fromUs: 12, toUs: 15 },
      ]),
    ).toEqual([
      { fromUs: 1, toUs: 6 },
      { fromUs: 10, toUs: 20 },
    ]);
    expect(span([])).toBeUndefined();
  });
});
