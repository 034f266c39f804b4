/**
 * Batches that only the disk has: of earlier runs, and of this one from when too many were in memory. Read back oldest
 * first, as many as one transaction stores.
 *
 * A segment belongs to this lane or to the live one, never to both at a time: the ledger knows one offset of it, so its
 * batches must be stored in their order. Those up to `boundary` are this lane's.
 *
 * Damaged records are met on the way; what they held was measured between their neighbours.
 */
import type { Place, SegmentInfo, StoredRecord } from '../spool/model.ts';
import type { Spool } from '../spool/spool.ts';
import type { Batch } from './batch.ts';
import { TRANSACTION_BYTES, TRANSACTION_ROWS } from './liveLane.ts';
import type { Loss } from './losses.ts';
import { batchOf } from './spooledBatch.ts';

/** What the lanes need of the spool. */
export type BatchSpool = Pick<
  Spool,
  'append' | 'rotate' | 'segments' | 'read' | 'acknowledge' | 'newSegmentNumber' | 'counters'
>;

export interface BacklogLaneOptions {
  readonly spool: BatchSpool;
  /** Start of this run. */
  readonly runUs: number;
  /** Damaged records, once what comes behind them was read. */
  readonly onDamaged: (loss: Loss) => void;
}

interface Damage {
  /** Of its last byte. */
  readonly place: Place;
  readonly rows: number | undefined;
}

export class BacklogLane {
  /** The last segment of this lane, beside those of earlier runs; infinite while everything goes this way. */
  boundary = 0;
  readonly #options: BacklogLaneOptions;
  /** The first segment of this run. */
  #firstOfRun = Number.POSITIVE_INFINITY;
  /** Not told yet, in the order of places. */
  #damaged: Damage[] = [];
  /** Of the last batch that was read. */
  #lastUs: number | undefined;

  constructor(options: BacklogLaneOptions) {
    this.#options = options;
  }

  /** This run has appended to that segment: those before the first one are of earlier runs. */
  thisRunBegins(segment: number): void {
    this.#firstOfRun = Math.min(this.#firstOfRun, segment);
  }

  get rows(): number {
    return this.#segments().reduce((sum, { waitingRows }) => sum + waitingRows, 0);
  }

  get isEmpty(): boolean {
    return !this.#segments().some(isWaiting);
  }

  /** Whether batches of this run wait here. */
  get holdsThisRun(): boolean {
    return this.#segments().some((info) => info.segment >= this.#firstOfRun && isWaiting(info));
  }

  /** The lowest segment of which something is still to be told. */
  get lowestDamaged(): number | undefined {
    return this.#damaged[0]?.place.segment;
  }

  /** The spool found that bytes of a segment are no record. */
  damaged(segment: number, offset: number, bytes: number, rows: number | undefined): void {
    this.#damaged.push({ place: { segment, offset: offset + bytes - 1 }, rows });
    this.#damaged.sort((a, b) => a.place.segment - b.place.segment || a.place.offset - b.place.offset);
  }

  /** The oldest batches of one segment, run and epoch; the same again until they are acknowledged. Empty: none wait. */
  async next(): Promise<readonly Batch[]> {
    for (const info of this.#segments()) {
      if (!isWaiting(info)) continue;
      const batches = await this.#read(info);
      if (batches.length > 0) return batches;
    }
    this.#tellDamaged(undefined, undefined);
    return [];
  }

  async #read({ segment, acknowledged, closed }: SegmentInfo): Promise<readonly Batch[]> {
    const batches: Batch[] = [];
    let rows = 0;
    let bytes = 0;
    for await (const record of this.#options.spool.read(segment, acknowledged)) {
      const batch = batchOf(record);
      if (batch === undefined) {
        this.#skip(record);
        continue;
      }
      rows += batch.rows;
      bytes += batch.copy.length;
      const [first] = batches;
      if (first && (rows > TRANSACTION_ROWS || bytes > TRANSACTION_BYTES || batch.runUs !== first.runUs))
        break;
      // What is lost between two batches has a place between theirs: it is told before the second.
      if (first && this.#isDamagedBefore(batch.place)) break;
      this.#tellDamaged(batch.place, batch.fromUs);
      this.#lastUs = batch.toUs;
      batches.push(batch);
    }
    if (batches.length === 0 && closed)
      this.#options.spool.acknowledge({ segment, offset: Number.MAX_SAFE_INTEGER });
    return batches;
  }

  /** A record that is whole and makes no sense. */
  #skip({ place, rows }: StoredRecord): void {
    if (
      this.#damaged.some(
        (known) => known.place.segment === place.segment && known.place.offset === place.offset,
      )
    )
      return;
    this.damaged(place.segment, place.offset, 1, rows);
  }

  /** Tells of what lies before a place: measured up to `untilUs`. */
  #tellDamaged(before: Place | undefined, untilUs: number | undefined): void {
    while (this.#damaged.length > 0) {
      const { place, rows } = this.#damaged[0] as Damage;
      if (before !== undefined && !this.#isDamagedBefore(before)) return;
      this.#damaged.shift();
      const toUs = Math.max(this.#lastUs ?? 0, untilUs ?? this.#options.runUs);
      const fromUs = this.#lastUs ?? toUs;
      this.#options.onDamaged({ reason: 'damaged', place, fromUs, toUs, rows: rows ?? 1 });
    }
  }

  #isDamagedBefore({ segment, offset }: Place): boolean {
    const place = this.#damaged[0]?.place;
    return (
      place !== undefined && (place.segment < segment || (place.segment === segment && place.offset < offset))
    );
  }

  #segments(): readonly SegmentInfo[] {
    const { boundary } = this;
    return this.#options.spool
      .segments()
      .filter(({ segment }) => segment <= boundary || segment < this.#firstOfRun);
  }
}

function isWaiting({ waitingRows }: SegmentInfo): boolean {
  return waitingRows > 0;
}
