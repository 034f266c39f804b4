/**
 * Batches that wait for the database: first in, first out, bounded in bytes. When it is full the oldest goes, and
 * the batch behind it carries the loss.
 */
import { timestampsOf } from '../database/rowEncoder.ts';
import type { Batch, Loss } from './batch.ts';

export class Backlog {
  readonly #limitBytes: number;
  readonly #onLost: (batch: Batch) => void;
  /** What is behind #head is undefined: a batch that is still referred to would keep its memory. */
  #batches: (Batch | undefined)[] = [];
  /** Index of the oldest batch: shift() on a long array would copy it each time. */
  #head = 0;
  /** The oldest batch is on its way to the database: whether it is stored is not known, so it must stay. */
  #headTaken = false;
  #bytes = 0;
  #rows = 0;

  /** @param limitBytes of encoded batches; one batch is always kept, whatever its size */
  constructor(limitBytes: number, onLost: (batch: Batch) => void) {
    this.#limitBytes = limitBytes;
    this.#onLost = onLost;
  }

  get length(): number {
    return this.#batches.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get rows(): number {
    return this.#rows;
  }

  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#bytes += batch.copy.length;
    this.#rows += batch.rows;
    while (this.#bytes > this.#limitBytes && this.length > (this.#headTaken ? 2 : 1)) this.#dropOldest();
  }

  /** The oldest batch; it stays until acknowledge(). */
  take(): Batch | undefined {
    const batch = this.#batches[this.#head];
    this.#headTaken = batch !== undefined;
    return batch;
  }

  /** The batch that was taken is stored: forget it. */
  acknowledge(): void {
    if (!this.#headTaken) throw new Error('no batch is taken');
    this.#headTaken = false;
    this.#remove(this.#head);
  }

  /** Rows that are left when the collector gives up waiting; forgets them. */
  clear(): number {
    const rows = this.#rows;
    this.#batches = [];
    this.#head = 0;
    this.#headTaken = false;
    this.#bytes = 0;
    this.#rows = 0;
    return rows;
  }

  #dropOldest(): void {
    if (this.#headTaken) {
      // Move the taken batch one up, over the one that goes.
      const taken = this.#batches[this.#head] as Batch;
      this.#batches[this.#head] = this.#batches[this.#head + 1] as Batch;
      this.#batches[this.#head + 1] = taken;
    }
    const lost = this.#remove(this.#head);
    const behind = this.#head + (this.#headTaken ? 1 : 0);
    const next = this.#batches[behind] as Batch;
    this.#batches[behind] = { ...next, lostBefore: lossOf(lost) };
    this.#onLost(lost);
  }

  #remove(index: number): Batch {
    const batch = this.#batches[index] as Batch;
    this.#batches[index] = undefined;
    this.#head++;
    this.#bytes -= batch.copy.length;
    this.#rows -= batch.rows;
    if (this.#head > 1024 && this.#head * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }
}

/** A batch as a loss, with what was lost before it. */
function lossOf({ copy, rows, lostBefore }: Batch): Loss {
  const { fromUs, toUs } = timestampsOf(copy);
  if (lostBefore === undefined) return { fromUs, toUs, rows };
  return {
    fromUs: Math.min(fromUs, lostBefore.fromUs),
    toUs: Math.max(toUs, lostBefore.toUs),
    rows: rows + lostBefore.rows,
  };
}
