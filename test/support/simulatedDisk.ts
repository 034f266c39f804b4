/**
 * A disk in memory under the spool: it can fail, be cut off after any operation, and lose whatever was not synced, as
 * a power cut does. Names are journaled in order, so a power cut keeps a first part of the changes to a folder; of
 * unsynced data each sector of 512 bytes is kept or not by itself, and one that is not is what it was before, or zeros.
 */
import { dirname } from 'node:path';
import type { Purpose, SpoolFile, SpoolFiles } from '../../src/lib/spool/files.ts';

export type Operation =
  | 'makeFolder'
  | 'create'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'open'
  | 'read'
  | 'list';

/** Throws to make the operation fail; a number is how many bytes of a write go in before it fails with ENOSPC. */
export type Fault = (operation: Operation, path: string) => number | undefined;

interface Inode {
  data: Buffer;
  durable: Buffer;
  changedAtMs: number;
}

type NameChange =
  | { readonly kind: 'create'; readonly path: string; readonly inode: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string };

const SECTOR_BYTES = 512;
const READING = new Set<Operation>(['open', 'read', 'list']);

export function systemError(code: string, words: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${words}, test`), { code });
}

export class SimulatedDisk implements SpoolFiles {
  fault: Fault = () => undefined;
  /** After so many operations that change something, nothing is answered any more. */
  stopAfter = Number.POSITIVE_INFINITY;
  onStopped: () => void = () => {};
  /** Those that were done. */
  operations = 0;
  readonly log: string[] = [];
  free = 2 ** 40;

  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  #changes: NameChange[] = [];
  readonly #folders = new Set<string>();

  async makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    await this.#step('makeFolder', folder);
    this.#folders.add(folder);
  }

  async list(folder: string): Promise<string[]> {
    await this.#step('list', folder);
    if (!this.#folders.has(folder)) throw systemError('ENOENT', 'no such file or directory');
    return this.paths(folder).map((path) => path.slice(folder.length + 1));
  }

  async open(path: string, purpose: Purpose): Promise<SpoolFile> {
    let inode = this.#names.get(path);
    if (purpose === 'read' || purpose === 'write' || (purpose === 'change' && inode)) {
      await this.#step('open', path);
      if (!inode) throw systemError('ENOENT', 'no such file or directory');
    } else {
      await this.#step('create', path);
      if (inode) throw systemError('EEXIST', 'file already exists');
      if (!this.#folders.has(dirname(path))) throw systemError('ENOENT', 'no such file or directory');
      inode = { data: Buffer.alloc(0), durable: Buffer.alloc(0), changedAtMs: Date.now() };
      this.#names.set(path, inode);
      this.#changes.push({ kind: 'create', path, inode });
    }
    return this.#file(path, inode);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename', from);
    const change = { kind: 'rename', from, to } as const;
    apply(this.#names, change);
    this.#changes.push(change);
  }

  async remove(path: string): Promise<void> {
    await this.#step('remove', path);
    if (!this.#names.has(path)) throw systemError('ENOENT', 'no such file or directory');
    const change = { kind: 'remove', path } as const;
    apply(this.#names, change);
    this.#changes.push(change);
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#step('syncFolder', folder);
    for (const change of this.#changes) apply(this.#durableNames, change);
    this.#changes = [];
  }

  async freeBytes(): Promise<number> {
    return this.free;
  }

  /** Sorted. */
  paths(folder: string): string[] {
    return [...this.#names.keys()].filter((path) => dirname(path) === folder).sort();
  }

  /** What a file holds, for tests that change it. */
  get(path: string): Buffer {
    const inode = this.#names.get(path);
    if (!inode) throw new Error(`no file ${path}`);
    return inode.data;
  }

  /** Puts a file there, synced. */
  put(path: string, data: Uint8Array): void {
    const inode = { data: Buffer.from(data), durable: Buffer.from(data), changedAtMs: Date.now() };
    this.#folders.add(dirname(path));
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  /** The disk as a new process finds it when this one was killed. */
  afterKill(): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const folder of this.#folders) disk.#folders.add(folder);
    for (const [path, { data }] of this.#names) disk.put(path, data);
    return disk;
  }

  /** The disk as it may be after a power cut; `next` throws the dice. */
  afterPowerCut(next: () => number): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const folder of this.#folders) disk.#folders.add(folder);
    const names = new Map(this.#durableNames);
    const kept = next() % (this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) apply(names, change);
    for (const [path, inode] of names) disk.put(path, survivors(inode, next));
    return disk;
  }

  #file(path: string, inode: Inode): SpoolFile {
    return {
      read: async (buffer, position) => {
        await this.#step('read', path);
        return inode.data.copy(buffer, 0, Math.min(position, inode.data.length));
      },
      write: async (parts, position) => {
        const bytes = Buffer.concat(parts);
        const fits = await this.#step('write', path);
        const written = fits === undefined ? bytes : bytes.subarray(0, fits);
        const data = Buffer.alloc(Math.max(inode.data.length, position + written.length));
        inode.data.copy(data);
        written.copy(data, position);
        inode.data = data;
        inode.changedAtMs = Date.now();
        if (fits !== undefined) throw systemError('ENOSPC', 'no space left on device');
      },
      truncate: async (bytes) => {
        await this.#step('truncate', path);
        const data = Buffer.alloc(bytes);
        inode.data.copy(data);
        inode.data = data;
      },
      sync: async () => {
        await this.#step('sync', path);
        inode.durable = Buffer.from(inode.data);
      },
      size: async () => inode.data.length,
      changedAtMs: async () => inode.changedAtMs,
      close: async () => {},
    };
  }

  async #step(operation: Operation, path: string): Promise<number | undefined> {
    // A turn of the event loop, as with a real disk.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.operations >= this.stopAfter) {
      this.onStopped();
      await new Promise(() => {});
    }
    const fits = this.fault(operation, path);
    if (!READING.has(operation)) {
      this.operations++;
      this.log.push(`${operation} ${path}`);
    }
    return fits;
  }
}

function apply(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === 'create') {
    names.set(change.path, change.inode);
  } else if (change.kind === 'remove') {
    names.delete(change.path);
  } else {
    const inode = names.get(change.from);
    if (inode) names.set(change.to, inode);
    names.delete(change.from);
  }
}

function survivors({ data, durable }: Inode, next: () => number): Buffer {
  if (data.equals(durable)) return durable;
  const whole = [durable.length, data.length][next() % 2] as number;
  const result = Buffer.alloc(whole);
  for (let start = 0; start < whole; start += SECTOR_BYTES) {
    const source = next() % 2 === 0 ? data : durable;
    source.copy(result, start, Math.min(start, source.length), Math.min(start + SECTOR_BYTES, whole));
  }
  return result;
}
