/**
 * What is known of the server's process, from its own postmaster.pid. The file outlives a crash, and its number
 * may by then belong to another process, so both are looked at.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import type { Layout } from './layout.ts';

export interface ServerProcess {
  readonly pid: number;
  readonly startedAtMs: number;
  readonly socketFolder: string;
  /** It accepts connections; otherwise it is starting (perhaps recovering from a crash) or stopping. */
  readonly ready: boolean;
}

/** The running server of this layout, or undefined. Synchronous: every command asks before it connects. */
export function findProcess(layout: Layout): ServerProcess | undefined {
  let text: string;
  try {
    text = readFileSync(layout.postmasterPid, 'utf8');
  } catch {
    return undefined;
  }
  // Lines: pid, data folder, start time, port, socket folder, listen address, shared memory, status.
  const [pidText, , startedAt, , socketFolder, , , status] = text.split('\n');
  // A single-user or bootstrap server (initdb) writes its pid negated.
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isServerOf(pid, layout.data)) return undefined;
  return {
    pid,
    startedAtMs: Number(startedAt) * 1000,
    socketFolder: socketFolder ?? '',
    ready: status?.trim() === 'ready',
  };
}

/** The processes of a data folder, also those that a dead postmaster left behind. Empty where there is no /proc. */
export function processesIn(dataFolder: string): number[] {
  if (process.platform !== 'linux') return [];
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  const real = realpathSync(dataFolder);
  return pids.filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === real;
    } catch {
      // Gone, or of another user: the server's user is this one, or this is root.
      return false;
    }
  });
}

/** Whether a process lives and works in this data folder, as every PostgreSQL server process does. */
function isServerOf(pid: number, dataFolder: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    // A zombie, left where nothing reaps orphans (many containers), has no working directory.
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataFolder);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}
