/**
 * One throwaway embedded server for a vitest run: sets KW_TEST_POSTGRES_URL, unless the caller gave one.
 * Nothing of it is ever flushed to disk. test/support/database.ts makes the databases in it.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded, stopEmbedded } from '../../src/lib/database/embedded/server.ts';

const PREFIX = 'kw-test-server-';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
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
