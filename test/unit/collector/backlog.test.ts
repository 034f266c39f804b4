/** What waits for the database is bounded in bytes, and nothing else is held. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Backlog } from '../../../src/lib/collector/backlog.ts';
import { type Batch, BatchBuilder } from '../../../src/lib/collector/batch.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const BATCH_BYTES = 1_000_000;
const batch = (sequence: number): Batch => ({
  sequence,
  rows: 1,
  copy: stream(sequence),
  days: [0],
  horizonUs: 0,
});

/** A stream of one row, measured `sequence` seconds after the epoch, in a buffer of a megabyte. */
function stream(sequence: number): Buffer {
  const builder = new BatchBuilder({ nowUs: () => sequence * 1e6, onRefused: () => {} });
  const series = { deviceId: 'd', metricId: 'm', labels: {} };
  builder.add([{ series, timestampUs: sequence * 1e6, value: 1 }]);
  const copy = Buffer.allocUnsafeSlow(BATCH_BYTES);
  builder.close(0)?.copy.copy(copy);
  return copy;
}

test('the batch behind those that were lost tells what they were', () => {
  const backlog = new Backlog(3 * BATCH_BYTES, () => {});
  for (const sequence of [1, 2, 3, 4, 5]) backlog.push(batch(sequence));
  expect(backlog.take()).toMatchObject({ sequence: 3, lostBefore: { fromUs: 1e6, toUs: 2e6, rows: 2 } });
  // The one that is on its way stays, and what it tells; those behind it go.
  for (const sequence of [6, 7]) backlog.push(batch(sequence));
  expect(backlog.take()).toMatchObject({ sequence: 3, lostBefore: { fromUs: 1e6, toUs: 2e6, rows: 2 } });
  backlog.acknowledge();
  expect(backlog.take()).toMatchObject({ sequence: 6, lostBefore: { fromUs: 4e6, toUs: 5e6, rows: 2 } });
  backlog.acknowledge();
  expect(backlog.take()?.lostBefore).toBeUndefined();
});

test('the memory of batches that are stored, or lost, is free at once', () => {
  const lost: number[] = [];
  const backlog = new Backlog(10 * BATCH_BYTES, ({ sequence }) => lost.push(sequence));
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  for (let sequence = 1; sequence <= 200; sequence++) {
    backlog.push(batch(sequence));
    expect(backlog.take()?.sequence).toBe(sequence);
    backlog.acknowledge();
  }
  for (let sequence = 201; sequence <= 400; sequence++) backlog.push(batch(sequence));
  expect(lost).toHaveLength(190);
  expect(backlog.bytes).toBe(10 * BATCH_BYTES);
  collectGarbage();
  // 390 are gone; V8 may free the last few of them later.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * BATCH_BYTES);
});
