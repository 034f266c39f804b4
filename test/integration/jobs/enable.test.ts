/** Enabling optional metrics on a real database: who disturbs whom, how it ends, and how collectors hear of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { parseJobRef } from '../../../src/lib/jobs/jobRef.ts';
import { readNewJob, stopJob } from '../../../src/lib/jobs/startJob.ts';
import type { JobStartFlags } from '../../../src/lib/prolog/commands.ts';
import { disableMetrics, enableMetrics } from '../../../src/lib/promotions/enable.ts';
import { listPromotions } from '../../../src/lib/promotions/listPromotions.ts';
import { startAndEnable } from '../../../src/lib/promotions/startAndEnable.ts';
import { nowUs } from '../../../src/lib/time.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.client.query('TRUNCATE kw.jobs, kw.job_nodes, kw.promoted_metrics, kw.metric_catalogue');
  await db.client.query(
    `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol)
     SELECT '00000000-0000-0000-0000-000000000001', device, metric, alias, 10000, optional, fast, 'snmp'
     FROM (VALUES
       ('node-1', 'bmc_temp_cpu', '', true, NULL), ('node-2', 'bmc_temp_cpu', '', true, NULL),
       ('node-1', 'bmc_temp_ambient', '', true, NULL),
       ('node-1', 'bmc_node_power_watt', '', false, NULL), ('node-2', 'bmc_node_power_watt', '', false, NULL),
       ('wattmetre1-port3', 'wattmetre_power_watt', 'node-2', false, 20),
       ('node-3', 'prom_all_metrics', '', true, NULL)
     ) AS c (device, metric, alias, optional, fast)`,
  );
});

const start = (flags: JobStartFlags) =>
  startAndEnable(db.client, { job: readNewJob(flags, {}), patterns: flags.enable ?? [] });
const byJob = (job: string) => ({ job: parseJobRef(job, {}) });
const enable = (pattern: string, target: Parameters<typeof enableMetrics>[1]['target'], forMs?: number) =>
  enableMetrics(db.client, { pattern, target, forMs, force: false });

/** `pattern device job`, sorted. */
async function enabled(): Promise<string[]> {
  const promotions = await listPromotions(db.client);
  return promotions.map(({ pattern, device, job }) => `${pattern} ${device} ${job?.jobId ?? '-'}`).sort();
}

describe('kw enable', () => {
  it('lets two jobs on one node have different patterns, each until its own end', async () => {
    await start({ job: '1', nodes: 'node-[1-2]' });
    await start({ job: '2', nodes: 'node-1' });
    await enable('bmc_temp_cpu', byJob('1'));
    await enable('bmc_temp', byJob('2'));
    await enable('bmc_temp', { devices: ['node-1'] });
    expect(await enabled()).toEqual([
      'bmc_temp node-1 -',
      'bmc_temp node-1 2',
      'bmc_temp_cpu node-1 1',
      'bmc_temp_cpu node-2 1',
    ]);
    await stopJob(db.client, { ref: parseJobRef('1', {}), stoppedUs: undefined, nodes: undefined });
    expect(await enabled()).toEqual(['bmc_temp node-1 -', 'bmc_temp node-1 2']);
  });

  it('says what it enabled, what is read anyway, and where nothing fits', async () => {
    expect(await enable('bmc_', { devices: ['node-1.site', 'node-3'] })).toMatchObject({
      devices: ['node-1', 'node-3'],
      metrics: ['bmc_temp_ambient', 'bmc_temp_cpu'],
      alwaysRead: ['bmc_node_power_watt'],
      devicesWithout: ['node-3'],
      changed: true,
    });
    expect(await enable('bmc_node', { devices: ['node-1'] })).toMatchObject({
      alwaysRead: ['bmc_node_power_watt'],
      changed: false,
    });
    // Read more often while enabled, and known by the alias.
    expect(await enable('wattmetre', { devices: ['node-2'] })).toMatchObject({
      metrics: ['wattmetre_power_watt'],
    });
  });

  it('ends after 24 hours by device, after --for, or with the job', async () => {
    const hours = (us: number | undefined) => us && Math.round((us - nowUs()) / 3.6e9);
    expect(hours((await enable('bmc_temp', { devices: ['node-1'] })).expiresUs)).toBe(24);
    expect(hours((await enable('bmc_temp', { devices: ['node-2'] }, 7_200_000)).expiresUs)).toBe(2);
    await start({ job: '1', nodes: 'node-1' });
    expect((await enable('bmc_temp', byJob('1'))).expiresUs).toBeUndefined();
    await enable('bmc_temp', { devices: ['node-1'] }, 300);
    expect(await enabled()).toContain('bmc_temp node-1 -');
    await sleep(350);
    expect(await enabled()).not.toContain('bmc_temp node-1 -');
  });

  it('reaches nodes that join the job later', async () => {
    await start({ job: '1', nodes: 'node-1', enable: ['bmc_temp'] });
    await start({ job: '1', nodes: 'node-2' });
    expect(await enabled()).toEqual(['bmc_temp node-1 1', 'bmc_temp node-2 1']);
  });

  it.each([
    ['bmc_tmep_cpu', 'node-1', 'did you mean bmc_temp_cpu? Or enable it all the same with --force'],
    [
      'temp',
      'node-1',
      'did you mean bmc_temp_ambient or bmc_temp_cpu? Or enable it all the same with --force',
    ],
    ['zzz', 'node-1', 'there are bmc_temp_ambient, bmc_temp_cpu; enable it all the same with --force'],
  ])('refuses %j on %s, which fits nothing: %s', async (pattern, device, hint) => {
    await expect(enable(pattern, { devices: [device] })).rejects.toMatchObject({
      code: 'NO_SUCH_METRIC',
      message: `no optional metric of ${device} matches "${pattern}"`,
      hint,
    });
    expect(await enabled()).toEqual([]);
    await enableMetrics(db.client, { pattern, target: { devices: [device] }, forMs: undefined, force: true });
    expect(await enabled()).toEqual([`${pattern} ${device} -`]);
  });

  it('refuses devices that no collector knows, and jobs that do not run', async () => {
    await expect(enable('bmc', { devices: ['nodw-1'] })).rejects.toMatchObject({
      code: 'UNKNOWN_DEVICE',
      message: 'no collector is configured to read nodw-1',
      hint: 'did you mean node-1 or node-2 or node-3? Or enable it all the same with --force',
    });
    await expect(enable('bmc', byJob('5'))).rejects.toMatchObject({ code: 'NO_SUCH_JOB' });
    await start({ job: '5', nodes: 'node-1' });
    await stopJob(db.client, { ref: parseJobRef('5', {}), stoppedUs: undefined, nodes: undefined });
    await expect(enable('bmc', byJob('5'))).rejects.toMatchObject({
      code: 'JOB_ENDED',
      message: 'job 5 has ended',
    });
  });

  it('cannot check names before any collector ran, and enables them', async () => {
    await db.client.query('TRUNCATE kw.metric_catalogue');
    expect(await enable('anything', { devices: ['node-9'] })).toMatchObject({
      metrics: undefined,
      changed: true,
    });
  });

  it.each([
    ["x'; DROP TABLE kw.jobs; --"],
    ['back\\\\slash|bmc_temp'],
    ['new\nline|bmc_temp'],
    ['é😀|bmc_temp'],
    ['"quoted"'],
  ])('keeps the pattern %j as it is', async (pattern) => {
    await enableMetrics(db.client, {
      pattern,
      target: { devices: ['node-1'] },
      forMs: undefined,
      force: true,
    });
    expect((await listPromotions(db.client)).map((promotion) => promotion.pattern)).toEqual([pattern]);
  });

  it.each([['a'.repeat(1_000_000)], ['(a+)+\\1'], ['a\0b'], ['((a{1000}){1000})']])(
    'refuses a pattern such as %.20j without asking the database',
    async (pattern) => {
      await expect(enable(pattern, { devices: ['node-1'] })).rejects.toMatchObject({ code: 'BAD_PATTERN' });
    },
  );
});

describe('kw disable', () => {
  beforeEach(async () => {
    await start({ job: '1', nodes: 'node-[1-2]' });
    await start({ job: '2', nodes: 'node-1' });
    await enable('bmc_temp', byJob('1'));
    await enable('bmc_temp', byJob('2'));
    await enable('bmc_temp_cpu', byJob('2'));
    await enable('bmc_temp', { devices: ['node-1', 'node-2'] });
  });
  const ofJobs = ['bmc_temp node-1 1', 'bmc_temp node-1 2', 'bmc_temp node-2 1', 'bmc_temp_cpu node-1 2'];

  it('by device leaves what jobs have', async () => {
    expect(await disableMetrics(db.client, { target: { devices: ['node-1.site', 'node-2'] } })).toEqual({
      disabled: 2,
      patterns: ['bmc_temp'],
      devices: ['node-1', 'node-2'],
    });
    expect(await enabled()).toEqual(ofJobs);
  });

  it('by job leaves other jobs, devices and other patterns', async () => {
    expect(await disableMetrics(db.client, { pattern: 'bmc_temp', target: byJob('2') })).toEqual({
      disabled: 1,
      patterns: ['bmc_temp'],
      devices: ['node-1'],
    });
    expect(await enabled()).toEqual([
      'bmc_temp node-1 -',
      'bmc_temp node-1 1',
      'bmc_temp node-2 -',
      'bmc_temp node-2 1',
      'bmc_temp_cpu node-1 2',
    ]);
  });

  it('without a target takes back everything of one user', async () => {
    await db.client.query("UPDATE kw.promoted_metrics SET owner = 'somebody' WHERE job_id = 1");
    await disableMetrics(db.client, {});
    expect(await enabled()).toEqual(['bmc_temp node-1 1', 'bmc_temp node-2 1']);
  });

  it('names what is enabled when the pattern is another', async () => {
    await expect(
      disableMetrics(db.client, { pattern: 'bmc', target: { devices: ['node-1'] } }),
    ).rejects.toMatchObject({
      code: 'NOT_ENABLED',
      message: '"bmc" was not enabled there',
      hint: 'enabled are bmc_temp, bmc_temp_cpu: see kw enabled',
    });
  });
});

describe('the commands', () => {
  const kw = (...args: string[]) => runKw(args, { env: { KW_DATABASE_URL: db.url, TZ: 'UTC' } });

  it('tell collectors within a second', async () => {
    const listener = await openClient(db.target);
    try {
      await listener.query('LISTEN kw_promotions');
      const told = async (work: () => Promise<unknown>) => {
        const heard = new Promise<number>((resolve) =>
          listener.once('notification', () => resolve(performance.now())),
        );
        await work();
        const doneMs = performance.now();
        return (await heard) - doneMs;
      };
      await start({ job: '1', nodes: 'node-1' });
      expect(
        await told(() => kw('enable', 'bmc_temp', '--device', 'node-1', '--timeout', '30s')),
      ).toBeLessThan(1000);
      expect(await told(() => kw('enable', 'bmc_temp', '--job', '1', '--timeout', '30s'))).toBeLessThan(1000);
      expect(await told(() => kw('job', 'stop', '--job', '1', '--timeout', '30s'))).toBeLessThan(1000);
      expect(await told(() => kw('disable', '--all', '--timeout', '30s'))).toBeLessThan(1000);
    } finally {
      await listener.end();
    }
  });

  it('print what they did on stderr, and lists on stdout', async () => {
    await start({ job: '12', nodes: 'node-[1-3]', user: 'alice' });
    expect(await kw('enable', 'bmc_temp.*', '--job', '12', '--timeout', '30s')).toEqual({
      stdout: '',
      stderr:
        'enabled bmc_temp_ambient, bmc_temp_cpu on node-[1-3] until job 12 ends\nnothing matches on node-3\n',
      code: 0,
    });
    const list = await kw('enabled');
    expect(list.stdout).toMatch(
      /^PATTERN {5}JOB {2}BY +UNTIL {8}DEVICES\nbmc_temp\.\* {2}12 {3}\w+ +job 12 ends {2}node-\[1-3\]\n$/,
    );
    expect(JSON.parse((await kw('enabled', '--json')).stdout).enabled[0]).toMatchObject({
      device_id: 'node-1',
      pattern: 'bmc_temp.*',
      job_id: 12,
      source: 'kw',
      expires_at: null,
    });
    expect((await kw('disable', '--all', '--timeout', '30s')).stderr).toBe(
      'disabled bmc_temp.* on node-[1-3]\n',
    );
    expect(await kw('enabled')).toEqual({ stdout: '', stderr: 'nothing is enabled\n', code: 0 });
  });

  it('are the same with and without oclif', async () => {
    const quick = await kw('enable', 'zzz', '--device', 'node-1', '--json', '--timeout', '30s');
    // A flag after -- is not of the plain form.
    const whole = await kw('enable', '--device', 'node-1', '--json', '--timeout', '30s', '--', 'zzz');
    expect(JSON.parse(quick.stdout)).toEqual(JSON.parse(whole.stdout));
    expect(quick.code).toBe(1);
    expect(whole.code).toBe(1);
  });

  it('ask for exactly one of --device and --job', async () => {
    const { code, stderr } = await kw('enable', 'x');
    expect(code).toBe(2);
    expect(stderr).toContain('--device');
  });

  it('start a job although one of its patterns is wrong, and say so', async () => {
    const { code, stderr } = await kw(
      ...['job', 'start', '--job', '9', '--nodes', 'node-1', '--timeout', '30s'],
      ...['--enable', 'bmc_temp', '--enable', '(a'],
    );
    expect(code).toBe(1);
    expect(stderr).toContain(
      'job 9 runs on node-1\nenabled bmc_temp_ambient, bmc_temp_cpu on node-1 until job 9 ends\n',
    );
    expect(stderr).toContain('kw: "(a" is not enabled: the pattern "(a" is not a regular expression');
    expect(await enabled()).toEqual(['bmc_temp node-1 9']);
  });
});
