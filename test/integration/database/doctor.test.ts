import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { examine } from '../../../src/lib/database/doctor.ts';
import { checkSchema, migrate } from '../../../src/lib/database/migrate.ts';
import { readStatus } from '../../../src/lib/database/status.ts';
import { onlyOn, type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('kw db doctor on %s', (flavour) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await testDatabase({ flavour });
  });
  afterAll(() => db.drop());

  const problems = async () =>
    (await examine(db.client, db.target))
      // The server of the tests is not durable, and its workers are stopped: what it says of those is true.
      .filter(
        ({ level, check }) =>
          (level === 'error' || level === 'warning') &&
          !['fsync', 'full_page_writes', 'synchronous_commit', 'jobs'].includes(check),
      )
      .map(({ message, mend }) => `${message} -> ${mend}`);

  test('finds nothing in a fresh database', async () => {
    expect(await problems()).toEqual([]);
  });

  test('finds what was dropped, changed or opened, and kw db migrate restores it', async () => {
    await db.client.query(`
      DROP FUNCTION kw.disable_metrics;
      DROP INDEX kw.metrics_device_timestamp;
      DROP TRIGGER notify_promotions ON kw.promoted_metrics;
      CREATE OR REPLACE FUNCTION kw.is_scheduler() RETURNS boolean LANGUAGE sql AS 'SELECT true';
      GRANT EXECUTE ON FUNCTION kw.delete_pushed TO PUBLIC;
      CREATE OR REPLACE VIEW kw.metrics_by_device AS
        SELECT timestamp, device_id, metric_id, value, labels FROM kw.metrics`);
    const mend = '-> kw db migrate';
    expect((await problems()).sort()).toEqual([
      `function kw.delete_pushed(text[],text[],timestamp with time zone,timestamp with time zone,jsonb,boolean) is granted to others ${mend}`,
      `function kw.disable_metrics(text[],text,bigint,text) is missing ${mend}`,
      `function kw.is_scheduler() is changed ${mend}`,
      `index kw.metrics_device_timestamp is missing ${mend}`,
      `trigger notify_promotions on kw.promoted_metrics is missing ${mend}`,
      `view kw.metrics_by_device is changed ${mend}`,
    ]);
    expect((await migrate(db.client)).mended).toHaveLength(6);
    expect(await problems()).toEqual([]);
    const { rows } = await db.client.query(
      `SELECT has_function_privilege('public', 'kw.delete_pushed(text[],text[],timestamptz,timestamptz,jsonb,boolean)', 'EXECUTE') AS open,
              has_function_privilege('kw_writer', 'kw.disable_metrics(text[],text,bigint,text)', 'EXECUTE') AS writer`,
    );
    expect(rows).toEqual([{ open: false, writer: true }]);
  });

  test("a site's own nodetime_by_job is no drift", async () => {
    await db.client.query(`
      CREATE OR REPLACE VIEW kw.nodetime_by_job AS
      SELECT 1::bigint AS job_id, now() AS start_time, NULL::timestamptz AS stop_time, 'n'::text AS node,
             'o'::text AS owner, 'running'::text AS state, 'oar'::text AS source`);
    expect(await problems()).toEqual([]);
  });

  test('does not depend on the search path', async () => {
    await db.client.query('SET search_path = kw, public');
    expect(await problems()).toEqual([]);
    expect((await db.client.query('SHOW search_path')).rows).toEqual([{ search_path: 'kw, public' }]);
    await db.client.query('RESET search_path');
  });

  test('tells what everybody may do, and the statement that ends it', async () => {
    const notes = async () =>
      (await examine(db.client, db.target))
        .filter(({ check, message }) => check === 'everybody' && message.includes('schema public'))
        .map(({ level, mend }) => `${level}: ${mend}`);
    expect(await notes()).toEqual([]);
    await db.client.query('GRANT CREATE ON SCHEMA public TO PUBLIC');
    expect(await notes()).toEqual(['note: REVOKE CREATE ON SCHEMA public FROM PUBLIC']);
    await db.client.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
  });

  test('tells of large objects: who may make them, and those that are there', async () => {
    const told = async () =>
      (await examine(db.client, db.target))
        .filter(({ message }) => message.includes('large object'))
        .map(({ level, message, mend }) => `${level}: ${message} -> ${mend}`);
    const name = `lo_${randomBytes(3).toString('hex')}`;
    const login = targetOf(new URL(db.url).pathname.slice(1), { user: name, password: 'secret' });
    await db.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE kw_reader`);
    const client = await openClient(login);
    const store = () => client.query("SELECT lo_from_bytea(0, decode(repeat('ab', 100000), 'hex'))");
    const functions = 'lo_creat(integer), lo_create(oid), lo_from_bytea(oid,bytea)';
    const open =
      'note: every login may store large objects, of any size and number -> ' +
      `REVOKE EXECUTE ON FUNCTION ${functions} FROM PUBLIC`;
    try {
      expect(await told()).toEqual([open]);
      await store();
      expect(await told()).toEqual([
        open,
        `warning: there are large objects, and kw stores none: 1 of ${name}, 1 MB -> ` +
          "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = 'OWNER'::regrole, if nobody needs them",
      ]);
      // Both commands do what they say.
      await db.client.query(`REVOKE EXECUTE ON FUNCTION ${functions} FROM PUBLIC`);
      await expect(store()).rejects.toMatchObject({ code: '42501' });
      await db.client.query(
        `SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = '${name}'::regrole`,
      );
      expect(await told()).toEqual([]);
    } finally {
      await client.end();
      await db.client.query(
        `GRANT EXECUTE ON FUNCTION ${functions} TO PUBLIC; DROP OWNED BY ${name}; DROP ROLE ${name}`,
      );
    }
  });

  onlyOn(
    'timescaledb',
    flavour,
    test,
  )?.('tells that everybody may make jobs of TimescaleDB', async () => {
    const mends = async () =>
      (await examine(db.client, db.target))
        .filter(({ check, message }) => check === 'everybody' && message.includes('TimescaleDB'))
        .map(({ mend }) => mend ?? '');
    const [mend = '', ...others] = await mends();
    expect(others).toEqual([]);
    expect(mend).toMatch(
      /^REVOKE EXECUTE ON FUNCTION (\S+) FROM PUBLIC; GRANT EXECUTE ON FUNCTION \1 TO kw_owner$/,
    );
    await db.client.query(mend);
    expect(await mends()).toEqual([]);
  });

  test('with few rights lists what it may see, and the GRANT that shows the rest', async () => {
    const name = `doctor_${randomBytes(3).toString('hex')}`;
    await db.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`);
    const target = targetOf(new URL(db.url).pathname.slice(1), { user: name, password: 'secret' });
    const client = await openClient(target);
    const found = async () =>
      (await examine(client, target)).map(({ check, level, message, mend }) =>
        check === 'privileges' ? `${level}: ${message} -> ${mend}` : check,
      );
    const lack = (unseen: string) =>
      `error: the login ${name} may not see: ${unseen} -> GRANT kw_reader TO ${name}`;
    try {
      const without = await found();
      expect(without).toContain('server');
      expect(without.at(-1)).toBe(lack('schema, all that depends on it'));
      await db.client.query(`GRANT kw_collector TO ${name}`);
      const asCollector = await found();
      expect(asCollector).toEqual(expect.arrayContaining(['server', 'schema', 'roles', 'locks']));
      expect(asCollector.at(-1)).toBe(lack(flavour === 'plain' ? 'objects, partitions' : 'objects'));
      await db.client.query(`GRANT kw_reader TO ${name}`);
      expect((await found()).filter((line) => line.startsWith('error'))).toEqual([]);
    } finally {
      await client.end();
      await db.client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    }
  });

  test('a migration that was changed, or that a newer kw made, is refused with a sentence', async () => {
    await db.client.query("UPDATE kw.migrations SET checksum = 'x' WHERE version = 3");
    await expect(migrate(db.client)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: 'migration 3 (summary) was applied in another form than this kw has it',
    });
    await db.client.query('DELETE FROM kw.migrations WHERE version = 3');
    await db.client.query("INSERT INTO kw.migrations VALUES (9999, 'future', $1, 'x')", [flavour]);
    for (const check of [migrate, checkSchema]) {
      await expect(check(db.client)).rejects.toMatchObject({ code: 'SCHEMA_NEW' });
    }
  });

  test('kw db status says whether there is compression', async () => {
    const status = await readStatus(db.client, flavour);
    expect(status.compression !== undefined).toBe(flavour === 'timescaledb');
    expect(status.retention).toEqual({ rawMs: null, summaryMs: null });
  });
});
