/**
 * Runs Node as an ordinary user, for what must work without root. Where the tests themselves run as an ordinary
 * user that is simply the user; root changes to `nobody` (65534) with setpriv.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export const ORDINARY_ID = 65_534;

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const TIMEOUT_MS = 120_000;

/** Never rejects for an exit code. `env` replaces the environment except PATH. */
export async function runAsOrdinaryUser(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Ran> {
  const ids = ['--reuid', String(ORDINARY_ID), '--regid', String(ORDINARY_ID), '--clear-groups'];
  const command = process.getuid?.() === 0 ? ['setpriv', ...ids, program, ...args] : [program, ...args];
  return run(command, options);
}

export async function run(
  command: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Ran> {
  const [program = '', ...args] = command;
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, {
      cwd: options.cwd,
      env: { PATH: process.env.PATH, ...options.env },
      timeout: TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { stdout, stderr, code: 0 };
  } catch (error) {
    const { stdout = '', stderr = '', code } = error as { stdout?: string; stderr?: string; code?: unknown };
    if (typeof code !== 'number') throw error;
    return { stdout, stderr, code };
  }
}
