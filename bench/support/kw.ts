/** `kw collect` as a process of its own, built for production. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectorCounters } from '../../src/lib/collector/status.ts';
import type { StatusReport } from '../../src/lib/collector/statusReport.ts';
import { packageRoot } from '../../src/lib/packageRoot.ts';
import { freePort } from '../../test/support/freePort.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { peakOf } from './figures.ts';

export interface RunningKw {
  readonly pid: number;
  counters(): Promise<CollectorCounters>;
  /** Seconds since the instant up to which everything is stored. */
  lagS(): Promise<number>;
  /** Of the resident memory. */
  peakMb(): number;
  stop(): Promise<void>;
}

/** Lines of the collector's log that are shown when it complained. */
const COMPLAINTS_SHOWN = 10;

/** Builds dist/ if the sources have changed. */
export function buildKw(): void {
  execFileSync(process.execPath, [join(packageRoot(), 'scripts', 'build.js')], { stdio: 'inherit' });
}

/** @param options.settings more lines of kw.yaml */
export async function startKw(options: {
  metrics: string;
  database: string;
  settings?: string;
}): Promise<RunningKw> {
  buildKw();
  const { folder, remove } = temporaryFolder();
  const port = await freePort();
  mkdirSync(join(folder, 'metrics.d'));
  writeFileSync(join(folder, 'metrics.d', 'bench.yaml'), options.metrics);
  writeFileSync(
    join(folder, 'kw.yaml'),
    `metrics_dir: metrics.d\nlisten: 127.0.0.1:${port}\n${options.settings ?? ''}`,
  );
  // KW_BENCH_NODE: options of Node, such as --cpu-prof.
  const nodeOptions = process.env.KW_BENCH_NODE?.split(' ') ?? [];
  const child = spawn(process.execPath, [...nodeOptions, join(packageRoot(), 'bin', 'run.js'), 'collect'], {
    cwd: process.cwd(),
    stdio: ['ignore', 'inherit', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_ENV: 'production',
      KW_CONFIG: join(folder, 'kw.yaml'),
      KW_DATA_DIR: join(folder, 'data'),
      KW_DATABASE_URL: options.database,
    },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let log = '';
  child.stderr?.on('data', (text) => {
    log += text;
  });
  const report = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/status`);
    return ((await response.json()) as StatusReport).collectors[0];
  };
  const counters = async () => (await report())?.counters as CollectorCounters;
  await untilUp(child, counters, () => log);
  let peakMb = 0;
  return {
    pid: child.pid as number,
    counters,
    lagS: async () => (await report())?.lag_seconds ?? 0,
    peakMb: () => peakMb,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      peakMb = Math.round(peakOf(child.pid));
      const exited = once(child, 'exit');
      child.kill('SIGINT');
      const timer = setTimeout(kill, 40_000);
      await exited;
      clearTimeout(timer);
      process.off('exit', kill);
      remove();
      const complaints = log
        .split('\n')
        .filter((line) => /"level":[456]0/.test(line) || !line.startsWith('{'));
      for (const line of complaints.filter(Boolean).slice(0, COMPLAINTS_SHOWN))
        console.error(line.slice(0, 300));
      if (complaints.length > COMPLAINTS_SHOWN)
        console.error(`and ${complaints.length - COMPLAINTS_SHOWN} more`);
    },
  };
}

async function untilUp(child: ChildProcess, ask: () => Promise<unknown>, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (child.exitCode !== null) throw new Error(`kw collect ended:\n${log()}`);
    try {
      if (await ask()) return;
    } catch {}
    await sleep(200);
  }
  throw new Error(`kw collect does not come up:\n${log()}`);
}
