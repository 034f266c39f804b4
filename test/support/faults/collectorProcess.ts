/**
 * `kw collect` as a process of its own, which can be killed and started again on the same folder. It is the built
 * program: globalSetup builds it for tests, benches build it themselves.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectorCounters } from '../../../src/lib/collector/status.ts';
import type { DeviceReport, StatusReport } from '../../../src/lib/collector/statusReport.ts';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { freePort } from '../freePort.ts';
import { waitUntil } from '../waitUntil.ts';

export interface CollectorProcess {
  /** Data folder, kw.yaml and metrics.d are in it. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Since the first start; `msg` says what, `level` 40 and more are warnings. */
  log(): { msg: string; level: number; [field: string]: unknown }[];
  /** Resolves when it collects. */
  start(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Asks it to end. Resolves to the exit code. */
  stop(): Promise<number | null>;
  /** What it says on its endpoint. */
  counters(): Promise<CollectorCounters>;
  devices(): Promise<readonly DeviceReport[]>;
  /** The most that it had resident, of all starts, in MB. */
  peakMb(): number;
}

export interface CollectorOptions {
  readonly folder: string;
  /** Entries of metrics.d. */
  readonly metrics: string;
  readonly databaseUrl: string;
  /** More lines of kw.yaml. */
  readonly settings?: string;
  /** More of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const START_MS = 60_000;
const STOP_MS = 60_000;

export async function collectorProcess(options: CollectorOptions): Promise<CollectorProcess> {
  const { folder } = options;
  const port = await freePort();
  mkdirSync(join(folder, 'metrics.d'), { recursive: true });
  writeFileSync(join(folder, 'metrics.d', 'load.yaml'), options.metrics);
  writeFileSync(
    join(folder, 'kw.yaml'),
    `metrics_dir: metrics.d\nlisten: 127.0.0.1:${port}\n${options.settings ?? ''}`,
  );
  const env = {
    KW_CONFIG: join(folder, 'kw.yaml'),
    KW_DATA_DIR: join(folder, 'data'),
    KW_DATABASE_URL: options.databaseUrl,
  };
  let child: ChildProcess | undefined;
  let log = '';
  let peakMb = 0;
  const messages = () =>
    log
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line));
  const notePeak = () => {
    peakMb = Math.max(peakMb, residentPeakMb(child?.pid));
  };
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    notePeak();
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, 'close');
    child.kill(signal);
    const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(timer);
    return child.exitCode;
  };
  const report = async (): Promise<StatusReport> => {
    notePeak();
    const response = await fetch(`http://127.0.0.1:${port}/status`, { signal: AbortSignal.timeout(10_000) });
    return (await response.json()) as StatusReport;
  };
  return {
    folder,
    env,
    log: messages,
    async start() {
      const before = messages().filter(({ msg }) => msg === 'collecting').length;
      const started = spawn(process.execPath, [join(packageRoot(), 'bin', 'run.js'), 'collect'], {
        env: {
          PATH: process.env.PATH,
          HOME: process.env.HOME,
          NODE_ENV: 'production',
          ...options.env,
          ...env,
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = started;
      started.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
      const kill = () => started.kill('SIGKILL');
      process.once('exit', kill);
      started.once('exit', () => process.off('exit', kill));
      await waitUntil(() => {
        if (started.exitCode !== null) throw new Error(`kw collect ended:\n${log.slice(-3000)}`);
        return messages().filter(({ msg }) => msg === 'collecting').length > before;
      }, START_MS);
    },
    async kill() {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    counters: async () => (await report()).collectors[0]?.counters as CollectorCounters,
    devices: async () => (await report()).devices,
    peakMb: () => Math.round(peakMb),
  };
}

/** High-water mark of a process's memory; 0 when it is gone. */
function residentPeakMb(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
