/** Kwollect's rule for aliases: values of one instant are added up. */
import { describe, expect, it } from 'vitest';
import { AliasSumSink } from '../../../src/lib/metrics/aliasSum.ts';
import type { RowSeries, RowSink } from '../../../src/lib/output/row.ts';

let ids = 0;
const series = (deviceId: string, labels: Record<string, unknown> = {}, metricId = 'watt'): RowSeries => ({
  id: ids++,
  deviceId,
  metricId,
  labels: JSON.stringify(labels),
});

function seenBy(devices: Record<string, [number, number]>, rows: readonly [number, RowSeries, number][]) {
  const out: [number, string, string, number, unknown][] = [];
  const next: RowSink = {
    row: (timestampUs, { deviceId, metricId, labels }, value) =>
      out.push([timestampUs, deviceId, metricId, value, JSON.parse(labels)]),
    end() {},
  };
  const times = Object.entries(devices).map(([name, [fromUs, toUs]]) => [name, [{ fromUs, toUs }]] as const);
  const sink = new AliasSumSink(next, new Map(times));
  for (const row of rows) sink.row(...row);
  sink.end();
  return out;
}

const ALL: [number, number] = [0, 1000];

describe('an alias', () => {
  it('is the sum of what its origins have at one instant, and lists them', () => {
    const a = series('pdu-b-port-1', { _device_alias: 'node-1' });
    const b = series('pdu-a-port-1', { _device_alias: 'node-1' });
    expect(
      seenBy({ 'node-1': ALL }, [
        [1, a, 10],
        [1, b, 5],
        [2, a, 11],
      ]),
    ).toEqual([
      [1, 'node-1', 'watt', 15, { _device_orig: ['pdu-a-port-1', 'pdu-b-port-1'] }],
      [2, 'node-1', 'watt', 11, { _device_orig: ['pdu-b-port-1'] }],
    ]);
  });

  it('adds up nothing that differs in metric or labels', () => {
    const alias = { _device_alias: 'node-1' };
    expect(
      seenBy({ 'node-1': ALL }, [
        [1, series('a', alias), 1],
        [1, series('b', { ...alias, phase: '1' }), 2],
        [1, series('c', alias, 'volt'), 3],
        [1, series('d', { _device_alias: 'node-2' }), 4],
      ]),
    ).toEqual([
      [1, 'node-1', 'watt', 1, { _device_orig: ['a'] }],
      [1, 'node-1', 'watt', 2, { phase: '1', _device_orig: ['b'] }],
      [1, 'node-1', 'volt', 3, { _device_orig: ['c'] }],
    ]);
  });

  it('lists a device twice that stored an instant twice, as SQL does', () => {
    const twice = series('a', { _device_alias: 'n' });
    expect(
      seenBy({ n: ALL }, [
        [1, twice, 1],
        [1, twice, 2],
      ]),
    ).toEqual([[1, 'n', 'watt', 3, { _device_orig: ['a', 'a'] }]]);
  });

  it('shows beside the device itself, whose row has no alias', () => {
    const row = series('a', { _device_alias: 'n', x: '1' });
    expect(seenBy({ a: ALL, n: ALL }, [[1, row, 1]])).toEqual([
      [1, 'a', 'watt', 1, { x: '1' }],
      [1, 'n', 'watt', 1, { x: '1', _device_orig: ['a'] }],
    ]);
  });

  it('has the rows of its own times only', () => {
    const row = series('a', { _device_alias: 'n' });
    const rows = [1, 5, 9].map((at): [number, RowSeries, number] => [at, row, at]);
    expect(seenBy({ n: [2, 6] }, rows).map(([at]) => at)).toEqual([5]);
    expect(seenBy({ a: [6, 9] }, rows).map(([at]) => at)).toEqual([9]);
  });

  it('adds up texts too, and remembers no more than it must of labels that differ in every row', () => {
    const rows: [number, RowSeries, number][] = [];
    for (let i = 0; i < 30_000; i++) {
      // As the decoder does: ids of such series are used again.
      const text = (id: number, device: string): RowSeries => ({
        ...series(device, { _device_alias: 'n', value_str: String(i) }),
        id,
      });
      rows.push([i, text(0, 'a'), Number.NaN], [i, text(1, 'b'), Number.NaN]);
    }
    const seen = seenBy({ n: [0, 30_000] }, rows);
    expect(seen).toHaveLength(30_000);
    expect(seen.at(-1)).toEqual([
      29_999,
      'n',
      'watt',
      Number.NaN,
      { value_str: '29999', _device_orig: ['a', 'b'] },
    ]);
  });
});
