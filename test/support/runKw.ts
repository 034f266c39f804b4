/** Runs kw from the sources, as a user would: `const { stdout, stderr, code } = await runKw(['push', 'm', '1'], { env })`. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/packageRoot.ts';

export interface RunOptions {
  /** Beside PATH and HOME; nothing else is handed on. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: an empty standard input. */
  readonly input?: string | Buffer;
  readonly cwd?: string;
}

export interface KwResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

const TIMEOUT_MS = 60_000;

export function runKw(args: readonly string[], { env, input, cwd }: RunOptions = {}): Promise<KwResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'dev.js'), ...args], {
      cwd,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...env },
      timeout: TIMEOUT_MS,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject).once('close', (code) => resolve({ stdout, stderr, code }));
    // A command that fails early does not read its input.
    child.stdin.on('error', () => {}).end(input ?? '');
  });
}
