/** A collector takes over from another one, as users do it: kw collect --take-over and SIGUSR2, on real devices. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { phaseMs } from '../../../src/lib/collector/phase.ts';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { freePort } from '../../support/freePort.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { OUTLET_WATT, type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const READER = join(import.meta.dirname, '../../support/wattmetre-read.mjs');
const DEVICES = 6;

type Line = { msg: string; successor?: number; [field: string]: unknown };

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('kw collect --take-over', () => {
  let agent: Snmpd;
  let db: TestDatabase;
  let folder: string;
  let remove: () => void;
  let port: number;
  let env: Record<string, string>;
  const children: ChildProcess[] = [];
  let text = '';
  const log = () =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
  const said = (part: string) => log().filter(({ msg }) => msg.includes(part));

  beforeAll(async () => {
    agent = await startSnmpd({ addresses: DEVICES, firstAddress: '127.26.13.1' });
  });
  afterAll(() => agent.stop());
  beforeEach(async () => {
    db = await testDatabase();
    ({ folder, remove } = temporaryFolder());
    port = await freePort();
    text = '';
    mkdirSync(join(folder, 'metrics.d'));
    writeFileSync(join(folder, 'kw.yaml'), `metrics_dir: metrics.d\nlisten: 127.0.0.1:${port}\n`);
    const polled = Array.from(
      { length: DEVICES },
      (_, index) => entry(index, 1) + entry(index, 2, 'optional: true'),
    );
    writeFileSync(join(folder, 'metrics.d', 'pdu.yaml'), polled.join(''));
    env = {
      KW_CONFIG: join(folder, 'kw.yaml'),
      KW_DATA_DIR: join(folder, 'data'),
      KW_DATABASE_URL: db.url,
    };
  });
  afterEach(async () => {
    // Successors of a collector are no children of this process.
    for (const { successor } of log()) {
      if (successor === undefined) continue;
      try {
        process.kill(successor, 'SIGKILL');
      } catch {}
    }
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }
    await sleep(200);
    await db.client.query(
      'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await db.drop();
    remove();
  });

  function entry(index: number, outlet: number, more = 'optional: false'): string {
    const url = `snmp://public@${agent.addresses[index]}:${agent.port}/${OUTLET_WATT}.${outlet}`;
    return `- {name: outlet_${outlet}_watt, device_id: pdu-${index}, url: "${url}", update_every: 1000, ${more}}\n`;
  }

  function collect(...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'dev.js'), 'collect', ...args], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    return child;
  }

  async function collecting(times: number): Promise<void> {
    await expect.poll(() => said('collecting').length, { timeout: 20_000 }).toBe(times);
  }

  /** Its socket is there: it is made a moment after the collector has begun. */
  async function offering(): Promise<void> {
    await expect.poll(() => existsSync(join(folder, 'data', 'collector', 'takeover'))).toBe(true);
  }

  async function isGone(pid: number): Promise<void> {
    await expect
      .poll(
        () => {
          try {
            return process.kill(pid, 0);
          } catch {
            return false;
          }
        },
        { timeout: 20_000 },
      )
      .toBe(false);
  }

  /** For each device and metric: how many intervals lie between its first and last value, and which have not one value. */
  async function intervals(): Promise<{ series: string; first: number; last: number; wrong: string[] }[]> {
    const { rows } = await db.client.query<{ device: string; metric: string; us: string[] }>(
      `SELECT device_id AS device, metric_id AS metric,
         array_agg((extract(epoch FROM timestamp) * 1e6)::bigint::text ORDER BY timestamp) AS us
       FROM kw.metrics GROUP BY 1, 2 ORDER BY 1, 2`,
    );
    return rows.map(({ device, metric, us }) => {
      const index = device.startsWith('pdu-') ? Number(device.slice(4)) : undefined;
      // The interval of a reading begins at the instant of its device.
      const phase =
        index === undefined ? 0 : phaseMs(`snmp ${agent.addresses[index]}:${agent.port}`, 1000, 20);
      const seen = new Map<number, number>();
      for (const value of us) {
        const interval = Math.floor((Number(value) / 1000 - phase) / 1000);
        seen.set(interval, (seen.get(interval) ?? 0) + 1);
      }
      const [first, last] = [Math.min(...seen.keys()), Math.max(...seen.keys())];
      const wrong: string[] = [];
      // In the first one, what is promoted is read at once besides.
      for (let interval = first + 1; interval <= last; interval++) {
        const count = seen.get(interval) ?? 0;
        if (count !== 1) wrong.push(`${interval - last}: ${count}`);
      }
      return { series: `${device} ${metric}`, first, last, wrong };
    });
  }

  it('reads each interval exactly once over three restarts: polls, promoted metrics and a stream', async () => {
    writeFileSync(
      join(folder, 'metrics.d', 'wattmeter.yaml'),
      `- {name: wattmetre_power_watt, device_id: wm, url: "wattmetre+exec://${READER}?arg=ports=3&arg=join=1"}\n`,
    );
    await db.client.query(
      "INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at) SELECT 'pdu-' || i, 'outlet_2', now() + interval '1 hour' FROM generate_series(0, $1::int - 1) i",
      [DEVICES],
    );
    let pid = collect().pid as number;
    await collecting(1);
    for (let restart = 1; restart <= 3; restart++) {
      await sleep(1_200);
      if (restart === 2) collect('--take-over');
      else process.kill(pid, 'SIGUSR2');
      await isGone(pid);
      await collecting(restart + 1);
      pid = said('takes over').at(-1)?.successor as number;
    }
    await sleep(1_200);
    // The last of them has the local endpoint, too.
    expect(await (await fetch(`http://127.0.0.1:${port}/status`)).text()).toContain('pdu-1');
    process.kill(pid, 'SIGTERM');
    await isGone(pid);

    expect(said('stopped: ').map(({ msg }) => msg)).toEqual(
      Array(4).fill('stopped: every value that was read is stored'),
    );
    const all = await intervals();
    expect(all.map(({ series }) => series)).toHaveLength(2 * DEVICES + 3);
    expect(all.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
    for (const { first, last } of all) expect(last - first).toBeGreaterThan(8);
    // One collector, four runs, each of which begins before the one before it has ended.
    const { rows } = await db.client.query(
      `SELECT count(DISTINCT collector_id)::int AS collectors, count(*)::int AS runs,
         count(*) FILTER (WHERE started_at > before)::int AS gaps
       FROM (SELECT *, lag(written_up_to) OVER (ORDER BY started_at) AS before FROM kw.collector_runs) r`,
    );
    expect(rows).toEqual([{ collectors: 1, runs: 4, gaps: 0 }]);
  });

  /** A successor that says what the test wants, and notes what it hears. */
  function stranger(): { socket: Socket; heard: Record<string, unknown>[]; say(message: object): void } {
    const heard: Record<string, unknown>[] = [];
    const socket = connect(join(folder, 'data', 'collector', 'takeover')).on('error', () => {});
    let rest = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      heard.push(...lines.map((line) => JSON.parse(line)));
    });
    return { socket, heard, say: (message) => socket.write(`${JSON.stringify(message)}\n`) };
  }

  it('goes on as if nothing had been asked when the new one is no good, is silent, or dies before its time', async () => {
    const old = collect();
    await collecting(1);
    await offering();
    expect(statSync(join(folder, 'data', 'collector', 'takeover')).mode & 0o777).toBe(0o600);

    writeFileSync(join(folder, 'bad.yaml'), 'metrics_dir: nowhere.d\n');
    const bad = await runKw(['collect', '--take-over'], {
      env: { ...env, KW_CONFIG: join(folder, 'bad.yaml') },
    });
    expect({ code: bad.code, stderr: bad.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('nowhere.d'),
    });

    const future = stranger();
    future.say({ version: 99, pid: 1, kw: '99.0.0' });
    const silent = stranger();
    silent.say({ version: 1, pid: 1, kw: '0.0.0' });
    const flood = stranger();
    flood.socket.write('x'.repeat(6 << 20));
    const flooded = new Promise((resolve) => flood.socket.once('close', resolve));
    await expect
      .poll(() => future.heard)
      .toEqual([{ refused: 'it speaks version 1 of the protocol, not 99' }]);
    await expect.poll(() => silent.heard).toMatchObject([{ version: 1, pid: old.pid, promotions: [] }]);
    await flooded;
    const second = await runKw(['collect', '--take-over'], { env });
    expect(second).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it hands over to another one already'),
    });
    await new Promise((resolve) => silent.socket.once('close', resolve));

    const dying = collect('--take-over');
    await expect
      .poll(() => said('another collector takes over').length, { timeout: 20_000, interval: 10 })
      .toBe(1);
    dying.kill('SIGKILL');
    await expect.poll(() => said('this one goes on').length, { timeout: 5_000 }).toBe(1);
    await sleep(2_500);
    old.kill('SIGTERM');
    await isGone(old.pid as number);
    expect(said('stopped: ').at(-1)?.msg).toBe('stopped: every value that was read is stored');
    const all = await intervals();
    expect(all).toHaveLength(DEVICES);
    expect(all.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
    for (const { first, last } of all) expect(last - first).toBeGreaterThan(2);
  });

  it('begins again when the new one dies after its first instant, and is no other collector by that', async () => {
    const old = collect();
    await collecting(1);
    await offering();
    const { socket, heard, say } = stranger();
    say({ version: 1, pid: 1, kw: '0.0.0' });
    await expect.poll(() => heard.length).toBe(1);
    say({ go: true });
    await expect
      .poll(() => heard.slice(1), { timeout: 5_000 })
      .toEqual([{ yours: true }, { released: true }]);
    socket.destroy();
    await collecting(2);
    await sleep(2_500);
    old.kill('SIGTERM');
    await isGone(old.pid as number);
    const all = await intervals();
    for (const { first, last, wrong } of all) {
      expect(last - first).toBeGreaterThan(2);
      // What was missed while nobody read; nothing twice.
      expect(wrong.filter((one) => !one.endsWith(': 0'))).toEqual([]);
      expect(wrong.length).toBeLessThan(4);
    }
    const { rows } = await db.client.query('SELECT count(*)::int AS n FROM kw.collectors');
    expect(rows).toEqual([{ n: 1 }]);
  });

  it('says what stands in the way: nobody runs, or one that cannot hand over', async () => {
    const nobody = await runKw(['collect', '--take-over'], { env });
    expect(nobody).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no collector runs on the folder'),
    });
    mkdirSync(join(folder, 'data', 'collector'), { recursive: true });
    const early = createServer((socket) => socket.end('4711\n')).listen(
      join(folder, 'data', 'collector', 'lock'),
    );
    const refused = await runKw(['collect', '--take-over'], { env });
    early.close();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('the collector that runs (process 4711) cannot hand over');
    expect(refused.stderr).toContain('it is of an earlier version, or is ending');
  });
});
