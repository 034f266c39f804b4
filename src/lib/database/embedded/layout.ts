/**
 * Where the files of the embedded server are.
 *
 *   <home>/                    <data folder>/postgres, or /var/lib/kw/<hash> (see homeOf)
 *     binaries-<version>/      PostgreSQL itself, copied out of node_modules: the server outlives `npm ci`
 *     data/                    PGDATA, 0700; holds kw-credentials.json, 0600, so that both appear at once
 *     run/                     the unix socket, 0700
 *     log/                     server logs
 *     lock                     held while one process makes, starts or stops the server
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ServerUser } from './serverUser.ts';

/** Names the socket file only; the server does not listen on TCP. */
export const PORT = 5432;

/** sun_path has 108 bytes on Linux and 104 on macOS, with the closing NUL. */
const MAX_SOCKET_PATH_BYTES = 103;

export interface Layout {
  readonly home: string;
  readonly data: string;
  readonly log: string;
  readonly lock: string;
  readonly credentials: string;
  readonly postmasterPid: string;
}

function layoutOf(home: string): Layout {
  const data = join(home, 'data');
  return {
    home,
    data,
    log: join(home, 'log'),
    lock: join(home, 'lock'),
    credentials: join(data, 'kw-credentials.json'),
    postmasterPid: join(data, 'postmaster.pid'),
  };
}

function homeInDataFolder(dataFolder: string): string {
  return join(resolve(dataFolder), 'postgres');
}

/** For root whose data folder the server's user cannot reach, such as one under a /root of mode 0700. */
function homeInVarLib(dataFolder: string): string {
  const hash = createHash('sha256').update(resolve(dataFolder)).digest('hex').slice(0, 12);
  return join('/var/lib/kw', hash);
}

/**
 * The layout of an existing server, or undefined if there is none.
 * Synchronous and cheap: every command that needs a database asks.
 */
export function findLayout(dataFolder: string): Layout | undefined {
  for (const home of [homeInDataFolder(dataFolder), homeInVarLib(dataFolder)]) {
    if (existsSync(join(home, 'data'))) return layoutOf(home);
  }
  return undefined;
}

/** Where a new server for this user goes. Nothing is created. */
export function newLayout(dataFolder: string, user: ServerUser): Layout {
  const reachable = !user.isOther || ancestorsAllow(dirname(resolve(dataFolder)));
  return layoutOf(reachable ? homeInDataFolder(dataFolder) : homeInVarLib(dataFolder));
}

/** Whether a foreign user may pass through a folder and all above it (the execute bit for others). */
function ancestorsAllow(folder: string): boolean {
  const parent = dirname(folder);
  const info = statSync(folder, { throwIfNoEntry: false });
  // A folder that is yet to be made will be made passable.
  if (info && (info.mode & 0o001) === 0) return false;
  return parent === folder || ancestorsAllow(parent);
}

function socketFile(socketFolder: string): string {
  return join(socketFolder, `.s.PGSQL.${PORT}`);
}

export function socketPathFits(socketFolder: string): boolean {
  return Buffer.byteLength(socketFile(socketFolder)) <= MAX_SOCKET_PATH_BYTES;
}

/** Makes a folder and its missing parents with exactly this mode, whatever the umask; it belongs to `owner`. */
export function makeFolder(path: string, mode: number, owner?: ServerUser): void {
  if (!existsSync(dirname(path))) makeFolder(dirname(path), mode);
  if (!existsSync(path)) mkdirSync(path, { mode });
  if (owner?.isOther) chownSync(path, owner.uid, owner.gid);
  chmodSync(path, mode);
}
