/** From columns of the server to lines: gaps, sums of origins, figures, panels. */
import { describe, expect, it } from 'vitest';
import { figuresOf, makeLines, panelsOf, type SeriesColumns } from '../../../web/lines.ts';
import { Ring } from '../../../web/ring.ts';

const series = (
  column: number[],
  mean: number[],
  {
    device = 'd',
    labels = {},
    unit = 'W',
    metric = 'm',
  }: { device?: string; labels?: Record<string, unknown>; unit?: string; metric?: string } = {},
): SeriesColumns => ({
  device_id: device,
  metric_id: metric,
  labels,
  unit,
  column,
  min: mean.map((value) => value - 1),
  max: mean.map((value) => value + 10),
  mean,
  count: mean.map(() => 5),
});

describe('lines', () => {
  it('go on between values of the usual distance, and are interrupted where values are missing', () => {
    const [line] = makeLines([series([0, 2, 4, 6, 20], [1, 2, 3, 4, 5])], 22);
    expect(line?.mean.slice(0, 8)).toEqual([1, undefined, 2, undefined, 3, undefined, 4, null]);
    expect(line?.mean.slice(18)).toEqual([null, null, 5, null]);
    expect(line?.key).toBe('d/m');
  });

  it('of several origins are their sum, each by its last value', () => {
    const of = (origin: string, columns: number[], mean: number[]) =>
      series(columns, mean, { device: 'node', labels: { _device_orig: [origin], phase: '1' } });
    const [line, ...others] = makeLines(
      [of('a', [0, 2, 4, 6], [10, 10, 20, 20]), of('b', [1, 3, 5], [1, 2, 3])],
      12,
    );
    expect(others).toEqual([]);
    expect(line?.mean.slice(0, 7)).toEqual([null, 11, 11, 12, 22, 23, 23]);
    expect(line?.max[1]).toBe(31);
    expect(line?.min[1]).toBe(9);
    expect(line?.mean.slice(7)).toEqual([null, null, null, null, null]);
    expect(line?.origins).toEqual(['a', 'b']);
    expect(line?.key).toBe('node/m{phase=1}');
  });

  it('have figures that peaks survive in, weighted by the number of values', () => {
    const one = { ...series([0, 1, 2], [10, 20, 30]), count: [1, 1, 8], max: [10, 900, 30] };
    const [line] = makeLines([one], 3);
    expect(line && figuresOf(line)).toEqual({ min: 9, max: 900, mean: 27, count: 10 });
    expect(line && figuresOf(line, 2, 2)).toEqual({ min: 29, max: 30, mean: 30, count: 8 });
    expect(line && figuresOf(line, 5, 9)).toBeUndefined();
  });

  it('share a panel where they have the same unit, or without one the same metric', () => {
    const lines = makeLines(
      [
        series([0], [1], { device: 'a' }),
        series([0], [1], { device: 'b', metric: 'other' }),
        series([0], [1], { device: 'c', unit: '' }),
        series([0], [1], { device: 'd', unit: '', metric: 'n' }),
      ],
      1,
    );
    expect(
      panelsOf(lines).map(({ unit, lines: [...all] }) => [unit, all.map(({ device }) => device)]),
    ).toEqual([
      ['W', ['a', 'b']],
      ['m', ['c']],
      ['n', ['d']],
    ]);
  });
});

describe('live rows', () => {
  const at = (second: number) => new Date(second * 1000).toISOString().replace('Z', '000+00:00');
  const row = (second: number, value: number | null) => ({
    timestamp: at(second),
    device_id: 'd',
    metric_id: 'm',
    value,
    labels: { value_str: String(second) },
  });

  it('are columns like those of the server, late ones in their place, each once', () => {
    const ring = new Ring();
    ring.fill([series([0, 1], [1, 3])], 100, 5, 110);
    for (const one of [row(112, 6), row(118, 9), row(111, 4), row(118, 9), row(109, 77), row(113, null)])
      ring.push(one);
    expect(ring.columns(100, 10, 2)).toEqual([
      {
        ...series([0, 1], [2, 19 / 3]),
        min: [0, 4],
        max: [13, 9],
        count: [10, 3],
      },
    ]);
    expect(ring.trim(111.5)).toBe(118);
    expect(ring.columns(100, 10, 2)[0]?.count).toEqual([2]);
  });
});
