/** What users see: everything, or the nodes of their own jobs while they had them; in psql as over HTTP. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { examine } from '../../../src/lib/database/doctor.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { migrate } from '../../../src/lib/database/migrate.ts';
import { type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('what users see on %s', (flavour) => {
  let db: TestDatabase;
  const suffix = randomBytes(3).toString('hex');
  const logins: pg.Client[] = [];
  const names: string[] = [];
  let alice: pg.Client;
  let bob: pg.Client;
  let service: pg.Client;
  let admin: pg.Client;

  async function login(key: string, roles: string): Promise<pg.Client> {
    const name = `${key}_${suffix}`;
    await db.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE ${roles}`);
    names.push(name);
    const client = await openClient(
      targetOf(new URL(db.url).pathname.slice(1), { user: name, password: 'secret' }),
    );
    logins.push(client);
    return client;
  }

  const values = async (client: pg.Client, sql: string): Promise<unknown[]> =>
    (await client.query({ text: sql, rowMode: 'array' })).rows.map((row) => row[0]);
  const scope = (value: 'all' | 'own_jobs') =>
    db.client.query("UPDATE kw.settings SET value = to_jsonb($1::text) WHERE name = 'read_scope'", [value]);
  const denied = { code: '42501' };

  /**
   * Hours ago:      6    5    4    3    2    1    0
   * node-1         bob--------)(alice-----)
   * node-2                     (bob-------------
   * wattmetre port3 is node-1, port4 is node-2. One value each half hour.
   */
  beforeAll(async () => {
    db = await testDatabase({ flavour });
    alice = await login('alice', 'kw_reader');
    bob = await login('bob', 'kw_reader, kw_writer');
    service = await login('grafana', 'kw_reader, kw_service');
    admin = await login('admin', 'kw_admin');
    await db.client.query(`
      SELECT kw.ensure_storage(now() - interval '7 hours', now());
      INSERT INTO kw.metrics
      SELECT now() - i * interval '30 min' - interval '10 min', d, m, i, l::jsonb
      FROM generate_series(0, 13) i, (VALUES
        ('node-1', 'bmc_temp', '{}'), ('node-2', 'bmc_temp', '{}'),
        ('wattmetre1-port3', 'watt', '{"_device_alias": "node-1"}'), ('wattmetre1-port4', 'watt', '{"_device_alias": "node-2"}')
      ) AS s (d, m, l);
      SELECT kw.job_start(1, '{node-1}', 'bob_${suffix}', started => now() - interval '6 hours');
      SELECT kw.job_stop(1, stopped => now() - interval '4 hours');
      SELECT kw.job_start(2, '{node-1}', 'alice_${suffix}', started => now() - interval '4 hours');
      SELECT kw.job_stop(2, stopped => now() - interval '2 hours');
      SELECT kw.job_start(3, '{node-2}', 'bob_${suffix}', started => now() - interval '4 hours');
      SELECT kw.job_start(4, '{node-2}', 'bob_${suffix}', started => now() - interval '1 hour');
      SELECT kw.enable_metrics(NULL, 'watt', 3);
      INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, protocol) VALUES
        (gen_random_uuid(), 'wattmetre1-port3', 'watt', 'node-1', 1000, 'wattmetre'),
        (gen_random_uuid(), 'wattmetre1-port4', 'watt', 'node-2', 1000, 'wattmetre'),
        (gen_random_uuid(), 'node-3', 'watt', '', 1000, 'ipmi');
      INSERT INTO kw.device_status (collector_id, device_id, protocol, up)
      SELECT collector_id, device_id, protocol, true FROM kw.metric_catalogue`);
    await maintain(db.client, flavour);
    if (flavour === 'timescaledb')
      await db.client.query("SELECT compress_chunk(c) FROM show_chunks('kw.metrics') c LIMIT 1");
  });
  afterAll(async () => {
    await scope('all');
    for (const client of logins) await client.end();
    for (const name of names) await db.client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    await db.drop();
  });

  test('everybody sees everything unless the site says otherwise', async () => {
    for (const client of [alice, bob, service, admin]) {
      expect(await values(client, 'SELECT count(*)::int FROM kw.metrics_visible')).toEqual([56]);
      expect(await values(client, 'SELECT count(*)::int FROM kw.nodetime_visible')).toEqual([4]);
    }
    expect(await values(alice, 'SELECT count(*)::int FROM kw.metrics')).toEqual([56]);
  });

  const selection = (relation: string, alias: string) => `
    EXPLAIN (COSTS OFF) SELECT timestamp, value, device_id, metric_id, labels FROM kw.${relation}
    WHERE timestamp >= now() - interval '1 h' AND timestamp <= now()
      AND (device_id = ANY ('{node-1}') OR ${alias} = ANY ('{node-1}')) ORDER BY timestamp`;

  test('a query is planned as if the table itself were named', async () => {
    const plan = async (sql: string) =>
      (await values(alice, sql))
        .map((line) => String(line).replaceAll(/metrics(_summary)?\./g, ''))
        // TimescaleDB writes the present moment into the plan.
        .map((line) => line.replaceAll(/'[^']+'::timestamp with time zone/g, 'now'))
        .join('\n');
    const ofView = await plan(selection('metrics_visible', 'device_alias'));
    expect(ofView).toContain("device_id = ANY ('{node-1}'::text[])");
    expect(ofView).toBe(await plan(selection('metrics', "(labels ->> '_device_alias')")));
    const summary = (relation: string) =>
      plan(
        `EXPLAIN (COSTS OFF) SELECT * FROM kw.${relation} WHERE bucket > now() - interval '1 h' AND device_alias = 'x'`,
      );
    expect(await summary('summary_visible')).toBe(await summary('metrics_summary'));
  });

  describe('with own_jobs', () => {
    beforeAll(() => scope('own_jobs'));

    test('conditions on time, device and alias reach partitions, chunks and indexes', async () => {
      const at = "timestamp >= now() - interval '30 min' AND timestamp <= now()";
      const plan = (
        await values(
          alice,
          `EXPLAIN (COSTS OFF) SELECT * FROM kw.metrics_visible WHERE ${at} AND (device_id = ANY ('{node-1}') OR device_alias = ANY ('{node-1}'))`,
        )
      ).join('\n');
      // Each scan of stored rows has the bounds of the query, not only those of jobs.
      const scans = plan.split('\n').filter((line) => /Scan .*on (metrics_p|_hyper_)/.test(line));
      expect(scans.length).toBeGreaterThan(0);
      const conditions = plan.split('\n').filter((line) => line.includes("now() - '00:30:00'::interval"));
      expect(conditions.length).toBeGreaterThanOrEqual(
        scans.filter((line) => !line.includes('Bitmap Heap')).length,
      );
      expect(plan).toMatch(/device_id = ANY \('\{node-1\}'::text\[\]\)/);
    });

    test('users see the nodes of their jobs, by name and by alias, while they had them', async () => {
      const seen =
        "SELECT device_id || ' ' || string_agg(value::text, ' ' ORDER BY value) FROM kw.metrics_visible GROUP BY device_id ORDER BY 1";
      // 4 to 2 hours ago: 2:10, 2:40, 3:10, 3:40 (i = 4 to 7).
      expect(await values(alice, seen)).toEqual(['node-1 4 5 6 7', 'wattmetre1-port3 4 5 6 7']);
      // 6 to 4 hours ago on node-1; since 4 hours ago on node-2, once, although two jobs have it.
      expect(await values(bob, seen)).toEqual([
        'node-1 8 9 10 11',
        'node-2 0 1 2 3 4 5 6 7',
        'wattmetre1-port3 8 9 10 11',
        'wattmetre1-port4 0 1 2 3 4 5 6 7',
      ]);
    });

    test('so it is in all views', async () => {
      const by = (view: string, time: string) =>
        `SELECT DISTINCT device_id || ' ' || metric_id FROM kw.${view} WHERE ${time} > now() - interval '1 day' ORDER BY 1`;
      const devices = ['node-1 bmc_temp', 'node-1 watt', 'wattmetre1-port3 watt'];
      expect(await values(alice, by('metrics_by_device', 'timestamp'))).toEqual(devices);
      expect(await values(alice, by('metrics_by_job', 'timestamp'))).toEqual(devices.slice(0, 2));
      expect(await values(alice, by('summary_visible', 'bucket'))).toEqual([
        'node-1 bmc_temp',
        'wattmetre1-port3 watt',
      ]);
      expect(await values(alice, by('metrics_summary_by_device', 'bucket'))).toEqual(devices);
      expect(await values(alice, 'SELECT count(*)::int FROM kw.metrics_by_device')).toEqual([12]);
      expect(await values(alice, 'SELECT count(*)::int FROM kw.summary_visible')).toEqual([8]);
      expect(await values(alice, 'SELECT job_id FROM kw.nodetime_visible')).toEqual([2]);
      expect(await values(alice, 'SELECT job_id FROM kw.jobs_visible')).toEqual([2]);
      expect(await values(alice, 'SELECT job_id FROM kw.local_nodetime_visible')).toEqual([2]);
      expect(await values(alice, 'SELECT node FROM kw.job_nodetimes(2)')).toEqual(['node-1']);
      expect(await values(alice, 'SELECT node FROM kw.job_nodetimes(3)')).toEqual([]);
      expect(await values(alice, 'SELECT count(*)::int FROM kw.promotions_visible')).toEqual([0]);
      expect(await values(bob, 'SELECT device_id FROM kw.promotions_visible')).toEqual(['node-2']);
      expect(await values(alice, 'SELECT device_id FROM kw.catalogue_visible')).toEqual(['wattmetre1-port3']);
      expect(await values(alice, 'SELECT device_id FROM kw.device_status_visible')).toEqual([
        'wattmetre1-port3',
      ]);
    });

    test('so it is in lists of jobs that a scheduler is asked for', async () => {
      const job = (id: number, owner: string) =>
        `SELECT ${id}::bigint AS job_id, '${owner}_${suffix}'::text AS owner, 'running'::text AS state`;
      await db.client.query(`
        INSERT INTO kw.job_sources (name, kind, state, checked_at, last_good_at) VALUES ('fake', 'oar', 'ok', now(), now());
        CREATE VIEW kw_sources.fake_jobs AS
        SELECT *, NULL::text AS name, extract(epoch FROM now())::bigint AS start_time, 0::bigint AS stop_time
        FROM (${job(70, 'alice')} UNION ALL ${job(71, 'bob')}) j;
        CREATE VIEW kw_sources.fake AS
        SELECT job_id, now() AS start_time, NULL::timestamptz AS stop_time, 'node-5'::text AS node, owner, state, 'fake'::text AS source
        FROM kw_sources.fake_jobs;
        ALTER VIEW kw_sources.fake OWNER TO kw_owner; ALTER VIEW kw_sources.fake_jobs OWNER TO kw_owner`);
      const list = "SELECT job_id FROM kw.listed_jobs(true, %, 100) WHERE source = 'fake' ORDER BY 1";
      expect(await values(alice, list.replace('%', 'NULL'))).toEqual([70]);
      expect(await values(alice, list.replace('%', `'bob_${suffix}'`))).toEqual([]);
      expect(await values(alice, "SELECT job_id FROM kw.job_nodetimes(71, 'fake')")).toEqual([]);
      expect(await values(admin, list.replace('%', 'NULL'))).toEqual([70, 71]);
      await db.client.query(
        "DROP VIEW kw_sources.fake, kw_sources.fake_jobs; DELETE FROM kw.job_sources WHERE name = 'fake'",
      );
    });

    test('admins and programs of the site still see all', async () => {
      for (const client of [service, admin]) {
        expect(await values(client, 'SELECT count(*)::int FROM kw.metrics_visible')).toEqual([56]);
        expect(await values(client, 'SELECT count(*)::int FROM kw.metrics_by_device')).toEqual([84]);
        expect(await values(client, 'SELECT count(*)::int FROM kw.jobs_visible')).toEqual([4]);
        expect(await values(client, 'SELECT count(*)::int FROM kw.catalogue_visible')).toEqual([3]);
      }
      expect(await values(admin, 'SELECT count(*)::int FROM kw.metrics')).toEqual([56]);
    });

    test('the tables, their partitions and chunks, and what is made of them, are closed', async () => {
      const { rows } = await db.client.query(
        `
        SELECT c.oid::regclass::text AS name FROM pg_class c
        WHERE c.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege($1, c.oid, 'SELECT')
          AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1`,
        [`bob_${suffix}`],
      );
      expect(rows.map((row) => row.name)).toEqual([
        'kw.catalogue_visible',
        'kw.collector_losses',
        'kw.collector_runs',
        'kw.collectors',
        'kw.device_status_visible',
        'kw.expected_objects',
        'kw.job_sources',
        'kw.jobs_visible',
        'kw.local_nodetime_visible',
        'kw.metrics_by_device',
        'kw.metrics_by_job',
        ...(flavour === 'plain' ? ['kw.metrics_partitions'] : []),
        'kw.metrics_summary_by_device',
        'kw.metrics_visible',
        'kw.migrations',
        'kw.node_names',
        'kw.nodetime_visible',
        'kw.past_catalogue_visible',
        'kw.past_runs',
        'kw.promotions_visible',
        'kw.pushed_devices_visible',
        'kw.settings',
        'kw.shard_epochs',
        'kw.shard_leases',
        ...(flavour === 'plain' ? ['kw.summary_state'] : []),
        'kw.summary_visible',
      ]);
      await expect(bob.query('SELECT FROM kw.metrics')).rejects.toMatchObject(denied);
      await expect(bob.query('SELECT FROM kw.jobs')).rejects.toMatchObject(denied);
    });

    test('a function in a condition is not shown what is filtered out', async () => {
      await alice.query(`
        CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
        $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
        CREATE FUNCTION pg_temp.tell2(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT pg_temp.tell($1)';
        CREATE OPERATOR pg_temp.<<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.tell2)`);
      const told = new Set<string>();
      const listen = ({ message }: { message?: string | undefined }) => told.add(String(message));
      alice.on('notice', listen);
      for (const [view, column] of [
        ['metrics_visible', 'device_id'],
        ['summary_visible', 'device_id'],
        ['metrics_by_device', 'device_id'],
        ['metrics_by_job', 'device_id'],
        ['metrics_summary_by_device', 'device_id'],
        ['jobs_visible', 'owner'],
        ['nodetime_visible', 'owner'],
        ['promotions_visible', 'device_id'],
        ['catalogue_visible', 'device_id'],
        ['device_status_visible', 'device_id'],
      ]) {
        await alice.query(`SELECT FROM kw.${view} WHERE pg_temp.tell(${column})`);
        await alice.query(`SELECT FROM kw.${view} WHERE ${column} OPERATOR(pg_temp.<<<<) 'x'`);
      }
      alice.off('notice', listen);
      expect([...told].sort()).toEqual([`alice_${suffix}`, 'node-1', 'wattmetre1-port3']);
    });

    test('a user in psql who sets claims, roles, a search path or names of objects sees no more', async () => {
      const client = alice;
      const seen = 'SELECT count(*)::int FROM kw.metrics_visible';
      const attacks = [
        `SET request.jwt.claims = '{"sub": "bob_${suffix}", "role": "kw_admin"}'`,
        'SET ROLE kw_reader',
        `SET search_path = pg_temp, public, kw;
         CREATE TEMP TABLE settings (name text, value jsonb); INSERT INTO settings VALUES ('read_scope', '"all"'), ('api_login', '"alice_${suffix}"');
         CREATE TEMP TABLE nodetime_local (job_id bigint, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, source text);
         INSERT INTO nodetime_local VALUES (9, '-infinity', 'infinity', 'node-2', 'alice_${suffix}', 'running', 'kw');
         CREATE TEMP TABLE own_node_times (node text, first timestamptz, last timestamptz);
         INSERT INTO own_node_times VALUES ('node-2', '-infinity', 'infinity');
         CREATE FUNCTION pg_temp.sees_all() RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE FUNCTION pg_temp.caller_name() RETURNS text LANGUAGE sql AS 'SELECT ''bob_${suffix}''';
         CREATE FUNCTION pg_temp.text_true(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.text_true)`,
      ];
      for (const attack of attacks) {
        await client.query(attack);
        expect(await values(client, seen)).toEqual([8]);
      }
      await client.query('RESET ALL; RESET ROLE; DISCARD TEMP');
      await expect(client.query('SET ROLE kw_admin')).rejects.toMatchObject(denied);
      await expect(client.query('SET ROLE kw_api')).rejects.toMatchObject(denied);
      await expect(client.query('SET SESSION AUTHORIZATION kw_api')).rejects.toMatchObject(denied);
      await expect(client.query('UPDATE kw.settings SET value = \'"all"\'')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT * FROM kw.own_node_times')).rejects.toMatchObject(denied);
      await expect(client.query('SELECT kw.apply_rights()')).rejects.toMatchObject(denied);
      await expect(
        client.query('CREATE OR REPLACE VIEW kw.metrics_visible AS SELECT 1'),
      ).rejects.toMatchObject(denied);
    });

    test('kw db doctor finds rights that are not as the setting says, and kw db migrate restores them', async () => {
      const problems = async () =>
        (await examine(db.client, db.target))
          .filter(({ check }) => check === 'objects')
          .map(({ message }) => message);
      expect(await problems()).toEqual(['functions, views, indexes, rights as they should be']);
      await db.client.query(
        'GRANT SELECT ON kw.metrics TO kw_reader; ALTER VIEW kw.metrics_visible RESET (security_barrier)',
      );
      expect(await problems()).toEqual([
        'view kw.metrics_visible is changed',
        'kw_reader may read kw.metrics',
      ]);
      expect((await migrate(db.client)).mended).toEqual([
        'rights (view kw.metrics_visible is changed)',
        'rights (kw_reader may read kw.metrics)',
      ]);
      expect(await problems()).toEqual(['functions, views, indexes, rights as they should be']);
    });

    test('back again, everybody sees everything', async () => {
      await scope('all');
      expect(await values(alice, 'SELECT count(*)::int FROM kw.metrics')).toEqual([56]);
      expect(await values(alice, 'SELECT count(*)::int FROM kw.metrics_visible')).toEqual([56]);
      await expect(scope('none' as 'all')).rejects.toThrow('read_scope is all or own_jobs');
    });
  });
});
