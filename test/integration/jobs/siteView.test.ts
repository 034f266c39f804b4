/** A view of the site's own as a source of jobs: `kw job source add NAME --view SCHEMA.VIEW`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

let db: TestDatabase;
const kw = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC' } });
const query = async (sql: string, ...values: unknown[]) => (await db.client.query(sql, values)).rows;

beforeAll(async () => {
  db = await testDatabase();
  await query(`
    CREATE SCHEMA site;
    CREATE TABLE site.stays (
      job_id int, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, monitor text);
    CREATE VIEW site.jobs AS SELECT * FROM site.stays;
    CREATE VIEW site.bare AS SELECT job_id, start_time, stop_time, node FROM site.stays;
    CREATE VIEW site.unfit AS SELECT job_id, node FROM site.stays`);
});
afterAll(() => db.drop());

const promoted = async () =>
  (
    await query(
      "SELECT job_id || ' ' || device_id || ' ' || metric_id || ' ' || owner AS text FROM kw.promoted_metrics ORDER BY 1",
    )
  ).map(({ text }) => text);

test('one that kw may not read, or that lacks columns, is refused with what to do', async () => {
  expect(await kw('job', 'source', 'add', 'pbs', '--view', 'site.jobs')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /this login may not do that: permission denied.*\n {4}GRANT SELECT ON site\.jobs TO kw_owner/,
    ),
  });
  await query(
    'GRANT USAGE ON SCHEMA site TO kw_owner; GRANT SELECT ON site.jobs, site.bare, site.unfit TO kw_owner',
  );
  expect(await kw('job', 'source', 'add', 'pbs', '--view', 'site.unfit')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      'site.unfit is not what it should be: site.unfit has no column start_time, stop_time\n    it needs job_id, start_time, stop_time',
    ),
  });
  expect(await kw('job', 'source', 'add', 'pbs', '--view', 'site.none')).toMatchObject({ code: 1 });
  expect(await query('SELECT FROM kw.job_sources')).toEqual([]);
});

test('its jobs are read, kept while they run, and enable what they ask for', async () => {
  await query(`INSERT INTO site.stays VALUES
    (7, '2026-01-01 10:00Z', '2026-01-01 11:00Z', 'n1.site.example', 'alice', 'C', NULL),
    (8, now() - interval '1 minute', NULL, 'n1.site.example', 'bob', 'R', 'watt.*'),
    (8, now() - interval '1 minute', NULL, 'n1.site.example', 'bob', 'R', 'temp'),
    (8, now() - interval '1 minute', NULL, 'n2.site.example', 'bob', 'R', 'watt.*')`);
  expect(await kw('job', 'source', 'add', 'pbs', '--view', 'site.jobs')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('the jobs of pbs are read; 1 runs now'),
  });
  expect(await promoted()).toEqual(['8 n1 temp bob', '8 n1 watt.* bob', '8 n2 temp bob', '8 n2 watt.* bob']);
  expect(await query('SELECT node, owner, state, source FROM kw.nodetime_by_job WHERE job_id = 7')).toEqual([
    { node: 'n1', owner: 'alice', state: 'C', source: 'pbs' },
  ]);
  const shown = JSON.parse((await kw('job', 'show', '--job', '8', '--json')).stdout);
  expect(shown).toMatchObject({ source: 'pbs', owner: 'bob', nodes: [{ node: 'n1' }, { node: 'n2' }] });
  const all = JSON.parse((await kw('job', 'list', '--all', '--json')).stdout);
  expect(all.jobs.map(({ job_id, nodes }: { job_id: number; nodes: string[] }) => [job_id, nodes])).toEqual([
    [8, ['n1', 'n2']],
    [7, ['n1']],
  ]);
});

test('a node that leaves, a type that changes, an end: each is followed', async () => {
  await query("UPDATE site.stays SET stop_time = now() WHERE job_id = 8 AND node LIKE 'n2%'");
  await query("UPDATE site.stays SET monitor = 'other' WHERE monitor = 'temp'");
  await query('SELECT kw.update_promotions()');
  expect(await promoted()).toEqual(['8 n1 other bob', '8 n1 watt.* bob']);
  await query('UPDATE site.stays SET stop_time = now() WHERE job_id = 8');
  await query('SELECT kw.update_promotions()');
  expect(await promoted()).toEqual([]);
  expect(await query("SELECT FROM kw.nodetime_local WHERE source = 'pbs' AND stop_time IS NULL")).toEqual([]);
});

test('when it breaks, what was seen takes its place, and one sentence says so', async () => {
  await query(
    'INSERT INTO site.stays VALUES (9, now(), NULL, $1, $2, $3, $4)',
    'n3',
    "o'brien",
    '"; --',
    "x'; DROP",
  );
  await query('SELECT kw.update_promotions()');
  expect(await promoted()).toEqual(["9 n3 x'; DROP o'brien"]);
  await query('REVOKE SELECT ON site.jobs FROM kw_owner');
  await query('SELECT kw.update_promotions()');
  expect(await query('SELECT state, last_error FROM kw.job_sources')).toEqual([
    { state: 'wrong', last_error: 'permission denied for view jobs' },
  ]);
  expect(await promoted()).toHaveLength(1);
  const shown = await kw('job', 'show', '--job', '9', '--json');
  expect(JSON.parse(shown.stdout)).toMatchObject({ owner: "o'brien", nodes: [{ node: 'n3' }] });
  expect(JSON.parse(shown.stdout).problem).toMatch(
    /^the job source pbs cannot be asked since .*: permission denied for view jobs; /,
  );
  // Nobody has looked for half a minute: the next one asks again.
  await query('GRANT SELECT ON site.jobs TO kw_owner');
  await query("UPDATE kw.job_sources SET checked_at = now() - interval '1 minute'");
  expect(JSON.parse((await kw('job', 'show', '--job', '9', '--json')).stdout).problem).toBeNull();
});

test('a source that was not heard of for long gives no rights, and takes nothing away', async () => {
  expect(await query("SELECT FROM kw.nodetime_now WHERE source = 'pbs'")).toHaveLength(1);
  await query("UPDATE kw.job_sources SET last_good_at = now() - interval '25 hours'");
  expect(await query("SELECT FROM kw.nodetime_now WHERE source = 'pbs'")).toEqual([]);
  expect(await promoted()).toHaveLength(1);
});

test('a view with the four columns of Kwollect will do', async () => {
  await query('UPDATE site.stays SET stop_time = NULL WHERE job_id = 7');
  expect(await kw('job', 'source', 'add', 'pbs', '--view', 'site.bare', '--replace')).toMatchObject({
    code: 0,
  });
  expect(await query('SELECT node, owner, state FROM kw.nodetime_by_job WHERE job_id = 7')).toEqual([
    { node: 'n1', owner: 'unknown', state: 'running' },
  ]);
  expect(await promoted()).toEqual([]);
});
