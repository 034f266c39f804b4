/**
 * Gives each closed batch its place: on the disk, by appending it to the spool; or, when there is no spool or the disk
 * does not take it, in a segment that memory alone has. In the order in which they were closed; those that come while
 * the disk is busy are appended together and share its next fdatasync.
 */

import type { BatchSpool } from './backlogLane.ts';
import type { Batch, BatchStamp, ClosedBatch } from './batch.ts';
import { recordOf } from './spooledBatch.ts';

export interface IntakeOptions {
  readonly spool: BatchSpool | undefined;
  /** Number of the segment of what memory has, without a spool. */
  readonly memorySegment: number;
  readonly runUs: number;
  /** Bound on batches that wait for a disk that hangs. */
  readonly limitBytes: number;
  /** Since when what was measured is in memory alone; undefined: nothing is. */
  readonly unsafeSinceUs: () => number | undefined;
  /** What is to be kept beside the rows of a batch. */
  readonly stamp?: (() => BatchStamp) | undefined;
  /** Nothing is being appended: what is done to the spool now falls between two batches. */
  readonly betweenAppends: () => void;
  readonly onPlaced: (batch: Batch) => void;
  /** The disk hangs, and the batch that waited longest had to go. */
  readonly onLost: (batch: Batch) => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  /** Not yet handed to the spool. */
  #queue: (ClosedBatch & BatchStamp)[] = [];
  #placing: Promise<void> | undefined;
  /** Rows and bytes of all that have no place yet. */
  #rows = 0;
  #bytes = 0;
  #memorySegment: number | undefined;
  #memoryOffset = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isIdle(): boolean {
    return this.#placing === undefined;
  }

  push(closed: ClosedBatch): void {
    const { spool, stamp, limitBytes, onPlaced, onLost } = this.#options;
    const batch = stamp ? { ...closed, ...stamp() } : closed;
    if (spool === undefined) {
      onPlaced(this.#inMemory(batch));
      return;
    }
    this.#queue.push(batch);
    this.#count(batch, 1);
    while (this.#bytes > limitBytes && this.#queue.length > 1) {
      const oldest = this.#queue.shift() as ClosedBatch;
      this.#count(oldest, -1);
      onLost(this.#inMemory(oldest));
    }
    this.#placing ??= this.#place(spool);
  }

  /** Resolves when every batch has its place. */
  async idle(): Promise<void> {
    await this.#placing;
  }

  async #place(spool: BatchSpool): Promise<void> {
    const { runUs, betweenAppends, unsafeSinceUs, onPlaced } = this.#options;
    while (this.#queue.length > 0) {
      betweenAppends();
      const group = this.#queue.splice(0);
      const safeUs = unsafeSinceUs();
      const places = await Promise.allSettled(
        group.map((batch) => spool.append(recordOf(batch, runUs, safeUs))),
      );
      for (const [index, result] of places.entries()) {
        const batch = group[index] as ClosedBatch & BatchStamp;
        this.#count(batch, -1);
        if (result?.status === 'fulfilled') {
          this.#memorySegment = undefined;
          onPlaced({ ...batch, place: result.value, spooled: true, runUs });
        } else {
          // Whatever the reason, which the spool tells by its events: the values must not be lost by it.
          onPlaced(this.#inMemory(batch));
        }
      }
    }
    this.#placing = undefined;
  }

  /** A number of its own for each time in which the disk takes nothing: the floor may pass it afterwards. */
  #inMemory(batch: ClosedBatch & BatchStamp): Batch {
    const { spool, memorySegment, runUs } = this.#options;
    this.#memorySegment ??= spool?.newSegmentNumber() ?? memorySegment;
    const place = { segment: this.#memorySegment, offset: ++this.#memoryOffset };
    return { ...batch, place, spooled: false, runUs };
  }

  #count({ rows, copy }: ClosedBatch, sign: 1 | -1): void {
    this.#rows += sign * rows;
    this.#bytes += sign * copy.length;
  }
}
