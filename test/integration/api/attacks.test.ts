/**
 * Users with a login in psql, who may run any statement: what they try gives them no name but their own, no device but
 * those they have, and no right of kw_owner.
 */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('an attacker in psql on %s', (flavour) => {
  let db: TestDatabase;
  let mallory: pg.Client;
  const suffix = randomBytes(3).toString('hex');
  const name = `mallory_${suffix}`;
  const denied = { code: '42501' };

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    await db.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE kw_reader, kw_writer`);
    // As a database from before PostgreSQL 15 has it.
    await db.client.query('GRANT CREATE ON SCHEMA public TO PUBLIC');
    await db.client.query(`
      SELECT kw.job_start(1, '{node-1}', '${name}'), kw.job_start(2, '{node-2}', 'alice');
      INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, protocol)
      VALUES (gen_random_uuid(), 'node-9', 'wattmetre_power_watt', 1000, 'wattmetre')`);
  });
  beforeEach(async () => {
    mallory = await openClient(
      targetOf(new URL(db.url).pathname.slice(1), { user: name, password: 'secret' }),
    );
    return () => mallory.end();
  });
  afterAll(async () => {
    await db.client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    await db.drop();
  });

  const push = async (device: string, metric = 'mine'): Promise<string> => {
    const { rows } = await mallory.query(
      "SELECT reason FROM kw.insert_samples(ARRAY[now()], ARRAY[$1], ARRAY[$2], '{1}', '{NULL}')",
      [device, metric],
    );
    return rows[0]?.reason ?? 'stored';
  };
  const enable = (device: string) => mallory.query('SELECT kw.enable_metrics(ARRAY[$1], $2)', [device, 'x']);
  const foreign = 'no device of yours: neither one of your token nor a node of a job of yours that runs now';

  /** What holds whatever was done before. */
  async function expectNothingGained(): Promise<void> {
    expect(
      (
        await mallory.query(
          'SELECT kw.caller_name() AS name, kw.caller_claims() AS claims, kw.caller_role() AS role',
        )
      ).rows,
    ).toEqual([{ name, claims: {}, role: name }]);
    expect(await push('node-1')).toBe('stored');
    expect(await push('node-2')).toBe(foreign);
    expect(await push('node-1', 'wattmetre_power_watt')).toBe(
      'a collector reads a metric of this name: choose another one for yours',
    );
    await expect(enable('node-2')).rejects.toThrow('not a node of a job of yours now: node-2');
    await expect(mallory.query('SELECT kw.job_stop(2)')).rejects.toThrow('job 2 belongs to alice');
    await expect(mallory.query("SELECT kw.job_start(3, '{node-2}')")).rejects.toThrow(
      'only a scheduler may start jobs here',
    );
    await expect(
      mallory.query(
        `SELECT * FROM api.insert_metrics('{"device_id": "node-2", "metric_id": "mine", "value": 1}')`,
      ),
    ).rejects.toThrow(`row 0 of 1 cannot be stored: ${foreign}; nothing was stored`);
    const { rows } = await db.client.query(
      "SELECT DISTINCT device_id, labels FROM kw.metrics WHERE labels ? '_pushed_by'",
    );
    expect(rows).toEqual([{ device_id: 'node-1', labels: { _pushed_by: name } }]);
  }

  test('who ends an own job in the future, so that the scheduler finds it ended', async () => {
    await db.client.query('SELECT kw.job_start(77, $1, $2)', [['node-7'], name]);
    const holds = async () =>
      (await db.client.query("SELECT kw.has_node_now($1, 'node-7') AS holds", [name])).rows[0].holds;
    expect(await holds()).toBe(true);
    await mallory.query("SELECT kw.job_stop(77, stopped => now() + interval '20 years')");
    expect(await holds()).toBe(false);
    // By an older version of kw.
    await db.client.query(
      "UPDATE kw.job_nodes SET stop_time = now() + interval '20 years' WHERE job_id = 77",
    );
    await db.client.query("UPDATE kw.jobs SET stopped = now() + interval '20 years' WHERE job_id = 77");
    expect(await holds()).toBe(true);
    expect((await db.client.query('SELECT kw.job_stop(77) AS ended')).rows[0].ended).toBe(1);
    expect(await holds()).toBe(false);
    // A scheduler whose clock is ahead still ends its jobs.
    await db.client.query('SELECT kw.job_start(78, $1, $2)', [['node-7'], name]);
    await db.client.query("SELECT kw.job_stop(78, stopped => now() + interval '1 s')");
    const { rows } = await db.client.query(
      'SELECT stopped IS NOT NULL AS ended FROM kw.jobs WHERE job_id = 78',
    );
    expect(rows).toEqual([{ ended: true }]);
  });

  test('who sets the claims of a token, in any way', async () => {
    const claims = JSON.stringify({ sub: 'alice', role: 'kw_admin', devices: ['*'], metrics: ['*'] });
    await mallory.query(
      "SELECT set_config('request.jwt.claims', $1, false), set_config('request.jwt.claim.sub', 'alice', false)",
      [claims],
    );
    await expectNothingGained();
    await mallory.query('BEGIN');
    await mallory.query(
      "SELECT set_config('request.jwt.claims', $1, true), set_config('role', 'kw_writer', true)",
      [claims],
    );
    expect((await mallory.query('SELECT kw.caller_name() AS name')).rows).toEqual([{ name }]);
    await mallory.query('ROLLBACK');
  });

  test('who takes other roles', async () => {
    for (const role of [
      'kw_admin',
      'kw_owner',
      'kw_api',
      'kw_scheduler',
      'kw_service',
      'kw_collector',
      'kw_anon',
    ]) {
      await expect(mallory.query(`SET ROLE ${role}`)).rejects.toMatchObject(denied);
      await expect(mallory.query(`SET SESSION AUTHORIZATION ${role}`)).rejects.toMatchObject(denied);
    }
    await mallory.query('SET ROLE kw_writer');
    await expectNothingGained();
  });

  test('who makes objects of the same names, temporary ones and ones that everybody finds', async () => {
    for (const schema of ['pg_temp', 'public']) {
      const table = schema === 'pg_temp' ? 'TEMP TABLE' : 'TABLE public.';
      const t = (tableName: string) =>
        schema === 'pg_temp' ? `TEMP TABLE ${tableName}` : `${table}${tableName}`;
      await mallory.query(`
        CREATE ${t('settings')} (name text, value jsonb, description text);
        INSERT INTO ${schema}.settings VALUES ('api_login', '"${name}"'), ('push_collected_metrics', 'true'), ('users_start_jobs', 'true'), ('read_scope', '"all"');
        CREATE ${t('nodetime_now')} (job_id bigint, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, source text);
        INSERT INTO ${schema}.nodetime_now VALUES (1, now(), NULL, 'node-2', '${name}', 'running', 'kw');
        CREATE ${t('metric_catalogue')} (device_id text);
        CREATE ${t('pg_roles')} (rolname name);
        CREATE FUNCTION ${schema}.is_service() RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION ${schema}.is_scheduler() RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION ${schema}.caller_name() RETURNS text LANGUAGE sql AS 'SELECT ''alice''';
        CREATE FUNCTION ${schema}.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz';
        CREATE FUNCTION ${schema}.pg_has_role(name, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION ${schema}.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''{"sub": "alice"}''';
        CREATE FUNCTION ${schema}.starts_with(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
        CREATE FUNCTION ${schema}.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION ${schema}.always(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR ${schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = ${schema}.always);
        CREATE OPERATOR ${schema}.= (LEFTARG = name, RIGHTARG = text, FUNCTION = ${schema}.always);
        SET search_path = ${schema}, public, pg_catalog`);
      await expectNothingGained();
      await mallory.query('RESET search_path');
    }
    await db.client.query(`DROP OWNED BY ${name}; GRANT kw_reader, kw_writer TO ${name}`);
  });

  test('who calls what is not meant for users', async () => {
    const { rows } = await mallory.query(`
      SELECT p.oid::regprocedure::text AS name FROM pg_proc p
      WHERE p.pronamespace = 'kw'::regnamespace AND p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1`);
    // Each of these checks its caller.
    expect(rows.map((row) => row.name.replace(/\(.*/, ''))).toEqual(
      CALLABLE_BY_USERS.map((one) => `kw.${one}`),
    );
    await expect(
      mallory.query("INSERT INTO kw.metrics VALUES (now(), 'node-2', 'm', 1)"),
    ).rejects.toMatchObject(denied);
    await expect(mallory.query('UPDATE kw.jobs SET owner = session_user')).rejects.toMatchObject(denied);
    await expect(mallory.query('DELETE FROM kw.promoted_metrics')).rejects.toMatchObject(denied);
    await expect(
      mallory.query("UPDATE kw.settings SET value = to_jsonb(session_user::text) WHERE name = 'api_login'"),
    ).rejects.toMatchObject(denied);
    await expect(mallory.query("UPDATE kw.scoped_views SET everything = 'SELECT 1'")).rejects.toMatchObject(
      denied,
    );
    await expect(
      mallory.query('CREATE FUNCTION kw.mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'),
    ).rejects.toMatchObject(denied);
    await expect(
      mallory.query('CREATE FUNCTION api.mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'),
    ).rejects.toMatchObject(denied);
    await expectNothingGained();
  });

  test('the login of the API without a role and without claims may do nothing', async () => {
    const api = await openClient(db.target);
    try {
      await api.query('SET SESSION AUTHORIZATION kw_api');
      for (const statement of [
        'SELECT FROM kw.metrics_visible',
        'SELECT FROM kw.jobs_visible',
        "SELECT kw.insert_samples(ARRAY[now()], '{node-1}', '{m}', '{1}', '{NULL}')",
        "SELECT kw.enable_metrics('{node-1}', 'x')",
      ])
        await expect(api.query(statement), statement).rejects.toMatchObject(denied);
      await api.query('SET ROLE kw_writer');
      await expect(
        api.query("SELECT kw.insert_samples(ARRAY[now()], '{node-1}', '{m}', '{1}', '{NULL}')"),
      ).rejects.toThrow('nobody said who you are');
    } finally {
      await api.end();
    }
  });
});

/** Functions of kw that run with the rights of kw_owner and that users may call. */
const CALLABLE_BY_USERS = [
  'answer_push_part',
  'check_token',
  'delete_pushed',
  'disable_metrics',
  'enable_metrics',
  'insert_spooled',
  'is_api',
  'job_nodetimes',
  'job_start',
  'job_stop',
  'listed_jobs',
  'rights_problems',
  'store_samples',
  'take_push_part',
  'told_node',
  'update_promotions',
];
