/**
 * OAR's database stops, freezes, is locked or is not what it was, in the middle of a job: collection, reading and what
 * is enabled go on, kw says how it is, and states are repaired afterwards.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pduEntries, type TestCollector, testCollector } from '../../support/collector.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { hasOar, type Oar, startOar } from '../../support/oar.ts';
import { runKw } from '../../support/runKw.ts';
import { type Serve, startServe } from '../../support/serve.ts';
import { skipUnless } from '../../support/skip.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const skipped =
  skipUnless('an OAR server (and root)', hasOar) || skipUnless('snmpd', snmpdPath !== undefined);
const PERIOD_S = 0.5;

describe.skipIf(skipped)('a job of OAR', { timeout: 180_000 }, () => {
  let oar: Oar;
  let db: TestDatabase;
  let agent: Snmpd;
  let running: TestCollector;
  let job = 0;
  let server: Serve;
  let throughServer: NodeJS.ProcessEnv;
  const timed = async (args: string[], env: NodeJS.ProcessEnv) => {
    const startedMs = performance.now();
    const result = await runKw(args, { env: { ...env, TZ: 'UTC' } });
    return { ...result, tookMs: performance.now() - startedMs };
  };
  const kw = (...args: string[]) => timed(args, { KW_DATABASE_URL: db.url });
  const kwThroughServer = (...args: string[]) => timed(args, throughServer);
  const query = async (sql: string, ...values: unknown[]) => (await db.client.query(sql, values)).rows;
  const stateIs = (state: string) =>
    waitUntil(async () => (await query('SELECT state FROM kw.job_sources'))[0]?.state === state);
  const promoted = () => query("SELECT FROM kw.promoted_metrics WHERE source = 'oar' AND job_id = $1", job);

  beforeAll(async () => {
    [db, oar, agent] = await Promise.all([
      testDatabase(),
      startOar({ nodes: ['node-1.site.example'] }),
      startSnmpd({ firstAddress: '127.26.32.1' }),
    ]);
    running = await testCollector(db.target);
    const of = (name: string, optional: boolean) =>
      pduEntries('node-1', agent.addresses[0] as string, agent.port, {
        outlets: 1,
        name,
        optional,
        updateEveryMs: PERIOD_S * 1000,
      });
    await running.collector.start([...of('always_watt', false), ...of('wattmetre_power_watt', true)]);
    expect(await kw('job', 'source', 'add', 'oar', oar.url)).toMatchObject({ code: 0 });
    server = await startServe({ database: db.url });
    throughServer = { KW_URL: server.url, KW_TOKEN: await server.token('alice', '--role', 'reader') };
  }, 60_000);
  afterAll(async () => {
    oar?.thawDatabase();
    await running?.collector.stop(() => 2_000);
    await Promise.all([oar?.stop(), agent?.stop(), server?.stop()]);
    await db?.drop();
  });
  beforeEach(async () => {
    if (job !== 0) return;
    [job = 0] = await oar.submit({
      types: ['monitor=wattmetre.*'],
      resources: 'network_address=1,walltime=1:0:0',
    });
    await waitUntil(async () => (await promoted()).length === 1);
    const enabledS = Date.now() / 1000;
    await waitUntil(async () => (await newest('wattmetre_power_watt')) > enabledS);
    // OAR says that it is about to launch the job first; what kw says in an outage is what it saw last.
    await waitUntil(async () => (await seen(job))[0]?.state === 'Running');
  });
  afterEach(async () => {
    oar.thawDatabase();
    await oar.startDatabase();
  });

  /** What kw knows of the job without OAR. */
  const seen = (id: number) =>
    query(
      `SELECT state, extract(epoch FROM stop_time)::int AS stop FROM kw.nodetime_local WHERE source = 'oar' AND job_id = $1`,
      id,
    );

  /** Seconds since the epoch, 0 for none. */
  const newest = async (metric: string) =>
    Number(
      (
        await query(
          'SELECT extract(epoch FROM max(timestamp)) AS s FROM kw.metrics WHERE metric_id = $1',
          metric,
        )
      )[0]?.s ?? 0,
    );

  /** Runs something, and holds that both metrics were read all the while. */
  async function collectsThroughout(work: () => Promise<void>): Promise<void> {
    const from = await newest('wattmetre_power_watt');
    await work();
    const to = Date.now() / 1000;
    for (const metric of ['always_watt', 'wattmetre_power_watt']) {
      await waitUntil(async () => (await newest(metric)) >= to);
      const [{ widest, n }] = await query(
        `SELECT max(gap)::float8 AS widest, count(*)::int AS n FROM (
           SELECT extract(epoch FROM timestamp - lag(timestamp) OVER (ORDER BY timestamp)) AS gap FROM kw.metrics
           WHERE metric_id = $1 AND extract(epoch FROM timestamp) >= $2) g`,
        metric,
        from,
      );
      expect(n).toBeGreaterThanOrEqual(Math.floor(((to - from) / PERIOD_S) * 0.7));
      // A busy machine misses intervals; an outage would be longer than that.
      expect(widest).toBeLessThan(PERIOD_S * 6);
    }
    expect(running.collector.counters().lost).toBe(0);
  }

  async function answersFromWhatItSaw(words: RegExp): Promise<void> {
    const ofJob = await kw(
      'query',
      '--job',
      String(job),
      '--metric',
      'wattmetre_power_watt',
      '--format',
      'csv',
    );
    expect(ofJob.code).toBe(0);
    expect(ofJob.stdout.split('\n').length).toBeGreaterThan(3);
    expect(ofJob.stderr).toMatch(words);
    expect(ofJob.stderr).toContain('this is what kw saw of the job itself');
    expect(ofJob.tookMs).toBeLessThan(6_000);
    const remote = await kwThroughServer('query', '--job', String(job), '--limit', '3');
    expect(remote.code).toBe(0);
    expect(remote.stderr).toMatch(words);
    expect(remote.stderr).toContain('this is what kw saw of the job itself');
    const shown = await kwThroughServer('job', 'show', '--job', String(job), '--no-values');
    expect(shown).toMatchObject({ code: 0, stderr: expect.stringMatching(words) });
    expect(remote.tookMs + shown.tookMs).toBeLessThan(12_000);
    const ofDevice = await kw('query', '--device', 'node-1', '--from=-2s', '--format', 'csv');
    expect(ofDevice).toMatchObject({ code: 0, stderr: expect.not.stringContaining('oar') });
    expect(ofDevice.tookMs).toBeLessThan(3_000);
    const status = await kw('status');
    expect(status.stdout).toMatch(/SOURCE +KIND +STATE .*\noar +oar +(away|slow|wrong) /);
    expect(status.stderr).toMatch(
      /warning: the job source oar (cannot be reached|is too slow|is not what it should be), last heard of .* ago: /,
    );
    expect(await promoted()).toHaveLength(1);
  }

  test("goes on when OAR's database is stopped, and is repaired when both are back", async () => {
    await collectsThroughout(async () => {
      await oar.stopDatabase();
      await stateIs('away');
      await answersFromWhatItSaw(
        /warning: the job source oar cannot be asked since .*: connection to server .* failed: /,
      );
      const unknown = await kw('query', '--job', '999');
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toMatch(
        /^kw: no job 999 is known here, and the job source oar cannot be asked since /,
      );
      const list = await kw('job', 'list', '--all');
      expect(list.stdout).toContain(`oar:${job}`);
      expect(list.stderr).toMatch(/^warning: the job source oar cannot be asked since /);
      const shown = await kw('job', 'show', '--job', String(job), '--json');
      expect(JSON.parse(shown.stdout)).toMatchObject({
        owner: 'nobody',
        state: 'Running',
        nodes: [{ node: 'node-1', stop_time: null }],
        enabled: [{ pattern: 'wattmetre.*' }],
        problem: expect.stringContaining('cannot be asked'),
      });
    });
    await oar.startDatabase();
    await stateIs('ok');
    expect(await promoted()).toHaveLength(1);
    expect((await kw('query', '--job', String(job), '--format', 'csv')).stderr).not.toContain('oar');
    expect((await kw('status')).stderr).not.toContain('oar');
    await oar.restartServer();
    await oar.cancel(job);
    await waitUntil(async () => (await promoted()).length === 0);
    const [said] = await oar.stat(job);
    expect(await seen(job)).toEqual([{ state: said?.state, stop: said?.stopTime }]);
    job = 0;
  });

  test("goes on when OAR's database freezes, and nobody waits for it for long", async () => {
    await collectsThroughout(async () => {
      oar.freezeDatabase();
      // Before anybody has noticed.
      const first = await kw('query', '--job', String(job), '--format', 'csv');
      expect(first.code).toBe(0);
      expect(first.tookMs).toBeLessThan(7_000);
      await stateIs('slow');
      await answersFromWhatItSaw(
        /warning: the job source oar cannot be asked since .*: it does not answer in time/,
      );
      oar.thawDatabase();
      await stateIs('ok');
    });
    expect((await kw('query', '--job', String(job), '--format', 'csv')).stderr).not.toContain('oar');
  });

  test("goes on when OAR's tables are locked, or others than they were", async () => {
    const owner = await oar.connect();
    await owner.query('BEGIN');
    await owner.query('LOCK TABLE jobs');
    await stateIs('slow');
    await answersFromWhatItSaw(/cannot be asked since .*: its tables are locked/);
    await owner.query('ROLLBACK');
    await stateIs('ok');
    await owner.query('ALTER TABLE assigned_resources RENAME TO elsewhere');
    await waitUntil(async () => {
      const { stderr } = await kw('query', '--job', String(job), '--format', 'csv');
      return /the job source oar cannot be asked.*relation "public.assigned_resources" does not exist/.test(
        stderr,
      );
    });
    await owner.query('ALTER TABLE elsewhere RENAME TO assigned_resources');
    expect((await kw('query', '--job', String(job), '--format', 'csv')).stderr).not.toContain('oar');
    await owner.query('REVOKE SELECT ON jobs FROM kw_ro');
    await stateIs('wrong');
    await answersFromWhatItSaw(/cannot be asked since .*permission denied for table jobs/);
    await owner.query('GRANT SELECT ON jobs TO kw_ro');
    await stateIs('ok');
    await owner.end();
  });
});
