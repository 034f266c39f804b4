/** kw db rights and kw db postgrest-config. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
const kw = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url } });

test('kw db rights shows and sets what users see', async () => {
  expect(await kw('db', 'rights')).toMatchObject({
    stdout:
      'users see everything\n' +
      'callers of the HTTP API who do not say who they are see nothing\n' +
      'the site has no name: tokens hold for every site\n',
    code: 0,
  });
  const set = await kw(
    'db',
    'rights',
    '--read-scope',
    'own_jobs',
    '--anonymous-read',
    '--site',
    'lyon',
    '--json',
  );
  expect(JSON.parse(set.stdout)).toEqual({
    read_scope: 'own_jobs',
    anonymous_read: true,
    site: 'lyon',
    api_login: 'kw_api',
    problems: [],
  });
  expect((await kw('db', 'rights', '--no-anonymous-read', '--site', '')).stdout).toBe(
    'users see the nodes of their own jobs, while they had them\n' +
      'callers of the HTTP API who do not say who they are see nothing\n' +
      'the site has no name: tokens hold for every site\n',
  );
  await kw('db', 'rights', '--read-scope', 'all');
});

test('kw db postgrest-config names what is there, and no secret', async () => {
  const { stdout, code } = await kw(
    'db',
    'postgrest-config',
    '--jwks',
    '/etc/keys $1.json',
    '--port',
    '3001',
  );
  expect(code).toBe(0);
  const entries = new Map(
    stdout
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(' = ', 2) as [string, string]),
  );
  const { hostname, port, pathname, search } = new URL(db.url);
  const place = `${hostname}${port && `:${port}`}${pathname}${search}`;
  expect(entries.get('db-uri')).toBe(`"postgres://kw_api@${place}"`);
  expect(entries.get('jwt-secret')).toBe('"@/etc/keys $$1.json"');
  expect(entries.get('server-port')).toBe('3001');
  expect(entries.get('db-schemas')).toBe('"api"');
  const text = (name: string) => JSON.parse(entries.get(name) ?? '""');
  const { rows } = await db.client.query(
    `SELECT has_function_privilege($1, $2 || '()', 'EXECUTE') AS checks, pg_has_role('kw_api', $1, 'MEMBER') AS becomes,
       has_schema_privilege($1, 'api', 'USAGE') AS enters`,
    [text('db-anon-role'), text('db-pre-request')],
  );
  expect(rows).toEqual([{ checks: true, becomes: true, enters: true }]);
  const password = new URL(db.url).password;
  if (password !== '') expect(stdout).not.toContain(`:${password}@`);
  // The names are those that PostgREST has.
  expect([...entries.keys()]).toEqual([
    'db-uri',
    'db-schemas',
    'db-anon-role',
    'db-pre-request',
    'jwt-secret',
    'jwt-role-claim-key',
    'server-host',
    'server-port',
  ]);
});

test('the login of the API has no right of its own but to become a caller', async () => {
  const { rows } = await db.client.query(`
    SELECT rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolpassword IS NULL AS no_password,
      has_table_privilege('kw_api', 'kw.metrics', 'SELECT') AS reads, has_table_privilege('kw_api', 'kw.metrics', 'INSERT') AS writes
    FROM pg_authid WHERE rolname = 'kw_api'`);
  expect(rows).toEqual([
    {
      rolinherit: false,
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolbypassrls: false,
      no_password: true,
      reads: false,
      writes: false,
    },
  ]);
});
