/** The envelope against the values themselves: at every zoom, from values and from the summary. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvelope } from '../../../src/lib/metrics/envelope.ts';
import { resolveSelection } from '../../../src/lib/metrics/selection.ts';
import { formatUtc } from '../../../src/lib/time.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let db: TestDatabase;
/** 2 hours ago, at the beginning of a bucket of the summary. */
const beginUs = Math.floor((Date.now() / 1000 - 7200) / 300) * 300 * 1e6;
const at = (second: number) => formatUtc(beginUs + Math.round(second * 1e6));
const PEAK_S = 1234.56;

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query('SELECT kw.ensure_storage($1, $2)', [at(-86_400), at(7200)]);
  // 50 Hz for 40 minutes: value = second of the trace, with one peak of one reading.
  await db.client.query(
    `INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
     SELECT $1::timestamptz + g * interval '20 ms', 'meter-1', 'power', g * 0.02, '{"_device_alias": "node-1"}'
     FROM generate_series(0, 119999) g`,
    [at(0)],
  );
  const one = (time: number, device: string, metric: string, value: number, labels = {}) =>
    db.client.query('INSERT INTO kw.metrics VALUES ($1, $2, $3, $4, $5)', [
      at(time),
      device,
      metric,
      value,
      labels,
    ]);
  await one(PEAK_S, 'meter-1', 'power', 99_999, { _device_alias: 'node-1' });
  await one(1, 'meter-1', 'power', Number.NaN, { value_str: 'off' });
  await one(2, 'meter-1', 'power', Number.POSITIVE_INFINITY);
  for (const [time, value] of [
    [0, 10],
    [10, 30],
    [20, 5],
    [30, 25],
  ] as const)
    await one(time, 'node-1', 'bytes_total', value);
  await db.client.query(db.flavour === 'plain' ? 'SELECT kw.maintain()' : 'CALL kw.refresh_summary()');
});
afterAll(() => db.drop());

async function envelope(
  fromS: number,
  toS: number,
  pixels: number,
  {
    devices = ['meter-1'],
    metrics = ['power'],
    ...options
  }: { devices?: string[]; metrics?: string[]; maxValues?: number; rate?: boolean } = {},
) {
  const request = { devices, metrics, from: at(fromS), to: at(toS) };
  const selection = await resolveSelection(db.client, request, Date.now() * 1000);
  await db.client.query('BEGIN READ ONLY');
  try {
    return await readEnvelope(db.client, selection, pixels, options);
  } finally {
    await db.client.query('ROLLBACK');
  }
}

describe('the envelope of a 50 Hz trace', () => {
  test('has lowest, highest, mean and number of the values of each column', async () => {
    const { series, ...rest } = await envelope(100, 110, 10);
    expect(rest).toEqual({
      fromUs: beginUs + 100e6,
      toUs: beginUs + 110e6,
      columnUs: 1_000_001,
      columns: 10,
      source: 'values',
      cut: false,
    });
    expect(series).toHaveLength(1);
    const [{ columns, min, max, mean, count, ...names }] = series as [(typeof series)[number]];
    expect(names).toEqual({ deviceId: 'meter-1', metricId: 'power', labels: {}, unit: undefined });
    expect(columns).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(min[0]).toBe(100);
    expect(max[0]).toBeCloseTo(101, 6);
    expect(mean[0]).toBeCloseTo(100.5, 6);
    expect(max.at(-1)).toBe(110);
    expect(count.reduce((sum, one) => sum + one, 0)).toBe(501);
  });

  test.each([1, 7, 200, 4000])('keeps a peak of one reading in %i columns', async (pixels) => {
    const { series, columnUs, columns } = await envelope(0, 2400, pixels);
    expect(columns).toBeLessThanOrEqual(pixels);
    const [one] = series;
    expect(Math.max(...(one?.max ?? []))).toBe(99_999);
    const where = one?.columns[one.max.indexOf(99_999)];
    expect(where).toBe(Math.floor((PEAK_S * 1e6) / columnUs));
    expect(one?.count.reduce((sum, count) => sum + count, 0)).toBe(120_001);
  });

  test('of more values than are read at once comes from the summary, peaks included', async () => {
    const { series, source, columnUs, fromUs } = await envelope(30, 2400, 800, { maxValues: 50_000 });
    expect({ source, columnUs, fromUs }).toEqual({ source: 'summary', columnUs: 300e6, fromUs: beginUs });
    const [one] = series;
    expect(one?.columns).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(one?.max[4]).toBe(99_999);
    expect(one?.min).toEqual([0, 300, 600, 900, 1200, 1500, 1800, 2100]);
    expect(one?.mean[0]).toBeCloseTo(149.99, 6);
    expect(one?.count[4]).toBe(15_001);
  });

  test('of a week has columns of whole buckets', async () => {
    const { source, columnUs, series } = await envelope(-86_400, 2400, 100);
    expect(source).toBe('summary');
    expect(columnUs).toBe(900e6);
    expect(Math.max(...(series[0]?.max ?? []))).toBe(99_999);
  });

  test('shows an alias, and who is behind it', async () => {
    const { series } = await envelope(0, 10, 10, { devices: ['node-1', 'meter-1'] });
    expect(series.map(({ deviceId, labels }) => ({ deviceId, labels }))).toEqual([
      { deviceId: 'meter-1', labels: {} },
      { deviceId: 'node-1', labels: { _device_orig: ['meter-1'] } },
    ]);
  });

  test('makes rates of counters, and none of a reset', async () => {
    const { series } = await envelope(0, 40, 40, {
      devices: ['node-1'],
      metrics: ['bytes_total'],
      rate: true,
    });
    expect(series.map(({ columns, mean, unit }) => ({ columns, mean, unit }))).toEqual([
      { columns: [9, 29], mean: [2, 2], unit: '/s' },
    ]);
  });

  test('refuses what is no number of columns', async () => {
    await expect(envelope(0, 10, 0)).rejects.toThrow('pixels is a whole number from 1 to 4000');
    await expect(envelope(0, 10, 1e9)).rejects.toThrow('pixels is a whole number from 1 to 4000');
    await expect(envelope(0, 0, 10)).rejects.toThrow('the time is empty');
  });
});
