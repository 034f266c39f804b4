/** A real OAR server's jobs, read where they are: its tables, node names, what is kept of them, and who may see what. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { hasOar, type Oar, startOar } from '../../support/oar.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const skipped = skipUnless('an OAR server (and root)', hasOar);

describe.skipIf(skipped)('a source of jobs', () => {
  let oar: Oar;
  let db: TestDatabase;
  const kw = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC' } });
  const query = async (sql: string, ...values: unknown[]) => (await db.client.query(sql, values)).rows;

  beforeAll(async () => {
    [db, oar] = await Promise.all([
      testDatabase(),
      startOar({ nodes: ['node-1.site.example', 'node-2.site.example', 'odd_name'] }),
    ]);
  }, 60_000);
  afterAll(async () => {
    await oar?.stop();
    await db?.drop();
  });

  test('is refused as a whole where it cannot be one', async () => {
    const add = (...args: string[]) => kw('job', 'source', 'add', 'oar', ...args);
    const wrong = await add(oar.url.replace(/:[^:@]*@/, ':wr0ng@'));
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toMatch(
      /^kw: the database server cannot reach kw_ro@127\.0\.0\.1:\d+\/oar: .*password authentication failed for user "kw_ro"\n/,
    );
    expect(wrong.stderr).not.toContain('wr0ng');
    const away = await add('postgres://u:s3cret@127.0.0.1:1/oar');
    expect(away.stderr).toMatch(
      /^kw: the database server cannot reach u@127\.0\.0\.1:1\/oar: .*Connection refused/,
    );
    const other = await add(`${oar.url.replace(/\/oar$/, '/postgres')}`);
    expect(other.stderr).toMatch(
      /^kw: .*\/postgres is not what it should be: these are not OAR's tables: jobs\.job_id, /,
    );
    const open = await add(oar.url.replace(/:[^:@]*@/, '@'));
    expect(open.stderr).toMatch(/^kw: kw_ro@.* needs a password: .*\n {4}kw_owner is no superuser: /);
    expect(await query('SELECT FROM kw.job_sources')).toEqual([]);
    expect(
      await query("SELECT FROM pg_foreign_server UNION ALL SELECT FROM pg_namespace WHERE nspname = 'oar'"),
    ).toEqual([]);
  });

  test('is added, read live, and its password is nowhere but in the user mapping', async () => {
    const added = await kw('job', 'source', 'add', 'oar', oar.url);
    expect(added).toMatchObject({ code: 0, stdout: '' });
    expect(added.stderr).toMatch(/^the jobs of oar are read; 0 run now \(asked in \d+ ms\)\n$/);
    const [job = 0] = await oar.submit({
      resources: 'network_address=2,walltime=1:0:0',
      types: ['monitor=w.*'],
    });
    await waitUntil(async () => (await oar.stat(job))[0]?.state === 'Running');
    const [said] = await oar.stat(job);
    const rows = await query(
      `SELECT node, owner, state, source, stop_time, extract(epoch FROM start_time)::int AS start
       FROM kw.nodetime_by_job WHERE job_id = $1 ORDER BY node`,
      job,
    );
    const common = {
      owner: 'nobody',
      state: 'Running',
      source: 'oar',
      stop_time: null,
      start: said?.startTime,
    };
    expect(rows).toEqual([
      { node: 'node-1', ...common },
      { node: 'node-2', ...common },
    ]);
    await query('SELECT kw.update_promotions()');
    expect(
      await query('SELECT device_id, metric_id, owner, origin FROM kw.promoted_metrics ORDER BY 1'),
    ).toEqual([
      { device_id: 'node-1', metric_id: 'w.*', owner: 'nobody', origin: 'scheduler' },
      { device_id: 'node-2', metric_id: 'w.*', owner: 'nobody', origin: 'scheduler' },
    ]);
    await oar.cancel(job);
    await waitUntil(async () => (await oar.stat(job))[0]?.stopTime !== 0);
    await query('SELECT kw.update_promotions()');
    expect(await query('SELECT FROM kw.promoted_metrics')).toEqual([]);

    const where = await query(
      `SELECT umoptions::text LIKE '%' || $1 || '%' AS found FROM pg_user_mapping`,
      oar.password.replaceAll('\\', '\\\\').replaceAll('"', '\\"'),
    );
    expect(where.length).toBe(1);
    const listed = await kw('job', 'source', 'list', '--json');
    expect(JSON.parse(listed.stdout).sources).toMatchObject([
      { name: 'oar', kind: 'oar', state: 'ok', running_jobs: 0, where: `kw_ro@127.0.0.1:${oar.port}/oar` },
    ]);
    for (const text of [
      added.stderr,
      listed.stdout,
      JSON.stringify(await query('SELECT * FROM kw.job_sources')),
    ]) {
      expect(text).not.toContain(oar.password);
      expect(text).not.toContain(encodeURIComponent(oar.password));
    }
  });

  test('is there once, and is replaced only when told to', async () => {
    const again = await kw('job', 'source', 'add', 'oar', oar.url);
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is a source oar already'),
    });
  });

  test('names devices by a map where the cut at the first dot does not do', async () => {
    const { temporaryFolder } = await import('../../support/temporaryFolder.ts');
    const { writeFileSync } = await import('node:fs');
    const { folder, remove } = temporaryFolder();
    writeFileSync(`${folder}/nodes`, 'odd_name  device.with.dots\n');
    const replaced = await kw(
      'job',
      'source',
      'add',
      'oar',
      oar.url,
      '--replace',
      '--node-map',
      `${folder}/nodes`,
    );
    remove();
    expect(replaced.code).toBe(0);
    const [job = 0] = await oar.submit({ resources: 'network_address=3,walltime=1:0:0' });
    await waitUntil(async () => (await oar.stat(job))[0]?.state === 'Running');
    await query('SELECT kw.update_promotions()');
    for (const view of ['nodetime_by_job', 'nodetime_local', 'nodetime_now']) {
      // OAR's start may lie up to a second ahead.
      const rows = await query(`SELECT node FROM kw.${view} WHERE job_id = $1 ORDER BY node`, job);
      expect(rows.map(({ node }) => node)).toEqual(['device.with.dots', 'node-1', 'node-2']);
    }
    await oar.cancel(job);
  });

  test('gives nothing of the foreign tables to readers but nodetime', async () => {
    await query('SET ROLE kw_reader');
    try {
      await query('SELECT FROM kw.nodetime_by_job WHERE job_id = 1');
      await query('SELECT FROM kw.job_nodetimes(1)');
      await expect(query('SELECT FROM oar.jobs')).rejects.toThrow('permission denied');
      await expect(query('SELECT FROM kw_sources.oar')).rejects.toThrow('permission denied');
      await expect(query("SELECT kw.import_oar('x', '{}', 'u', 'p')")).rejects.toThrow('permission denied');
      await expect(query("SELECT kw.drop_source('oar')")).rejects.toThrow('permission denied');
    } finally {
      await query('RESET ROLE');
    }
  });

  test('sends the condition on a job to OAR, and does not ask it for jobs of others', async () => {
    const plan = async (condition: string) =>
      (await query(`EXPLAIN (VERBOSE) SELECT * FROM kw.nodetime_by_job WHERE ${condition}`))
        .map((row) => row['QUERY PLAN'])
        .join('\n');
    const asked = await plan('job_id = 7');
    expect(asked.match(/Foreign Scan/g)).toHaveLength(1);
    expect(asked).toMatch(/Remote SQL: SELECT .* FROM \(\(public\.jobs .*job_id = 7\)/);
    expect(await plan("job_id = 7 AND source = 'slurm'")).not.toContain('Foreign Scan');
  });

  test('needs no superuser where postgres_fdw is prepared', async () => {
    const login = `kw_test_admin_${process.pid}`;
    const database = new URL(db.url).pathname.slice(1);
    await query(`CREATE ROLE ${login} LOGIN PASSWORD 'x' IN ROLE kw_admin`);
    try {
      const asAdmin = (...args: string[]) =>
        runKw(args, { env: { KW_DATABASE_URL: targetOf(database, { user: login, password: 'x' }).url } });
      const refused = await asAdmin('job', 'source', 'add', 'second', oar.url);
      expect(refused.stderr).toMatch(/^kw: this login may not do that: permission denied for database /);
      await query(`GRANT CREATE ON DATABASE ${database} TO ${login}`);
      expect(await asAdmin('job', 'source', 'add', 'second', oar.url)).toMatchObject({ code: 0 });
      expect(await asAdmin('job', 'source', 'remove', 'second')).toMatchObject({ code: 0 });
    } finally {
      await query(`DROP OWNED BY ${login}; DROP ROLE ${login}`);
    }
  });

  test('is removed, and what was seen of its jobs stays', async () => {
    const before = await query('SELECT count(*)::int AS n FROM kw.nodetime_by_job');
    expect((await kw('job', 'source', 'remove', 'oar')).stderr).toBe('the jobs of oar are read no more\n');
    expect(await query('SELECT count(*)::int AS n FROM kw.nodetime_by_job')).toEqual(before);
    expect(await query('SELECT FROM kw.nodetime_by_job WHERE stop_time IS NULL')).toEqual([]);
    expect(
      await query("SELECT FROM pg_foreign_server UNION ALL SELECT FROM pg_namespace WHERE nspname = 'oar'"),
    ).toEqual([]);
    expect((await kw('job', 'source', 'remove', 'oar')).stderr).toBe(
      'kw: there is no source "oar"\n    see kw job source list\n',
    );
  });
});
