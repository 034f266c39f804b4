/**
 * Starts the embedded server so that it outlives this process.
 *
 *   no data folder -> initdb -> stopped
 *   stopped        -> spawn postgres -> starting -> ready
 *   starting       (another process, or recovery after a crash) -> wait -> ready
 *   stopping       -> wait -> stopped
 *   ready          adopted: nothing to do, whoever started it
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KwError } from '../../errors.ts';
import { installBinaries, removeOtherBinaries } from './binaries.ts';
import { checkVersion, createCluster, reasonIn, SERVER_ENV } from './cluster.ts';
import { findLayout, type Layout, makeFolder, newLayout, PORT, socketPathFits } from './layout.ts';
import { withLock } from './lock.ts';
import { findProcess, processesIn, type ServerProcess } from './process.ts';
import { type ServerUser, serverUser } from './serverUser.ts';

/** Longer than any recovery of a small database; a start takes 50 ms, and 700 ms the first time. */
const START_TIMEOUT_MS = 120_000;
const POLL_MS = 10;
const LOGS_KEPT = 5;

// PostgreSQL builds shell commands with the path of its own programs between double quotes.
const UNSAFE_IN_PATH = /["$`\\\n]/;

export interface StartOptions {
  /** False for tests: nothing is ever flushed to disk. */
  readonly durable?: boolean;
  /** False to leave the schema as it is. */
  readonly migrate?: boolean;
}

export interface Started {
  readonly layout: Layout;
  readonly server: ServerProcess;
  /** It ran already. */
  readonly adopted: boolean;
}

export async function startServer(dataFolder: string, options: StartOptions = {}): Promise<Started> {
  if (UNSAFE_IN_PATH.test(dataFolder)) {
    throw new KwError('the embedded database cannot live below a path with quotes, $, ` or backslashes', {
      code: 'EMBEDDED_FOLDER',
      hint: 'set KW_DATA_DIR to another folder',
    });
  }
  const existing = findLayout(dataFolder);
  const running = existing && findProcess(existing);
  if (existing && running?.ready) return { layout: existing, server: running, adopted: true };

  const user = serverUser(existing?.data);
  const layout = existing ?? newLayout(dataFolder, user);
  makeHome(layout, user);
  return withLock(layout, START_TIMEOUT_MS, async () => {
    const other = await settle(layout);
    if (other) return { layout, server: other, adopted: true };
    const binaries = installBinaries(layout.home);
    if (!existsSync(layout.data)) await createCluster(layout, binaries, user, options.durable ?? true);
    checkVersion(layout, binaries);
    removeOtherBinaries(layout.home, binaries);
    removeOldLogs(layout);
    removeMisleadingPid(layout);
    const server = await launch(layout, binaries.postgres, user, chooseSocketFolder(layout, user));
    return { layout, server, adopted: false };
  });
}

/** The data folder and the home are passable for the server's user; what is secret lies in folders of 0700. */
function makeHome(layout: Layout, user: ServerUser): void {
  try {
    if (user.isOther) makeFolder(dirname(layout.home), 0o711);
    makeFolder(layout.home, user.isOther ? 0o711 : 0o700);
    makeFolder(layout.log, 0o700, user);
  } catch (error) {
    const foreign = foreignFolder(layout.home);
    if (foreign !== undefined) {
      throw new KwError(`the folder of the embedded database belongs to another user: ${foreign}`, {
        code: 'EMBEDDED_FOLDER',
        hint: 'set KW_DATABASE_URL to a database that you may use, or KW_DATA_DIR to a folder of your own',
        cause: error,
      });
    }
    throw new KwError(`the folder of the embedded database cannot be made: ${(error as Error).message}`, {
      code: 'EMBEDDED_FOLDER',
      hint: 'set KW_DATA_DIR to a folder in which you may write',
      cause: error,
    });
  }
}

/** The folder, or the one that shuts it away, if it is another user's. Root may use all: the server runs as its owner. */
function foreignFolder(path: string): string | undefined {
  const uid = process.getuid?.();
  if (uid === undefined || uid === 0) return undefined;
  try {
    return statSync(path).uid === uid ? undefined : path;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? foreignFolder(dirname(path)) : undefined;
  }
}

/** Waits while a server starts or stops. Resolves to the one that is ready, or undefined if there is none. */
async function settle(layout: Layout): Promise<ServerProcess | undefined> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const server = findProcess(layout);
    if (!server || server.ready) return server;
    if (Date.now() > deadline) throw notReady(layout);
    await sleep(POLL_MS);
  }
}

function notReady(layout: Layout): KwError {
  return new KwError(`the embedded database is not ready after ${START_TIMEOUT_MS / 1000} s`, {
    code: 'EMBEDDED_START',
    hint: `its log is in ${layout.log}`,
  });
}

/**
 * The number in a postmaster.pid that a crash left may belong by now to another process of the same user, and
 * PostgreSQL would then refuse to start. It goes only if no process at all works in the data folder.
 */
function removeMisleadingPid(layout: Layout): void {
  if (process.platform !== 'linux' || processesIn(layout.data).length > 0) return;
  rmSync(layout.postmasterPid, { force: true });
}

function removeOldLogs(layout: Layout): void {
  const names = readdirSync(layout.log).filter((name) => name.startsWith('postgresql-'));
  for (const name of names.sort().slice(0, -LOGS_KEPT)) rmSync(join(layout.log, name), { force: true });
}

/** `<home>/run`, or a short private folder where a socket's path would not fit. */
function chooseSocketFolder(layout: Layout, user: ServerUser): string {
  const inHome = join(layout.home, 'run');
  if (socketPathFits(inHome)) {
    makeFolder(inHome, 0o700, user);
    return inHome;
  }
  const folder = mkdtempSync('/tmp/kw-');
  makeFolder(folder, 0o700, user);
  return folder;
}

async function launch(
  layout: Layout,
  postgres: string,
  user: ServerUser,
  socketFolder: string,
): Promise<ServerProcess> {
  const startLog = join(layout.log, 'start.log');
  const output = openSync(startLog, 'w', 0o600);
  const settings = {
    listen_addresses: '',
    port: String(PORT),
    unix_socket_directories: `"${socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    log_directory: layout.log,
  };
  const child = spawn(
    postgres,
    ['-D', layout.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      cwd: '/',
      env: SERVER_ENV,
      detached: true,
      stdio: ['ignore', output, output],
      ...(user.isOther ? { uid: user.uid, gid: user.gid } : {}),
    },
  );
  closeSync(output);
  try {
    return await untilReady(layout, child, startLog);
  } finally {
    child.unref();
  }
}

async function untilReady(layout: Layout, child: ChildProcess, startLog: string): Promise<ServerProcess> {
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const server = findProcess(layout);
    if (server?.ready && server.pid === child.pid) return server;
    if (child.exitCode !== null || child.signalCode !== null) {
      const status = child.signalCode ?? child.exitCode;
      failure ??= reasonIn(readFileSync(startLog, 'utf8')) || `postgres ended with ${status}`;
    }
    if (failure !== undefined) {
      throw new KwError(`the embedded database does not start: ${failure}`, {
        code: 'EMBEDDED_START',
        hint: `see ${layout.log}`,
      });
    }
    if (Date.now() > deadline) throw notReady(layout);
    await sleep(POLL_MS);
  }
}

/** Removes the socket folder of a stopped server if it was one of those made in /tmp. */
export function removeSocketFolder(socketFolder: string): void {
  if (!/^\/tmp\/kw-[^/]+$/.test(socketFolder)) return;
  const owned = statSync(socketFolder, { throwIfNoEntry: false });
  if (owned?.isDirectory()) rmSync(socketFolder, { recursive: true, force: true });
}
