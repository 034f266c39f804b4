/**
 * Batches in memory that wait for the database: first in, first out.
 *
 * Those that are on the disk too may be forgotten: beyond SPOOLED_BYTES they are (`onOverflow`), and come back by the
 * backlog lane. Those that memory alone has are bounded on their own, and there the oldest is lost.
 */
import type { Batch } from './batch.ts';

export interface LiveLaneOptions {
  /** Bound on batches that are nowhere else. One is always kept, whatever its size. */
  readonly memoryBytes: number;
  /** Bound on batches that are on the disk too. */
  readonly spooledBytes?: number;
  /** The oldest batch of those in memory alone had to go. */
  readonly onLost: (batch: Batch) => void;
  /** Too much is here of what the disk has. */
  readonly onOverflow?: () => void;
}

/** What memory keeps at most of what the disk has too, unless told. */
export const SPOOLED_BYTES = 32e6;
/** What one transaction stores at most, unless one batch is more. */
export const TRANSACTION_ROWS = 50_000;
export const TRANSACTION_BYTES = 16e6;

export class LiveLane {
  readonly #options: LiveLaneOptions;
  readonly #spooledLimit: number;
  #batches: Batch[] = [];
  /** On their way to the database: whether they are stored is not known, so they stay as they are. */
  #taken: readonly Batch[] = [];
  /** Groups that were taken and released: each goes together again, since losses behind it may be told by now. */
  #again: (readonly Batch[])[] = [];
  #forgetTaken = false;
  #bytes = { spooled: 0, memory: 0 };
  #rows = { spooled: 0, memory: 0 };

  constructor(options: LiveLaneOptions) {
    this.#options = options;
    this.#spooledLimit = options.spooledBytes ?? SPOOLED_BYTES;
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0 && this.#again.length === 0 && this.#taken.length === 0;
  }

  get bytes(): number {
    return this.#bytes.spooled + this.#bytes.memory;
  }

  /** Rows that are in memory alone. */
  get memoryRows(): number {
    return this.#rows.memory;
  }

  /** The first timestamp of what memory alone has. */
  get memorySinceUs(): number | undefined {
    if (this.#rows.memory === 0) return undefined;
    let sinceUs = Number.POSITIVE_INFINITY;
    for (const batches of [this.#taken, ...this.#again, this.#batches]) {
      for (const { spooled, fromUs } of batches) if (!spooled && fromUs < sinceUs) sinceUs = fromUs;
    }
    return sinceUs;
  }

  /** Of what is here; infinite when nothing is. */
  get lowestSegment(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const batches of [this.#taken, ...this.#again, this.#batches]) {
      for (const { place } of batches) if (place.segment < lowest) lowest = place.segment;
    }
    return lowest;
  }

  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#count(batch, 1);
    const { memoryBytes, onOverflow } = this.#options;
    if (!batch.spooled) {
      while (this.#bytes.memory > memoryBytes && this.#dropOldest(batch)) {}
    } else if (this.#bytes.spooled > this.#spooledLimit) {
      onOverflow?.();
    }
  }

  /** The oldest batches of one segment, as many as one transaction stores; until acknowledge() or release(). */
  take(): readonly Batch[] {
    if (this.#taken.length > 0) throw new Error('batches are taken already');
    const again = this.#again.shift();
    if (again !== undefined) {
      this.#taken = again;
      return again;
    }
    const segment = this.#batches[0]?.place.segment;
    let count = 0;
    let rows = 0;
    let bytes = 0;
    for (const batch of this.#batches) {
      rows += batch.rows;
      bytes += batch.copy.length;
      if (batch.place.segment !== segment) break;
      if (count > 0 && (rows > TRANSACTION_ROWS || bytes > TRANSACTION_BYTES)) break;
      count++;
    }
    this.#taken = this.#batches.splice(0, count);
    return this.#taken;
  }

  /** What was taken is stored: forget it. */
  acknowledge(): void {
    if (!this.#forgetTaken) for (const batch of this.#taken) this.#count(batch, -1);
    this.#forgetTaken = false;
    this.#taken = [];
  }

  /** What was taken may not be stored: it is the oldest again, unless the backlog lane will bring it. */
  release(): void {
    if (!this.#forgetTaken && this.#taken.length > 0) this.#again.unshift(this.#taken);
    this.#forgetTaken = false;
    this.#taken = [];
  }

  /** Forgets what the disk has. */
  forgetSpooled(): void {
    // Batches of one segment are either all on the disk or none.
    this.#forgetTaken ||= this.#taken[0]?.spooled === true;
    this.#again = this.#again.filter(([first]) => first?.spooled === false);
    this.#batches = this.#batches.filter(({ spooled }) => !spooled);
    this.#bytes.spooled = 0;
    this.#rows.spooled = 0;
  }

  /** The disk lets go of a segment: what is here of it, memory alone has from now on. Returns the offsets. */
  keep(segment: number): ReadonlySet<number> {
    const kept = new Set<number>();
    const own = (batch: Batch): Batch => {
      if (!batch.spooled || batch.place.segment !== segment) return batch;
      this.#count(batch, -1);
      const mine = { ...batch, spooled: false };
      this.#count(mine, 1);
      kept.add(batch.place.offset);
      return mine;
    };
    if (!this.#forgetTaken) this.#taken = this.#taken.map(own);
    this.#again = this.#again.map((group) => group.map(own));
    this.#batches = this.#batches.map(own);
    return kept;
  }

  /** Takes over what the backlog lane took and the disk has no more: it goes first. */
  adopt(batches: readonly Batch[]): void {
    const own = batches.map((batch) => ({ ...batch, spooled: false }));
    for (const batch of own) this.#count(batch, 1);
    this.#again.unshift(own);
  }

  /** Gives up what memory alone has; returns its rows. */
  clear(): number {
    const rows = this.#rows.memory;
    this.#batches = [];
    this.#again = [];
    this.#taken = [];
    this.#bytes = { spooled: 0, memory: 0 };
    this.#rows = { spooled: 0, memory: 0 };
    return rows;
  }

  /** False when nothing may go but the newest. */
  #dropOldest(newest: Batch): boolean {
    const index = this.#batches.findIndex(({ spooled }) => !spooled);
    const oldest = this.#batches[index];
    if (oldest === undefined || oldest === newest) return false;
    this.#batches.splice(index, 1);
    this.#count(oldest, -1);
    this.#options.onLost(oldest);
    return true;
  }

  #count({ spooled, copy, rows }: Batch, sign: 1 | -1): void {
    const kind = spooled ? 'spooled' : 'memory';
    this.#bytes[kind] += sign * copy.length;
    this.#rows[kind] += sign * rows;
  }
}
