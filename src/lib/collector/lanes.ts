/**
 * What waits for the database, and in which order it goes there.
 *
 *   push() --> Intake --+--> LiveLane (memory) ------------------> next() --> Writer
 *             (spool)   |        | too much                          ^
 *                       +--> BacklogLane (read back from the disk) --+
 *
 * States of what comes in:
 *   live       batches are kept in memory until they are stored; most never are read back.
 *   spilling   memory has let go of what the disk has, and takes nothing of it: every segment is backlog.
 *
 * Transitions:
 *   live     -> spilling   the live lane overflows: the database is away, or slower than what comes
 *   spilling -> live       the database takes batches: the spool begins a new segment, from which on batches are live
 *                          again; those before it stay backlog
 *
 * Live batches go first. The backlog leaves the server a share of the time: after a write of t ms it pauses. Both lanes
 * use one connection, one transaction at a time, and no segment is in both, so that the offsets of a segment rise.
 *
 * Horizon: a batch says that everything before an instant is in it or in an earlier one. So while a batch of this run
 * is in the backlog, only the backlog moves the horizon. Batches of earlier runs move that of their run.
 */

import type { DropReason, SegmentInfo, StoredRecord } from '../spool/model.ts';
import { BacklogLane, type BatchSpool } from './backlogLane.ts';
import type { Batch, BatchStamp, ClosedBatch } from './batch.ts';
import { Intake } from './intake.ts';
import { LiveLane } from './liveLane.ts';
import { type Loss, type Losses, WHOLE_SEGMENT } from './losses.ts';
import { batchOf } from './spooledBatch.ts';
import type { LedgerState, Work } from './store.ts';

export interface LanesOptions {
  readonly spool: BatchSpool | undefined;
  readonly losses: Losses;
  /** Number of the segment of what memory has, without a spool. */
  readonly memorySegment: number;
  /** Start of this run. */
  readonly runUs: number;
  /** Bound on what memory alone has. */
  readonly memoryBytes: number;
  /** Bound on what memory has and the disk too. */
  readonly spooledBytes?: number | undefined;
  /** Share of the time in which the backlog may keep the server busy: above 0, at most 1. */
  readonly drainShare: number;
  readonly monotonicMs: () => number;
  readonly stamp?: (() => BatchStamp) | undefined;
  /** Values are lost: they are told to the database by themselves. */
  readonly onLost: (loss: Loss) => void;
  /** Something may be there to be stored. */
  readonly onChange: () => void;
}

/** What one transaction stores, and where it came from. */
export interface NextWork extends Work {
  readonly lane: 'live' | 'backlog';
}

/** A segment that cannot be read is tried again after that. */
const READ_RETRY_MS = 5_000;

export class Lanes {
  readonly #options: LanesOptions;
  readonly #intake: Intake;
  readonly #live: LiveLane;
  readonly #backlog: BacklogLane | undefined;
  #isSpilling = false;
  #mayEndSpilling = false;
  /** Pause of the backlog. */
  #backlogDueAtMs = 0;
  #isHurried = false;
  /** Not published yet, with no batch to publish it. */
  #horizonUs: number | undefined;
  /** What next() gave last, until its end is known. */
  #current: NextWork | undefined;
  /** Rows a second that the backlog makes, pauses included. */
  #drainRate = 0;
  #floor = 0;
  #mayTellFloor = false;

  constructor(options: LanesOptions) {
    this.#options = options;
    const { spool, memoryBytes, spooledBytes, memorySegment, runUs, stamp } = options;
    const onLost = (batch: Batch) => this.#lose(batch);
    this.#live = new LiveLane({
      memoryBytes,
      onLost,
      onOverflow: () => this.#spill(),
      ...(spooledBytes === undefined ? {} : { spooledBytes }),
    });
    this.#backlog = spool && new BacklogLane({ spool, runUs, onDamaged: (loss) => this.lost(loss) });
    this.#intake = new Intake({
      spool,
      memorySegment,
      runUs,
      limitBytes: memoryBytes,
      stamp,
      unsafeSinceUs: () => this.#live.memorySinceUs,
      betweenAppends: () => this.#endSpilling(),
      onPlaced: (batch) => this.#placed(batch),
      onLost,
    });
    this.#finishDrops();
  }

  /** Rows that wait, wherever they are. */
  get rows(): number {
    return this.memoryRows + this.spooledRows;
  }

  /** Rows that are in memory only. */
  get memoryRows(): number {
    return this.#intake.rows + this.#live.memoryRows;
  }

  /** Rows that wait on the disk. */
  get spooledRows(): number {
    return (this.#options.spool?.segments() ?? []).reduce((sum, { waitingRows }) => sum + waitingRows, 0);
  }

  /** Of encoded batches in memory. */
  get bytes(): number {
    return this.#intake.bytes + this.#live.bytes;
  }

  /** Rows that are read back from the disk, when their turn comes. */
  get backlogRows(): number {
    return this.#backlog?.rows ?? 0;
  }

  /** Nothing would be lost if the process ended now. */
  get isSafe(): boolean {
    return this.#intake.isIdle && this.#live.memoryRows === 0;
  }

  get isLiveEmpty(): boolean {
    return this.#intake.isIdle && this.#live.isEmpty;
  }

  get isEmpty(): boolean {
    return this.isLiveEmpty && (this.#backlog?.isEmpty ?? true);
  }

  /** When the backlog goes on, on the monotonic clock; undefined when there is none. */
  get backlogDueAtMs(): number | undefined {
    if (this.#backlog === undefined || this.#backlog.isEmpty) return undefined;
    return this.#isHurried
      ? Math.min(this.#backlogDueAtMs, this.#options.monotonicMs())
      : this.#backlogDueAtMs;
  }

  push(batch: ClosedBatch): void {
    this.#horizonUs = undefined;
    this.#intake.push(batch);
  }

  /** There was nothing to write: the horizon moves on all the same. */
  advance(horizonUs: number): void {
    this.#horizonUs = horizonUs;
    this.#options.onChange();
  }

  /** Resolves when everything that was pushed has its place. */
  settled(): Promise<void> {
    return this.#intake.idle();
  }

  /** No more pauses: the end is near. */
  hurry(): void {
    this.#isHurried = true;
  }

  /** The first word of the database: what it has already. */
  reconcile({ floor, places }: LedgerState): void {
    const { spool } = this.#options;
    if (spool === undefined) return;
    for (const { segment } of spool.segments()) {
      if (floor !== undefined && segment < floor) spool.acknowledge({ segment, offset: WHOLE_SEGMENT });
    }
    for (const place of places) spool.acknowledge(place);
    this.#floor = floor ?? 0;
  }

  /** What is to be stored next; undefined when there is nothing now. Ends with stored() or failed(). */
  async next(): Promise<NextWork | undefined> {
    const live = this.#live.take();
    const lastLive = live.at(-1);
    if (lastLive) {
      const horizonUs = this.#backlog?.holdsThisRun ? undefined : lastLive.horizonUs;
      return this.#work('live', live, horizonUs);
    }
    const dueAtMs = this.backlogDueAtMs;
    if (this.#backlog === undefined || dueAtMs === undefined || dueAtMs > this.#options.monotonicMs()) return;
    try {
      const batches = await this.#backlog.next();
      const last = batches.at(-1);
      if (last) {
        const horizonUs = last.runUs === this.#options.runUs ? last.horizonUs : safeHorizonUs(last);
        return this.#work('backlog', batches, horizonUs);
      }
    } catch {
      // The spool has told why. The batch waits for the disk, not for the database.
    }
    this.#backlogDueAtMs = this.#options.monotonicMs() + READ_RETRY_MS;
    return undefined;
  }

  /** The horizon to be published without a batch, when nothing earlier waits. */
  takeHorizon(): number | undefined {
    if (!this.isLiveEmpty || this.#backlog?.holdsThisRun || this.#options.losses.pending.length > 0) return;
    const horizonUs = this.#horizonUs;
    this.#horizonUs = undefined;
    return horizonUs;
  }

  /** What next() gave is stored: it took that long. */
  stored({ lane, batches, losses, floor }: NextWork, tookMs: number): void {
    const { spool, drainShare, monotonicMs } = this.#options;
    this.#current = undefined;
    if (lane === 'live') {
      this.#live.acknowledge();
    } else {
      this.#backlogDueAtMs = monotonicMs() + (tookMs * (1 - drainShare)) / drainShare;
      const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
      const rate = (rows * drainShare * 1000) / Math.max(1, tookMs);
      this.#drainRate += (rate - this.#drainRate) / (this.#drainRate === 0 ? 1 : 10);
    }
    const last = batches.at(-1);
    if (last?.spooled) spool?.acknowledge(last.place);
    this.#options.losses.recorded(losses);
    this.#floor = floor ?? this.#floor;
    this.#mayEndSpilling = true;
  }

  /** Whether what next() gave is stored is not known. */
  failed({ lane, batches }: NextWork): void {
    this.#current = undefined;
    const segment = batches[0]?.place.segment;
    const isOnDisk = this.#options.spool?.segments().some((info) => info.segment === segment);
    if (lane === 'live') this.#live.release();
    else if (!isOnDisk) this.#live.adopt(batches);
    this.#mayEndSpilling = false;
  }

  /** Rows a second at which the backlog is stored now; 0 when there is none. */
  get drainRate(): number {
    return this.backlogRows === 0 ? 0 : this.#drainRate;
  }

  /**
   * The spool removes a segment that is not stored, when this has resolved. What memory has of it is not lost, nor what
   * is on its way to the database. A transaction whose COMMIT was in doubt counts as lost, whether it is or not.
   */
  async dropped(
    { segment }: SegmentInfo,
    records: AsyncIterable<StoredRecord>,
    reason: DropReason,
  ): Promise<void> {
    const kept = this.#live.keep(segment);
    const onTheWay = new Set(
      this.#current?.batches
        .filter(({ place }) => place.segment === segment)
        .map(({ place }) => place.offset),
    );
    let loss: Loss = {
      reason,
      place: { segment, offset: WHOLE_SEGMENT },
      fromUs: Number.POSITIVE_INFINITY,
      toUs: Number.NEGATIVE_INFINITY,
      rows: 0,
    };
    for await (const record of records) {
      const { offset } = record.place;
      const batch = batchOf(record);
      if (batch === undefined || kept.has(offset) || onTheWay.has(offset)) continue;
      const fromUs = Math.min(loss.fromUs, batch.fromUs);
      const toUs = Math.max(loss.toUs, batch.toUs);
      loss = { ...loss, fromUs, toUs, rows: loss.rows + batch.rows };
    }
    if (loss.rows > 0) this.lost(loss);
  }

  /** Values that are nowhere any more. */
  lost(loss: Loss): void {
    this.#options.losses.add(loss);
    this.#options.onLost(loss);
  }

  /** The spool found that bytes of a segment are no record. */
  damaged(segment: number, offset: number, bytes: number, rows: number | undefined): void {
    this.#backlog?.damaged(segment, offset, bytes, rows);
  }

  /** Gives up what memory alone has; returns its rows. */
  clear(): number {
    return this.#live.clear() + this.#intake.rows;
  }

  #work(lane: NextWork['lane'], batches: readonly Batch[], horizonUs: number | undefined): NextWork {
    const { place } = batches[0] as Batch;
    // A loss behind the first batch of the same segment comes after it: its place would be claimed too early.
    const losses = this.#options.losses
      .take()
      .filter((loss) => loss.place.segment !== place.segment || loss.place.offset < place.offset);
    this.#current = { lane, batches, losses, horizonUs, floor: this.#newFloor() };
    return this.#current;
  }

  /** The lowest segment that may still be stored or told, if it is news. */
  #newFloor(): number | undefined {
    const { spool, losses } = this.#options;
    if (spool === undefined || !this.#mayTellFloor) return undefined;
    const floor = Math.min(
      spool.segments()[0]?.segment ?? Number.POSITIVE_INFINITY,
      this.#backlog?.lowestDamaged ?? Number.POSITIVE_INFINITY,
      ...losses.pending.map(({ place }) => place.segment),
      this.#live.lowestSegment,
    );
    return Number.isFinite(floor) && floor > this.#floor ? floor : undefined;
  }

  #placed(batch: Batch): void {
    if (batch.spooled) {
      this.#backlog?.thisRunBegins(batch.place.segment);
      this.#options.losses.retry();
      // Only now is it sure that the spool knows what earlier runs left behind.
      if (!this.#mayTellFloor) this.#finishDrops();
      this.#mayTellFloor = this.#options.spool?.counters.filesUnreadable === 0;
    }
    const isBacklog =
      batch.spooled && this.#backlog !== undefined && batch.place.segment <= this.#backlog.boundary;
    if (!isBacklog) this.#live.push(batch);
    this.#options.onChange();
  }

  /** An earlier run ended when it had noted the loss of a segment, and before the file was gone. */
  #finishDrops(): void {
    for (const { place } of this.#options.losses.pending) {
      if (place.offset === WHOLE_SEGMENT) this.#options.spool?.acknowledge(place);
    }
  }

  #spill(): void {
    this.#isSpilling = true;
    this.#mayEndSpilling = false;
    if (this.#backlog) this.#backlog.boundary = Number.POSITIVE_INFINITY;
    this.#live.forgetSpooled();
  }

  #endSpilling(): void {
    const { spool } = this.#options;
    if (!this.#isSpilling || !this.#mayEndSpilling || !spool || !this.#backlog) return;
    spool.rotate();
    this.#backlog.boundary = spool.segments().at(-1)?.segment ?? 0;
    this.#isSpilling = false;
  }

  #lose({ place, fromUs, toUs, rows }: Batch): void {
    this.lost({ reason: 'memory', place, fromUs, toUs, rows });
  }
}

/** Up to where a run has surely stored everything, when it can store no more than what the disk has. */
function safeHorizonUs({ horizonUs, safeUs = horizonUs }: Batch): number {
  return Math.min(horizonUs, safeUs);
}
