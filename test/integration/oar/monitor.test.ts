/**
 * Jobs of a real OAR server and optional metrics of real SNMP agents: what users ask for with `-t monitor=...` is read
 * while their jobs run, and what kw knows of jobs is what OAR says.
 */
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type TestCollector, testCollector } from '../../support/collector.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import {
  answeredRows,
  nodeEntries,
  promotedBy,
  storedRows,
  tracePromotions,
} from '../../support/nodeMetrics.ts';
import { hasOar, type Oar, startOar } from '../../support/oar.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const skipped =
  skipUnless('an OAR server (and root)', hasOar) || skipUnless('snmpd', snmpdPath !== undefined);
const NODES = ['node-1', 'node-2', 'node-3'];
/** How late optional metrics may begin and end. */
const LATE_S = 2;
/** OAR's times are whole seconds, rounded. */
const ROUNDING_S = 1;

// OAR starts jobs when its scheduler gets to it, which takes it seconds on a busy machine.
describe.skipIf(skipped)('jobs of OAR', { timeout: 180_000 }, () => {
  let oar: Oar;
  let ofOar: Client;
  let db: TestDatabase;
  let agent: Snmpd;
  let running: TestCollector;
  const kw = (...args: string[]) =>
    runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC', KW_LISTEN: 'off' } });
  const query = async (sql: string, ...values: unknown[]) => (await db.client.query(sql, values)).rows;

  beforeAll(async () => {
    [db, oar, agent] = await Promise.all([
      testDatabase(),
      startOar({
        nodes: NODES.map((node) => `${node}.site.example`),
        cores: 70,
        // Else the scheduler takes 30 jobs of a user at a time.
        settings: { SCHEDULER_FAIRSHARING_MAX_JOB_PER_USER: '500' },
      }),
      startSnmpd({ addresses: NODES.length, firstAddress: '127.26.31.1' }),
    ]);
    ofOar = await oar.connect();
    running = await testCollector(db.target);
    await running.collector.start(nodeEntries(NODES, agent));
    expect(await kw('job', 'source', 'add', 'oar', oar.url)).toMatchObject({ code: 0 });
  }, 60_000);
  afterAll(async () => {
    await running?.collector.stop(() => 2_000);
    await ofOar?.end();
    await Promise.all([oar?.stop(), agent?.stop()]);
    await db?.drop();
  });
  afterEach(async () => {
    const jobs = await unfinished();
    if (jobs.length > 0) await oar.cancel(...jobs);
    await waitUntil(async () => (await unfinished()).length === 0);
  });

  const oarQuery = async (sql: string): Promise<Record<string, unknown>[]> => (await ofOar.query(sql)).rows;
  const unfinished = async () =>
    (await oarQuery("SELECT job_id FROM jobs WHERE state NOT IN ('Terminated', 'Error')")).map(({ job_id }) =>
      Number(job_id),
    );
  const isRunning = async (job: number) => (await oar.stat(job))[0]?.state === 'Running';

  const promoted = () => promotedBy(db.client, 'oar');
  /** `job node start stop`, as OAR's command says it and as kw has it. */
  const saidTimes = async (...jobs: number[]) =>
    (await oar.stat(...jobs))
      .flatMap((job) =>
        job.assigned_network_address.map(
          (node) => `${job.Job_Id} ${node.split('.')[0]} ${job.startTime} ${job.stopTime || '-'}`,
        ),
      )
      .sort();
  const knownTimes = async (view: string, ...jobs: number[]) =>
    (
      await query(
        `SELECT job_id || ' ' || node || ' ' || ceil(extract(epoch FROM start_time))
           || ' ' || coalesce(ceil(extract(epoch FROM stop_time))::text, '-') AS text
         FROM kw.${view} WHERE source = 'oar' AND job_id = ANY ($1)`,
        jobs,
      )
    )
      .map(({ text }) => text)
      .sort();

  test('what a user asks for is read on the nodes of the job, from its start to its end, and is its answer', async () => {
    const [job = 0] = await oar.submit({
      types: ['monitor=wattmetre.*'],
      resources: 'network_address=2,walltime=1:0:0',
      user: 'daemon',
    });
    await waitUntil(() => isRunning(job));
    await waitUntil(async () => (await rowsOf('wattmetre_power_watt')).length >= 12);
    await oar.cancel(job);
    await waitUntil(async () => !(await isRunning(job)));
    const [said] = await oar.stat(job);
    // The collector goes on beyond the end if it goes on at all.
    await new Promise((resolve) => setTimeout(resolve, (LATE_S + ROUNDING_S) * 1000));
    await waitUntil(async () => (await promoted()).length === 0);

    const nodes = (said?.assigned_network_address ?? []).map((name) => name.replace(/\..*/, ''));
    const optional = await rowsOf('wattmetre_power_watt');
    expect(new Set(optional.map(({ device_id }) => device_id))).toEqual(new Set(nodes));
    for (const node of nodes) {
      const times = optional.filter(({ device_id }) => device_id === node).map(({ s }) => Number(s));
      expect(Math.min(...times)).toBeLessThan((said?.startTime ?? 0) + LATE_S + ROUNDING_S / 2);
      expect(Math.max(...times)).toBeGreaterThan((said?.stopTime ?? 0) - 1.5);
      expect(Math.max(...times)).toBeLessThan((said?.stopTime ?? 0) + LATE_S + ROUNDING_S / 2);
    }
    expect(await rowsOf('board_power_watt')).toEqual([]);

    // Exactly the rows of its nodes within the times that OAR says.
    const expected = await storedRows(db.client, nodes, [said?.startTime ?? 0, said?.stopTime ?? 0]);
    const answer = await kw('query', '--job', String(job), '--format', 'csv');
    expect(answer.code).toBe(0);
    expect(answer.stdout).toMatch(/^timestamp,device_id,metric_id,value/);
    expect(expected.length).toBeGreaterThan(10);
    expect(answeredRows(answer.stdout)).toEqual(expected);
    const shown = JSON.parse((await kw('job', 'show', '--job', `oar:${job}`, '--json')).stdout);
    expect(shown).toMatchObject({ source: 'oar', owner: 'daemon', state: said?.state, enabled: [] });
    expect(shown.values.map(({ metric_id }: { metric_id: string }) => metric_id)).toEqual([
      'always_watt',
      'wattmetre_power_watt',
    ]);
  });

  const rowsOf = (metric: string) =>
    query(
      'SELECT device_id, extract(epoch FROM timestamp) AS s FROM kw.metrics WHERE metric_id = $1 ORDER BY timestamp',
      metric,
    );

  test('two jobs share a node with patterns of their own; one that waits, or is cancelled then, has nothing', async () => {
    const share = { resources: "{network_address='node-1.site.example'}/network_address=1,walltime=1:0:0" };
    const [first = 0] = await oar.submit({ types: ['timesharing=*,*', 'monitor=wattmetre.*'], ...share });
    const [second = 0] = await oar.submit({
      types: ['timesharing=*,*', 'monitor=board.*', 'monitor'],
      ...share,
    });
    const [pending = 0] = await oar.submit({ types: ['monitor=always.*'], ...share });
    await waitUntil(async () => (await isRunning(first)) && (await isRunning(second)));
    const enabled = [`${first} node-1 wattmetre.*`, `${second} node-1 .*`, `${second} node-1 board.*`];
    await waitUntil(async () => (await promoted()).length === 3);
    expect(await promoted()).toEqual(enabled.sort());
    expect((await oar.stat(pending))[0]?.state).toBe('Waiting');
    expect(await knownTimes('nodetime_by_job', first, second, pending)).toEqual(
      await saidTimes(first, second, pending),
    );

    // By hand beside it: neither touches the other's.
    await query("SELECT kw.enable_metrics('{node-1}', 'by_hand')");
    await oar.cancel(pending);
    await oar.cancel(second);
    await waitUntil(async () => !(await isRunning(second)));
    await waitUntil(async () => (await promoted()).length === 1);
    expect(await promoted()).toEqual([`${first} node-1 wattmetre.*`]);
    expect(await query("SELECT FROM kw.promoted_metrics WHERE metric_id = 'by_hand'")).toHaveLength(1);
    expect(await query('SELECT FROM kw.nodetime_by_job WHERE job_id = $1', pending)).toEqual([]);
    expect(await query('SELECT FROM kw.nodetime_local WHERE job_id = $1', pending)).toEqual([]);
    await query('SELECT kw.disable_metrics(NULL)');
  });

  test('types and names that are made to break kw do not', async () => {
    const hostile = [
      "monitor=a'; DROP TABLE kw.jobs; --",
      'monitor=(a+)+$',
      'monitor=((x{50}){50}){50}',
      'monitor=',
    ];
    // OAR itself stumbles over quotes in types, so they come in behind its back.
    const [job = 0] = await oar.submit({
      types: ['monitor=x'],
      resources: 'network_address=1,walltime=1:0:0',
      hold: true,
    });
    await ofOar.query('UPDATE jobs SET job_name = $2 WHERE job_id = $1', [job, `o'brien"; --\\`]);
    await ofOar.query("DELETE FROM job_types WHERE job_id = $1 AND type LIKE 'monitor%'", [job]);
    await ofOar.query('INSERT INTO job_types (job_id, type) SELECT $1, unnest($2::text[])', [job, hostile]);
    await oar.run('oarresume', [String(job)], 'root');
    await waitUntil(() => isRunning(job));
    await waitUntil(async () => (await promoted()).length === 3);
    expect(await query('SELECT DISTINCT device_id FROM kw.promoted_metrics')).toEqual([
      { device_id: expect.stringMatching(/^node-\d$/) },
    ]);
    expect(await query('SELECT comment FROM kw.jobs WHERE job_id = $1', job)).toEqual([
      { comment: `o'brien"; --\\` },
    ]);
    const before = (await rowsOf('always_watt')).length;
    await waitUntil(async () => (await rowsOf('always_watt')).length > before + 6);
  });

  test('200 jobs that begin and end in a minute are known as OAR knows them, at each step and at the end', async () => {
    const trace = await tracePromotions(db.client);
    const from = Number((await oarQuery('SELECT coalesce(max(job_id), 0) AS id FROM jobs'))[0]?.id);
    await oar.submit({
      types: ['monitor=wattmetre.*'],
      resources: 'resource_id=1,walltime=0:0:5',
      array: 200,
    });

    // What kw says between two answers of OAR has all that both say, and nothing that neither says.
    const answers = [await answerOfOar(from)];
    let moving = 0;
    for (let over = false; !over; ) {
      const before = answers.at(-1)?.times ?? new Set();
      const here = (await query(NODETIMES, from)).map(({ text }) => String(text));
      over = (await unfinished()).length === 0;
      const answer = await answerOfOar(from);
      answers.push(answer);
      const both = [...before].filter((line) => answer.times.has(line));
      expect(both.filter((line) => !here.includes(line))).toEqual([]);
      expect(here.filter((line) => !before.has(line) && !answer.times.has(line))).toEqual([]);
      if (both.length < answer.times.size) moving++;
      if (answers.length % 8 === 0) oar.endOverdue();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(moving).toBeGreaterThan(5);

    await waitUntil(async () => (await promoted()).length === 0);
    const jobs = (await oarQuery(`SELECT job_id FROM jobs WHERE job_id > ${from}`)).map(({ job_id }) =>
      Number(job_id),
    );
    const said = await saidTimes(...jobs);
    expect(said).toHaveLength(200);
    expect(await knownTimes('nodetime_by_job', ...jobs)).toEqual(said);
    expect(await knownTimes('nodetime_local', ...jobs)).toEqual(said);
    const starts = said.map((line) => Number(line.split(' ')[2]));
    const stops = said.map((line) => Number(line.split(' ')[3]));
    expect(Math.max(...stops) - Math.min(...starts)).toBeLessThan(60);

    // Each was enabled on its node once: from when OAR said that it has the node, until it said that it has not.
    // OAR's own times are when its modules began to write, which others may see seconds later.
    const enabled = await trace();
    expect(enabled.map(({ job, device, pattern }) => `${job} ${device} ${pattern}`).sort()).toEqual(
      said.map((line) => `${line.split(' ').slice(0, 2).join(' ')} wattmetre.*`),
    );
    for (const { job, device, pattern, fromS, toS = Number.POSITIVE_INFINITY } of enabled) {
      const asks = answers.map(({ asked }) => asked.has(`${job} ${device} ${pattern}`));
      const at = (index: number) => answers[index] ?? { beforeS: Number.NaN, afterS: Number.NaN };
      // A job runs for seconds: none begins and ends unseen.
      const [first, last] = [asks.indexOf(true), asks.lastIndexOf(true)];
      expect(fromS).toBeGreaterThan(at(first - 1).beforeS);
      expect(fromS).toBeLessThan(at(first).afterS + LATE_S);
      expect(toS).toBeGreaterThan(at(last).beforeS);
      expect(toS).toBeLessThan(at(last + 1).afterS + LATE_S);
    }
  });

  const NODETIMES = `SELECT job_id || ' ' || node || ' ' || ceil(extract(epoch FROM start_time))
      || ' ' || coalesce(ceil(extract(epoch FROM stop_time))::text, '-') AS text
    FROM kw.nodetime_by_job WHERE source = 'oar' AND job_id > $1`;
  /** In OAR's own tables: the times of later jobs as in NODETIMES, and what is to be enabled. */
  async function answerOfOar(afterJob: number) {
    const beforeS = Date.now() / 1000;
    const rows = await oarQuery(
      `SELECT j.job_id || ' ' || split_part(r.network_address, '.', 1) AS place, j.start_time, j.stop_time,
         j.state IN ('toLaunch', 'Launching', 'Running') AS asks, substr(t.type, 9) AS pattern
       FROM jobs j JOIN assigned_resources a ON a.moldable_job_id = j.assigned_moldable_job
       JOIN resources r USING (resource_id) JOIN job_types t ON t.job_id = j.job_id AND t.type LIKE 'monitor=%'
       WHERE j.job_id > ${afterJob} AND j.start_time > 0`,
    );
    return {
      beforeS,
      afterS: Date.now() / 1000,
      times: new Set(
        rows.map(({ place, start_time, stop_time }) => `${place} ${start_time} ${stop_time || '-'}`),
      ),
      asked: new Set(rows.filter(({ asks }) => asks).map(({ place, pattern }) => `${place} ${pattern}`)),
    };
  }
});
