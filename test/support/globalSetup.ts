/**
 * Before a run of the integration tests: dist/ is built, for tests that run kw as a program, and one throwaway
 * embedded server is started, whose URL is in KW_TEST_POSTGRES_URL, unless the caller gave one.
 * Nothing of it is ever flushed to disk. test/support/database.ts makes the databases in it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded, stopEmbedded } from '../../src/lib/database/embedded/server.ts';
import { packageRoot } from '../../src/lib/packageRoot.ts';

const PREFIX = 'kw-test-server-';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  execFileSync(process.execPath, [join(packageRoot(), 'scripts', 'build.js')], { stdio: 'pipe' });
  if (process.env.KW_TEST_POSTGRES_URL) return undefined;
  await removeLeftBehind();
  const folder = join(tmpdir(), `${PREFIX}${process.pid}`);
  mkdirSync(folder);
  const { url } = await startEmbedded(folder, { durable: false, migrate: false });
  process.env.KW_TEST_POSTGRES_URL = url;
  return () => remove(folder);
}

async function remove(folder: string): Promise<void> {
  await stopEmbedded(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** A run that was killed could not stop its server, which outlives its starter by design. */
async function removeLeftBehind(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length)) : Number.NaN;
    if (Number.isInteger(pid) && !lives(pid)) await remove(join(tmpdir(), name)).catch(() => undefined);
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
