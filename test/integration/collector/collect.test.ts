/** kw collect and kw status as users run them, on a real agent and a real database. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StatusReport } from '../../../src/lib/collector/statusReport.ts';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { freePort } from '../../support/freePort.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { OUTLET_WATT, type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

interface Collecting {
  readonly child: ChildProcess;
  /** Lines of its log. */
  log(): { msg: string; [field: string]: unknown }[];
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('kw collect', () => {
  let agent: Snmpd;
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let folder: string;
  let remove: () => void;
  let port: number;
  let env: Record<string, string>;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    agent = await startSnmpd({ addresses: 2, firstAddress: '127.26.9.1' });
  });
  afterAll(() => agent.stop());
  beforeEach(async () => {
    db = await testDatabase();
    proxy = await halfOpenProxy(db.target);
    ({ folder, remove } = temporaryFolder());
    port = await freePort();
    mkdirSync(join(folder, 'metrics.d'));
    writeFileSync(join(folder, 'kw.yaml'), `metrics_dir: metrics.d\nlisten: 127.0.0.1:${port}\n`);
    writeMetrics('a.yaml', entry('pdu-1', 0, 1), entry('pdu-1', 0, 2), entry('pdu-2', 1, 3));
    env = {
      KW_CONFIG: join(folder, 'kw.yaml'),
      KW_DATA_DIR: join(folder, 'data'),
      KW_DATABASE_URL: proxy.target.url,
    };
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await proxy.close();
    await sleep(100);
    await db.client.query(
      'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await db.drop();
    remove();
  });

  function entry(device: string, address: number, outlet: number, period = 1000): string {
    const url = `snmp://public@${agent.addresses[address]}:${agent.port}/${OUTLET_WATT}.${outlet}`;
    return `- {name: pdu_outlet_${outlet}_watt, device_id: ${device}, url: "${url}", update_every: ${period}}\n`;
  }

  function writeMetrics(file: string, ...entries: string[]): void {
    writeFileSync(join(folder, 'metrics.d', file), entries.join(''));
  }

  /** Of a collector that this process starts. */
  function raisedPriority(): number {
    if (getPriority() !== 0) return getPriority();
    try {
      setPriority(-1);
    } catch {
      return 0;
    }
    setPriority(0);
    return -5;
  }

  function collect(...args: string[]): Collecting {
    const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'dev.js'), 'collect', ...args], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    return {
      child,
      log: () =>
        text
          .split('\n')
          .filter((line) => line.startsWith('{'))
          .map((line) => JSON.parse(line)),
      async end(signal) {
        const exited = once(child, 'exit');
        child.kill(signal);
        const [code] = await exited;
        return code as number | null;
      },
    };
  }

  async function started(running: Collecting): Promise<void> {
    await expect
      .poll(() => running.log().some(({ msg }) => msg === 'collecting'), { timeout: 15_000 })
      .toBe(true);
  }

  async function rows(): Promise<Record<string, number>> {
    const result = await db.client.query(
      "SELECT device_id || ' ' || metric_id AS name, count(*)::int AS n FROM kw.metrics GROUP BY 1 ORDER BY 1",
    );
    return Object.fromEntries(result.rows.map(({ name, n }) => [name, n]));
  }

  it('reads everything once and stores it: --once', async () => {
    const { code, stdout } = await runKw(['collect', '--once'], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(await rows()).toEqual({
      'pdu-1 pdu_outlet_1_watt': 1,
      'pdu-1 pdu_outlet_2_watt': 1,
      'pdu-2 pdu_outlet_3_watt': 1,
    });
  });

  it('prints what would be stored, and needs no database: --dry-run', async () => {
    env.KW_DATABASE_URL = 'postgres://127.0.0.1:1/nowhere';
    const text = await runKw(['collect', '--dry-run', '--once', '--only', 'pdu-1'], { env });
    expect(text.code).toBe(0);
    const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}\\+00:00';
    expect(text.stdout).toMatch(
      new RegExp(`^${time} pdu-1 pdu_outlet_1_watt 151\n${time} pdu-1 pdu_outlet_2_watt 152\n$`),
    );
    const json = await runKw(['collect', '--dry-run', '--once', '--json', '--only', 'pdu-2'], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({
      device_id: 'pdu-2',
      metric_id: 'pdu_outlet_3_watt',
      value: 153,
      labels: {},
    });
    expect(await rows()).toEqual({});
    const nothing =
      '- {name: dead_watt, device_id: dead, url: "snmp://public@127.0.0.1:1/1.3", update_every: 1000}\n';
    writeMetrics('dead.yaml', nothing);
    const dead = await runKw(['collect', '--dry-run', '--once', '--only', 'dead'], { env });
    expect(dead).toMatchObject({
      stdout: '',
      stderr: expect.stringMatching(/^dead: 127\.0\.0\.1:1: /),
      code: 1,
    });
  });

  it('refuses devices that are not configured, and names a near one', async () => {
    const { code, stderr } = await runKw(['collect', '--dry-run', '--only', 'pdu-11'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('no metric of a device "pdu-11" is configured');
    expect(stderr).toContain('did you mean pdu-1?');
  });

  it('refuses a configuration with an error, and says where it is', async () => {
    writeMetrics('b.yaml', '- {name: x, device_id: y}\n');
    const { code, stderr } = await runKw(['collect'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/b\.yaml:1:\d+: /);
  });

  it('writes what was read and ends at the first signal', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      await db.client.query('DELETE FROM kw.metrics');
      const running = collect();
      await started(running);
      await sleep(2_500);
      expect(getPriority(running.child.pid as number)).toBe(raisedPriority());
      expect(await running.end(signal)).toBe(0);
      const { stored } = running.log().at(-1) as unknown as { stored: number };
      const counts = Object.values(await rows());
      expect(counts.reduce((sum, n) => sum + n, 0)).toBe(stored);
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
    }
  });

  it('ends at once without its database, and says how many values wait on the disk', async () => {
    const running = collect();
    await started(running);
    await sleep(1_500);
    proxy.refuse();
    await sleep(2_000);
    const from = performance.now();
    expect(await running.end('SIGINT')).toBe(0);
    expect(performance.now() - from).toBeLessThan(3_000);
    const [, waiting] =
      /^stopped: (\d+) values wait in the spool and are stored at the next start$/.exec(
        running.log().at(-1)?.msg ?? '',
      ) ?? [];
    const before = Object.values(await rows()).reduce((sum, n) => sum + n, 0);
    await proxy.heal();
    const { code } = await runKw(['collect', '--once', '--only', 'pdu-2'], { env });
    expect(code).toBe(0);
    const after = Object.values(await rows()).reduce((sum, n) => sum + n, 0);
    expect(after).toBe(before + Number(waiting) + 1);
  });

  it('without a spool says how many values are lost when it ends without its database, and ends at once when told twice', async () => {
    appendFileSync(join(folder, 'kw.yaml'), 'spool: {enabled: false}\n');
    const running = collect();
    await started(running);
    await sleep(1_500);
    proxy.refuse();
    await sleep(2_000);
    const from = performance.now();
    expect(await running.end('SIGINT')).toBe(0);
    expect(performance.now() - from).toBeLessThan(9_000);
    expect(running.log().at(-1)?.msg).toMatch(/^\d+ values could not be written and are lost$/);

    const impatient = collect();
    await started(impatient);
    await sleep(1_500);
    impatient.child.kill('SIGINT');
    await sleep(300);
    const again = performance.now();
    expect(await impatient.end('SIGINT')).toBe(1);
    expect(performance.now() - again).toBeLessThan(1_000);
  });

  it('takes over a changed configuration, by file or by SIGHUP, and keeps the old one when the new is no good', async () => {
    const running = collect();
    await started(running);
    await sleep(1_500);
    writeMetrics('b.yaml', entry('pdu-2', 1, 4));
    await expect
      .poll(() => running.log().find(({ msg }) => msg === 'configuration reloaded'), { timeout: 5_000 })
      .toMatchObject({ started: 0, stopped: 0, changed: 1, unchanged: 1 });
    await expect
      .poll(async () => Object.keys(await rows()), { timeout: 5_000 })
      .toContain('pdu-2 pdu_outlet_4_watt');

    writeMetrics('b.yaml', '- {name: x, device_id: y}\n');
    await expect
      .poll(() => running.log().find(({ msg }) => msg.includes('refused'))?.problem, { timeout: 5_000 })
      .toMatch(/b\.yaml:1:\d+: /);
    // Devices and counters are told every 20 s; this at once.
    const refusal = async () =>
      (await db.client.query("SELECT counters ->> 'reloadProblem' AS problem FROM kw.collectors")).rows[0]
        .problem;
    await expect.poll(refusal, { timeout: 3_000 }).toMatch(/b\.yaml:1:/);
    const before = (await rows())['pdu-2 pdu_outlet_4_watt'] as number;
    await sleep(2_500);
    expect((await rows())['pdu-2 pdu_outlet_4_watt']).toBeGreaterThan(before);

    rmSync(join(folder, 'metrics.d', 'b.yaml'));
    running.child.kill('SIGHUP');
    await expect
      .poll(() => running.log().filter(({ msg }) => msg === 'configuration reloaded').length, {
        timeout: 5_000,
      })
      .toBeGreaterThanOrEqual(2);
    await expect.poll(refusal, { timeout: 3_000 }).toBeNull();
    expect(await running.end('SIGINT')).toBe(0);
  });

  it('lets one collector at a time have a data folder', async () => {
    const running = collect();
    await started(running);
    const { code, stderr } = await runKw(['collect'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain(
      `a collector already runs on the folder ${join(folder, 'data', 'collector')} (process ${running.child.pid})`,
    );
    await running.end('SIGKILL');
    // What a killed collector left behind stops nobody, and the next one is the same collector.
    expect((await runKw(['collect', '--once'], { env })).code).toBe(0);
    const collectors = await db.client.query('SELECT count(*)::int AS n FROM kw.collectors');
    expect(collectors.rows).toEqual([{ n: 1 }]);
    const segments = await db.client.query('SELECT count(*)::int AS n FROM kw.ledger');
    expect(segments.rows[0].n).toBeGreaterThanOrEqual(1);
  });

  it('shows how it is: kw status, from the database, and from the collector while that is away', async () => {
    const nobody = await runKw(['status', '--check'], { env });
    expect(nobody).toMatchObject({ code: 2, stdout: 'kw CRITICAL: no collector runs\n' });

    writeMetrics('dead.yaml', entry('dead', 0, 1).replace(`:${agent.port}/`, ':9/'));
    const running = collect();
    await started(running);
    await sleep(3_500);
    const status = JSON.parse((await runKw(['status', '--json'], { env })).stdout) as StatusReport;
    expect(status.source).toBe('database');
    expect(status.collectors).toMatchObject([{ state: 'running', database_problem: null }]);
    expect(status.devices.map(({ device_id, up }) => [device_id, up])).toEqual([
      ['dead', false],
      ['pdu-1', true],
      ['pdu-2', true],
    ]);
    // The database was told last when the devices were first polled.
    const polls = async () =>
      (JSON.parse((await runKw(['status', '--json'], { env })).stdout) as StatusReport).devices.at(-1)?.polls;
    expect(await polls()).toBeGreaterThan(2);
    const check = await runKw(['status', '--check'], { env });
    expect(check).toMatchObject({ code: 1, stdout: 'kw WARNING: 1 of 3 devices down (dead)\n' });
    const table = await runKw(['status'], { env });
    expect(table.stdout).toMatch(/^dead +snmp +down /m);
    expect(table.stdout).toMatch(/^pdu-1 +snmp +up /m);

    proxy.refuse();
    await sleep(2_500);
    const away = await runKw(['status', '--json'], { env });
    const said = await runKw(['status'], { env });
    expect(said.stderr).toContain('this is what the collector of this machine says');
    expect(said.stdout).toMatch(/^pdu-1 +snmp +up /m);
    const report = JSON.parse(away.stdout) as StatusReport;
    expect(report.source).toBe('collector');
    expect(report.collectors[0]?.database_problem).not.toBeNull();
    expect(report.collectors[0]?.counters.waiting).toBeGreaterThan(0);
    const critical = await runKw(['status', '--check'], { env });
    expect(critical.code).toBe(2);
    expect(critical.stdout).toMatch(
      /^kw CRITICAL: collector .* cannot write, \d+ values wait: .*; 1 of 3 devices down \(dead\)\n$/,
    );

    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/^kw_database_up 0$/m);
    expect(metrics).toMatch(/^kw_values_read_total \d+$/m);
    expect(metrics).toMatch(
      new RegExp(`^kw_target_up\\{target="${agent.addresses[0]}:${agent.port}",protocol="snmp"\\} 1$`, 'm'),
    );
    const everything = JSON.stringify([metrics, away, status]);
    expect(everything).not.toContain('public@');
    await running.end('SIGKILL');
  });
});
