/** kw job start, stop, list and show on a real database: prologs that repeat, requeues, colliding numbers. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findJob } from '../../../src/lib/jobs/findJob.ts';
import { parseJobRef } from '../../../src/lib/jobs/jobRef.ts';
import { listJobs, nodesOfJob, showJob } from '../../../src/lib/jobs/listJobs.ts';
import { readNewJob, stopJob } from '../../../src/lib/jobs/startJob.ts';
import type { JobStartFlags } from '../../../src/lib/prolog/commands.ts';
import { startAndEnable } from '../../../src/lib/promotions/startAndEnable.ts';
import { formatUtc, parseTimeUs } from '../../../src/lib/time.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(() => db.client.query('TRUNCATE kw.jobs, kw.job_nodes, kw.promoted_metrics, kw.metric_catalogue'));

const start = (flags: JobStartFlags) =>
  startAndEnable(db.client, { job: readNewJob(flags, {}), patterns: flags.enable ?? [] });
const us = (time: string) => parseTimeUs(time, { nowUs: 0, timeZone: 'UTC' });
const stop = (job: string, at?: string, nodes?: string[]) =>
  stopJob(db.client, { ref: parseJobRef(job, {}), stoppedUs: at === undefined ? undefined : us(at), nodes });

/** `node from-to` with the times of day. */
async function stays(job: string): Promise<string[]> {
  const times = await nodesOfJob(db.client, await findJob(db.client, parseJobRef(job, {})));
  const clock = (at: number | undefined) => (at === undefined ? '' : formatUtc(at).slice(11, 16));
  return times.map(({ node, startedUs, stoppedUs }) => `${node} ${clock(startedUs)}-${clock(stoppedUs)}`);
}

describe('a Slurm that could not be asked', () => {
  const noteSync = (problem: string | null) =>
    db.client.query("SELECT kw.note_sync('slurm', 'slurm', $1, NULL, NULL)", [problem]);
  const find = (job: string) => findJob(db.client, parseJobRef(job, {}));
  afterAll(() => db.client.query("DELETE FROM kw.job_sources WHERE name = 'slurm'"));

  it('is named for a job that kw does not know, and for one that runs as far as kw knows', async () => {
    await start({ job: '1', source: 'slurm', nodes: 'a', at: '2026-01-02T10:00Z' });
    await start({ job: '2', source: 'slurm', nodes: 'b', at: '2026-01-02T10:00Z' });
    await stop('2', '2026-01-02T11:00Z');
    await noteSync('squeue: connection refused');
    const away = 'the job source slurm cannot be asked: squeue: connection refused';
    expect((await find('1')).problem).toBe(`${away}; this is what kw saw of the job itself`);
    expect((await find('2')).problem).toBeUndefined();
    await expect(find('3')).rejects.toMatchObject({ message: `no job 3 is known here, and ${away}` });
    await noteSync(null);
    expect((await find('1')).problem).toBeUndefined();
    await expect(find('3')).rejects.toMatchObject({ message: 'there is no job 3' });
  });
});

describe('a job', () => {
  it('has its nodes from the start until it stops, to the microsecond', async () => {
    await start({ job: '7', nodes: 'node-[1-2]', user: 'alice', at: '2026-01-02T10:00:00.000001Z' });
    await stop('7', '2026-01-02T11:00:00.999999Z');
    const { rows } = await db.client.query(
      'SELECT job_id, node, start_time, stop_time, owner, state, source FROM kw.nodetime_by_job ORDER BY node',
    );
    expect(rows).toEqual(
      ['node-1', 'node-2'].map((node) => ({
        job_id: 7,
        node,
        start_time: '2026-01-02 10:00:00.000001+00',
        stop_time: '2026-01-02 11:00:00.999999+00',
        owner: 'alice',
        state: 'stopped',
        source: 'kw',
      })),
    );
  });

  it('is not changed by a prolog that repeats, and gains nodes from prologs of other nodes', async () => {
    const at = '2026-01-02T10:00Z';
    expect((await start({ job: '7', nodes: 'node-1', user: 'alice', at })).newNodes).toBe(1);
    expect((await start({ job: '7', nodes: 'node-1', at: '2026-01-02T10:05Z' })).newNodes).toBe(0);
    expect((await start({ job: '7', nodes: 'node-[1-2]', at: '2026-01-02T10:06Z' })).newNodes).toBe(1);
    expect(await stays('7')).toEqual(['node-1 10:00-', 'node-2 10:06-']);
    expect((await findJob(db.client, parseJobRef('7', {}))).owner).toBe('alice');
    await expect(start({ job: '7', nodes: 'node-3', user: 'mallory', at })).rejects.toThrow(
      'job 7 belongs to alice',
    );
  });

  it('is registered by 20 prologs at once without an error', async () => {
    const started = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        runKw(['job', 'start', '--job', '8', '--nodes', `node-${index}`, '--timeout', '55s'], {
          env: { KW_DATABASE_URL: db.url },
        }),
      ),
    );
    expect(started.map(({ code, stderr }) => (code === 0 ? '' : stderr)).join('')).toBe('');
    expect(await stays('8')).toHaveLength(20);
  }, 120_000);

  it('begins again after a requeue, and not when an old start is told again', async () => {
    await start({ job: '7', nodes: 'node-1', at: '2026-01-02T10:00Z' });
    await stop('7', '2026-01-02T11:00Z');
    expect((await start({ job: '7', nodes: 'node-1', at: '2026-01-02T10:00Z' })).newNodes).toBe(0);
    expect(await stays('7')).toEqual(['node-1 10:00-11:00']);
    expect((await findJob(db.client, parseJobRef('7', {}))).state).toBe('stopped');
    await start({ job: '7', nodes: 'node-2', at: '2026-01-02T12:00Z' });
    expect(await stays('7')).toEqual(['node-1 10:00-11:00', 'node-2 12:00-']);
    expect(await findJob(db.client, parseJobRef('7', {}))).toMatchObject({
      state: 'running',
      stoppedUs: undefined,
    });
  });

  it('may be told late that it began earlier', async () => {
    await start({ job: '7', nodes: 'node-1', at: '2026-01-02T10:05Z' });
    await start({ job: '7', nodes: 'node-1', at: '2026-01-02T10:00Z' });
    expect(await stays('7')).toEqual(['node-1 10:00-']);
  });

  it('gives back nodes early, and ends with the last', async () => {
    await start({ job: '7', nodes: 'node-[1-3]', at: '2026-01-02T10:00Z' });
    expect((await stop('7', '2026-01-02T10:30Z', ['node-2'])).endedNodes).toBe(1);
    expect((await findJob(db.client, parseJobRef('7', {}))).state).toBe('running');
    expect((await stop('7', '2026-01-02T11:00Z')).endedNodes).toBe(2);
    expect((await stop('7', '2026-01-02T12:00Z')).endedNodes).toBe(0);
    expect(await stays('7')).toEqual(['node-1 10:00-11:00', 'node-2 10:00-10:30', 'node-3 10:00-11:00']);
    expect(formatUtc((await findJob(db.client, parseJobRef('7', {}))).stoppedUs ?? 0)).toBe(
      '2026-01-02T11:00:00.000000+00:00',
    );
  });

  it('has the name of a device: full names are cut unless a device is called so', async () => {
    await db.client.query(
      `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, protocol)
       VALUES (gen_random_uuid(), 'n2.site', 'm', 1000, 'snmp')`,
    );
    await start({ job: '7', nodes: 'n1.site,n2.site,10.0.0.1' });
    expect((await stays('7')).map((stay) => stay.split(' ')[0])).toEqual(['10.0.0.1', 'n1', 'n2.site']);
    expect((await stop('7', undefined, ['n1.site', 'n2.site'])).endedNodes).toBe(2);
  });

  it('of two schedulers with one number must be told apart', async () => {
    await start({ job: 'oar:7', nodes: 'a' });
    await start({ job: '7', source: 'slurm', nodes: 'b', name: '6_1' });
    await expect(stop('7')).rejects.toMatchObject({
      code: 'AMBIGUOUS_JOB',
      message: 'job 7 may be oar:7 or slurm:7',
      hint: 'write --job oar:7',
    });
    expect((await stop('6_1')).job).toEqual({ source: 'slurm', jobId: 7 });
    expect((await stop('oar:7')).endedNodes).toBe(1);
    await expect(stop('9')).rejects.toMatchObject({ code: 'NO_SUCH_JOB', message: 'there is no job 9' });
  });

  it.each([
    ["o'brien"],
    ['back\\slash'],
    ['new\nline'],
    ['"); DROP TABLE kw.jobs; --'],
    ['${HOME} $(id) é 😀'],
  ])('keeps %j faithfully as owner, name, comment and node', async (text) => {
    await start({ job: '7', nodes: text.replace(/[,\s[\]]/g, '_'), user: text, name: text, comment: text });
    const shown = await showJob(db.client, parseJobRef('7', {}), true);
    expect(shown).toMatchObject({ owner: text, nameId: text, comment: text });
    expect(shown.nodes[0]?.node).toBe(text.replace(/[,\s[\]]/g, '_').replace(/\..*/, ''));
  });

  it('refuses what cannot be stored', async () => {
    await expect(start({ job: '7', nodes: 'a', comment: 'x'.repeat(1e6) })).rejects.toThrow(
      'the comment has more than 4096 bytes',
    );
    await expect(start({ job: '7', nodes: 'a', user: 'x'.repeat(1e6) })).rejects.toThrow(
      'the owner name has 1000000 bytes, and at most 255 can be stored',
    );
    expect(() => readNewJob({ job: '7', nodes: 'a', user: 'a\0b' }, {})).toThrow(
      '--user contains a NUL character',
    );
    expect(() => readNewJob({ job: '7_1', nodes: 'a' }, {})).toThrow(
      '7_1 is an element of an array: a new job needs its own number',
    );
    expect(() => readNewJob({ job: 'oar:7', source: 'slurm', nodes: 'a' }, {})).toThrow('contradict');
    expect(await listJobs(db.client, { all: true, limit: 10 })).toEqual({
      jobs: [],
      cut: false,
      problems: [],
    });
  });
});

describe('the commands', () => {
  const kw = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC' } });

  it('list running jobs, and with --all the others', async () => {
    await start({ job: '1', nodes: 'node-[1-3]', user: 'alice', at: '2026-01-02T10:00Z' });
    await start({
      job: '2',
      nodes: 'gpu-1',
      user: 'bob',
      at: '2026-01-02T11:00Z',
      name: '1_1',
      source: 'slurm',
    });
    await stop('1', '2026-01-02T12:00Z');
    expect((await kw('job', 'list')).stdout).toBe(
      'JOB            USER  STATE    STARTED              STOPPED  NODES\n' +
        'slurm:2 (1_1)  bob   running  2026-01-02 11:00:00  -        gpu-1\n',
    );
    expect((await kw('job', 'list', '--all', '--user', 'carol')).stderr).toBe('there are no jobs of carol\n');
    const all = await kw('job', 'list', '--all', '--user', 'alice', '--json');
    expect(JSON.parse(all.stdout)).toEqual({
      jobs: [
        {
          source: 'kw',
          job_id: 1,
          name_id: '1',
          owner: 'alice',
          state: 'stopped',
          comment: null,
          started: '2026-01-02T10:00:00.000000+00:00',
          stopped: '2026-01-02T12:00:00.000000+00:00',
          nodes: ['node-1', 'node-2', 'node-3'],
        },
      ],
    });
    const cut = await kw('job', 'list', '--all', '--limit', '1');
    expect(cut.stderr).toBe('there are more than 1 jobs: see --limit\n');
    expect(cut.stdout.split('\n')).toHaveLength(3);
  });

  it('show a job with its nodes, what is enabled, and its values', async () => {
    await start({ job: '1', nodes: 'node-[1-2]', user: 'alice', enable: ['watt'] });
    await db.client.query(
      `INSERT INTO kw.metrics (device_id, metric_id, value, labels, timestamp)
       VALUES ('node-1', 'm_watt', 1, '{}', now()), ('pdu-port1', 'p_watt', 2, '{"_device_alias": "node-2"}', now()),
         ('node-3', 'm_watt', 3, '{}', now())`,
    );
    const shown = JSON.parse((await kw('job', 'show', '--job', '1', '--json')).stdout);
    expect(shown).toMatchObject({
      owner: 'alice',
      stopped: null,
      nodes: [{ node: 'node-1', stop_time: null }, { node: 'node-2' }],
      enabled: [{ pattern: 'watt', devices: 'node-[1-2]', expires_at: null }],
      values: [
        { metric_id: 'm_watt', devices: 1, values: 1 },
        { metric_id: 'p_watt', devices: 1, values: 1 },
      ],
    });
    const text = (await kw('job', 'show', '--job', '1')).stdout;
    expect(text).toMatch(
      /^JOB {2}USER {3}STATE .*\n1 {4}alice {2}running .*\n\nFROM .*\n.* node-\[1-2\]\n\n/,
    );
    expect(text).toMatch(/ENABLED {2}UNTIL {9}DEVICES\nwatt {5}the job ends {2}node-\[1-2\]\n/);
    expect(text).toMatch(/METRIC {2}DEVICES {2}VALUES {2}LAST\nm_watt {2}1 {8}1 {7}/);
    expect((await kw('job', 'show', '--job', '1', '--no-values')).stdout).not.toContain('METRIC');
  });

  it('fail with one sentence', async () => {
    expect(await kw('job', 'show', '--job', '99')).toEqual({
      stdout: '',
      stderr: 'kw: there is no job 99\n    jobs are known from their start on: see kw job list --all\n',
      code: 1,
    });
    expect(await kw('job', 'start', '--job', '1', '--nodes', 'n[1-')).toEqual({
      stdout: '',
      stderr: 'kw: list of nodes, character 2 ("[1-"): this [ is never closed\n',
      code: 1,
    });
  });

  it('take the number of the job around them', async () => {
    const env = { KW_DATABASE_URL: db.url, SLURM_JOB_ID: '44' };
    const { stderr } = await runKw(['job', 'start', '--job', 'current', '--nodes', 'n1', '--json'], { env });
    expect(stderr).toBe('job 44 runs on n1\n');
  });
});
