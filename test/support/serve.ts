/** A real `kw serve`, a process of its own on a database of a test, and tokens made for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/packageRoot.ts';
import { endProcess } from './endProcess.ts';
import { runKw } from './runKw.ts';
import { temporaryFolder } from './temporaryFolder.ts';

const START_MS = 30_000;

export interface Serve {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly pid: number;
  /** Everything that it wrote so far. */
  log(): string;
  /** @param args as of `kw token create`, such as `--role writer` */
  token(user: string, ...args: string[]): Promise<string>;
  /** Resident memory in MB. */
  memoryMb(): number;
  signal(name: NodeJS.Signals): void;
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** URL of a superuser. */
  readonly database: string;
  /** Data folder, working folder and home; one of its own unless told, which goes with it. */
  readonly folder?: string | undefined;
  /** kw.yaml; one without settings unless told. */
  readonly settings?: string;
  /** What was built, for production, instead of the sources. */
  readonly built?: boolean;
}

function environment(database: string, folder: string): NodeJS.ProcessEnv {
  return { KW_DATABASE_URL: database, KW_DATA_DIR: folder, HOME: folder, NO_COLOR: '1', TZ: 'UTC' };
}

/** A command of kw beside the server, with the same settings. */
export function kwBeside(
  { database, folder }: { database: string; folder: string },
  args: readonly string[],
) {
  return runKw(args, { cwd: folder, env: environment(database, folder) });
}

/** Resolves when it takes requests; rejects with what it wrote when it ends before. */
export async function startServe(options: ServeOptions): Promise<Serve> {
  const { database, settings = '{}\n', built = false } = options;
  const { folder, remove } =
    options.folder === undefined ? temporaryFolder() : { folder: options.folder, remove: () => {} };
  const file = join(folder, 'kw.yaml');
  writeFileSync(file, settings);
  chmodSync(file, 0o600);
  const program = join(packageRoot(), 'bin', built ? 'run.js' : 'dev.js');
  const child = spawn(process.execPath, [program, 'serve', '--json', '--listen', '127.0.0.1:0'], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      ...(built && { NODE_ENV: 'production' }),
      ...environment(database, folder),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const stop = async () => {
    await endProcess(child);
    remove();
  };
  const url = await firstLine(child, () => log).catch((error: unknown) => {
    remove();
    throw error;
  });
  const pid = child.pid ?? 0;
  return {
    url,
    pid,
    log: () => log,
    async token(user, ...args) {
      const made = await kwBeside({ database, folder }, ['token', 'create', '--user', user, ...args]);
      if (made.code !== 0) throw new Error(`kw token create: ${made.stderr}`);
      return made.stdout.trim();
    },
    memoryMb: () => residentMb(pid),
    signal: (name) => void child.kill(name),
    kill() {
      child.kill('SIGKILL');
      return stop();
    },
    stop,
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
