/** Makes the data folder of the embedded server (what PostgreSQL calls a cluster), and checks an existing one. */
import { execFile } from 'node:child_process';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KwError } from '../../errors.ts';
import type { Binaries } from './binaries.ts';
import { newCredentials } from './credentials.ts';
import { type Layout, makeFolder } from './layout.ts';
import type { ServerUser } from './serverUser.ts';
import { tuning } from './tuning.ts';

const INITDB_TIMEOUT_MS = 120_000;

/** Local connections with the password; nothing else. */
const PG_HBA = 'local all all scram-sha-256\n';

const LINES_TOLD = 2;

/** The server's environment: none of the caller's PG* variables and locales. */
export const SERVER_ENV: NodeJS.ProcessEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Runs initdb in a temporary folder and renames it, so that `data` is there as a whole or not at all. */
export async function createCluster(
  layout: Layout,
  binaries: Binaries,
  user: ServerUser,
  durable: boolean,
): Promise<void> {
  const temporary = join(layout.home, `new-data-${process.pid}`);
  const passwordFile = join(layout.home, `new-password-${process.pid}`);
  const credentials = newCredentials();
  rmSync(temporary, { recursive: true, force: true });
  makeFolder(temporary, 0o700, user);
  try {
    writeOwned(passwordFile, credentials.password, user);
    await runInitdb(binaries, user, [
      ...['--pgdata', temporary, '--username', credentials.user, '--pwfile', passwordFile],
      ...[
        '--auth',
        'scram-sha-256',
        '--encoding',
        'UTF8',
        '--locale-provider',
        'builtin',
        '--locale',
        'C.UTF-8',
      ],
      ...(durable ? [] : ['--no-sync']),
      ...Object.entries(tuning(durable)).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    ]);
    writeOwned(join(temporary, 'pg_hba.conf'), PG_HBA, user);
    writeOwned(join(temporary, 'kw-credentials.json'), `${JSON.stringify(credentials, null, 2)}\n`, user);
    renameSync(temporary, layout.data);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function writeOwned(file: string, text: string, user: ServerUser): void {
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  if (user.isOther) chownSync(file, user.uid, user.gid);
}

async function runInitdb(binaries: Binaries, user: ServerUser, args: string[]): Promise<void> {
  try {
    await promisify(execFile)(binaries.initdb, args, {
      cwd: '/',
      env: SERVER_ENV,
      timeout: INITDB_TIMEOUT_MS,
      ...(user.isOther ? { uid: user.uid, gid: user.gid } : {}),
    });
  } catch (error) {
    const { code, stderr } = error as { code?: string | number; stderr?: string };
    throw new KwError(
      `the embedded database cannot be made: ${reasonIn(stderr) || `initdb ended with ${code}`}`,
      {
        code: 'EMBEDDED_INIT',
        hint:
          code === 'EPERM'
            ? 'root may not change to another user here; run kw as an ordinary user, or set KW_DATABASE_URL'
            : 'or set KW_DATABASE_URL to a PostgreSQL server',
        cause: error,
      },
    );
  }
}

/** What initdb or postgres said last, in one line: `FATAL: ...; HINT: ...`, without times and process numbers. */
export function reasonIn(log: string | undefined): string {
  const lines = (log ?? '').split('\n').map((line) => line.replace(/^[-0-9]+ [:.0-9]+ UTC \[\d+\] /, ''));
  const said = lines.map((line) => line.replace(/\s+/g, ' ').trim()).filter(Boolean);
  return said.slice(-LINES_TOLD).join('; ');
}

/** @throws KwError when the data folder is of another major version than the binaries. */
export function checkVersion(layout: Layout, binaries: Binaries): void {
  const file = join(layout.data, 'PG_VERSION');
  if (!existsSync(file)) {
    throw new KwError(`${layout.data} is no data folder of PostgreSQL`, {
      code: 'EMBEDDED_VERSION',
      hint: 'move it away, or set KW_DATA_DIR to another folder',
    });
  }
  const found = readFileSync(file, 'utf8').trim();
  if (found === binaries.major) return;
  throw new KwError(
    `the embedded database was made by PostgreSQL ${found}, and this kw brings PostgreSQL ${binaries.major}`,
    {
      code: 'EMBEDDED_VERSION',
      hint: `start it with the kw that made it and run \`kw db move --to URL\`, or move ${layout.data} away to begin anew`,
    },
  );
}
