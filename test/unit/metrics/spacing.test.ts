import { describe, expect, it } from 'vitest';
import { SpacingMeter, usualDistanceUs } from '../../../src/lib/metrics/spacing.ts';

function meter(...timestamps: number[]) {
  const made = new SpacingMeter();
  for (const [id, metricId] of ['watt', 'prom_a', 'prom_b'].entries()) {
    made.begin({ id, deviceId: 'd', metricId, labels: '{}' });
  }
  for (const timestamp of timestamps) made.row(0, timestamp);
  return made;
}

describe('SpacingMeter', () => {
  it('keeps the widest holes between rows, however many there are', () => {
    const timestamps = Array.from({ length: 1000 }, (_, index) => index * 10).filter(
      (at) => !(at > 500 && at < 600) && !(at > 7000 && at < 9000) && at !== 300,
    );
    const [watt] = meter(...timestamps).all;
    expect(watt).toMatchObject({ deviceId: 'd', source: 'watt', firstUs: 0, lastUs: 9990, instants: 791 });
    expect(watt?.holes.toSorted((a, b) => a.fromUs - b.fromUs)).toEqual(
      expect.arrayContaining([
        { fromUs: 290, toUs: 310 },
        { fromUs: 500, toUs: 600 },
        { fromUs: 7000, toUs: 9000 },
      ]),
    );
    expect(usualDistanceUs(watt as never)).toBe(10);
  });

  it('takes rows of one instant as one, and the metrics of a page together', () => {
    const made = meter(10, 10, 20, 20);
    made.row(1, 10);
    made.row(2, 15);
    expect(made.all.map(({ source, instants }) => [source, instants])).toEqual([
      ['watt', 2],
      ['prom_*', 2],
    ]);
  });

  it('finds the usual distance of few rows in their middle', () => {
    expect(usualDistanceUs(meter(0, 10, 20, 100, 110).all[0] as never)).toBe(10);
    expect(usualDistanceUs(meter(0).all[0] as never)).toBeUndefined();
  });
});
