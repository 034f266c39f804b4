/**
 * A file that is there whole or not at all: written under a temporary name beside its place, flushed to the disk,
 * then renamed. Compressed when its name ends in `.gz`.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, link, lstat, open, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { createGzip, type Gzip } from 'node:zlib';
import { KwError, systemWords } from '../errors.ts';
import type { Destination } from './destination.ts';

export interface ExportFile extends Destination {
  /** Bytes in the file so far. */
  readonly bytes: number;
}

/**
 * @throws KwError FILE_EXISTS unless `force`, FILE_FAILED with the system's words
 */
export async function createExportFile(path: string, { force = false } = {}): Promise<ExportFile> {
  const target = await checkTarget(path, force);
  const temporary = join(
    dirname(target),
    `.${basename(target).slice(0, 200)}.${randomBytes(4).toString('hex')}.part`,
  );
  const file = await open(temporary, 'wx').catch((error: Error) => {
    throw failed(path, error);
  });
  return target.endsWith('.gz')
    ? new GzipFile(path, target, temporary, file, force)
    : new PlainFile(path, target, temporary, file, force);
}

class PlainFile implements ExportFile {
  bytes = 0;
  readonly #path: string;
  readonly #target: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #force: boolean;
  #done = false;

  constructor(path: string, target: string, temporary: string, file: FileHandle, force: boolean) {
    this.#path = path;
    this.#target = target;
    this.#temporary = temporary;
    this.#file = file;
    this.#force = force;
  }

  async write(bytes: Buffer): Promise<void> {
    try {
      await this.#file.writeFile(bytes);
    } catch (error) {
      throw failed(this.#path, error as Error);
    }
    this.bytes += bytes.length;
  }

  async close(): Promise<void> {
    try {
      await this.#file.sync();
      await this.#file.close();
      // link() refuses an existing name, which rename() would replace: somebody may have made it meanwhile.
      if (this.#force) await rename(this.#temporary, this.#target);
      else await linkOrRename(this.#temporary, this.#target);
      this.#done = true;
      await syncFolder(dirname(this.#target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw exists(this.#path);
      throw failed(this.#path, error as Error);
    } finally {
      this.abort();
    }
  }

  abort(): void {
    if (this.#done) return;
    this.#done = true;
    rmSync(this.#temporary, { force: true });
  }
}

class GzipFile extends PlainFile {
  readonly #gzip: Gzip;
  readonly #writing: Promise<void>;
  #failure: unknown;

  constructor(path: string, target: string, temporary: string, file: FileHandle, force: boolean) {
    super(path, target, temporary, file, force);
    this.#gzip = createGzip();
    this.#writing = this.#drain();
    this.#writing.catch(() => undefined);
  }

  override async write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#gzip.write(bytes)) return;
    await Promise.race([new Promise<void>((done) => this.#gzip.once('drain', done)), this.#writing]);
  }

  override async close(): Promise<void> {
    this.#gzip.end();
    await this.#writing;
    await super.close();
  }

  override abort(): void {
    this.#gzip.destroy();
    super.abort();
  }

  async #drain(): Promise<void> {
    try {
      for await (const compressed of this.#gzip) await super.write(compressed as Buffer);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

/** Where to write: through a symbolic link, to what it stands for. Never in the place of a device or a pipe. */
async function checkTarget(path: string, force: boolean): Promise<string> {
  if (path === '' || path.includes('\0'))
    throw new KwError('the name of the file is empty or has a NUL character', { code: 'FILE_FAILED' });
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return resolve(path);
  const target = await realpath(path).catch((error: Error) => {
    throw failed(path, error);
  });
  const state = await lstat(target);
  if (state.isDirectory())
    throw new KwError(`${path} is a folder`, { code: 'FILE_FAILED', hint: 'name a file in it' });
  if (!state.isFile()) {
    throw new KwError(`${path} is no ordinary file`, {
      code: 'FILE_FAILED',
      hint: 'write to it with -o - and >',
    });
  }
  if (!force) throw exists(path);
  return target;
}

async function linkOrRename(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
    await rm(from);
  } catch (error) {
    // Some file systems (FAT, many network ones) have no hard links.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    await rename(from, to);
  }
}

/** The new name is on the disk only when its folder is. Not every file system can. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

function exists(path: string): KwError {
  return new KwError(`${path} exists already`, { code: 'FILE_EXISTS', hint: 'add --force to replace it' });
}

function failed(path: string, error: Error): KwError {
  return new KwError(`cannot write ${path}: ${systemWords(error)}`, { code: 'FILE_FAILED', cause: error });
}
