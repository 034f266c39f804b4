/**
 * Where the values of `kw push --spool` wait: `<data folder>/push-spool`, for its user only.
 *
 *   push-spool/node-1-1/   lock        held by the process that uses it
 *                          spool.json  {"id": UUID, "target": for which database or server}
 *                          *.seg, ...  the spool itself (src/lib/spool/)
 *   push-spool/node-1-2/   of another process at the same time, or for another target
 *
 * Names begin with that of the machine: homes are often shared, and a lock holds on one machine. No file has a secret:
 * the target is a name without user's password or token.
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { KwError, systemWords } from '../errors.ts';
import { segmentOf } from '../spool/format.ts';
import type { SpoolEvents } from '../spool/model.ts';
import { Spool } from '../spool/spool.ts';
import { lockFolder } from './folderLock.ts';

/** Processes at the same time, and targets with waiting values. */
const MAX_FOLDERS = 1_000;
const DEFAULT_MAX_BYTES = 2 ** 30;
/** One that was sent in part when the process was killed is sent again from its start. */
const SEGMENT_BYTES = 4 << 20;

/** One that this process has for itself. */
export interface HeldSpool {
  readonly spool: Spool;
  /** UUID by which the database knows it. */
  readonly id: string;
  readonly folder: string;
  release(): Promise<void>;
}

interface Identity {
  readonly id: string;
  readonly target: string;
}

export class SpoolFolders {
  readonly #folder: string;
  readonly #events: SpoolEvents;

  constructor(dataFolder: string, events: SpoolEvents = {}) {
    this.#folder = join(dataFolder, 'push-spool');
    this.#events = events;
  }

  /** The first that is free and for this target, or empty; made if need be. @throws KwError PUSH_SPOOL_FOLDER */
  async take(target: string): Promise<HeldSpool> {
    return await this.#explain(async () => {
      ensureOwnFolder(this.#folder);
      for (let number = 1; number <= MAX_FOLDERS; number++) {
        const held = await this.#hold(`${machine()}-${number}`, target, false);
        if (held !== undefined) return held;
      }
      throw new KwError(`${MAX_FOLDERS} spools are in use in ${this.#folder}`, {
        code: 'PUSH_SPOOL_FOLDER',
        hint: 'are so many kw push --spool running?',
      });
    });
  }

  /** Others for this target in which something waits, one after the other, as far as no process has them. */
  async *others(target: string): AsyncGenerator<HeldSpool> {
    for (const name of this.#names()) {
      if (!name.startsWith(`${machine()}-`) || !hasSegments(join(this.#folder, name))) continue;
      // One that cannot be used keeps nobody from the others.
      const held = await this.#hold(name, target, true).catch(() => undefined);
      if (held !== undefined) yield held;
    }
  }

  /** Other targets for which something waits. */
  otherTargets(target: string): string[] {
    const targets = this.#names()
      .filter((name) => hasSegments(join(this.#folder, name)))
      .map((name) => readIdentity(join(this.#folder, name)))
      .flatMap((identity) => (identity === undefined || identity === 'damaged' ? [] : [identity.target]));
    return [...new Set(targets)].filter((other) => other !== target);
  }

  /** Bytes that wait in all of them, except in one. */
  bytesBeside(folder: string): number {
    let bytes = 0;
    for (const name of this.#names()) {
      const path = join(this.#folder, name);
      if (path === folder) continue;
      for (const file of listed(path)) if (isSegment(file)) bytes += sizeOf(join(path, file));
    }
    return bytes;
  }

  /** What all may have together unless told: 1 GiB or half of what is free with them removed, whichever is less. */
  async defaultMaxBytes(waitingBytes: number): Promise<number> {
    const { bavail, bsize } = await statfs(this.#folder);
    return Math.min(DEFAULT_MAX_BYTES, Math.floor((bavail * bsize + waitingBytes) / 2));
  }

  async #hold(name: string, target: string, mustExist: boolean): Promise<HeldSpool | undefined> {
    const folder = join(this.#folder, name);
    if (!mustExist) mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isOwn(folder)) return undefined;
    const lock = await lockFolder(folder);
    if (lock === undefined) return undefined;
    try {
      const identity = readIdentity(folder);
      const isFree = identity === undefined || !hasSegments(folder);
      if (identity === 'damaged' ? !isFree : identity?.target !== target && !isFree) {
        await lock.release();
        return undefined;
      }
      const id = identity === undefined || identity === 'damaged' ? randomUUID() : identity.id;
      if (identity === undefined || identity === 'damaged' || identity.target !== target)
        writeIdentity(folder, { id, target });
      const spool = await Spool.open(folder, {
        ownerId: id,
        maxBytes: Number.MAX_SAFE_INTEGER,
        segmentBytes: SEGMENT_BYTES,
        events: this.#events,
      });
      const release = async () => {
        await spool.close();
        await lock.release();
      };
      return { spool, id, folder, release };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  #names(): string[] {
    return listed(this.#folder).sort(byNumber);
  }

  async #explain<T>(use: () => Promise<T>): Promise<T> {
    try {
      return await use();
    } catch (error) {
      if (error instanceof KwError || !(error instanceof Error) || !('code' in error)) throw error;
      throw new KwError(`the folder ${this.#folder} cannot be used: ${systemWords(error)}`, {
        code: 'PUSH_SPOOL_FOLDER',
        hint: 'make room or set KW_DATA_DIR to a folder that this user may write; without --spool nothing is written there',
        cause: error,
      });
    }
  }
}

/** Values are its user's: nobody else may read or put some there. */
function ensureOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOwn(folder)) {
    throw new KwError(`the folder ${folder} belongs to another user`, {
      code: 'PUSH_SPOOL_FOLDER',
      hint: 'set KW_DATA_DIR to a folder of your own',
    });
  }
  if ((statSync(folder).mode & 0o077) !== 0) chmodSync(folder, 0o700);
}

function isOwn(folder: string): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && (process.getuid === undefined || stat.uid === process.getuid());
}

/** Up to the first dot, as far as it can stand in a file's name. */
function machine(): string {
  return (hostname().split('.', 1)[0] ?? '').replace(/[^\w-]/g, '_').slice(0, 64) || 'here';
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

function hasSegments(folder: string): boolean {
  return listed(folder).some(isSegment);
}

function isSegment(name: string): boolean {
  return segmentOf(name) !== undefined;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readIdentity(folder: string): Identity | 'damaged' | undefined {
  const path = join(folder, 'spool.json');
  if (!existsSync(path)) return undefined;
  try {
    const { id, target } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Identity>;
    if (
      typeof id === 'string' &&
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) &&
      typeof target === 'string'
    )
      return { id, target };
  } catch {}
  return 'damaged';
}

function writeIdentity(folder: string, identity: Identity): void {
  const path = join(folder, 'spool.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(identity)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
