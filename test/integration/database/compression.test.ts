/** What only TimescaleDB does: compression, and what still works on compressed chunks. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { hasTimescale, type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { skipUnless } from '../../support/skip.ts';

describe.skipIf(
  skipUnless('a native TimescaleDB (KW_TEST_TIMESCALE_URL)', hasTimescale, { mayAlwaysSkip: true }),
)('compression on a native TimescaleDB', () => {
  let db: TestDatabase;
  const name = `kw_test_collector_${randomBytes(3).toString('hex')}`;

  beforeAll(async () => {
    db = await testDatabase({ flavour: 'timescaledb' });
    await db.client.query(`
        CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE kw_collector;
        INSERT INTO kw.metrics
        SELECT date_trunc('day', now()) - interval '3 days' + make_interval(secs => i), 'pdu-' || d, 'watt', i, '{"port": "1"}'
        FROM generate_series(0, 3599) i, generate_series(1, 5) d;
        SELECT * FROM kw.insert_samples(
          ARRAY[now() - interval '3 days', now() - interval '3 days' + interval '1 s'], '{d,d}', '{mine,mine}', '{1,2}', ARRAY['{}', '{}']::jsonb[])`);
    await maintain(db.client, 'timescaledb');
  });
  afterAll(async () => {
    await db.client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    await db.drop();
  });

  test('is set by series, ordered by time, after 24 hours', async () => {
    const { rows } = await db.client.query(
      `SELECT segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings WHERE hypertable = 'kw.metrics'::regclass`,
    );
    expect(rows).toEqual([{ segmentby: 'device_id,metric_id,labels', orderby: '"timestamp"' }]);
    const jobs = await db.client.query(
      "SELECT config->>'compress_after' AS after, owner::text FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'",
    );
    expect(jobs.rows).toEqual([{ after: '24:00:00', owner: 'kw_owner' }]);
  });

  test('the policy compresses old chunks, and values stay as they are', async () => {
    const sum = async () =>
      (
        await db.client.query(
          "SELECT count(*)::int AS n, sum(value) FROM kw.metrics WHERE metric_id = 'watt'",
        )
      ).rows;
    const before = await sum();
    await db.client.query(
      "DO $$ DECLARE id int; BEGIN SELECT job_id INTO id FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'; CALL run_job(id); END $$",
    );
    const { rows } = await db.client.query(
      "SELECT bool_and(is_compressed) AS all FROM timescaledb_information.chunks WHERE hypertable_name = 'metrics' AND range_end < now() - interval '25 hours'",
    );
    expect(rows).toEqual([{ all: true }]);
    expect(await sum()).toEqual(before);
  });

  test('a collector stores late rows into a compressed chunk, which it may not read', async () => {
    const collector = await openClient(
      targetOf(new URL(db.url).pathname.slice(1), { user: name, password: 'secret' }),
    );
    try {
      await collector.query(
        "INSERT INTO kw.metrics VALUES (date_trunc('day', now()) - interval '3 days', 'pdu-1', 'late', 7, '{}')",
      );
      await expect(collector.query('SELECT * FROM kw.metrics')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await collector.end();
    }
    await maintain(db.client, 'timescaledb');
    const { rows } = await db.client.query("SELECT value FROM kw.metrics_summary WHERE metric_id = 'late'");
    expect(rows).toEqual([{ value: 7 }]);
  });

  test('what was pushed can be deleted from a compressed chunk', async () => {
    expect((await db.client.query('SELECT kw.delete_pushed(NULL, NULL) AS n')).rows).toEqual([{ n: 2 }]);
    expect(
      (await db.client.query('SELECT kw.delete_pushed(NULL, NULL, dry_run => false) AS n')).rows,
    ).toEqual([{ n: 2 }]);
    const { rows } = await db.client.query(
      "SELECT count(*)::int AS n FROM kw.metrics WHERE metric_id = 'mine'",
    );
    expect(rows).toEqual([{ n: 0 }]);
    await maintain(db.client, 'timescaledb');
    expect((await db.client.query("SELECT * FROM kw.metrics_summary WHERE metric_id = 'mine'")).rows).toEqual(
      [],
    );
  });

  test('labels of the largest size allowed do not hinder it', async () => {
    await db.client.query(`
        INSERT INTO kw.metrics
        SELECT date_trunc('day', now()) - interval '5 days', repeat('d', 255), repeat('m', 255),
               i, jsonb_build_object('l', string_agg(md5(random()::text), ''))
        FROM generate_series(1, 50) i, generate_series(1, 31) j GROUP BY i`);
    const { rows } = await db.client.query(
      "SELECT compress_chunk(c)::text AS name FROM show_chunks('kw.metrics', older_than => now() - interval '4 days') c",
    );
    expect(rows).toHaveLength(1);
  });
});
