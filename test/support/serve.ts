/** `kw serve` as a process of its own, from the sources, on a database of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/packageRoot.ts';
import { endProcess } from './endProcess.ts';
import { runKw } from './runKw.ts';

const START_MS = 30_000;

export interface Serve {
  readonly url: string;
  readonly pid: number;
  /** Everything that it wrote so far. */
  log(): string;
  /** Resident memory in MB. */
  memoryMb(): number;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly database: string;
  /** Data folder, working folder and home. */
  readonly folder: string;
  /** kw.yaml; none unless told. */
  readonly settings?: string;
  readonly env?: NodeJS.ProcessEnv;
}

function environment({ database, folder, env }: ServeOptions): NodeJS.ProcessEnv {
  return { KW_DATABASE_URL: database, KW_DATA_DIR: folder, HOME: folder, NO_COLOR: '1', ...env };
}

/** A command of kw beside the server, with the same settings. */
export function kwBeside(options: ServeOptions, args: readonly string[]) {
  return runKw(args, { cwd: options.folder, env: environment(options) });
}

/** Resolves when it takes requests; rejects with what it wrote when it ends before. */
export async function startServe(options: ServeOptions): Promise<Serve> {
  if (options.settings !== undefined) {
    const file = join(options.folder, 'kw.yaml');
    writeFileSync(file, options.settings);
    chmodSync(file, 0o600);
  }
  const args = [join(packageRoot(), 'bin', 'dev.js'), 'serve', '--json', '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, args, {
    cwd: options.folder,
    env: { PATH: process.env.PATH, ...environment(options) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const url = await firstLine(child, () => log);
  const pid = child.pid ?? 0;
  return {
    url,
    pid,
    log: () => log,
    memoryMb: () => residentMb(pid),
    signal: (name) => void child.kill(name),
    stop: () => endProcess(child),
  };
}

function firstLine(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = () => {
      child.kill('SIGKILL');
      reject(new Error(`kw serve did not start:\n${log()}`));
    };
    const timer = setTimeout(fail, START_MS);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes('\n')) return;
      clearTimeout(timer);
      resolve((JSON.parse(text) as { url: string }).url);
    });
    child.once('close', () => {
      clearTimeout(timer);
      fail();
    });
  });
}

function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
}
