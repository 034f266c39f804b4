/**
 * Wattmeters for real: `kw collect` with readers that it starts itself, over TCP and on a serial line (a pty), and
 * `kw collect wattmetre` on a pipe; into a real database.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StatusReport } from '../../../src/lib/collector/statusReport.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { freePort } from '../../support/freePort.ts';
import { runKw, startKw } from '../../support/kw.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const READER = join(import.meta.dirname, '../../support/wattmetre-read.mjs');
const MEAN = 102.45;

interface Row {
  readonly us: number;
  readonly value: number;
  readonly alias: string | null;
}

let db: TestDatabase;
let folder: string;
let remove: () => void;
let env: Record<string, string>;
const processes: ChildProcess[] = [];

async function setUp(): Promise<void> {
  db = await testDatabase();
  ({ folder, remove } = temporaryFolder());
  mkdirSync(join(folder, 'metrics.d'));
  mkdirSync(join(folder, 'bin'));
  const port = await freePort();
  writeFileSync(join(folder, 'kw.yaml'), `metrics_dir: metrics.d\nlisten: 127.0.0.1:${port}\n`);
  env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    KW_CONFIG: join(folder, 'kw.yaml'),
    KW_DATA_DIR: join(folder, 'data'),
    KW_DATABASE_URL: db.target.url,
    KW_SECRET_FOR_NO_READER: 'secret',
  };
}

async function tearDown(): Promise<void> {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  await sleep(100);
  await db.client.query(
    'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await db.drop();
  remove();
}

async function rowsOf(device: string): Promise<Row[]> {
  const { rows } = await db.client.query(
    `SELECT (extract(epoch FROM timestamp) * 1000000)::float8 AS us, value, labels ->> '_device_alias' AS alias
     FROM kw.metrics WHERE device_id = $1 ORDER BY timestamp`,
    [device],
  );
  return rows;
}

const isWhole = ({ us }: Row) => us % 1e6 === 0;
/** The value of port 0 in the frame of that time. */
const frameValue = (us: number) => 100 + Math.round((us % 1e6) / 20_000) / 10;

function start(args: readonly string[]): { child: ChildProcess; log: () => string } {
  const child = startKw(args, { env, cwd: folder });
  processes.push(child);
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  child.stdout?.resume();
  return { child, log: () => log };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill(signal);
  return (await exited)[0] as number | null;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    // A process that ended and was not yet collected by its parent.
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
};

describe.skipIf(skipUnless('python3', hasProgram('python3')))('kw collect with wattmeters', () => {
  let collector: ReturnType<typeof start>;
  let tcp: Server;
  let statusOf: (device: string) => Promise<StatusReport['devices'][number] | undefined>;

  beforeAll(async () => {
    await setUp();
    tcp = createServer((socket) => {
      const reader = spawn(READER, ['ports=2', 'format=v3'], { stdio: ['pipe', 'pipe', 'ignore'] });
      processes.push(reader);
      reader.stdout.pipe(socket);
      socket.on('error', () => {}).on('close', () => reader.kill());
    }).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    // A serial line: the reader's lines go into one end of a pty, and the reader program of kw reads the other.
    const pty = `import os, pty, subprocess, sys, tty
master, slave = pty.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
subprocess.run([sys.argv[1], 'ports=2'], stdin=sys.stdin, stdout=master)`;
    const line = spawn('python3', ['-c', pty, READER], { stdio: ['pipe', 'pipe', 'inherit'] });
    processes.push(line);
    const [device] = (await once(line.stdout.setEncoding('utf8'), 'data')) as [string];
    // The default reader, found in PATH; tells what it was called with and what it knows.
    const reader = join(folder, 'bin', 'wattmetre-read');
    writeFileSync(reader, `#!/bin/sh\necho "$@" > ${folder}/called\nenv > ${folder}/env\nexec cat "$1"\n`);
    chmodSync(reader, 0o755);

    writeFileSync(join(folder, 'mapping.yaml'), 'node-1: [we-port0, wt-port0]\nnode-2: [we-port1]\n');
    const mapping = `mapping=${join(folder, 'mapping.yaml')}`;
    const entry = (id: string, url: string) =>
      `- {name: wattmetre_power_watt, device_id: ${id}, url: "${url}"}\n`;
    const words = encodeURIComponent('up\u001b[2J');
    writeFileSync(
      join(folder, 'metrics.d', 'wattmeters.yaml'),
      entry('we', `wattmetre+exec://${READER}?arg=ports=3&${mapping}`) +
        entry('wt', `wattmetre+tcp://127.0.0.1:${(tcp.address() as AddressInfo).port}?${mapping}`) +
        entry('ws', `wattmetre+serial://${device.trim()}`) +
        entry('ends', `wattmetre+exec://${READER}?arg=ports=1&arg=stop=60&arg=stderr=${words}`) +
        entry('stalls', `wattmetre+exec://${READER}?arg=ports=1&arg=stall=60&stall=1`) +
        entry('nobody', 'wattmetre+exec:///usr/bin/no-such-reader'),
    );
    collector = start(['collect']);
    statusOf = async (name) => {
      const { stdout } = await runKw(['status', '--json'], { env, cwd: folder });
      return (JSON.parse(stdout) as StatusReport).devices.find((found) => found.device_id === name);
    };
    for (const id of ['we', 'wt', 'ws']) {
      while ((await rowsOf(`${id}-port1`)).length < 2) await sleep(100);
    }
  }, 40_000);
  afterAll(async () => {
    tcp.close();
    await tearDown();
  });

  it('stores one mean a second and port from each kind of source, with the node of the mapping', async () => {
    for (const [device, alias, mean] of [
      ['we-port0', 'node-1', MEAN],
      ['we-port1', 'node-2', MEAN + 1],
      ['we-port2', null, MEAN + 2],
      ['wt-port0', 'node-1', MEAN],
      ['ws-port1', null, MEAN + 1],
    ] as const) {
      const rows = await rowsOf(device);
      expect(rows.every(isWhole), device).toBe(true);
      expect(rows.every((row) => row.alias === alias)).toBe(true);
      // The first second may have begun before kw listened.
      expect(
        rows.slice(1).every(({ value }) => Math.abs(value - mean) < 1e-9),
        device,
      ).toBe(true);
      expect(new Set(rows.map(({ us }) => us)).size).toBe(rows.length);
    }
  });

  it('starts the reader of a serial line as documented, and tells it no secrets', () => {
    expect(readFileSync(join(folder, 'called'), 'utf8')).toMatch(/^\/dev\/pts\/\d+ 42 20\n$/);
    const told = readFileSync(join(folder, 'env'), 'utf8');
    expect(told).toContain('PATH=');
    expect(told).not.toMatch(/KW_|secret|postgres/);
  });

  it('stores every frame of a node from the next one on while it is enabled, exactly, then means again', async () => {
    const enabled = await runKw(['enable', 'wattmetre.*', '--device', 'node-1'], { env, cwd: folder });
    expect(enabled).toMatchObject({ code: 0 });
    await expect
      .poll(async () => (await rowsOf('wt-port0')).filter((row) => !isWhole(row)).length, { timeout: 10_000 })
      .toBeGreaterThan(150);
    const disabled = await runKw(['disable', 'wattmetre.*', '--device', 'node-1'], { env, cwd: folder });
    expect(disabled.code).toBe(0);
    await sleep(3_500);

    for (const device of ['we-port0', 'wt-port0']) {
      const rows = await rowsOf(device);
      const first = rows.findIndex((row) => !isWhole(row));
      const last = rows.findLastIndex((row) => !isWhole(row));
      const frames = rows.slice(first, last + 1);
      // Every frame, with its microseconds, none twice and none missing, up to the end of a second.
      expect(frames.length).toBe(
        Math.round(((frames.at(-1) as Row).us - (frames[0] as Row).us) / 20_000) + 1,
      );
      expect(frames.every(({ us }, index) => us === (frames[0] as Row).us + index * 20_000)).toBe(true);
      expect(frames.every(({ us, value }) => value === frameValue(us))).toBe(true);
      expect((frames.at(-1) as Row).us % 1e6).toBe(980_000);
      // Before: the mean of the frames of that second that came before.
      const before = rows[first - 1] as Row;
      const firstUs = (frames[0] as Row).us;
      if (before.us === firstUs - (firstUs % 1e6)) {
        const gathered = Array.from({ length: (firstUs % 1e6) / 20_000 }, (_, frame) => 100 + frame / 10);
        expect(before.value).toBeCloseTo(
          gathered.reduce((sum, value) => sum + value, 0) / gathered.length,
          9,
        );
      }
      // Behind: whole seconds again.
      const behind = rows.slice(last + 1);
      expect(behind.length).toBeGreaterThanOrEqual(1);
      expect(behind[0]?.us).toBe((frames.at(-1) as Row).us + 20_000);
      for (const row of behind) expect([isWhole(row), row.value]).toEqual([true, expect.closeTo(MEAN, 9)]);
    }
    expect((await rowsOf('we-port1')).every(isWhole)).toBe(true);
  });

  it('shows the two ports of a node together', async () => {
    const query = [
      'query',
      '--device',
      'node-1',
      '--metric',
      'wattmetre_power_watt',
      '--from',
      '-60s',
      '--format',
      'json',
    ];
    const { stdout, code } = await runKw(query, { env, cwd: folder });
    expect(code).toBe(0);
    const found = JSON.parse(stdout) as {
      device_id: string;
      value: number;
      labels: { _device_orig?: string[] };
    }[];
    const both = found.filter(({ labels }) => labels._device_orig?.length === 2);
    expect(both.length).toBeGreaterThan(100);
    expect(both.at(-2)).toMatchObject({
      device_id: 'node-1',
      labels: { _device_orig: ['we-port0', 'wt-port0'] },
    });
    expect(both.some(({ value }) => Math.abs(value - 2 * MEAN) < 1e-9)).toBe(true);
  });

  it('starts a reader again that ends or stalls, and says why', async () => {
    await expect
      .poll(async () => (await statusOf('ends'))?.errors.refused ?? 0, { timeout: 15_000 })
      .toBeGreaterThanOrEqual(2);
    expect((await statusOf('ends'))?.last_error).toMatch(/wattmetre-read\.mjs ended with exit code 3: "up/);
    expect((await rowsOf('ends-port0')).length).toBeGreaterThan(2);
    await expect
      .poll(async () => (await statusOf('stalls'))?.errors.timeout ?? 0, { timeout: 15_000 })
      .toBeGreaterThanOrEqual(2);
    expect((await statusOf('stalls'))?.last_error).toContain('gave no frame for 1 s');
    expect(await statusOf('nobody')).toMatchObject({
      up: false,
      last_error: 'there is no program /usr/bin/no-such-reader',
    });
    // What a reader says is in the log, with its control characters escaped.
    expect(collector.log()).toContain('up\\\\u001b[2J');
    expect(collector.log()).not.toContain('\u001b');
  });

  it('ends its readers with itself, and when it is killed they end with their input', async () => {
    const readers = () =>
      readFileSync(`/proc/${collector.child.pid}/task/${collector.child.pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .map(Number);
    const first = readers();
    expect(first.length).toBeGreaterThanOrEqual(2);
    expect(await end(collector.child, 'SIGTERM')).toBe(0);
    await expect.poll(() => first.filter(isAlive), { timeout: 3_000 }).toEqual([]);

    collector = start(['collect', '--only', 'we']);
    await expect
      .poll(() => existsSync(`/proc/${collector.child.pid}`) && readers().filter(Boolean).length, {
        timeout: 10_000,
      })
      .toBe(1);
    await sleep(500);
    const [reader] = readers() as [number];
    await end(collector.child, 'SIGKILL');
    await expect.poll(() => isAlive(reader), { timeout: 5_000 }).toBe(false);
  });
});

describe('kw collect wattmetre', () => {
  beforeEach(setUp);
  afterEach(tearDown);

  const lines = (...args: string[]) =>
    new Promise<string>((resolve) => {
      let text = '';
      const reader = spawn(READER, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      reader.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      reader.on('close', () => resolve(text));
    });

  it('stores what comes on standard input, the last second too, and ends with it', async () => {
    const begin = Math.floor(Date.now() / 1000) - 3_600;
    writeFileSync(join(folder, 'mapping.yaml'), 'node-1: [w1-port1]\n');
    const input = await lines(`start=${begin}`, 'frames=7525', 'ports=2');
    const args = ['collect', 'wattmetre', '--id', 'w1', '--mapping', 'mapping.yaml'];
    const { code, stderr } = await runKw(args, { env, cwd: folder, input });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('every value that was read is stored');
    const expected = Array.from({ length: 151 }, (_, second) => ({
      us: (begin + second) * 1e6,
      value: expect.closeTo(second === 150 ? 101.2 : MEAN, 9),
      alias: null,
    }));
    expect(await rowsOf('w1-port0')).toEqual(expected);
    expect((await rowsOf('w1-port1')).every(({ alias }) => alias === 'node-1')).toBe(true);
  });

  it('writes what was read when it is interrupted', async () => {
    const { child, log } = start(['collect', 'wattmetre', '--id', 'w1']);
    await expect.poll(() => log().includes('collecting'), { timeout: 10_000 }).toBe(true);
    const begin = Math.floor(Date.now() / 1000) - 10;
    child.stdin?.write(await lines(`start=${begin}`, 'frames=110', 'ports=1'));
    await sleep(300);
    expect(await end(child, 'SIGINT')).toBe(0);
    expect((await rowsOf('w1-port0')).map(({ us }) => us / 1e6 - begin)).toEqual([0, 1, 2]);
  });

  it('gives the mean of a whole second to kw collect --once', async () => {
    const url = `wattmetre+exec://${READER}?arg=ports=1`;
    writeFileSync(
      join(folder, 'metrics.d', 'w.yaml'),
      `- {name: wattmetre_power_watt, device_id: w1, url: "${url}"}\n`,
    );
    const { code, stdout } = await runKw(['collect', '--once', '--dry-run'], { env, cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\S+ w1-port0 wattmetre_power_watt 102\.45$/m);
  });

  it('says at once that a mapping cannot be read', async () => {
    const { code, stderr } = await runKw(['collect', 'wattmetre', '--id', 'w1', '--mapping', 'none'], {
      env,
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot read the mapping ${join(folder, 'none')}: there is no such file`);
  });
});

describe('wattmeters at 50 frames a second, all enabled', () => {
  const FEEDER = join(import.meta.dirname, '../../../bench/wattmeter/feeder.js');
  const WATTMETERS = 5;
  const PORTS = 42;
  const SECONDS = 3;

  beforeEach(setUp);
  afterEach(tearDown);

  // bench/wattmeter does the same at full rate, and measures what it costs.
  it('have every frame of every port stored, once, with its microseconds', async () => {
    const names = Array.from({ length: WATTMETERS }, (_, index) => `wm${index}`);
    const feeder = spawn(process.execPath, [FEEDER, folder, String(PORTS), '50', ...names], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    processes.push(feeder);
    await once(feeder.stdout, 'data');
    const entries = names.map(
      (name) =>
        `- {name: wattmetre_power_watt, device_id: ${name}, url: "wattmetre+exec:///bin/cat?arg=${join(folder, name)}"}\n`,
    );
    writeFileSync(join(folder, 'metrics.d', 'wattmeters.yaml'), entries.join(''));
    await db.client.query(
      `INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at)
       SELECT 'wm' || w || '-port' || p, 'wattmetre', now() + interval '1 hour'
       FROM generate_series(0, $1::int - 1) w, generate_series(0, $2::int - 1) p`,
      [WATTMETERS, PORTS],
    );
    const { child } = start(['collect']);
    await expect
      .poll(async () => (await rowsOf('wm4-port41')).length, { timeout: 15_000 })
      .toBeGreaterThan(50);
    const fromS = Math.ceil(Date.now() / 1000);
    await sleep((fromS + SECONDS) * 1000 - Date.now() + 200);
    expect(await end(child, 'SIGTERM')).toBe(0);
    const { rows } = await db.client.query(
      `SELECT count(*)::int AS stored, count(DISTINCT (device_id, timestamp))::int AS frames,
         count(*) FILTER (WHERE (extract(epoch FROM timestamp) * 1000000)::bigint % 20000
           = 7 * substring(device_id FROM '^wm([0-9]+)')::int)::int AS exact
       FROM kw.metrics WHERE timestamp >= to_timestamp($1) AND timestamp < to_timestamp($2)`,
      [fromS, fromS + SECONDS],
    );
    const offered = WATTMETERS * PORTS * 50 * SECONDS;
    expect(rows).toEqual([{ stored: offered, frames: offered, exact: offered }]);
  });
});

describe('kw device probe', () => {
  it('reads a wattmeter for a few seconds, and tells each step', async () => {
    const url = `wattmetre+exec://${READER}?arg=ports=2`;
    const { stdout, stderr, code } = await runKw(['device', 'probe', '--verbose', '--device', 'w1', url]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/open +\S+wattmetre-read\.mjs runs as process \d+/);
    expect(stderr).toMatch(/read +frames of v1 with 2 ports/);
    expect(stdout).toMatch(/^lines +v1, 2 ports$/m);
    expect(stdout).toMatch(/^frames +50 a second$/m);
    expect(stdout).toMatch(/^value +w1-port1 103\.45$/m);
  });
});
