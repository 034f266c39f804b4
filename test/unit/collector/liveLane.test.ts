/** What waits in memory is bounded in bytes, and nothing else is held. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, test } from 'vitest';
import type { Batch } from '../../../src/lib/collector/batch.ts';
import { LiveLane } from '../../../src/lib/collector/liveLane.ts';

function batch(offset: number, { bytes = 100, segment = 1, spooled = false } = {}): Batch {
  const times = { fromUs: offset * 1e6, toUs: offset * 1e6, horizonUs: offset * 1e6 };
  const place = { segment, offset };
  return { place, spooled, runUs: 0, rows: 10, copy: Buffer.allocUnsafeSlow(bytes), days: [], ...times };
}

function setUp(memoryBytes = 1000, spooledBytes = 1000) {
  const lost: number[] = [];
  let overflows = 0;
  const lane: LiveLane = new LiveLane({
    memoryBytes,
    spooledBytes,
    onLost: ({ place }) => lost.push(place.offset),
    onOverflow: () => {
      overflows++;
      lane.forgetSpooled();
    },
  });
  return { lane, lost, overflows: () => overflows };
}

const taken = (lane: LiveLane) => lane.take().map(({ place }) => place.offset);

describe('LiveLane', () => {
  it('hands out the oldest first, what one transaction stores, and of one segment', () => {
    const { lane } = setUp(1e9);
    for (const offset of [1, 2]) lane.push(batch(offset));
    lane.push(batch(3, { segment: 2 }));
    expect(taken(lane)).toEqual([1, 2]);
    lane.acknowledge();
    expect(lane).toMatchObject({ isEmpty: false, bytes: 100, memoryRows: 10 });
    expect(taken(lane)).toEqual([3]);
    expect(lane.isEmpty).toBe(false);
    lane.acknowledge();
    expect(lane).toMatchObject({ isEmpty: true, bytes: 0, memoryRows: 0 });
    for (let offset = 1; offset <= 6_000; offset++) lane.push(batch(offset, { bytes: 1 }));
    expect(lane.take()).toHaveLength(5_000);
    lane.acknowledge();
    expect(lane.take()).toHaveLength(1_000);
  });

  it('hands out the same again when they were released', () => {
    const { lane } = setUp();
    for (const offset of [1, 2]) lane.push(batch(offset));
    expect(taken(lane)).toEqual([1, 2]);
    lane.push(batch(3));
    lane.release();
    expect(taken(lane)).toEqual([1, 2]);
    lane.acknowledge();
    expect(taken(lane)).toEqual([3]);
  });

  it('drops the oldest beyond its bound, and tells; never those that are on their way', () => {
    const { lane, lost } = setUp(300);
    lane.push(batch(1));
    expect(taken(lane)).toEqual([1]);
    for (let offset = 2; offset <= 5; offset++) lane.push(batch(offset));
    expect(lost).toEqual([2, 3]);
    lane.release();
    lane.push(batch(6));
    expect(lost).toEqual([2, 3, 4]);
    expect(taken(lane)).toEqual([1]);
    lane.acknowledge();
    expect(taken(lane)).toEqual([5, 6]);
  });

  it('keeps one batch that is larger than the bound', () => {
    const { lane, lost } = setUp(300);
    lane.push(batch(1, { bytes: 1000 }));
    expect(lost).toEqual([]);
    lane.push(batch(2, { bytes: 1000 }));
    expect(lost).toEqual([1]);
  });

  it('forgets what the disk has beyond its bound, and keeps what it has not', () => {
    const { lane, lost, overflows } = setUp(1000, 300);
    lane.push(batch(1, { segment: 5, spooled: true }));
    lane.push(batch(2, { segment: 6 }));
    for (let offset = 3; offset <= 4; offset++) lane.push(batch(offset, { segment: 7, spooled: true }));
    expect(overflows()).toBe(0);
    expect(lane.lowestSegment).toBe(5);
    lane.push(batch(5, { segment: 7, spooled: true }));
    expect(overflows()).toBe(1);
    expect(lost).toEqual([]);
    expect(lane).toMatchObject({ bytes: 100, memoryRows: 10, lowestSegment: 6 });
    expect(taken(lane)).toEqual([2]);
  });

  it('forgets what was on its way too, once that is decided', () => {
    for (const end of ['release', 'acknowledge'] as const) {
      const { lane } = setUp(1000, 300);
      lane.push(batch(1, { spooled: true }));
      expect(taken(lane)).toEqual([1]);
      lane.forgetSpooled();
      expect(lane.isEmpty).toBe(false);
      lane[end]();
      expect(lane).toMatchObject({ isEmpty: true, bytes: 0 });
      // And nothing more than that.
      lane.push(batch(2, { spooled: true }));
      expect(taken(lane)).toEqual([2]);
      lane.release();
      expect(taken(lane)).toEqual([2]);
    }
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const MEGABYTE = 1_000_000;

test('the memory of batches that are stored, or lost, is free at once', () => {
  const { lane, lost } = setUp(10 * MEGABYTE);
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  for (let offset = 1; offset <= 200; offset++) {
    lane.push(batch(offset, { bytes: MEGABYTE }));
    expect(taken(lane)).toEqual([offset]);
    lane.acknowledge();
  }
  for (let offset = 201; offset <= 400; offset++) lane.push(batch(offset, { bytes: MEGABYTE }));
  expect(lost).toHaveLength(190);
  expect(lane.bytes).toBe(10 * MEGABYTE);
  collectGarbage();
  // 390 are gone; V8 may free the last few of them later.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * MEGABYTE);
});
