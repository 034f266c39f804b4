/**
 * Numbers of segments, never used twice: the ledger of the database would take a second one for what it has stored
 * already. They begin at the clock's milliseconds; a file keeps them rising when the clock was set back and no segment
 * is left to tell. It holds a number that none was given above, moved on by a thousand at a time.
 */
import { join } from 'node:path';
import type { SpoolFiles } from './files.ts';

const FILE = 'next-segment';
const RESERVE = 1000;

export class SegmentNumbers {
  readonly #files: SpoolFiles;
  readonly #folder: string;
  #last: number;
  /** As the file says: numbers below may have been used. */
  #reserved = 0;

  constructor(files: SpoolFiles, folder: string, least: number) {
    this.#files = files;
    this.#folder = folder;
    this.#last = Math.max(Date.now(), least) - 1;
  }

  /** This number was used. */
  used(number: number): void {
    this.#last = Math.max(this.#last, number);
  }

  next(): number {
    return ++this.#last;
  }

  /** Reads the file; one that is missing or damaged says nothing. */
  async load(): Promise<void> {
    try {
      const file = await this.#files.open(join(this.#folder, FILE), 'read');
      try {
        const bytes = Buffer.alloc(17);
        const text = bytes.toString('latin1', 0, await file.read(bytes, 0));
        if (/^\d{1,16}\n$/.test(text) && Number.isSafeInteger(Number(text))) this.used(Number(text));
      } finally {
        await file.close();
      }
    } catch {}
  }

  /** Makes sure that the next numbers are not given again after a crash. Throws what the file system says. */
  async reserve(): Promise<void> {
    if (this.#last + RESERVE / 2 < this.#reserved) return;
    const reserved = this.#last + RESERVE;
    const path = join(this.#folder, FILE);
    const file = await this.#files.open(`${path}.new`, 'change');
    try {
      await file.truncate(0);
      await file.write([Buffer.from(`${reserved}\n`)], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#files.rename(`${path}.new`, path);
    await this.#files.syncFolder(this.#folder);
    this.#reserved = reserved;
  }
}
