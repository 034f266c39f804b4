/** Rows that belong to another collector are taken out of an encoded batch, and the others stay as they are. */
import { expect, it } from 'vitest';
import { BatchBuilder } from '../../../../src/lib/collector/batch.ts';
import { keepRows } from '../../../../src/lib/collector/shards/rowFilter.ts';
import { decodeRow, rowOffsets } from '../../../../src/lib/database/rowEncoder.ts';
import { random as seeded } from '../../../support/random.ts';

const nowUs = 1_800_000_000_000_000;

function batch(devices: number, rows: number): Buffer {
  const builder = new BatchBuilder({ nowUs: () => nowUs, onRefused: () => {} });
  for (let row = 0; row < rows; row++) {
    const series = { deviceId: `d${row % devices}`, metricId: 'm'.repeat(1 + (row % 7)), labels: {} };
    builder.add([{ series, timestampUs: nowUs - row, value: row }]);
  }
  return builder.close(nowUs)?.copy as Buffer;
}

const rowsOf = (copy: Buffer) =>
  rowOffsets(copy)
    .slice(0, -1)
    .map((offset) => decodeRow(copy, offset));

it('hands out the same buffer when every row stays', () => {
  const copy = batch(5, 50);
  expect(keepRows(copy, () => true)).toEqual({ copy, rows: 50 });
  expect(keepRows(copy, () => true).copy).toBe(copy);
});

it('keeps exactly the rows it is told, byte by byte, in their order', () => {
  const next = seeded(3);
  const random = () => next() / 2 ** 32;
  for (let round = 0; round < 50; round++) {
    const copy = batch(1 + Math.floor(random() * 6), 1 + Math.floor(random() * 60));
    const share = random();
    const keeps = new Map(rowsOf(copy).map(({ timestampUs }) => [timestampUs, random() < share]));
    const kept = keepRows(copy, (_device, timestampUs) => keeps.get(timestampUs) === true);
    const expected = rowsOf(copy).filter(({ timestampUs }) => keeps.get(timestampUs));
    expect(rowsOf(kept.copy)).toEqual(expected);
    expect(kept.rows).toBe(expected.length);
  }
});

it('tells the device of each row', () => {
  const copy = batch(3, 9);
  const asked: string[] = [];
  keepRows(copy, (device) => asked.push(device) > 0);
  expect(asked).toEqual(rowsOf(copy).map(({ series }) => series.deviceId));
});
