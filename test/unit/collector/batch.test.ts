import { describe, expect, it } from 'vitest';
import { BatchBuilder, type ClosedBatch } from '../../../src/lib/collector/batch.ts';
import { decodeRow, rowOffsets } from '../../../src/lib/database/rowEncoder.ts';
import type { Sample } from '../../../src/lib/sample.ts';

const NOW_US = Date.UTC(2026, 10, 22, 10) * 1000;

function sample(deviceId: string, metricId: string, value = 1, timestampUs = NOW_US): Sample {
  return { series: { deviceId, metricId, labels: {} }, timestampUs, value };
}

function decode({ copy }: ClosedBatch): Sample[] {
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
    const closed = batch.close(NOW_US) as ClosedBatch;
    expect(
      decode(closed).map(({ series, value }) => `${series.deviceId} ${series.metricId} ${value}`),
    ).toEqual(['pdu-1 b 2', 'pdu-1 d 4', 'pdu-2 a 1', 'pdu-2 c 3']);
    expect(closed).toMatchObject({ rows: 4, horizonUs: NOW_US });
    expect(batch.close(NOW_US)).toBeUndefined();
    batch.add([sample('pdu-1', 'e')]);
    expect(batch.close(NOW_US)).toMatchObject({ rows: 1 });
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
    expect(decode(batch.close(NOW_US) as ClosedBatch).map(({ series }) => series.deviceId)).toEqual([
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
