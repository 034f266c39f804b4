/** Stops the embedded server: its clients are disconnected, everything is written, the process is gone. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KwError } from '../../errors.ts';
import { findLayout } from './layout.ts';
import { withLock } from './lock.ts';
import { findProcess } from './process.ts';
import { removeSocketFolder } from './start.ts';

const STOP_TIMEOUT_MS = 120_000;
const POLL_MS = 10;

/** Resolves to whether there was one to stop. */
export async function stopServer(dataFolder: string): Promise<boolean> {
  const layout = findLayout(dataFolder);
  if (!layout || !findProcess(layout)) return false;
  return withLock(layout, STOP_TIMEOUT_MS, async () => {
    const server = findProcess(layout);
    if (!server) return false;
    signalFastShutdown(server.pid);
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    // The server removes its pid file last.
    while (existsSync(layout.postmasterPid) && findProcess(layout)?.pid === server.pid) {
      if (Date.now() > deadline) {
        throw new KwError(`the embedded database has not stopped after ${STOP_TIMEOUT_MS / 1000} s`, {
          code: 'EMBEDDED_STOP',
          hint: `its log is in ${layout.log}`,
        });
      }
      await sleep(POLL_MS);
    }
    removeSocketFolder(server.socketFolder);
    return true;
  });
}

/** SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave. */
function signalFastShutdown(pid: number): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw new KwError('the embedded database belongs to another user and cannot be stopped', {
      code: 'EMBEDDED_FOREIGN',
      cause: error,
    });
  }
}
