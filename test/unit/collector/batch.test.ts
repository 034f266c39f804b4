import { describe, expect, it } from 'vitest';
import { Backlog } from '../../../src/lib/collector/backlog.ts';
import { type Batch, BatchBuilder } from '../../../src/lib/collector/batch.ts';
import { decodeRow, rowOffsets } from '../../../src/lib/database/rowEncoder.ts';
import type { Sample } from '../../../src/lib/sample.ts';

const NOW_US = Date.UTC(2026, 10, 22, 10) * 1000;

function sample(deviceId: string, metricId: string, value = 1, timestampUs = NOW_US): Sample {
  return { series: { deviceId, metricId, labels: {} }, timestampUs, value };
}

function decode({ copy }: Batch): Sample[] {
  return rowOffsets(copy)
    .slice(0, -1)
    .map((offset) => decodeRow(copy, offset));
}

function builder() {
  const refused: [string, string][] = [];
  const batch = new BatchBuilder({
    nowUs: () => NOW_US,
    onRefused: ({ series }, problem) => refused.push([series.deviceId, problem]),
  });
  return { batch, refused };
}

describe('BatchBuilder', () => {
  it('groups rows by device, in the order of names, and keeps the order within a device', () => {
    const { batch } = builder();
    batch.add([sample('pdu-2', 'a', 1), sample('pdu-1', 'b', 2), sample('pdu-2', 'c', 3)]);
    batch.add([sample('pdu-1', 'd', 4)]);
    expect(batch.rows).toBe(4);
    const closed = batch.close(NOW_US) as Batch;
    expect(
      decode(closed).map(({ series, value }) => `${series.deviceId} ${series.metricId} ${value}`),
    ).toEqual(['pdu-1 b 2', 'pdu-1 d 4', 'pdu-2 a 1', 'pdu-2 c 3']);
    expect(closed).toMatchObject({ sequence: 1, rows: 4, horizonUs: NOW_US });
    expect(batch.close(NOW_US)).toBeUndefined();
    batch.add([sample('pdu-1', 'e')]);
    expect(batch.close(NOW_US)).toMatchObject({ sequence: 2, rows: 1 });
  });

  it('refuses what cannot be stored, one by one, and keeps the rest', () => {
    const { batch, refused } = builder();
    batch.add([
      sample('good-1', 'm'),
      sample('bad-1', ''),
      sample('bad-2', 'm', 1, NOW_US + 3_600_000_001),
      sample('bad-3', 'm', 1, Number.NaN),
      sample('bad-4', 'm', 1, NOW_US * 1000),
      sample('bad-5', 'm', 1, 0),
      sample('good-2', 'm'),
    ]);
    expect(decode(batch.close(NOW_US) as Batch).map(({ series }) => series.deviceId)).toEqual([
      'good-1',
      'good-2',
    ]);
    expect(refused).toEqual([
      ['bad-1', 'the metric name is empty'],
      ['bad-2', 'the timestamp lies too far in the future'],
      ['bad-3', 'the timestamp is not a number'],
      ['bad-4', 'the timestamp lies too far in the future (milliseconds instead of seconds?)'],
      ['bad-5', 'the timestamp lies too far in the past'],
    ]);
  });

  it('names the days that its rows fall into', () => {
    const { batch } = builder();
    const day = Math.floor(NOW_US / 86_400_000_000);
    batch.add([sample('d', 'm')]);
    expect(batch.close(0)?.days).toEqual([day]);
    batch.add([sample('d', 'm', 1, NOW_US - 86_400_000_000 * 3), sample('d', 'm'), sample('d', 'n')]);
    expect(batch.close(0)?.days).toEqual([day - 3, day]);
  });
});

function fakeBatch(sequence: number, bytes = 100): Batch {
  return { sequence, rows: 10, copy: Buffer.alloc(bytes), days: [], horizonUs: 0 };
}

describe('Backlog', () => {
  it('hands out the oldest first, until it is acknowledged', () => {
    const backlog = new Backlog(1000, () => {});
    backlog.push(fakeBatch(1));
    backlog.push(fakeBatch(2));
    expect(backlog.take()?.sequence).toBe(1);
    expect(backlog.take()?.sequence).toBe(1);
    backlog.acknowledge();
    expect(backlog.take()?.sequence).toBe(2);
    expect(backlog).toMatchObject({ length: 1, bytes: 100, rows: 10 });
    backlog.acknowledge();
    expect(backlog.take()).toBeUndefined();
  });

  it('drops the oldest beyond its bound, and tells', () => {
    const lost: number[] = [];
    const backlog = new Backlog(300, (batch) => lost.push(batch.sequence));
    for (let sequence = 1; sequence <= 5; sequence++) backlog.push(fakeBatch(sequence));
    expect(lost).toEqual([1, 2]);
    expect(backlog).toMatchObject({ length: 3, bytes: 300, rows: 30 });
  });

  it('never drops the batch that is on its way', () => {
    const lost: number[] = [];
    const backlog = new Backlog(300, (batch) => lost.push(batch.sequence));
    backlog.push(fakeBatch(1));
    backlog.take();
    for (let sequence = 2; sequence <= 5; sequence++) backlog.push(fakeBatch(sequence));
    expect(lost).toEqual([2, 3]);
    expect(backlog.take()?.sequence).toBe(1);
    backlog.acknowledge();
    expect(backlog.take()?.sequence).toBe(4);
  });

  it('keeps one batch that is larger than the bound', () => {
    const lost: number[] = [];
    const backlog = new Backlog(300, (batch) => lost.push(batch.sequence));
    backlog.push(fakeBatch(1, 1000));
    expect(backlog.length).toBe(1);
    backlog.push(fakeBatch(2, 1000));
    expect(lost).toEqual([1]);
  });

  it('stays in order over many thousands', () => {
    const backlog = new Backlog(1e9, () => {});
    let taken = 0;
    for (let sequence = 1; sequence <= 20_000; sequence++) {
      backlog.push(fakeBatch(sequence, 1));
      if (sequence % 2) continue;
      expect(backlog.take()?.sequence).toBe(++taken);
      backlog.acknowledge();
    }
    expect(backlog.length).toBe(10_000);
    expect(backlog.clear()).toBe(100_000);
    expect(backlog.length).toBe(0);
  });
});
