/**
 * Rows that could not be stored, one JSON object a line, for whoever wants to know what became of them. Two files at
 * most: when the first is full it takes the place of the second.
 */
import { join } from 'node:path';
import type { SpoolFiles } from './files.ts';
import type { RefusedRow } from './model.ts';

export const REFUSED_FILE = 'refused.ndjson';
export const OLDER_REFUSED_FILE = 'refused.1.ndjson';
const MAX_BYTES = 64 << 20;

export class RefusedFile {
  readonly #files: SpoolFiles;
  readonly #folder: string;
  readonly #maxBytes: number;
  #last: Promise<void> = Promise.resolve();

  constructor(files: SpoolFiles, folder: string, maxBytes = MAX_BYTES) {
    this.#files = files;
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** The rows are on the disk when it resolves. Throws what the file system says. */
  add(rows: readonly RefusedRow[]): Promise<void> {
    const result = this.#last.then(() => this.#add(rows));
    this.#last = result.catch(() => {});
    return result;
  }

  async #add(rows: readonly RefusedRow[]): Promise<void> {
    const path = join(this.#folder, REFUSED_FILE);
    const lines = Buffer.from(
      rows.map((row) => `${JSON.stringify(row, withoutNumbersThatJsonLacks)}\n`).join(''),
    );
    let file = await this.#files.open(path, 'change');
    try {
      let size = await file.size();
      if (size > 0 && size + lines.length > this.#maxBytes) {
        await file.close();
        await this.#files.rename(path, join(this.#folder, OLDER_REFUSED_FILE));
        file = await this.#files.open(path, 'change');
        size = 0;
      }
      // A crash may have cut the last line off.
      const last = Buffer.alloc(1);
      const isCut = size > 0 && (await file.read(last, size - 1)) === 1 && last[0] !== 0x0a;
      await file.write(isCut ? [Buffer.from('\n'), lines] : [lines], size);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#files.syncFolder(this.#folder);
  }
}

function withoutNumbersThatJsonLacks(_name: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
