/** A segment as the spool knows it while it runs: its records by place and rows, and how far they are stored. */
import { HEADER_BYTES } from './format.ts';
import type { SegmentInfo } from './model.ts';

export class Segment {
  readonly number: number;
  readonly path: string;
  readonly createdAtUs: number;
  /** When something was last appended, milliseconds since 1970. */
  changedAtMs: number;
  /** Where the last whole record that is on the disk ends. */
  bytes = HEADER_BYTES;
  closed = false;
  /** How many go through its file now. */
  readers = 0;
  acknowledged = 0;
  /** Places of damage that was told: it is met again each time the file is read. */
  readonly damaged = new Set<number>();

  rows = 0;
  records = 0;
  waitingRows = 0;
  /** Ends and rows of records; those before #head are acknowledged. */
  #ends: number[] = [];
  #rowsOf: number[] = [];
  #head = 0;

  constructor(number: number, path: string, createdAtUs: number, changedAtMs: number) {
    this.number = number;
    this.path = path;
    this.createdAtUs = createdAtUs;
    this.changedAtMs = changedAtMs;
  }

  get info(): SegmentInfo {
    const { number: segment, bytes, rows, records, closed, acknowledged, waitingRows, createdAtUs } = this;
    return { segment, bytes, rows, records, closed, acknowledged, waitingRows, createdAtUs };
  }

  /** Nothing of it is left to be stored. */
  get isDone(): boolean {
    return this.#head === this.#ends.length;
  }

  add(end: number, rows: number): void {
    this.#ends.push(end);
    this.#rowsOf.push(rows);
    this.rows += rows;
    this.records++;
    this.waitingRows += rows;
  }

  /** Records that end in (start, end] turned out to be damaged: nobody will ever acknowledge them. Their rows. */
  forget(start: number, end: number): number {
    let rows = 0;
    for (let index = this.#ends.length - 1; index >= this.#head; index--) {
      const at = this.#ends[index] as number;
      if (at <= start) break;
      if (at > end) continue;
      rows += this.#rowsOf[index] as number;
      this.#ends.splice(index, 1);
      this.#rowsOf.splice(index, 1);
      this.records--;
    }
    this.rows -= rows;
    this.waitingRows -= rows;
    return rows;
  }

  acknowledge(offset: number): void {
    if (offset <= this.acknowledged) return;
    this.acknowledged = Math.min(offset, this.bytes);
    while (this.#head < this.#ends.length && (this.#ends[this.#head] as number) <= offset) {
      this.waitingRows -= this.#rowsOf[this.#head] as number;
      this.#head++;
    }
    if (this.#head < 1024 || this.#head * 2 < this.#ends.length) return;
    this.#ends = this.#ends.slice(this.#head);
    this.#rowsOf = this.#rowsOf.slice(this.#head);
    this.#head = 0;
  }
}
