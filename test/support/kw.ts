/** Runs `kw` from the sources as users do: a process of its own, with nothing of the caller's settings. */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const KW = join(import.meta.dirname, '../../bin/dev.js');
const TIMEOUT_MS = 60_000;

export interface KwResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KwOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Given to its standard input; nothing unless told. */
  readonly input?: string;
}

/** Runs to the end. */
export async function runKw(args: readonly string[], options: KwOptions = {}): Promise<KwResult> {
  const child = startKw(args, options);
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  child.stdin?.end(options.input ?? '');
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { code, ...output };
}

/** Starts it with pipes. It is killed after a minute. */
export function startKw(args: readonly string[], { env = {}, cwd = tmpdir() }: KwOptions = {}): ChildProcess {
  return spawn(process.execPath, [KW, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: cwd, TZ: 'UTC', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
}
