/**
 * Jobs of a real Slurm and optional metrics of real SNMP agents, with the prologs of examples/slurm as they are: what a
 * job asks for in its comment is read while it runs, and what kw knows of jobs is what Slurm says.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseTarget } from '../../../src/lib/database/connection.ts';
import { run } from '../../support/asUser.ts';
import { type TestCollector, testCollector } from '../../support/collector.ts';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { endProcess } from '../../support/endProcess.ts';
import { halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { answeredRows, nodeEntries, promotedBy, storedRows } from '../../support/nodeMetrics.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { HOOKS, hasSlurm, SLURM_USER, type Slurm, startSlurm } from '../../support/slurm.ts';
import { exampleHook, type HookSurroundings, kwProgram, slurmSays } from '../../support/slurmHooks.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const skipped = skipUnless('Slurm', hasSlurm) || skipUnless('snmpd', snmpdPath !== undefined);
/** How late optional metrics may begin and end. */
const LATE_S = 2;
/** The same where prologs give up: their second, one between two syncs, and the time that a busy machine needs for both. */
const BURST_LATE_S = 4;
/** Slurm's times are whole seconds, cut off. */
const ROUNDING_S = 1;

describe.skipIf(skipped)('jobs of Slurm', () => {
  let slurm: Slurm;
  let db: TestDatabase;
  let agent: Snmpd;
  let running: TestCollector;
  let program: ReturnType<typeof kwProgram>;
  let log: string;
  /** As docs/jobs/slurm.md has it: prologs and the sync may tell of jobs, and nothing more. */
  const login = `slurm_${process.pid}`;
  let schedulers: DatabaseTarget;
  const kw = (...args: string[]) =>
    run([program.path, ...args], {
      cwd: program.folder,
      env: {
        ...slurm.env,
        HOME: program.folder,
        KW_DATABASE_URL: schedulers.url,
        TZ: 'UTC',
        KW_LISTEN: 'off',
      },
    });
  const sync = async (...args: string[]) => {
    const answer = await kw('job', 'sync', '--slurm', '--json', ...args);
    expect(answer).toEqual({
      code: 0,
      stdout: expect.stringContaining('"changes"'),
      stderr: '',
    });
    return JSON.parse(answer.stdout) as { changes: { job_id: number; change: string; nodes: string[] }[] };
  };
  const query = async (sql: string, ...values: unknown[]) => (await db.client.query(sql, values)).rows;

  /** What tells kw: `server` beside slurmctld, `node` on each node. */
  function tellFrom(where: 'server' | 'node' | 'nowhere', surroundings: Partial<HookSurroundings> = {}) {
    for (const hook of HOOKS) {
      const used = where === (hook.endsWith('Slurmctld') ? 'server' : 'node');
      const script = exampleHook(hook, {
        program: program.path,
        databaseUrl: schedulers.url,
        log,
        ...surroundings,
      });
      slurm.setHook(hook, used ? script : undefined);
    }
  }

  /** The prologs with the service beside them, as docs/jobs/slurm.md sets them up. */
  function serveSync() {
    const hookRun = join(program.folder, 'run');
    mkdirSync(hookRun, { recursive: true });
    tellFrom('server', { hookRun });
    const service = spawn(
      program.path,
      ['job', 'sync', '--slurm', '--every', '30s', '--wake', join(hookRun, 'wake')],
      {
        env: { ...process.env, ...slurm.env, HOME: program.folder, KW_DATABASE_URL: schedulers.url },
        stdio: 'ignore',
      },
    );
    const stop = () => endProcess(service, 10_000);
    return { stop, [Symbol.asyncDispose]: stop };
  }

  beforeAll(async () => {
    program = kwProgram();
    log = join(program.folder, 'hook.log');
    [db, slurm, agent] = await Promise.all([
      testDatabase(),
      startSlurm(),
      startSnmpd({ addresses: 2, firstAddress: '127.26.32.1' }),
    ]);
    await query(`CREATE ROLE ${login} LOGIN PASSWORD 'secret' IN ROLE kw_scheduler`);
    schedulers = targetOf(db.target.label, { user: login, password: 'secret' });
    // Builds what the hooks run. A machine with prologs has run it before: from the disk it takes longer.
    expect(await runKw(['--version'])).toMatchObject({ code: 0 });
    await kw('job', 'start', '--job', '1000000', '--nodes', 'n1', '--comment=monitor=x', '--monitor');
    await kw('job', 'stop', '--job', '1000000');
    await query("UPDATE kw.settings SET value = '\"1 second\"' WHERE name = 'scheduler_clock_error'");
    running = await testCollector(db.target);
    await running.collector.start(nodeEntries(slurm.nodes, agent));
  }, 60_000);
  afterAll(async () => {
    await running?.collector.stop(() => 2_000);
    await Promise.all([slurm?.stop(), agent?.stop()]);
    program?.remove();
    await db?.client.query(`DROP ROLE IF EXISTS ${login}`);
    await db?.drop();
  });
  afterEach(async () => {
    await slurm.run('scancel', `--user=${SLURM_USER}`);
    await waitUntil(async () => (await slurm.run('squeue', '--noheader')) === '', 20_000);
    await sync();
    expect(await promoted()).toEqual([]);
    rmSync(log, { force: true });
  });

  const promoted = () => promotedBy(db.client, 'slurm');
  /** What hooks could not tell. */
  const complaints = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  /** `job node start stop`, in seconds. */
  const known = async (...jobs: number[]) =>
    (
      await query(
        `SELECT job_id || ' ' || node || ' ' || extract(epoch FROM start_time)::numeric::float8
           || ' ' || coalesce(extract(epoch FROM stop_time)::numeric::float8::text, '-') AS text
         FROM kw.nodetime_by_job WHERE source = 'slurm' AND job_id = ANY ($1)`,
        jobs,
      )
    )
      .map(({ text }) => text)
      .sort();
  const rowsOf = (metric: string, sinceS: number) =>
    query(
      `SELECT device_id, extract(epoch FROM timestamp) AS s FROM kw.metrics
       WHERE metric_id = $1 AND timestamp >= to_timestamp($2) ORDER BY timestamp`,
      metric,
      sinceS,
    );

  test.each(['server', 'node'] as const)(
    'what the comment asks for is read on the nodes from start to end, and is the answer (told by the %s)',
    async (where) => {
      // Nothing makes good here what they do not tell.
      tellFrom(where);
      const job = await slurm.submit({ args: ['--nodes=2'], comment: 'project=x monitor=wattmetre.*' });
      await slurm.waitFor(job, 'RUNNING');
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      expect(await promoted()).toEqual([`${job} n1 wattmetre.*`, `${job} n2 wattmetre.*`]);
      await slurm.run('scancel', String(job));
      await waitUntil(async () => (await promoted()).length === 0);
      await new Promise((resolve) => setTimeout(resolve, LATE_S * 1_000));
      await slurm.waitFor(job, 'CANCELLED');
      const said = await slurm.job(job);

      const optional = await rowsOf('wattmetre_power_watt', said.startS);
      for (const node of slurm.nodes) {
        const times = optional.filter(({ device_id }) => device_id === node).map(({ s }) => Number(s));
        expect(Math.min(...times)).toBeLessThan(said.startS + LATE_S + ROUNDING_S);
        expect(Math.max(...times)).toBeGreaterThan(said.endS - 1);
        expect(Math.max(...times)).toBeLessThan(said.endS + LATE_S + ROUNDING_S);
      }
      expect(await rowsOf('board_power_watt', said.startS)).toEqual([]);
      expect(complaints()).toBe('');

      // The prolog and the epilog are a little late: Slurm's own times replace theirs.
      await sync();
      expect(await known(job)).toEqual(await slurmSays(slurm, job));
      const expected = await storedRows(db.client, slurm.nodes, [said.startS, said.endS]);
      const answer = await kw('query', '--job', String(job), '--format', 'csv', '--database', db.url);
      expect(answer.code).toBe(0);
      expect(expected.length).toBeGreaterThan(10);
      expect(answeredRows(answer.stdout)).toEqual(expected);
    },
  );

  /** What kw has of these jobs is what Slurm says: promotions at once, times once they were held against Slurm's. */
  async function expectAsSlurmSays(patterns: Readonly<Record<number, readonly string[]>>) {
    const jobs = Object.keys(patterns).map(Number);
    const expected = async () =>
      (await slurmSays(slurm, ...jobs))
        .filter((line) => line.endsWith(' -'))
        .flatMap((line) => {
          const [id = '', node = ''] = line.split(' ');
          return (patterns[Number(id)] ?? []).map((pattern) => `${id} ${node} ${pattern}`);
        })
        .sort();
    await waitUntil(async () => (await promoted()).join() === (await expected()).join(), undefined, 20).catch(
      async () => expect([complaints(), await promoted()]).toEqual(['', await expected()]),
    );
    await sync();
    expect(await known(...jobs)).toEqual(await slurmSays(slurm, ...jobs));
    expect(await promoted()).toEqual(await expected());
    expect((await sync()).changes).toEqual([]);
  }

  test('two jobs on a node have their own patterns; one that is cancelled while it waits has nothing', async () => {
    tellFrom('server');
    const one = ['--ntasks=1', '--nodelist=n1'];
    const first = await slurm.submit({ args: one, comment: 'monitor=wattmetre.*' });
    const second = await slurm.submit({ args: one, comment: 'monitor=board.*;monitor' });
    const waiting = await slurm.submit({ args: ['--hold'], comment: 'monitor=always.*' });
    await slurm.waitFor(first, 'RUNNING');
    await slurm.waitFor(second, 'RUNNING');
    const patterns = { [first]: ['wattmetre.*'], [second]: ['board.*', '.*'], [waiting]: ['always.*'] };
    await expectAsSlurmSays(patterns);
    await slurm.run('scancel', String(waiting), String(second));
    await slurm.waitFor(second, 'CANCELLED');
    // By hand, beside it: neither touches the other's.
    await query("SELECT kw.enable_metrics('{n1}', 'by_hand')");
    await expectAsSlurmSays(patterns);
    expect(await promoted()).toEqual([`${first} n1 wattmetre.*`]);
    expect(await known(waiting)).toEqual([]);
    expect(await query("SELECT FROM kw.promoted_metrics WHERE metric_id = 'by_hand'")).toHaveLength(1);
    await query('SELECT kw.disable_metrics(NULL)');
  });

  test('elements of an array have their names, a heterogeneous job one number; nodes leave early', async () => {
    // Five prologs at once are more than a small machine can start within their second.
    await using service = serveSync();
    const array = await slurm.submit({ args: ['--array=5,7', '--ntasks=1'], comment: 'monitor=wattmetre.*' });
    const het = await slurm.submit({
      args: ['--nodelist=n1', '--ntasks=1', '--comment=monitor=board.*', ':', '--nodelist=n2', '--ntasks=1'],
    });
    const shrinking = await slurm.submit({
      args: ['--nodes=2', '--ntasks=2'],
      comment: 'monitor=wattmetre.*',
    });
    for (const job of [array, het, shrinking]) await slurm.waitFor(job, 'RUNNING');
    await waitUntil(async () => (await promoted()).length === 6);
    // Or it would be the one that says what changes below.
    await service.stop();
    await sync();
    expect(await promoted()).toHaveLength(6);
    expect(
      await query(
        'SELECT name_id, job_id = $1 AS last FROM kw.jobs WHERE name_id LIKE $2 ORDER BY 1',
        array,
        `${array}_%`,
      ),
    ).toEqual([
      { name_id: `${array}_5`, last: expect.any(Boolean) },
      { name_id: `${array}_7`, last: expect.any(Boolean) },
    ]);
    expect((await kw('job', 'show', '--job', `${array}_7`, '--json', '--database', db.url)).stdout).toContain(
      `"name_id": "${array}_7"`,
    );
    const stays = await known(het);
    expect(stays.map((stay) => stay.split(' ').slice(0, 2).join(' '))).toEqual([`${het} n1`, `${het} n2`]);
    expect(await promoted()).toEqual(expect.arrayContaining([`${het} n1 board.*`, `${het} n2 board.*`]));

    await slurm.run('scontrol', 'update', `jobid=${shrinking}`, 'numnodes=1');
    expect((await sync()).changes).toEqual([
      { job_id: shrinking, change: 'ended', nodes: ['n2'] },
      { job_id: shrinking, change: 'disabled', nodes: ['n2'] },
    ]);
  });

  test('a job that is suspended keeps its nodes and what it asked for', async () => {
    tellFrom('server');
    const job = await slurm.submit({ args: ['--nodelist=n1'], comment: 'monitor=wattmetre.*' });
    await slurm.waitFor(job, 'RUNNING');
    const asked = { [job]: ['wattmetre.*'] };
    await expectAsSlurmSays(asked);
    const stays = await known(job);
    for (const [order, state] of [
      ['suspend', 'SUSPENDED'],
      ['resume', 'RUNNING'],
    ] as const) {
      await slurm.run('scontrol', order, String(job));
      await slurm.waitFor(job, state);
      expect((await sync()).changes).toEqual([]);
      expect(await known(job)).toEqual(stays);
      await expectAsSlurmSays(asked);
    }
  });

  test('a job that is requeued has its nodes twice, also where nobody told of the second time', async () => {
    tellFrom('server');
    const job = await slurm.submit({ args: ['--nodelist=n1'], comment: 'monitor=wattmetre.*' });
    await slurm.waitFor(job, 'RUNNING');
    await expectAsSlurmSays({ [job]: ['wattmetre.*'] });
    const [first = ''] = await known(job);
    await slurm.run('scontrol', 'requeue', String(job));
    await waitUntil(async () => (await promoted()).length === 0);
    tellFrom('nowhere');
    await slurm.waitFor(job, 'PENDING');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await slurm.run('scontrol', 'update', `jobid=${job}`, 'starttime=now');
    await slurm.waitFor(job, 'RUNNING');
    expect((await sync()).changes).toMatchObject([
      { job_id: job, change: 'started', nodes: ['n1'] },
      { job_id: job, change: 'enabled', nodes: ['n1'] },
    ]);
    const [again = ''] = await slurmSays(slurm, job);
    expect(await known(job)).toEqual([expect.stringMatching(/ \d+(\.\d+)?$/), again]);
    expect((await known(job))[0]?.split(' ')[2]).toBe(first.split(' ')[2]);
    expect(await promoted()).toEqual([`${job} n1 wattmetre.*`]);
  });

  test('prologs that are killed, hang or find no database hold up no job, and are made good', async () => {
    const hang = join(program.folder, 'hang');
    writeFileSync(hang, '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
    const cases = {
      gone: exampleHook('PrologSlurmctld', {
        program: join(program.folder, 'none'),
        databaseUrl: schedulers.url,
        log,
      }),
      hangs: exampleHook('PrologSlurmctld', { program: hang, databaseUrl: schedulers.url, log }),
      // Nothing answers there, and nothing refuses.
      away: exampleHook('PrologSlurmctld', {
        program: program.path,
        databaseUrl: 'postgres://x@192.0.2.1/x',
        log,
      }),
    };
    for (const [name, script] of Object.entries(cases)) {
      // The time of the hook itself, as Slurm waits for it.
      slurm.setHook('PrologSlurmctld', `(${script.replace('exec ', '')}); date +%s.%N >'${log}.after'`);
      slurm.setHook('Prolog', undefined);
      const job = await slurm.submit({ args: ['--nodelist=n1'], comment: 'monitor=wattmetre.*' });
      await slurm.waitFor(job, 'RUNNING');
      const { startS } = await slurm.job(job);
      const endedS = Number(readFileSync(`${log}.after`, 'utf8'));
      expect([name, endedS - startS < 1.5 + ROUNDING_S]).toEqual([name, true]);
      expect(readFileSync(log, 'utf8')).toMatch(new RegExp(`job ${job}, kw job start: `));
      expect(await known(job)).toEqual([]);
      const { changes } = await sync();
      expect(changes.filter(({ job_id }) => job_id === job)).toEqual([
        { job_id: job, change: 'started', nodes: ['n1'] },
        { job_id: job, change: 'enabled', nodes: ['n1'] },
      ]);
      expect(await known(job)).toEqual(await slurmSays(slurm, job));
      // Nobody tells of its end either; the sync of the next one does.
      await slurm.run('scancel', String(job));
      await slurm.waitFor(job, 'COMPLETING', 'CANCELLED');
      rmSync(log);
    }
  });

  test('a prolog whose kw is killed in the middle holds up no job, and what it told by half is made good', async () => {
    const pid = join(program.folder, 'pid');
    const wrapped = join(program.folder, 'wrapped');
    writeFileSync(wrapped, `#!/bin/sh\necho $$ >'${pid}'\nexec '${program.path}' "$@"\n`, { mode: 0o755 });
    tellFrom('server', { program: wrapped });
    const args = ['--nodelist=n1'];
    let job = 0;
    await query('BEGIN');
    try {
      await query('LOCK TABLE kw.jobs IN EXCLUSIVE MODE');
      job = await slurm.submit({ args, comment: 'monitor=wattmetre.*' });
      await waitUntil(async () => (await waiting()) > 0, 10_000, 10);
      process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
      await slurm.waitFor(job, 'RUNNING');
      expect(complaints()).toMatch(new RegExp(`job ${job}, kw job start: `));
    } finally {
      await query('COMMIT');
    }
    // The database does what it was told; nobody was left to tell it the rest.
    await waitUntil(async () => (await known(job)).length === 1);
    expect(await promoted()).toEqual([]);
    expect((await sync()).changes).toContainEqual({ job_id: job, change: 'enabled', nodes: ['n1'] });
    expect(await known(job)).toEqual(await slurmSays(slurm, job));
    expect(await promoted()).toEqual([`${job} n1 wattmetre.*`]);
  });
  /** Statements that wait for the table of jobs. */
  const waiting = async () =>
    (await query("SELECT FROM pg_locks WHERE relation = 'kw.jobs'::regclass AND NOT granted")).length;

  test('the database goes away while a job runs: nobody waits for it, and the end is made good', async () => {
    const proxy = await halfOpenProxy(schedulers);
    try {
      tellFrom('server', { databaseUrl: proxy.target.url });
      const job = await slurm.submit({ args: ['--nodelist=n1'], comment: 'monitor=wattmetre.*' });
      await slurm.waitFor(job, 'RUNNING');
      await expectAsSlurmSays({ [job]: ['wattmetre.*'] });
      expect(complaints()).toBe('');
      proxy.hang();
      await slurm.run('scancel', String(job));
      await slurm.waitFor(job, 'CANCELLED');
      const { endS } = await slurm.job(job);
      await waitUntil(() => complaints() !== '');
      expect(Date.now() / 1000 - endS).toBeLessThan(LATE_S + ROUNDING_S);
      expect(complaints()).toMatch(new RegExp(`job ${job}, kw job stop: `));
      expect(await known(job)).toEqual([expect.stringMatching(/ -$/)]);
      await proxy.heal();
      expect((await sync()).changes).toContainEqual({ job_id: job, change: 'ended', nodes: ['n1'] });
      expect(await known(job)).toEqual(await slurmSays(slurm, job));
      expect(await promoted()).toEqual([]);
    } finally {
      await proxy.close();
    }
  });

  test('while slurmctld is away nothing changes but what kw says of it; its jobs are known after', async () => {
    tellFrom('server');
    const job = await slurm.submit({ args: ['--nodelist=n1'], comment: 'monitor=wattmetre.*', seconds: 4 });
    await slurm.waitFor(job, 'RUNNING');
    await expectAsSlurmSays({ [job]: ['wattmetre.*'] });
    await slurm.stopController();
    const away = await kw('job', 'sync', '--slurm');
    expect(away).toMatchObject({ code: 1, stdout: '' });
    expect(away.stderr).toMatch(/^kw: (squeue|scontrol): /);
    expect(await promoted()).toEqual([`${job} n1 wattmetre.*`]);
    expect(await query("SELECT kind, state FROM kw.job_sources WHERE name = 'slurm'")).toEqual([
      { kind: 'slurm', state: 'away' },
    ]);
    const asReader = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC' } });
    const notAsked = /the job source slurm cannot be asked since \S+ \S+: (squeue|scontrol): /;
    const [ofJob, unknown, list, sources] = await Promise.all([
      asReader('query', '--job', String(job), '--format', 'csv'),
      asReader('query', '--job', '999999'),
      asReader('job', 'list'),
      asReader('job', 'source', 'list'),
    ]);
    expect(ofJob.stdout).toContain('wattmetre_power_watt');
    expect(ofJob.stderr).toMatch(notAsked);
    expect(ofJob.stderr).toContain('this is what kw saw of the job itself');
    expect(unknown.stderr).toMatch(/^kw: no job 999999 is known here, and /);
    expect(unknown.stderr).toMatch(notAsked);
    expect(list.stdout).toMatch(new RegExp(`\nslurm:${job} `));
    expect(list.stderr).toMatch(notAsked);
    expect(sources.stdout).toMatch(/\nslurm +slurm +away /);
    expect(sources.stderr).toMatch(
      /^warning: the job source slurm cannot be reached, last heard of .* ago: /,
    );
    const endS = (await known(job)).map((line) => Number(line.split(' ')[2]) + 4);
    await waitUntil(() => Date.now() / 1000 > (endS[0] ?? 0));
    await slurm.startController();
    await slurm.waitFor(job, 'COMPLETED');
    await expectAsSlurmSays({ [job]: ['wattmetre.*'] });
    expect(await promoted()).toEqual([]);
    expect(await query("SELECT state FROM kw.job_sources WHERE name = 'slurm'")).toEqual([{ state: 'ok' }]);
    expect((await asReader('query', '--job', String(job), '--format', 'csv')).stderr).not.toContain('slurm');
    expect((await asReader('job', 'source', 'list')).stdout).toMatch(/\nslurm +slurm +ok /);
  });

  test('a comment that is made to break things does not, and a dry run changes nothing', async () => {
    tellFrom('server');
    const hostile = [
      `monitor=$(touch ${log}.touched)`,
      `'; DROP TABLE kw.jobs; --`,
      '\nJobId=1 JobState=COMPLETED NodeList=n1',
      'monitor=(a+)+$ monitor=((x{50}){50}){50} monitor=board.* monitor=',
      'x'.repeat(500),
    ].join(' ');
    const job = await slurm.submit({ args: ['--nodelist=n1'], comment: hostile });
    await slurm.waitFor(job, 'RUNNING');
    // The first has no end of its parenthesis, the other is too big, the last is empty.
    const enabled = [`${job} n1 (a+)+$`, `${job} n1 board.*`];
    await waitUntil(async () => (await promoted()).length === 2);
    expect(await promoted()).toEqual(enabled);
    expect(complaints()).toBe('');
    expect(existsSync(`${log}.touched`)).toBe(false);
    const before = await known(job);
    const dry = await sync('--dry-run');
    expect(dry.changes.length).toBeLessThanOrEqual(1);
    expect(await known(job)).toEqual(before);
  });

  test('200 jobs that begin and end in a minute are known as Slurm knows them, at each step and at the end', async () => {
    await using _service = serveSync();
    const array = await slurm.submit({
      args: ['--array=1-200%40', '--ntasks=1'],
      comment: 'monitor=wattmetre.*',
      seconds: 4,
    });
    const steps = [await step(array)];
    const deadlineS = (steps[0]?.atS ?? 0) + 90;
    for (let over = false; !over; ) {
      if (Date.now() / 1000 > deadlineS)
        throw new Error(`Slurm does not end its jobs\n${await slurm.report()}`);
      over = (await slurm.run('squeue', '--noheader')) === '';
      steps.push(await step(array));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await waitUntil(async () => (await promoted()).length === 0);

    // On a machine on which a look takes seconds a prolog does, too.
    const looksS = steps.slice(1).map(({ atS }, index) => atS - (steps[index]?.atS ?? atS));
    const lateS = BURST_LATE_S + Math.max(...looksS);
    // Each time kw has the jobs that ran all the while in which it is to hear of them, and none that ran at no time of it.
    for (const [index, { atS, running, enabled }] of steps.entries()) {
      const since = steps.findLastIndex((one) => one.atS <= atS - lateS);
      const meanwhile = steps.slice(Math.max(since, 0), index + 1).map(({ said }) => said);
      const soon = steps[index + 1]?.said;
      for (const here of [running, enabled]) {
        const missing = [...(steps[since]?.said ?? [])].filter((job) => !here.has(job));
        expect(missing.filter((job) => meanwhile.every((said) => said.has(job)))).toEqual([]);
        const wrong = [...here].filter((job) => !soon?.has(job));
        expect(wrong.filter((job) => !meanwhile.some((said) => said.has(job)))).toEqual([]);
      }
    }
    const jobs = [...new Set(steps.flatMap(({ said }) => [...said]))].map((job) => Number.parseInt(job, 10));
    expect(jobs).toHaveLength(200);
    expect(new Set(steps.flatMap(({ enabled }) => [...enabled])).size).toBe(200);
    await sync();
    const said = await slurmSays(slurm, ...jobs);
    expect(await known(...jobs)).toEqual(said);
    const times = said.map((line) => line.split(' ').slice(2).map(Number));
    const [starts, stops] = [times.map(([start = 0]) => start), times.map(([, stop = 0]) => stop)];
    expect(Math.max(...stops) - Math.min(...starts)).toBeLessThan(60);
    expect((await sync()).changes).toEqual([]);
  }, 120_000);

  /** Who runs where, as `job node`, in the words of Slurm, of kw's table of jobs and of what is enabled. */
  async function step(array: number) {
    const text = await slurm.run('squeue', '--noheader', '--array', '--format=%F|%A|%T|%N');
    const lines = text.split('\n').map((line) => line.split('|'));
    const running = await query(
      "SELECT job_id || ' ' || node AS job FROM kw.nodetime_by_job WHERE stop_time IS NULL",
    );
    const enabled = await promoted();
    return {
      atS: Date.now() / 1000,
      said: new Set(
        lines
          .filter(([of, , state = '']) => Number(of) === array && /^(RUNNING|CONFIGURING)$/.test(state))
          .map(([, id, , node]) => `${id} ${node}`),
      ),
      running: new Set(running.map(({ job }) => String(job))),
      enabled: new Set(enabled.map((line) => line.split(' ').slice(0, 2).join(' '))),
    };
  }
});
