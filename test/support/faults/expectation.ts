/** What must be true of every load after every fault that a collector outlives. */
import { expect } from 'vitest';
import { waitUntil } from '../waitUntil.ts';
import type { Load, Outcome } from './load.ts';

/** Values that wait when some four seconds of the load were not stored. */
const MUCH = 10_000;

const DRAIN_MS = 60_000;

/** Waits until so much waits for the database that it must have been away. */
export async function untilMuchWaits({ collector }: Load): Promise<void> {
  await waitUntil(async () => (await collector.counters()).waiting > MUCH, DRAIN_MS, 200);
}

/** Waits until no more waits than comes in a second or two. */
export async function untilDrained({ collector }: Load): Promise<void> {
  await waitUntil(async () => (await collector.counters()).waiting < MUCH / 2, DRAIN_MS, 200);
}

/** What was read is stored, once and in order, but for what the collector says it lost or was refused. */
export function expectStoredOnce(outcome: Outcome, but: { lost?: number; refused?: number } = {}): void {
  const { code, read, rows, twice, outOfOrder, damaged, missingFrames, lost, refused } = outcome;
  const { lost: mayLose = 0, refused: mayRefuse = 0 } = but;
  expect({ code, rows, twice, outOfOrder, damaged, lost, refused }).toEqual({
    code: 0,
    rows: read - mayLose - mayRefuse,
    twice: 0,
    outOfOrder: 0,
    damaged: 0,
    lost: mayLose,
    refused: mayRefuse,
  });
  if (mayLose + mayRefuse === 0) expect(missingFrames).toBe(0);
}
