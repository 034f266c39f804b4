/**
 * Jobs of a real Slurm and optional metrics of real SNMP agents, with the prologs of examples/slurm as they are: what a
 * job asks for in its comment is read while it runs, and what kw knows of jobs is what Slurm says.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { MetricEntry } from '../../../src/lib/config/model.ts';
import { pduEntries, type TestCollector, testCollector } from '../../support/collector.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { HOOKS, hasSlurm, SLURM_USER, type Slurm, startSlurm } from '../../support/slurm.ts';
import { exampleHook, kwProgram, slurmSays } from '../../support/slurmHooks.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const skipped = skipUnless('Slurm', hasSlurm) || skipUnless('snmpd', snmpdPath !== undefined);
/** How late optional metrics may begin and end. */
const LATE_S = 2;
/** Slurm's times are whole seconds, cut off. */
const ROUNDING_S = 1;

describe.skipIf(skipped)('jobs of Slurm', () => {
  let slurm: Slurm;
  let db: TestDatabase;
  let agent: Snmpd;
  let running: TestCollector;
  let program: ReturnType<typeof kwProgram>;
  let log: string;
  const kw = (...args: string[]) =>
    runKw(args, { env: { ...slurm.env, KW_DATABASE_URL: db.url, TZ: 'UTC', KW_LISTEN: 'off' } });
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

  /** Two nodes: one metric that is always read, two that are read on demand. */
  function entries(): MetricEntry[] {
    return slurm.nodes.flatMap((node, index) => {
      const of = (name: string, optional: boolean) =>
        pduEntries(node, agent.addresses[index] as string, agent.port, {
          outlets: 1,
          name,
          optional,
          updateEveryMs: 500,
        });
      return [
        ...of('always_watt', false),
        ...of('wattmetre_power_watt', true),
        ...of('board_power_watt', true),
      ];
    });
  }

  /** What tells kw: `server` beside slurmctld, `node` on each node. */
  function tellFrom(where: 'server' | 'node' | 'nowhere', url = db.url) {
    for (const hook of HOOKS) {
      const used = where === (hook.endsWith('Slurmctld') ? 'server' : 'node');
      slurm.setHook(
        hook,
        used ? exampleHook(hook, { program: program.path, databaseUrl: url, log }) : undefined,
      );
    }
  }

  beforeAll(async () => {
    program = kwProgram();
    log = join(program.folder, 'hook.log');
    [db, slurm, agent] = await Promise.all([
      testDatabase(),
      startSlurm(),
      startSnmpd({ addresses: 2, firstAddress: '127.26.32.1' }),
    ]);
    // Also builds what the hooks run.
    expect(await kw('job', 'list')).toMatchObject({ code: 0 });
    running = await testCollector(db.target);
    await running.collector.start(entries());
  }, 60_000);
  afterAll(async () => {
    await running?.collector.stop(() => 2_000);
    await Promise.all([slurm?.stop(), agent?.stop()]);
    program?.remove();
    await db?.drop();
  });
  afterEach(async () => {
    await slurm.run('scancel', `--user=${SLURM_USER}`);
    await waitUntil(async () => (await slurm.run('squeue', '--noheader')) === '', 20_000);
    await sync();
    expect(await promoted()).toEqual([]);
    rmSync(log, { force: true });
  });

  const promoted = async () =>
    (
      await query(
        `SELECT job_id || ' ' || device_id || ' ' || metric_id AS text FROM kw.promoted_metrics
         WHERE source = 'slurm' ORDER BY 1`,
      )
    ).map(({ text }) => text);
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
      tellFrom(where);
      const job = await slurm.submit({ args: ['--nodes=2'], comment: 'project=x monitor=wattmetre.*' });
      await slurm.waitFor(job, 'RUNNING');
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect(await promoted()).toEqual([`${job} n1 wattmetre.*`, `${job} n2 wattmetre.*`]);
      await slurm.run('scancel', String(job));
      await waitUntil(async () => (await promoted()).length === 0, LATE_S * 1_000);
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
      expect(existsSync(log) ? readFileSync(log, 'utf8') : '').toBe('');

      // The prolog and the epilog are a little late: Slurm's own times replace theirs.
      await sync();
      expect(await known(job)).toEqual(await slurmSays(slurm, job));
      const expected = await query(
        `SELECT device_id, metric_id, value, extract(epoch FROM timestamp)::numeric(20, 6)::text AS s FROM kw.metrics
         WHERE device_id = ANY ($1) AND timestamp BETWEEN to_timestamp($2) AND to_timestamp($3)`,
        slurm.nodes,
        said.startS,
        said.endS,
      );
      const answer = await kw('query', '--job', String(job), '--format', 'csv');
      expect(answer.code).toBe(0);
      const [, ...lines] = answer.stdout.trim().split('\n');
      const got = lines.map((line) => {
        const [time = '', device, metric, value] = line.split(',');
        const [whole, fraction] = /^(.*)\.(\d{6})/.exec(time)?.slice(1) ?? [];
        return `${device} ${metric} ${value} ${Date.parse(`${whole}Z`) / 1000}.${fraction}`;
      });
      expect(expected.length).toBeGreaterThan(10);
      expect(got.toSorted()).toEqual(
        expected.map((row) => `${row.device_id} ${row.metric_id} ${row.value} ${row.s}`).sort(),
      );
    },
  );
});
