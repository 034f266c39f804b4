/** The rules of storage, the same on both flavours. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { writeRetention } from '../../../src/lib/database/retention.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('storage on %s', (flavour) => {
  let db: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    client = db.client;
  });
  afterAll(() => db.drop());
  beforeEach(async () => {
    await writeRetention(client, { rawMs: null, summaryMs: null });
    await client.query(`UPDATE kw.settings SET value = '"-infinity"' WHERE name = 'raw_dropped_before'`);
    await client.query(
      'TRUNCATE kw.metrics, kw.jobs, kw.job_nodes, kw.promoted_metrics, kw.pushed_label_sets',
    );
    if (flavour === 'plain') {
      await client.query('TRUNCATE kw.summary_stored, kw.summary_late');
      await client.query(`DO $$ DECLARE old text; BEGIN
        FOR old IN SELECT name FROM kw.metrics_partitions WHERE day < now() - interval '2 days' LOOP
          EXECUTE format('DROP TABLE kw.%I', old);
        END LOOP; END $$`);
    } else {
      await client.query(
        "CALL public.refresh_continuous_aggregate('kw.metrics_summary', NULL, now() - interval '10 minutes', force => true)",
      );
    }
  });

  /** A 5-minute bucket that many hours ago, as text for SQL. */
  const bucket = (hoursAgo: number) =>
    new Date(Math.floor((Date.now() - hoursAgo * 3_600_000) / 300_000) * 300_000).toISOString();

  async function insert(
    rows: [at: string, device: string, metric: string, value: number, labels?: object][],
  ) {
    for (const [at] of rows) await client.query('SELECT kw.ensure_storage($1, $1)', [at]);
    await client.query(
      `INSERT INTO kw.metrics
       SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::float8[], $5::jsonb[])`,
      [0, 1, 2, 3, 4].map((i) => rows.map((row) => (i === 4 ? JSON.stringify(row[4] ?? {}) : row[i]))),
    );
  }

  async function summary(where = 'true') {
    const { rows } = await client.query(
      `SELECT device_id, metric_id, labels, value, min, max, count, count_not_finite
       FROM kw.metrics_summary WHERE ${where} ORDER BY bucket, device_id, metric_id`,
    );
    return rows;
  }

  /** Seconds after the start of a bucket. */
  const later = (start: string, s: number) => new Date(Date.parse(start) + s * 1000).toISOString();

  describe('the summary', () => {
    test('counts finite values only, and the others apart; peaks survive', async () => {
      const start = bucket(3);
      await insert([
        [later(start, 0), 'a', 'watt', 10],
        [later(start, 1), 'a', 'watt', 500],
        [later(start, 2), 'a', 'watt', 30],
        [later(start, 3), 'a', 'watt', Number.NaN],
        [later(start, 4), 'a', 'watt', Number.POSITIVE_INFINITY],
        [later(start, 299), 'a', 'text', Number.NaN, { value_str: 'on' }],
      ]);
      await maintain(client, flavour);
      expect(await summary()).toEqual([
        {
          device_id: 'a',
          metric_id: 'text',
          labels: {},
          value: null,
          min: null,
          max: null,
          count: 0,
          count_not_finite: 1,
        },
        {
          device_id: 'a',
          metric_id: 'watt',
          labels: {},
          value: 180,
          min: 10,
          max: 500,
          count: 3,
          count_not_finite: 2,
        },
      ]);
    });

    test('takes the last value of counters', async () => {
      const start = bucket(3);
      await insert([
        [later(start, 3), 'a', 'energy_total', 7],
        [later(start, 1), 'a', 'energy_total', 900],
        [later(start, 2), 'a', 'energy_total', 3],
        [later(start, 4), 'a', 'energy_total', Number.NaN],
        [later(start, 4), 'a', 'total_watt', 1],
        [later(start, 5), 'a', 'total_watt', 2],
      ]);
      await maintain(client, flavour);
      expect((await summary()).map((row) => [row.metric_id, row.value, row.min, row.max])).toEqual([
        ['energy_total', 7, 3, 900],
        ['total_watt', 1.5, 1, 2],
      ]);
    });

    test('labels that change with every reading do not separate series, others do', async () => {
      const start = bucket(3);
      await insert([
        [later(start, 0), 'a', 'state', Number.NaN, { value_str: 'on', port: '1' }],
        [later(start, 1), 'a', 'state', Number.NaN, { value_str: 'off', port: '1' }],
        [later(start, 2), 'a', 'state', 1, { _metric_scrape_time: 12.5, port: '1' }],
        [later(start, 3), 'a', 'state', 1, { port: '2' }],
      ]);
      await maintain(client, flavour);
      expect((await summary()).map((row) => [row.labels, row.count, row.count_not_finite])).toEqual(
        expect.arrayContaining([
          [{ port: '1' }, 1, 2],
          [{ port: '2' }, 1, 0],
        ]),
      );
    });

    test('has the last minutes before any refresh, and the same row once afterwards', async () => {
      const now = new Date().toISOString();
      await insert([[now, 'a', 'watt', 5]]);
      expect(await summary()).toMatchObject([{ value: 5, count: 1 }]);
      await maintain(client, flavour);
      expect(await summary()).toMatchObject([{ value: 5, count: 1 }]);
    });

    test('late rows refresh their own buckets', async () => {
      const early = bucket(50);
      const start = bucket(30);
      await insert([
        [later(early, 1), 'a', 'watt', 1],
        [later(start, 1), 'a', 'watt', 1],
        [later(start, 1), 'b', 'watt', 1],
      ]);
      await maintain(client, flavour);
      await insert([[later(start, 2), 'a', 'watt', 3]]);
      await maintain(client, flavour);
      expect((await summary()).map((row) => [row.device_id, row.value, row.count])).toEqual([
        ['a', 1, 1],
        ['a', 2, 2],
        ['b', 1, 1],
      ]);
    });

    test('rows that are deleted leave it', async () => {
      const start = bucket(30);
      await insert([
        [later(start, 1), 'a', 'watt', 1],
        [later(start, 2), 'a', 'watt', 9],
      ]);
      await maintain(client, flavour);
      await client.query('DELETE FROM kw.metrics WHERE value = 9');
      await maintain(client, flavour);
      expect(await summary()).toMatchObject([{ value: 1, count: 1 }]);
    });
  });

  describe('retention', () => {
    const DAY_MS = 86_400_000;

    test('is off', async () => {
      await insert([[bucket(24 * 800), 'a', 'watt', 1]]);
      await maintain(client, flavour);
      expect((await client.query('SELECT count(*)::int AS n FROM kw.metrics')).rows).toEqual([{ n: 1 }]);
    });

    test('drops raw values and keeps their summary, also through later refreshes', async () => {
      await insert([
        [bucket(24 * 100), 'a', 'watt', 100],
        [bucket(24 * 20), 'a', 'watt', 20],
      ]);
      await writeRetention(client, { rawMs: 90 * DAY_MS, summaryMs: null });
      expect(await maintain(client, flavour)).toMatchObject({ partsDropped: 1 });
      expect((await client.query('SELECT value FROM kw.metrics')).rows).toEqual([{ value: 20 }]);
      expect((await summary()).map((row) => row.value)).toEqual([100, 20]);
      await insert([[later(bucket(24 * 20), 1), 'a', 'watt', 40]]);
      await maintain(client, flavour);
      expect((await summary()).map((row) => row.value)).toEqual([100, 30]);
    });

    test('what is dropped cannot be pushed again, since that would replace its summary', async () => {
      await insert([[bucket(24 * 100), 'a', 'watt', 100]]);
      await writeRetention(client, { rawMs: 90 * DAY_MS, summaryMs: null });
      await maintain(client, flavour);
      const { rows } = await client.query(
        `SELECT reason FROM kw.insert_samples(ARRAY[$1::timestamptz], '{a}', '{watt}', '{1}', ARRAY['{}']::jsonb[])`,
        [bucket(24 * 100)],
      );
      expect(rows).toEqual([{ reason: 'the timestamp lies too far in the past' }]);
      await maintain(client, flavour);
      expect((await summary()).map((row) => row.value)).toEqual([100]);
    });

    test('of the summary, when asked for', async () => {
      await insert([
        [bucket(24 * 900), 'a', 'watt', 1],
        [bucket(24 * 20), 'a', 'watt', 20],
      ]);
      await writeRetention(client, { rawMs: 90 * DAY_MS, summaryMs: 400 * DAY_MS });
      await maintain(client, flavour);
      await maintain(client, flavour);
      expect((await summary()).map((row) => row.value)).toEqual([20]);
    });

    test('refuses less than a day, and a summary that is shorter than the raw values', async () => {
      await expect(writeRetention(client, { rawMs: 3_600_000, summaryMs: null })).rejects.toMatchObject({
        code: 'RETENTION_SHORT',
      });
      await expect(writeRetention(client, { rawMs: null, summaryMs: 5 * DAY_MS })).rejects.toMatchObject({
        code: 'RETENTION_SHORT',
      });
    });
  });

  describe('metrics_by_device', () => {
    const at = bucket(2);
    const insertOutlets = () =>
      insert([
        [at, 'pdu-1', 'watt', 40, { _device_alias: 'node-1', phase: '1' }],
        [at, 'pdu-0', 'watt', 2, { _device_alias: 'node-1', phase: '1' }],
        [at, 'pdu-2', 'watt', 7, { _device_alias: 'node-2', phase: '1' }],
        [later(at, 1), 'pdu-1', 'watt', 41, { _device_alias: 'node-1', phase: '1' }],
        [at, 'node-1', 'temp', 21],
      ]);

    test('sums the origins of an alias and names them', async () => {
      await insertOutlets();
      const { rows } = await client.query(
        "SELECT device_id, metric_id, value, labels FROM kw.metrics_by_device WHERE device_id = 'node-1' ORDER BY timestamp, metric_id",
      );
      expect(rows).toEqual([
        { device_id: 'node-1', metric_id: 'temp', value: 21, labels: {} },
        {
          device_id: 'node-1',
          metric_id: 'watt',
          value: 42,
          labels: { phase: '1', _device_orig: ['pdu-0', 'pdu-1'] },
        },
        {
          device_id: 'node-1',
          metric_id: 'watt',
          value: 41,
          labels: { phase: '1', _device_orig: ['pdu-1'] },
        },
      ]);
    });

    test('a device still has its own rows, without the alias', async () => {
      await insertOutlets();
      const { rows } = await client.query(
        "SELECT value, labels FROM kw.metrics_by_device WHERE device_id = 'pdu-1' ORDER BY timestamp",
      );
      expect(rows).toEqual([
        { value: 40, labels: { phase: '1' } },
        { value: 41, labels: { phase: '1' } },
      ]);
    });

    test('finds an alias by its index, not by reading everything', async () => {
      await insertOutlets();
      const { rows } = await client.query(
        `EXPLAIN (COSTS off) SELECT * FROM kw.metrics_by_device
         WHERE device_id = 'node-1' AND timestamp >= '${at}' AND timestamp <= '${later(at, 5)}'`,
      );
      const text = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(text).toMatch(/Index Cond: .*_device_alias.* = 'node-1'/);
      expect(text).toMatch(/Index Cond: .*device_id = 'node-1'/);
      expect(text).not.toMatch(/Seq Scan/);
    });

    test('metrics_by_job gives the same within the nodes and times of a job, bounds included', async () => {
      await insertOutlets();
      await client.query("SELECT kw.job_start(7, '{node-1}', 'alice', started => $1)", [at]);
      const all = 'SELECT value FROM kw.metrics_by_job WHERE job_id = 7 ORDER BY timestamp, metric_id';
      expect((await client.query(all)).rows.map((row) => row.value)).toEqual([21, 42, 41]);
      await client.query('SELECT kw.job_stop(7, stopped => $1)', [at]);
      expect((await client.query(all)).rows.map((row) => row.value)).toEqual([21, 42]);
    });
  });

  test('hostile names and labels are kept as they are', async () => {
    const hostile = [
      `'; DROP TABLE kw.metrics; --`,
      '\\',
      '"',
      'a\nb\tc',
      'é😀',
      '$$',
      '%s',
      '{}',
      `${'x'.repeat(255)}`,
    ];
    const { rows } = await client.query(
      `SELECT * FROM kw.insert_samples(
         array_fill(now(), ARRAY[$1::int]), $2, $2, array_fill(1.0::float8, ARRAY[$1::int]),
         ARRAY(SELECT jsonb_build_object('label', t) FROM unnest($2::text[]) WITH ORDINALITY u(t, i) ORDER BY i))`,
      [hostile.length, hostile],
    );
    expect(rows).toEqual([]);
    const stored = await client.query(
      "SELECT device_id, metric_id, labels->>'label' AS label FROM kw.metrics",
    );
    expect(new Set(stored.rows.map((row) => row.device_id))).toEqual(new Set(hostile));
    for (const row of stored.rows) expect([row.metric_id, row.label]).toEqual([row.device_id, row.device_id]);
  });
});
