/** What waits for the database is bounded in bytes, and nothing else is held. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Backlog } from '../../../src/lib/collector/backlog.ts';
import type { Batch } from '../../../src/lib/collector/batch.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const BATCH_BYTES = 1_000_000;
const batch = (sequence: number): Batch => ({
  sequence,
  rows: 1,
  copy: Buffer.allocUnsafeSlow(BATCH_BYTES),
  days: [0],
  horizonUs: 0,
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
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * BATCH_BYTES);
});
