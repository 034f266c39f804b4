/**
 * Brings batches into the database, each exactly once, and bridges the times when it is away.
 *
 *   push() --> Lanes (lanes.ts) --next()--> Writer --> BatchStore (databaseStore.ts)
 *
 * States:
 *   away      no connection. The next attempt is due after a delay (writeErrors.ts), doubled up to MAX_DELAY_MS.
 *   ready     connected, and nothing is due: no live batch waits, and the backlog is empty or pauses.
 *   writing   one transaction is under way: ledger, rows, COMMIT.
 *   closed    stopped. What the disk has stays there for the next start; what memory alone had is lost, and counted.
 *
 * Transitions:
 *   away    -> ready    connected; whatever an earlier connection of this collector left running was ended. The first
 *                       time the ledger says what is stored of what an earlier run left in the spool
 *   ready   -> writing  something is due
 *   writing -> ready    committed, or the ledger says that an earlier attempt was: the batches are forgotten
 *   writing -> away     the connection broke, hung for longer than the timeout, or the server refused for a reason
 *                       that has nothing to do with the rows. Whether the COMMIT took place is not known, so the
 *                       batches stay the oldest. The next attempt locks the same row of the ledger: either it sees
 *                       the offset of a COMMIT that did take place, or it is the first one.
 *   ready   -> closed   stop() and nothing is left
 *   away    -> closed   stop() and nothing would be lost: the disk has it
 *   any     -> closed   stop() and its patience is over
 *
 * Rows that the server refuses for what is in them never come here: the store sets them aside within the same
 * transaction and reports them.
 */
import type { ClosedBatch } from './batch.ts';
import type { Clock } from './clock.ts';
import type { Lanes, NextWork } from './lanes.ts';
import type { BatchStore, RefusedRow, StoreConnection } from './store.ts';
import { remedyFor } from './writeErrors.ts';

export interface WriterCounters {
  /** Rows of this run that are stored. */
  rowsWritten: number;
  /** Rows of earlier runs that this one stored. */
  rowsReplayed: number;
  /** Rows of either that came back from the disk. */
  rowsDrained: number;
  batchesWritten: number;
  /** Rows whose COMMIT was in doubt and which the ledger showed to be stored. */
  rowsInDoubtStored: number;
  /** Rows that the server refused for what is in them. */
  rowsRefused: number;
  /** Rows that are another collector's to store. */
  rowsOfOthers: number;
  /** Rows that are nowhere any more. */
  rowsLost: number;
  /** Attempts that failed: to connect, or to write. */
  failures: number;
}

export type WriterState = 'away' | 'ready' | 'writing' | 'closed';

export interface WriterEvents {
  /** The database does not take batches any more; `problem` says why. Once an outage. */
  onAway(problem: string): void;
  /** It does again, after that many milliseconds. */
  onBack(awayMs: number): void;
  onRefused(refused: readonly RefusedRow[]): void;
}

export interface WriterOptions {
  readonly clock: Clock;
  readonly lanes: Lanes;
  readonly store: BatchStore;
  /** Start of this run. */
  readonly runUs: number;
  readonly events: WriterEvents;
  /** How long the server may be silent before the connection is dropped; doubled after each time it was. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
const MAX_DELAY_MS = 5_000;
/** How long stop() goes on with the backlog: what the disk has is safe there. */
const BACKLOG_PATIENCE_MS = 5_000;

export class Writer {
  readonly counters: WriterCounters = {
    rowsWritten: 0,
    rowsReplayed: 0,
    rowsDrained: 0,
    batchesWritten: 0,
    rowsInDoubtStored: 0,
    rowsRefused: 0,
    rowsOfOthers: 0,
    rowsLost: 0,
    failures: 0,
  };
  state: WriterState = 'away';
  /** What was published last: every value measured before is stored. */
  writtenUpToUs: number | undefined;
  lastProblem: string | undefined;

  readonly #options: WriterOptions;
  readonly #timeoutMs: number;
  /** Factor on the timeout: a server that is slow, not gone, must get its chance. */
  #stretch = 1;
  /** The ledger was read in this run. */
  #isReconciled = false;
  #stopping = false;
  #backlogPatienceOver = false;
  #patienceOver = false;
  #wake: (() => void) | undefined;
  /** Something came while the writer looked for something to do. */
  #isWoken = false;
  #connection: StoreConnection | undefined;
  #awaySinceMs: number | undefined;
  #delayMs = 0;
  #finished: Promise<void> | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  start(): void {
    this.#finished = this.#run();
  }

  push(batch: ClosedBatch): void {
    this.#options.lanes.push(batch);
  }

  /** There was nothing to write: the horizon moves on all the same. */
  advance(horizonUs: number): void {
    this.#options.lanes.advance(horizonUs);
  }

  /** Something may be due. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  /** Milliseconds since the database went away, or undefined while it is there. */
  get awayMs(): number | undefined {
    if (this.#awaySinceMs === undefined) return undefined;
    return this.#options.clock.monotonicMs() - this.#awaySinceMs;
  }

  /**
   * Writes what waits, for at most `patienceMs`, and ends; of what the disk has it leaves the rest there.
   * Resolves to the number of rows that were lost.
   */
  async stop(patienceMs: number, backlogPatienceMs: number = BACKLOG_PATIENCE_MS): Promise<number> {
    const { clock, lanes } = this.#options;
    const cancelBacklog = clock.setTimer(backlogPatienceMs, () => {
      this.#backlogPatienceOver = true;
      this.wake();
    });
    const cancel = clock.setTimer(patienceMs, () => {
      this.#patienceOver = true;
      this.#connection?.destroy();
      this.wake();
    });
    lanes.hurry();
    this.#stopping = true;
    void lanes.settled().then(() => this.wake());
    this.wake();
    await this.#finished;
    cancel();
    cancelBacklog();
    const lost = lanes.clear();
    this.counters.rowsLost += lost;
    return lost;
  }

  async #run(): Promise<void> {
    while (!this.#patienceOver) {
      try {
        this.#connection = await this.#options.store.open();
        this.state = 'ready';
        await this.#serve(this.#connection);
        if (this.#stopping) break;
      } catch (error) {
        this.#fail(error);
        this.#connection?.destroy();
      }
      this.#connection = undefined;
      this.state = 'away';
      if (this.#isOver()) break;
      await this.#sleep(this.#delayMs);
    }
    this.#connection?.destroy();
    this.state = 'closed';
  }

  /** Writes until there is nothing left and stop() was called. Throws when the connection is of no use any more. */
  async #serve(connection: StoreConnection): Promise<void> {
    const { lanes, clock } = this.#options;
    if (!this.#isReconciled) lanes.reconcile(connection.ledger);
    this.#isReconciled = true;
    while (!this.#patienceOver) {
      this.#isWoken = false;
      if (connection.lost) throw connection.lost;
      const mayGoOn = !(this.#stopping && this.#backlogPatienceOver && lanes.isLiveEmpty);
      const work = mayGoOn ? await lanes.next() : undefined;
      if (work) {
        await this.#write(connection, work);
        continue;
      }
      const horizonUs = lanes.takeHorizon();
      if (horizonUs !== undefined) {
        await this.#limit(connection, () => connection.publish(horizonUs));
        this.#succeed(horizonUs);
      } else if (this.#stopping && (lanes.isEmpty || !mayGoOn)) {
        await this.#limit(connection, () => connection.close());
        return;
      } else {
        const dueAtMs = lanes.backlogDueAtMs;
        await this.#sleep(
          dueAtMs === undefined ? undefined : Math.max(1, dueAtMs - clock.monotonicMs()),
          true,
        );
      }
    }
  }

  async #write(connection: StoreConnection, work: NextWork): Promise<void> {
    const { counters } = this;
    const { clock, lanes, runUs } = this.#options;
    this.state = 'writing';
    const fromMs = clock.monotonicMs();
    let outcome: Awaited<ReturnType<StoreConnection['store']>>;
    try {
      outcome = await this.#limit(connection, (alive) => connection.store(work, alive));
    } catch (error) {
      lanes.failed(work);
      throw error;
    }
    lanes.stored(work, clock.monotonicMs() - fromMs);
    this.state = 'ready';
    const { alreadyRows, othersRows, refused } = outcome;
    const rows = work.batches.reduce((sum, batch) => sum + batch.rows, 0);
    const stored = rows - othersRows - refused.length;
    const isThisRun = work.batches[0]?.runUs === runUs;
    if (isThisRun) counters.rowsWritten += stored;
    else counters.rowsReplayed += stored - alreadyRows;
    if (work.lane === 'backlog') counters.rowsDrained += rows;
    counters.batchesWritten += work.batches.length;
    counters.rowsRefused += refused.length;
    counters.rowsOfOthers += othersRows;
    counters.rowsInDoubtStored += alreadyRows;
    if (refused.length > 0) this.#options.events.onRefused(refused);
    this.#succeed(isThisRun ? work.horizonUs : undefined);
  }

  #succeed(horizonUs: number | undefined): void {
    this.writtenUpToUs = horizonUs ?? this.writtenUpToUs;
    this.#stretch = 1;
    this.#delayMs = 0;
    const awayMs = this.awayMs;
    if (awayMs === undefined) return;
    this.#awaySinceMs = undefined;
    this.#options.events.onBack(awayMs);
  }

  #fail(error: unknown): void {
    if (this.#patienceOver) return;
    const remedy = remedyFor(error);
    const leastMs = remedy === 'data' ? MAX_DELAY_MS : remedy;
    this.#delayMs = Math.max(leastMs, Math.min(MAX_DELAY_MS, this.#delayMs * 2));
    this.counters.failures++;
    this.lastProblem = error instanceof Error ? error.message : String(error);
    if (this.#awaySinceMs !== undefined) return;
    this.#awaySinceMs = this.#options.clock.monotonicMs();
    this.#options.events.onAway(this.lastProblem);
  }

  /** Runs something on a connection, and drops the connection when the server is silent for too long. */
  #limit<T>(connection: StoreConnection, work: (alive: () => void) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const timeoutMs = Math.min(MAX_TIMEOUT_MS, this.#timeoutMs * this.#stretch);
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const alive = () => {
        cancel();
        cancel = clock.setTimer(timeoutMs, () => {
          this.#stretch *= 2;
          reject(new Error(`the database did not answer for ${timeoutMs / 1000} s`));
          connection.destroy();
        });
      };
      alive();
      work(alive)
        .then(resolve, reject)
        .finally(() => cancel());
    });
  }

  /** While away: whether there is nothing left to wait for. */
  #isOver(): boolean {
    return this.#patienceOver || (this.#stopping && this.#options.lanes.isSafe);
  }

  /**
   * Sleeps until woken, or for that long. Away, what comes in meanwhile does not shorten it, the end does; between two
   * parts of the backlog it does.
   */
  #sleep(delayMs: number | undefined, isShortened = false): Promise<void> {
    if (isShortened && this.#isWoken) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = delayMs === undefined ? undefined : this.#options.clock.setTimer(delayMs, resolve);
      this.#wake = () => {
        if (delayMs !== undefined && !isShortened && !this.#isOver()) return;
        cancel?.();
        resolve();
      };
    });
  }
}
