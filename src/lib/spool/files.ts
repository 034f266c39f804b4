/**
 * The calls of the file system that the spool uses, and nothing else of it: so that a test can stop it after each one,
 * or put a disk in its place that fails or forgets.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, statfs, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export interface SpoolFile {
  /** Reads until the buffer is full or the file ends; resolves to the bytes read. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes everything, or throws; then some of it may be in the file. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  truncate(bytes: number): Promise<void>;
  /** Data and size are on the disk when it resolves. */
  sync(): Promise<void>;
  /** Bytes. */
  size(): Promise<number>;
  /** Of the last change, milliseconds since 1970. */
  changedAtMs(): Promise<number>;
  close(): Promise<void>;
}

export type Purpose = 'read' | 'create' | 'write' | 'change';

export interface SpoolFiles {
  /** With its parents, for its owner only; on the disk when it resolves. */
  makeFolder(folder: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** `create` fails where the file exists, `write` where it does not; `change` makes it if need be. */
  open(path: string, purpose: Purpose): Promise<SpoolFile>;
  /** Replaces what has the name already. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Names made, changed and removed in the folder are on the disk when it resolves. */
  syncFolder(folder: string): Promise<void>;
  /** Bytes that an ordinary user may still take on the file system of the folder. */
  freeBytes(folder: string): Promise<number>;
}

const FLAGS = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  write: constants.O_RDWR,
  change: constants.O_RDWR | constants.O_CREAT,
};

/** The real ones: asynchronous, so that a slow disk never holds up the polls. */
export const realFiles: SpoolFiles = {
  async makeFolder(folder) {
    const first = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    // Each name that was made is on the disk only when the folder above it is.
    for (let made = resolve(folder); made.length >= first.length; made = dirname(made)) {
      await realFiles.syncFolder(dirname(made));
    }
  },
  list: (folder) => readdir(folder),
  open: async (path, purpose) => new RealFile(await open(path, FLAGS[purpose], 0o600)),
  rename,
  remove: unlink,
  async syncFolder(folder) {
    const handle = await open(folder, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

class RealFile implements SpoolFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = parts.filter((part) => part.length > 0);
    let offset = position;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, offset);
      offset += bytesWritten;
      rest = after(rest, bytesWritten);
    }
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async changedAtMs(): Promise<number> {
    return (await this.#handle.stat()).mtimeMs;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What is left of the parts when so many bytes of them are written. */
function after(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  let index = 0;
  while (index < parts.length && skip >= (parts[index] as Uint8Array).length) {
    skip -= (parts[index] as Uint8Array).length;
    index++;
  }
  const rest = parts.slice(index);
  if (skip > 0) rest[0] = (rest[0] as Uint8Array).subarray(skip);
  return rest;
}
