/** Who may do what: each role gets what it needs, and no more. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { onlyOn, type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('roles on %s', (flavour) => {
  let db: TestDatabase;
  const logins = new Map<string, { name: string; client: pg.Client }>();
  const suffix = randomBytes(3).toString('hex');

  /** A login of its own for each test file, member of one role of kw. */
  async function login(key: string, role: string) {
    const name = `${key}_${suffix}`;
    await db.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE ${role}`);
    const database = new URL(db.url).pathname.slice(1);
    const client = await openClient(targetOf(database, { user: name, password: 'secret' }));
    logins.set(key, { name, client });
  }

  const as = (key: string): pg.Client => {
    const entry = logins.get(key);
    if (!entry) throw new Error(`no login ${key}`);
    return entry.client;
  };
  const nameOf = (key: string): string => logins.get(key)?.name ?? '';
  const denied = { code: '42501' };

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    await login('reader', 'kw_reader');
    await login('alice', 'kw_writer');
    await login('bob', 'kw_writer');
    await login('prolog', 'kw_scheduler');
    await login('collector', 'kw_collector');
    await login('admin', 'kw_admin');
  });
  afterAll(async () => {
    for (const { client } of logins.values()) await client.end();
    for (const { name } of logins.values()) await db.client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    await db.drop();
  });
  beforeEach(() =>
    db.client.query('TRUNCATE kw.metrics, kw.jobs, kw.job_nodes, kw.promoted_metrics, kw.pushed_label_sets'),
  );

  const ROW = "INSERT INTO kw.metrics VALUES (now(), 'd', 'm', 1, '{}')";
  const push = (client: pg.Client, device = 'd', labels: object = {}) =>
    client.query(`SELECT * FROM kw.insert_samples(ARRAY[now()], ARRAY[$1], '{m}', '{1}', ARRAY[$2::jsonb])`, [
      device,
      JSON.stringify(labels),
    ]);

  test('nobody can connect as kw_owner, which is no superuser', async () => {
    const { rows } = await db.client.query(
      "SELECT rolsuper, rolcreaterole, rolcanlogin AND rolconnlimit <> 0 AS connects FROM pg_roles WHERE rolname = 'kw_owner'",
    );
    expect(rows).toEqual([{ rolsuper: false, rolcreaterole: false, connects: false }]);
  });

  test('somebody without rights can neither keep maintenance from running nor hold up those who store', async () => {
    const stranger = `stranger_${suffix}`;
    await db.client.query(`CREATE ROLE ${stranger} LOGIN PASSWORD 'secret'`);
    const database = new URL(db.url).pathname.slice(1);
    const client = await openClient(targetOf(database, { user: stranger, password: 'secret' }));
    await client.query(
      "SELECT pg_advisory_lock(hashtextextended('kw.maintain', 0)), pg_advisory_lock(hashtext('kw.make_partition'))",
    );
    const { rows } = await as('collector').query("SELECT kw.maintain() ->> 'busy' AS busy");
    expect(rows).toEqual([{ busy: 'false' }]);
    await as('collector').query("SET statement_timeout = '3s'");
    await as('collector').query(
      "SELECT kw.ensure_storage(now() - interval '40 days', now() - interval '40 days')",
    );
    await as('collector').query('RESET statement_timeout');
    await client.end();
    await db.client.query(`DROP ROLE ${stranger}`);
  });

  test('one caller at a time maintains', async () => {
    await db.client.query('BEGIN');
    await db.client.query('SELECT kw.maintain()');
    const busy = "SELECT kw.maintain() ->> 'busy' AS busy";
    expect((await as('collector').query(busy)).rows).toEqual([{ busy: 'true' }]);
    await db.client.query('COMMIT');
    expect((await as('collector').query(busy)).rows).toEqual([{ busy: 'false' }]);
  });

  onlyOn(
    'timescaledb',
    flavour,
    test,
  )?.('functions in a schema that everybody may write to are not called by the summary job', async () => {
    await db.client.query(`
        CREATE TABLE public.loot (who text);
        CREATE FUNCTION public.date_bin(text, timestamptz, text) RETURNS timestamptz LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.loot VALUES (current_user); RETURN now(); END $$`);
    await db.client.query('CALL kw.refresh_summary()');
    expect((await db.client.query('SELECT * FROM public.loot')).rows).toEqual([]);
    await db.client.query('DROP FUNCTION public.date_bin; DROP TABLE public.loot');
  });

  test('every function that runs with the rights of kw_owner has a fixed search path and is closed to PUBLIC', async () => {
    const { rows } = await db.client.query(`
      SELECT p.oid::regprocedure::text AS name FROM pg_proc p
      WHERE p.pronamespace = 'kw'::regnamespace AND p.prokind = 'f'
        -- The names in a body of standard SQL were looked up when it was made.
        AND ((NOT coalesce(p.proconfig::text LIKE '%search_path=pg_catalog%pg_temp%', false)
              AND (p.prosecdef OR p.prosqlbody IS NULL))
             OR has_function_privilege('public', p.oid, 'EXECUTE')
             OR p.proowner <> 'kw_owner'::regrole)`);
    expect(rows).toEqual([]);
  });

  describe('kw_collector', () => {
    test('stores metrics, its state and its ledger, and keeps storage in order', async () => {
      const client = as('collector');
      await client.query(ROW);
      const id = '00000000-0000-4000-8000-000000000001';
      await client.query(
        `INSERT INTO kw.ledger VALUES ($1, 1, 10) ON CONFLICT (collector_id, segment) DO UPDATE SET "offset" = 20`,
        [id],
      );
      await client.query(
        `INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at) VALUES ($1, 'c', 'h', '1', now(), now())`,
        [id],
      );
      await client.query('SELECT * FROM kw.promoted_metrics');
      await client.query('SELECT kw.maintain(), kw.ensure_storage(now(), now())');
    });

    test('reads and deletes no metrics', async () => {
      const client = as('collector');
      await expect(client.query('SELECT * FROM kw.metrics')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT * FROM kw.metrics_summary')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT * FROM kw.metrics_by_device')).rejects.toMatchObject(denied);
      await expect(client.query('DELETE FROM kw.metrics')).rejects.toMatchObject(denied);
      await expect(client.query('UPDATE kw.metrics SET value = 0')).rejects.toMatchObject(denied);
      await expect(client.query('TRUNCATE kw.metrics')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT kw.delete_pushed(NULL, NULL)')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT * FROM kw.jobs')).rejects.toMatchObject(denied);
      await expect(client.query('DELETE FROM kw.promoted_metrics')).rejects.toMatchObject(denied);
    });
  });

  test('kw_reader reads, and changes nothing', async () => {
    const client = as('reader');
    for (const name of [
      'metrics',
      'metrics_summary',
      'metrics_by_device',
      'metrics_by_job',
      'metrics_summary_by_device',
      'jobs',
      'nodetime_by_job',
      'promoted_metrics',
      'metric_catalogue',
      'collectors',
      'device_status',
      'settings',
    ]) {
      await client.query(`SELECT * FROM kw.${name} LIMIT 1`);
    }
    await expect(client.query(ROW)).rejects.toMatchObject(denied);
    await expect(push(client)).rejects.toMatchObject(denied);
    await expect(client.query("SELECT kw.enable_metrics('{d}', 'm')")).rejects.toMatchObject(denied);
    await expect(client.query('CREATE TABLE kw.own (a int)')).rejects.toMatchObject(denied);
    await expect(client.query("UPDATE kw.settings SET value = '0'")).rejects.toMatchObject(denied);
  });

  test('kw_admin has the rights of the owner', async () => {
    const client = as('admin');
    await client.query(ROW);
    await client.query('DELETE FROM kw.metrics');
    await client.query('UPDATE kw.settings SET value = value');
    await client.query('SELECT kw.maintain()');
  });

  describe('pushing', () => {
    beforeEach(async () => {
      for (const [job, who] of [
        [1, 'alice'],
        [2, 'bob'],
      ] as const) {
        await db.client.query('SELECT kw.job_start($1, $2, $3)', [job, '{d,a,b,ok}', nameOf(who)]);
      }
    });

    test('users push only for the nodes that they have now in a running job', async () => {
      const foreign =
        'no device of yours: neither one of your token nor a node of a job of yours that runs now';
      expect((await push(as('alice'), 'node-9')).rows).toEqual([{ sample: 1, reason: foreign }]);
      expect((await push(as('admin'), 'node-9')).rows).toEqual([]);
      await db.client.query('SELECT kw.job_stop(1)');
      expect((await push(as('alice'))).rows).toEqual([{ sample: 1, reason: foreign }]);
      await db.client.query("SELECT kw.job_start(3, '{d}', $1, started => now() - interval '31 days')", [
        nameOf('alice'),
      ]);
      expect((await push(as('alice'))).rows).toEqual([{ sample: 1, reason: foreign }]);
      await db.client.query(`GRANT kw_service TO ${nameOf('alice')}`);
      expect((await push(as('alice'), 'node-9')).rows).toEqual([]);
      await db.client.query(`REVOKE kw_service FROM ${nameOf('alice')}`);
    });

    test('a call writes into a bounded number of days, and makes no room for what it refuses', async () => {
      const { rows } = await as('alice').query(
        `SELECT s.sample, s.reason FROM (SELECT array_agg(now() - interval '1 day' * (3 * n)) AS times FROM generate_series(1, 18) n) t,
          kw.insert_samples(t.times, array_fill('d'::text, ARRAY[18]), array_fill('m'::text, ARRAY[18]),
            array_fill(1::float8, ARRAY[18]), array_fill('{}'::jsonb, ARRAY[18])) s`,
      );
      const reason = 'values of more than 16 different days in one call';
      expect(rows).toEqual([
        { sample: 17, reason },
        { sample: 18, reason },
      ]);
      const before = await db.client.query('SELECT count(*)::int AS n FROM pg_inherits');
      await as('alice').query(
        "SELECT kw.insert_samples(ARRAY[now() - interval '200 days'], '{node-9}', '{m}', '{1}', '{NULL}')",
      );
      expect((await db.client.query('SELECT count(*)::int AS n FROM pg_inherits')).rows).toEqual(before.rows);
    });

    test('adds who it was, whatever role was set, and removes other labels that begin with _', async () => {
      const client = as('alice');
      expect(
        (await push(client, 'd', { run: '3', n: 4, _pushed_by: 'root', _device_alias: 'node-9' })).rows,
      ).toEqual([]);
      await client.query('SET ROLE kw_writer');
      await push(client);
      await client.query('RESET ROLE');
      const { rows } = await db.client.query('SELECT labels FROM kw.metrics ORDER BY timestamp');
      expect(rows).toEqual([
        { labels: { run: '3', n: '4', _pushed_by: nameOf('alice') } },
        { labels: { _pushed_by: nameOf('alice') } },
      ]);
    });

    test('one deletes what one pushed, and nothing else; a dry run only counts', async () => {
      await push(as('alice'));
      await push(as('bob'));
      await db.client.query(ROW);
      const run = async (dry: boolean) =>
        (await as('alice').query('SELECT kw.delete_pushed(NULL, NULL, dry_run => $1) AS n', [dry])).rows[0].n;
      expect(await run(true)).toBe(1);
      expect(await run(false)).toBe(1);
      expect(await run(false)).toBe(0);
      const { rows } = await db.client.query(
        "SELECT labels->>'_pushed_by' AS who FROM kw.metrics ORDER BY 1",
      );
      expect(rows).toEqual([{ who: nameOf('bob') }, { who: null }]);
    });

    test('deletes by device, metric, time and labels', async () => {
      const client = as('alice');
      for (const run of ['1', '2']) for (const device of ['a', 'b']) await push(client, device, { run });
      const count = async (args: string) =>
        (await client.query(`SELECT kw.delete_pushed(${args}) AS n`)).rows[0].n;
      expect(await count("'{a}', NULL")).toBe(2);
      expect(await count("'{a}', '{m}', wanted_labels => '{\"run\": \"2\"}'")).toBe(1);
      expect(await count("NULL, '{other}'")).toBe(0);
      expect(await count("NULL, NULL, first => now() + interval '1 s'")).toBe(0);
      expect(await count('NULL, NULL, last => now()')).toBe(4);
    });

    test('the number of label sets of a metric in a day is bounded', async () => {
      await db.client.query("UPDATE kw.settings SET value = '3' WHERE name = 'label_sets_per_day'");
      const client = as('alice');
      const results: string[] = [];
      for (const run of ['1', '2', '1', '3', '4', '2']) {
        const { rows } = await push(client, 'd', { run });
        results.push(rows[0]?.reason ?? 'stored');
      }
      const limit = 'you pushed 3 different devices and label sets for this metric today, which is the limit';
      expect(results).toEqual(['stored', 'stored', 'stored', 'stored', limit, 'stored']);
      expect((await push(as('bob'), 'd', { run: '9' })).rows).toEqual([]);
      await db.client.query("UPDATE kw.settings SET value = '10000' WHERE name = 'label_sets_per_day'");
    });

    test('the number of metrics and label sets that a user pushes in a day is bounded over all metrics', async () => {
      await db.client.query("UPDATE kw.settings SET value = '3' WHERE name = 'sets_per_user_and_day'");
      const { rows } = await as('alice').query(
        `SELECT * FROM kw.insert_samples(array_fill(now(), ARRAY[5]), array_fill('d'::text, ARRAY[5]),
          '{a,b,b,c,e}', '{1,1,1,1,1}', array_fill('{}'::jsonb, ARRAY[5]))`,
      );
      expect(rows).toEqual([
        {
          sample: 5,
          reason: 'you pushed 3 different metrics, devices and label sets today, which is the limit',
        },
      ]);
      expect((await push(as('alice'))).rows).toHaveLength(1);
      expect((await push(as('bob'))).rows).toEqual([]);
      await db.client.query("UPDATE kw.settings SET value = '100000' WHERE name = 'sets_per_user_and_day'");
    });

    test('bad samples are refused by number, the others of the batch are stored', async () => {
      const { rows } = await as('alice').query(
        `SELECT * FROM kw.insert_samples(
          ARRAY[now(), now() + interval '2 h', now() - interval '11 years', to_timestamp(extract(epoch FROM now()) * 1000), now(), now(), now(), now(), NULL],
          ARRAY['ok', 'd', 'd', 'd', '', $1, 'd', 'd', 'd'], array_fill('m'::text, ARRAY[9]), ARRAY[1, 1, 1, 1, 1, 1, NULL, 1, 1]::float8[],
          ARRAY['{}', '{}', '{}', '{}', '{}', '{}', '{}', $2, '{}']::jsonb[])`,
        ['é'.repeat(128), JSON.stringify({ long: 'x'.repeat(1020) })],
      );
      expect(rows).toEqual([
        { sample: 2, reason: 'the timestamp lies too far in the future' },
        { sample: 3, reason: 'the timestamp lies too far in the past' },
        { sample: 4, reason: 'the timestamp lies too far in the future (milliseconds instead of seconds?)' },
        { sample: 5, reason: 'the device name is empty' },
        { sample: 6, reason: 'the device name has 256 bytes, and at most 255 can be stored' },
        { sample: 7, reason: 'there is no value' },
        { sample: 8, reason: 'the labels have 1031 bytes as JSON, and at most 1024 can be stored' },
        { sample: 9, reason: 'there is no timestamp' },
      ]);
      expect((await db.client.query('SELECT device_id FROM kw.metrics')).rows).toEqual([{ device_id: 'ok' }]);
    });

    test('the labels that fit are exactly those of 1024 bytes', async () => {
      const value = (bytes: number) => ({
        long: 'x'.repeat(bytes - JSON.stringify({ long: '', b: 'y' }).length),
        b: 'y',
      });
      expect((await push(as('alice'), 'd', value(1024))).rows).toEqual([]);
      expect((await push(as('alice'), 'd', value(1025))).rows).toHaveLength(1);
    });
  });

  describe('jobs and promotions', () => {
    const start = (client: pg.Client, job: number, nodes: string, owner: string) =>
      client.query(`SELECT kw.job_start($1, $2, $3) AS n`, [job, nodes, owner]);
    const enable = (client: pg.Client, job: number, devices: string | null = null) =>
      client.query('SELECT kw.enable_metrics($2, $3, $1) AS device', [job, devices, 'wattmetre.*']);

    test('only a scheduler starts jobs, for anybody', async () => {
      await expect(start(as('alice'), 1, '{node-1}', nameOf('alice'))).rejects.toThrow(
        'only a scheduler may start jobs here',
      );
      expect((await start(as('prolog'), 1, '{node-1,node-2}', nameOf('alice'))).rows).toEqual([{ n: 2 }]);
      expect((await start(as('prolog'), 1, '{node-2,node-3}', nameOf('alice'))).rows).toEqual([{ n: 1 }]);
    });

    test('users start their own jobs where the site allows it', async () => {
      await db.client.query("UPDATE kw.settings SET value = 'true' WHERE name = 'users_start_jobs'");
      await start(as('alice'), 1, '{node-1}', nameOf('alice'));
      await expect(start(as('alice'), 2, '{node-1}', nameOf('bob'))).rejects.toThrow(
        'only a scheduler may start jobs of others',
      );
      await expect(start(as('bob'), 1, '{node-9}', nameOf('bob'))).rejects.toThrow('job 1 belongs to');
      await db.client.query("UPDATE kw.settings SET value = 'false' WHERE name = 'users_start_jobs'");
    });

    test("a user's job promotes on its own nodes only, and only for its owner", async () => {
      await start(as('prolog'), 1, '{node-1,node-2}', nameOf('alice'));
      await start(as('prolog'), 2, '{node-3}', nameOf('bob'));
      expect((await enable(as('alice'), 1)).rows.map((row) => row.device).sort()).toEqual([
        'node-1',
        'node-2',
      ]);
      await expect(enable(as('alice'), 1, '{node-1,node-3}')).rejects.toThrow(
        'not a node of job 1 now: node-3',
      );
      await expect(enable(as('alice'), 2)).rejects.toThrow('job 2 belongs to another user');
      await expect(enable(as('alice'), 3)).rejects.toThrow('job 3 of source kw does not run');
      await expect(as('alice').query("SELECT kw.enable_metrics('{node-3}', 'x')")).rejects.toThrow(
        'not a node of a job of yours now: node-3',
      );
      await as('alice').query("SELECT kw.enable_metrics('{node-2}', 'x')");
      await as('prolog').query("SELECT kw.enable_metrics('{anything}', 'x')");
      await expect(
        as('alice').query(
          "INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at) VALUES ('node-3', 'x', now())",
        ),
      ).rejects.toMatchObject(denied);
    });

    test('it ends with the job, by device after 24 hours, or when told', async () => {
      await start(as('prolog'), 1, '{node-1}', nameOf('alice'));
      await enable(as('alice'), 1);
      await as('prolog').query(
        "SELECT kw.enable_metrics('{pdu-1}', 'a'), kw.enable_metrics('{pdu-1}', 'b', seconds => 60)",
      );
      const { rows } = await db.client.query(
        'SELECT device_id, metric_id, round(extract(epoch FROM expires_at - enabled_at))::int AS seconds FROM kw.promoted_metrics ORDER BY 1, 2',
      );
      expect(rows).toEqual([
        { device_id: 'node-1', metric_id: 'wattmetre.*', seconds: null },
        { device_id: 'pdu-1', metric_id: 'a', seconds: 86_400 },
        { device_id: 'pdu-1', metric_id: 'b', seconds: 60 },
      ]);
      await as('prolog').query('SELECT kw.job_stop(1)');
      await db.client.query(
        "UPDATE kw.promoted_metrics SET expires_at = now() - interval '1 s' WHERE metric_id = 'b'",
      );
      await as('collector').query('SELECT kw.maintain()');
      expect((await db.client.query('SELECT metric_id FROM kw.promoted_metrics')).rows).toEqual([
        { metric_id: 'a' },
      ]);
      await expect(enable(as('alice'), 1)).rejects.toThrow('job 1 of source kw does not run');
    });

    test('two jobs may enable the same on one node, and one does not end what the other enabled', async () => {
      await start(as('prolog'), 1, '{node-1}', nameOf('alice'));
      await start(as('prolog'), 2, '{node-1}', nameOf('bob'));
      await enable(as('alice'), 1);
      await enable(as('bob'), 2);
      await enable(as('bob'), 2);
      expect((await as('alice').query('SELECT kw.disable_metrics(NULL) AS n')).rows).toEqual([{ n: 1 }]);
      expect((await db.client.query('SELECT job_id FROM kw.promoted_metrics')).rows).toEqual([{ job_id: 2 }]);
    });

    test('a node may leave a job early, and the job ends with its last one', async () => {
      await start(as('prolog'), 1, '{node-1,node-2}', nameOf('alice'));
      const running = async () =>
        (await db.client.query('SELECT count(*)::int AS n FROM kw.jobs WHERE stopped IS NULL')).rows[0].n;
      await as('prolog').query("SELECT kw.job_stop(1, nodes => '{node-2}')");
      expect(await running()).toBe(1);
      await expect(enable(as('alice'), 1, '{node-2}')).rejects.toThrow('not a node of job 1 now: node-2');
      await as('prolog').query("SELECT kw.job_stop(1, nodes => '{node-1}')");
      expect(await running()).toBe(0);
    });

    test('a job that nobody ended gives no rights for ever', async () => {
      await as('prolog').query(
        "SELECT kw.job_start(1, '{node-1}', $1, started => now() - interval '31 days')",
        [nameOf('alice')],
      );
      await expect(enable(as('alice'), 1)).rejects.toThrow('job 1 of source kw does not run');
    });

    test('a change is told by NOTIFY', async () => {
      const heard: string[] = [];
      as('collector').on('notification', (message) => heard.push(message.channel));
      await as('collector').query('LISTEN kw_promotions');
      await as('prolog').query("SELECT kw.enable_metrics('{pdu-1}', 'a')");
      await expect.poll(() => heard, { timeout: 1000 }).toEqual(['kw_promotions']);
      await as('collector').query('UNLISTEN *');
    });

    test('patterns are bounded on a device for a job, and over all devices of a user', async () => {
      await start(as('prolog'), 1, '{node-1,node-2}', nameOf('alice'));
      const enableMany = (client: pg.Client, patterns: number) =>
        client.query(
          "SELECT n, d FROM generate_series(1, $1) n, kw.enable_metrics(NULL, 'metric_' || n, 1) AS d",
          [patterns],
        );
      await enableMany(as('alice'), 64);
      await expect(enable(as('alice'), 1)).rejects.toThrow(
        /^64 patterns are enabled on node-[12] already, and more are not allowed$/,
      );
      await enableMany(as('alice'), 64); // again is no more
      await enableMany(as('prolog'), 64); // of another user
      await db.client.query("UPDATE kw.settings SET value = '127' WHERE name = 'promotions_per_user'");
      await expect(enableMany(as('alice'), 1)).rejects.toThrow(
        'you may enable 127 patterns, each device counted, and these would be more',
      );
      await enableMany(as('prolog'), 1); // schedulers act for everybody
      await db.client.query("UPDATE kw.settings SET value = '100000' WHERE name = 'promotions_per_user'");
    });

    test('a job has at most 65,536 nodes, and its state is a word', async () => {
      await expect(
        as('prolog').query("SELECT kw.job_start(1, array_fill('n'::text, ARRAY[65537]))"),
      ).rejects.toThrow('more than 65536 nodes');
      await expect(
        as('prolog').query("SELECT kw.job_start(1, '{n}', state => repeat('s', 256))"),
      ).rejects.toThrow('the state name has 256 bytes, and at most 255 can be stored');
    });

    test('a pattern is never run by the database, and is at most 1 kB', async () => {
      await as('prolog').query("SELECT kw.enable_metrics('{pdu-1}', '(a+)+$[')");
      expect((await db.client.query('SELECT metric_id FROM kw.promoted_metrics')).rows).toEqual([
        { metric_id: '(a+)+$[' },
      ]);
      await expect(
        as('prolog').query("SELECT kw.enable_metrics('{pdu-1}', $1)", ['x'.repeat(1025)]),
      ).rejects.toThrow('the pattern has 1025 bytes, and at most 1024 are allowed');
    });
  });
});
