/**
 * Goes through a segment file record by record: what is whole, what is damaged, and where the next record begins
 * behind damage. Never reads a whole file: headers come by small blocks, bodies one at a time.
 */
import type { SpoolFile } from './files.ts';
import { RECORD_HEADER_BYTES, RECORD_MAGIC, type RecordCodec, type RecordHeader } from './format.ts';

/** Bytes of a file that are no whole record. */
export interface Damage {
  readonly start: number;
  readonly end: number;
  /** Of the record, if its header is right; unknown where the header itself is damaged. */
  readonly rows: number | undefined;
}

export type Found =
  | ({ readonly kind: 'record' } & RecordHeader)
  /** There are records behind it. */
  | ({ readonly kind: 'damage' } & Damage)
  /** Nothing but this up to the end of the file: a write that was cut off, or damage. */
  | ({ readonly kind: 'tail' } & Damage);

/** Headers of records of this size and less are read without a call each. */
const BLOCK_BYTES = 4096;
const SEARCH_BYTES = 256 * 1024;

export class RecordReader {
  readonly #file: SpoolFile;
  readonly #codec: RecordCodec;
  /** Where to stop: the file may be longer. */
  readonly #limit: number;
  #position: number;
  #block: Buffer = Buffer.alloc(0);
  #blockStart = 0;

  constructor(file: SpoolFile, codec: RecordCodec, position: number, limit: number) {
    this.#file = file;
    this.#codec = codec;
    this.#position = position;
    this.#limit = limit;
  }

  /** The next record by its header alone, or what lies in its place; undefined at the end. */
  async next(): Promise<Found | undefined> {
    const start = this.#position;
    if (start >= this.#limit) return undefined;
    const header = await this.#headerAt(start);
    if (header !== undefined) {
      this.#position = Math.min(header.end, this.#limit);
      if (header.end <= this.#limit) return { kind: 'record', ...header };
      return { kind: 'tail', start, end: this.#limit, rows: header.rows };
    }
    const found = await this.#search(start + 1);
    this.#position = found ?? this.#limit;
    return {
      kind: found === undefined ? 'tail' : 'damage',
      start,
      end: this.#position,
      rows: undefined,
    };
  }

  /** Header, meta and payload in a buffer of their own; undefined if they are not as they were written. */
  async body(header: RecordHeader): Promise<Buffer | undefined> {
    const record = Buffer.allocUnsafeSlow(header.end - header.start);
    const bytes = await this.#read(record, header.start);
    return bytes === record.length && this.#codec.isWhole(record) ? record : undefined;
  }

  async #headerAt(start: number): Promise<RecordHeader | undefined> {
    const index = start - this.#blockStart;
    if (index < 0 || index + RECORD_HEADER_BYTES > this.#block.length) {
      await this.#load(start, Math.min(BLOCK_BYTES, this.#limit - start));
    }
    return this.#codec.decodeHeader(this.#block, start - this.#blockStart, start);
  }

  /** Where the first right header at or behind `from` begins. */
  async #search(from: number): Promise<number | undefined> {
    for (let start = from; start < this.#limit; ) {
      await this.#load(start, Math.min(SEARCH_BYTES, this.#limit - start));
      let index = this.#block.indexOf(RECORD_MAGIC);
      while (index >= 0) {
        if (this.#codec.decodeHeader(this.#block, index, start + index)) return start + index;
        index = this.#block.indexOf(RECORD_MAGIC, index + 1);
      }
      // A header may lie across the border of two blocks.
      const step = this.#block.length - RECORD_HEADER_BYTES + 1;
      if (step <= 0) return undefined;
      start += step;
    }
    return undefined;
  }

  async #load(start: number, bytes: number): Promise<void> {
    const block = Buffer.allocUnsafe(bytes);
    const read = await this.#read(block, start);
    this.#block = block.subarray(0, read);
    this.#blockStart = start;
  }

  /** What the disk cannot read counts as zeros: damage like any other, which ends nothing. */
  async #read(buffer: Buffer, position: number): Promise<number> {
    try {
      return await this.#file.read(buffer, position);
    } catch {
      buffer.fill(0);
      return buffer.length;
    }
  }
}
