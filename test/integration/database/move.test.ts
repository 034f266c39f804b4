import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { move } from '../../../src/lib/database/move.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

let source: TestDatabase;
let target: TestDatabase;

async function rows(db: TestDatabase, sql: string): Promise<unknown[]> {
  return (await db.client.query({ text: sql, rowMode: 'array' })).rows;
}

/** Three days of two devices, a job with nodes and a promotion, a collector with its ledger. */
async function fill(db: TestDatabase): Promise<void> {
  await db.client.query(`
    SELECT kw.ensure_storage(now() - interval '60 days', now() - interval '60 days');
    SELECT kw.ensure_storage(now() - interval '3 days', now());
    INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
    SELECT now() - n * interval '97.000001 seconds', 'node-' || n % 2, 'power', n, '{"_device_alias": "n"}'
    FROM generate_series(0, 1999) n;
    INSERT INTO kw.metrics VALUES
      (now() - interval '60 days', $$it's "é"$$, 'odd', 'NaN', '{"value_str": "a\\tb"}'),
      (now() - interval '60 days', 'node-0', 'infinite', '-Infinity', '{}');
    INSERT INTO kw.jobs (job_id, name_id, owner, started) VALUES (7, '7', 'ada', now()), (8, '8_1', 'bob', now());
    INSERT INTO kw.job_nodes (job_id, node, start_time) VALUES (7, 'node-0', now()), (7, 'node-1', now());
    INSERT INTO kw.promoted_metrics (device_id, metric_id, job_id, source, owner) VALUES ('node-0', 'power', 7, 'kw', 'ada');
    INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at, stopped_at)
    VALUES ('00000000-0000-4000-8000-000000000001', 'c', 'h', '1', now(), now(), now());
    INSERT INTO kw.ledger VALUES ('00000000-0000-4000-8000-000000000001', 3, 4096);
    UPDATE kw.settings SET value = '"20 years"' WHERE name = 'max_past';
    SELECT kw.maintain()`);
}

const CONTENT = [
  'SELECT timestamp, device_id, metric_id, value, labels FROM kw.metrics ORDER BY 1, 2, 3',
  'SELECT * FROM kw.jobs ORDER BY job_id',
  'SELECT * FROM kw.job_nodes ORDER BY job_id, node',
  'SELECT * FROM kw.promoted_metrics ORDER BY id',
  'SELECT * FROM kw.collectors',
  'SELECT * FROM kw.ledger',
  "SELECT name, value FROM kw.settings WHERE name <> 'raw_dropped_before' ORDER BY name",
  `SELECT bucket, device_id, metric_id, labels, round(value::numeric, 6), min, max, count, count_not_finite
   FROM kw.metrics_summary ORDER BY 1, 2, 3`,
];

async function content(db: TestDatabase): Promise<unknown[][]> {
  const found: unknown[][] = [];
  for (const sql of CONTENT) found.push(await rows(db, sql));
  return found;
}

describe.each(testFlavours)('kw db move into a database of flavour %s', (flavour) => {
  beforeEach(async () => {
    source = await testDatabase({ flavour: 'plain' });
    target = await testDatabase({ flavour });
    await fill(source);
  });
  afterEach(async () => {
    await source.drop();
    await target.drop();
  });

  test('copies metrics to the microsecond, jobs, promotions, collectors, settings; the source stays', async () => {
    const before = await content(source);
    const days: string[] = [];
    const result = await move(source.client, target.client, { onProgress: ({ day }) => days.push(day) });
    expect(result).toMatchObject({
      rows: 2002,
      resumedAfter: undefined,
      tables: { jobs: 2, job_nodes: 2, promoted_metrics: 1, collectors: 1, ledger: 1 },
    });
    expect(days.length).toBeGreaterThanOrEqual(4);
    expect([...days].sort()).toEqual(days);
    expect(await content(target)).toEqual(before);
    expect(await content(source)).toEqual(before);
  });

  test('the next promotion gets a number of its own', async () => {
    await move(source.client, target.client);
    const [added] = await rows(
      target,
      `INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at) VALUES ('d', 'm', now()) RETURNING id`,
    );
    expect(added).toEqual([2]);
  });

  test('goes on where an earlier move was interrupted, and copies nothing twice', async () => {
    const stopped = new Error('stopped');
    let days = 0;
    await expect(
      move(source.client, target.client, {
        onProgress: () => {
          days += 1;
          if (days === 2) throw stopped;
        },
      }),
    ).rejects.toBe(stopped);
    const [[half]] = (await rows(target, 'SELECT count(*) FROM kw.metrics')) as [[number]];
    expect(half).toBeGreaterThan(2);

    const result = await move(source.client, target.client);
    expect(result.rows).toBe(2002 - half);
    expect(result.resumedAfter).toBeDefined();
    expect(await content(target)).toEqual(await content(source));
    expect(await rows(target, "SELECT name FROM kw.settings WHERE name = 'move_in_progress'")).toEqual([]);
  });

  test('refuses a target that holds something, unless forced', async () => {
    await target.client.query("INSERT INTO kw.jobs (job_id, name_id, owner) VALUES (1, '1', 'eve')");
    await expect(move(source.client, target.client)).rejects.toMatchObject({
      code: 'MOVE_NOT_EMPTY',
      message: 'the target is not empty: kw.jobs has rows',
    });
    expect(await rows(target, 'SELECT count(*) FROM kw.metrics')).toEqual([[0]]);
    await move(source.client, target.client, { force: true });
    expect(await rows(target, 'SELECT job_id FROM kw.jobs ORDER BY 1')).toEqual([[1], [7], [8]]);
  });

  test('refuses to copy a database into itself, and one that a collector still writes into', async () => {
    await expect(move(source.client, source.client)).rejects.toMatchObject({ code: 'MOVE_SAME' });
    await source.client.query('UPDATE kw.collectors SET stopped_at = NULL');
    await expect(move(source.client, target.client)).rejects.toMatchObject({
      code: 'MOVE_COLLECTING',
      message: 'the collector c on h still writes into the source',
    });
  });

  test('keeps the summary of raw values that were dropped', async () => {
    await source.client.query(`
      INSERT INTO kw.summary_stored VALUES
        (date_bin('5 minutes', now() - interval '200 days', '2000-01-01 00:00Z'), 'old', 'power', '{}', 2, 1, 3, 4, 0);
      UPDATE kw.settings SET value = to_jsonb(now() - interval '100 days') WHERE name = 'raw_dropped_before'`);
    const before = await content(source);
    await move(source.client, target.client);
    expect(await content(target)).toEqual(before);
    const sql = 'SELECT kw.raw_dropped_before()';
    expect(await rows(target, sql)).toEqual(await rows(source, sql));
  });
});

test('kw db move names --to when the target cannot be reached, and KW_DATABASE_URL when the source cannot', async () => {
  const db = await testDatabase();
  const nowhere = 'postgres://u@127.0.0.1:1/d?sslmode=disable';
  const moveTo = (to: string, from: string) =>
    runKw(['db', 'move', '--to', to], { env: { KW_DATABASE_URL: from } });
  const away = (namedBy: string) =>
    'kw: the database u@127.0.0.1:1/d cannot be reached: connect ECONNREFUSED 127.0.0.1:1\n' +
    `    check that it runs and that ${namedBy} names it\n`;
  try {
    const target = await moveTo(nowhere, db.url);
    expect({ code: target.code, stderr: target.stderr.replace(/^from .*\n/, '') }).toEqual({
      code: 1,
      stderr: away('--to'),
    });
    expect(await moveTo(db.url, nowhere)).toMatchObject({ code: 1, stderr: away('KW_DATABASE_URL') });
  } finally {
    await db.drop();
  }
});
