/** Finds kw.yaml, and decides whether it may be believed. */
import { lstatSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { KwError } from '../errors.ts';

/** What finding settings depends on; tests give their own. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** `/etc/kwollect` */
  readonly systemFolder: string;
  /** User id of this process; undefined where the system has none (Windows). */
  readonly uid: number | undefined;
}

export function realSurroundings(): Surroundings {
  return {
    env: process.env,
    cwd: process.cwd(),
    systemFolder: '/etc/kwollect',
    uid: process.getuid?.(),
  };
}

export interface SettingsFile {
  readonly path: string;
  /** Throws KwError CONFIG_UNSAFE when the file may have been written by somebody else. */
  readonly check: (stat: Stats) => void;
}

/** The file to read: `--config`, `KW_CONFIG`, else the first that exists of the three places. */
export function findSettingsFile(named: string | undefined, around: Surroundings): SettingsFile | undefined {
  const explicit = named || around.env.KW_CONFIG;
  if (explicit) {
    const path = resolve(around.cwd, explicit);
    return { path, check: (stat) => refuseWritable(path, stat, around) };
  }
  for (const { path, shared } of places(around)) {
    const link = lstatSync(path, { throwIfNoEntry: false });
    if (link === undefined) continue;
    const check = (stat: Stats) => {
      if (shared) {
        refuseForeign(path, link, around);
        refuseForeign(path, stat, around);
      }
      refuseWritable(path, stat, around);
    };
    return { path, check };
  }
  return undefined;
}

/** Where `findSettingsFile` looks, in order. */
export function settingsPlaces(
  named: string | undefined,
  around: Surroundings = realSurroundings(),
): string[] {
  const explicit = named || around.env.KW_CONFIG;
  return explicit ? [resolve(around.cwd, explicit)] : places(around).map(({ path }) => path);
}

/** The three places, in order. `shared`: anybody may be the owner of this folder. */
function places(around: Surroundings): { path: string; shared: boolean }[] {
  const xdg = around.env.XDG_CONFIG_HOME;
  const home = around.env.HOME || homedir();
  const userFolder = xdg && isAbsolute(xdg) ? xdg : join(home, '.config');
  return [
    { path: join(around.cwd, 'kw.yaml'), shared: true },
    { path: join(userFolder, 'kw', 'kw.yaml'), shared: false },
    { path: join(around.systemFolder, 'kw.yaml'), shared: false },
  ];
}

/**
 * The working folder may be /tmp or a project's shared folder, where anyone can leave a kw.yaml whose
 * database_url leads to a server of their own: it would be given samples, and the password that
 * `${env:...}` stands for. So a file found there must belong to this user or to root. One that is named with
 * --config or KW_CONFIG was chosen by the user.
 */
function refuseForeign(path: string, stat: Stats, around: Surroundings): void {
  if (around.uid === undefined || stat.uid === around.uid || stat.uid === 0) return;
  throw new KwError(`${path} belongs to another user (uid ${stat.uid}), so kw does not read it`, {
    code: 'CONFIG_UNSAFE',
    hint: `if you trust it, name it: --config ${path}; else remove it or work in another folder`,
  });
}

function refuseWritable(path: string, stat: Stats, around: Surroundings): void {
  if (around.uid === undefined || (stat.mode & 0o002) === 0) return;
  throw new KwError(`${path} can be changed by every user of this machine, so kw does not read it`, {
    code: 'CONFIG_UNSAFE',
    hint: `look at what it holds, then: chmod o-w ${path}`,
  });
}
