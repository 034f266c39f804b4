/**
 * Only one process at a time makes, starts or stops the server: two commands on a fresh machine would otherwise
 * make two. PostgreSQL's own lock on its data folder and the rename in cluster.ts remain the last word; this one
 * spares people their error messages.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KwError } from '../../errors.ts';
import type { Layout } from './layout.ts';

const POLL_MS = 25;

export async function withLock<T>(layout: Layout, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (!tryLock(layout.lock)) {
    if (Date.now() > deadline) {
      throw new KwError(
        `another process has been busy with the embedded database for ${timeoutMs / 1000} s`,
        {
          code: 'EMBEDDED_BUSY',
          hint: `if there is none, remove ${layout.lock}`,
        },
      );
    }
    await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(layout.lock, { force: true });
  }
}

function tryLock(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (holderLives(file)) return false;
  rmSync(file, { force: true });
  return false;
}

function holderLives(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Empty: its holder is between creating and writing it.
    if (pid > 0) process.kill(pid, 0);
    return true;
  } catch (error) {
    return (
      (error as NodeJS.ErrnoException).code !== 'ESRCH' && (error as NodeJS.ErrnoException).code !== 'ENOENT'
    );
  }
}
