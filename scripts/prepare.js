/**
 * Makes a fresh clone ready: installs the packages and builds, each only where it is missing or stale.
 * Plain Node without packages: it runs before there are any.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** @param say receives one line for each thing that is done */
export async function prepare(say) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 11)) {
    throw new Error(`kw needs Node 20.11 or later, and this is ${process.versions.node}`);
  }
  if (!isInstalled()) {
    say('installing packages (npm ci)');
    npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  const { build, isFresh } = await import('./build.js');
  if (!isFresh()) {
    say('building');
    await build();
  }
}

/** Whether node_modules holds what package-lock.json says. More may be there. */
function isInstalled() {
  const wanted = readLock(join(root, 'package-lock.json'));
  const found = readLock(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.optional || entry.devOptional || entry.peer) return true;
    return found[path]?.version === entry.version && existsSync(join(root, path));
  });
}

function readLock(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

function npm(args) {
  const { status, error } = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw new Error(`npm cannot be started: ${error.message}`);
  if (status !== 0) throw new Error(`npm ${args[0]} failed`);
}
