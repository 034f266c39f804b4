/**
 * Values of streams on their way into a batch: for each series two columns of numbers, which become rows only when
 * the batch is closed. A value costs two stores into memory; there is no object of its own.
 */
import { type RowTemplate, writeRowNumbers } from '../database/rowEncoder.ts';
import type { Channel } from '../devices/driver.ts';
import type { Series } from '../sample.ts';

/** A channel whose promotion the collector switches. */
export interface OpenChannel extends Channel {
  promoted: boolean;
}

/** What all columns have in common. */
export interface ColumnTally {
  /** Values in all columns since the last batch. */
  rows: number;
  /**
   * When another process read the streams before: the first value of a column is from there as well if it is older, such
   * as the mean of a second that both have a part of.
   */
  fromUs: number;
  /** From then on another process reads them. */
  untilUs: number;
}

const FIRST_CAPACITY = 16;

export class Column implements OpenChannel {
  promoted = false;
  readonly series: Series;
  readonly #tally: ColumnTally;
  readonly #onClose: () => void;
  #times = new Float64Array(FIRST_CAPACITY);
  #values = new Float64Array(FIRST_CAPACITY);
  #rows = 0;
  #isFirst = true;

  constructor(series: Series, tally: ColumnTally, onClose: () => void) {
    this.series = series;
    this.#tally = tally;
    this.#onClose = onClose;
  }

  get rows(): number {
    return this.#rows;
  }

  add(timestampUs: number, value: number): void {
    if (this.#isFirst) {
      this.#isFirst = false;
      if (timestampUs < this.#tally.fromUs) return;
    }
    if (timestampUs >= this.#tally.untilUs) return;
    const row = this.#rows;
    if (row === this.#times.length) this.#grow();
    this.#times[row] = timestampUs;
    this.#values[row] = value;
    this.#rows = row + 1;
    this.#tally.rows++;
  }

  close(): void {
    this.#onClose();
  }

  timestampUs(row: number): number {
    return this.#times[row] as number;
  }

  /** Takes out the rows that `keep` says no to. */
  filter(keep: (timestampUs: number, value: number) => boolean): void {
    let kept = 0;
    for (let row = 0; row < this.#rows; row++) {
      const timestampUs = this.#times[row] as number;
      const value = this.#values[row] as number;
      if (!keep(timestampUs, value)) continue;
      this.#times[kept] = timestampUs;
      this.#values[kept++] = value;
    }
    this.#tally.rows -= this.#rows - kept;
    this.#rows = kept;
  }

  /** Writes the rows at `offset` and forgets them; returns the offset behind them. Both are over the same memory. */
  write(template: RowTemplate, bytes: Uint8Array, view: DataView, offset: number): number {
    const { length } = template;
    const end = offset + this.#rows * length;
    // The template once, then what is written already, doubled: a few long copies instead of many short ones.
    if (this.#rows > 0) bytes.set(template, offset);
    for (let at = offset + length; at < end; ) {
      const size = Math.min(at - offset, end - at);
      bytes.copyWithin(at, offset, offset + size);
      at += size;
    }
    for (let row = 0, at = offset; row < this.#rows; row++, at += length) {
      writeRowNumbers(view, at, this.#times[row] as number, this.#values[row] as number);
    }
    this.#tally.rows -= this.#rows;
    this.#rows = 0;
    return end;
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 4);
    const values = new Float64Array(times.length);
    times.set(this.#times);
    values.set(this.#values);
    this.#times = times;
    this.#values = values;
  }
}
