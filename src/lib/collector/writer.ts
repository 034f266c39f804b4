/**
 * Brings batches into the database, in order, each exactly once, and bridges the times when it is away.
 *
 *   push() --> Backlog --> Writer --> BatchStore (databaseStore.ts)
 *
 * States:
 *   away      no connection. The next attempt is due after a delay (writeErrors.ts), doubled up to MAX_DELAY_MS.
 *   ready     connected, and no batch waits.
 *   writing   one transaction is under way: ledger, rows, COMMIT.
 *   closed    stopped. What the backlog still held is lost, and counted.
 *
 * Transitions:
 *   away    -> ready    connected; whatever an earlier connection of this collector left running was ended
 *   ready   -> writing  a batch waits
 *   writing -> ready    committed, or the ledger says that an earlier attempt was: the batch is forgotten
 *   writing -> away     the connection broke, hung for longer than the timeout, or the server refused for a reason
 *                       that has nothing to do with the rows. Whether the COMMIT took place is not known, so the
 *                       batch stays the oldest. The next attempt locks the same row of the ledger: either it sees
 *                       the offset of a COMMIT that did take place, or it is the first one.
 *   ready   -> closed   stop() and nothing is left
 *   any     -> closed   stop() and its patience is over
 *
 * Rows that the server refuses for what is in them never come here: the store sets them aside within the same
 * transaction and reports them.
 */
import type { Sample } from '../sample.ts';
import type { Backlog } from './backlog.ts';
import type { Batch } from './batch.ts';
import type { Clock } from './clock.ts';
import { remedyFor } from './writeErrors.ts';

/** A row that the server refused, with its words. */
export interface RefusedRow {
  readonly sample: Sample;
  readonly problem: string;
}

export interface StoreOutcome {
  /** The ledger had the batch already: an earlier attempt was stored although its answer never came. */
  readonly already: boolean;
  readonly refused: readonly RefusedRow[];
}

/** A place that takes batches, and tells whether it has them. */
export interface BatchStore {
  /** Connects, and ends what an earlier connection left running. */
  open(): Promise<StoreConnection>;
}

export interface StoreConnection {
  /** Stores a batch unless it is stored already. `alive` is called whenever the server answered something. */
  store(batch: Batch, alive: () => void): Promise<StoreOutcome>;
  /** Says that everything measured before `horizonUs` is stored, when there is no batch that could say it. */
  publish(horizonUs: number): Promise<void>;
  /** Ends the connection in an orderly way. */
  close(): Promise<void>;
  /** Drops the connection without a word: it hangs. */
  destroy(): void;
}

export interface WriterCounters {
  rowsWritten: number;
  batchesWritten: number;
  /** Batches whose COMMIT was in doubt and which the ledger showed to be stored. */
  batchesInDoubtStored: number;
  /** Rows that the server refused for what is in them. */
  rowsRefused: number;
  /** Rows dropped because the backlog was full, or was not empty at the end. */
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
  readonly backlog: Backlog;
  readonly store: BatchStore;
  readonly events: WriterEvents;
  /** How long the server may be silent before the connection is dropped; doubled after each time it was. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
const MAX_DELAY_MS = 5_000;

export class Writer {
  readonly counters: WriterCounters = {
    rowsWritten: 0,
    batchesWritten: 0,
    batchesInDoubtStored: 0,
    rowsRefused: 0,
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
  /** Not yet published, with no batch to publish it. */
  #horizonUs: number | undefined;
  #stopping = false;
  #patienceOver = false;
  #wake: (() => void) | undefined;
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

  push(batch: Batch): void {
    this.#options.backlog.push(batch);
    this.#horizonUs = undefined;
    this.#wake?.();
  }

  /** There was nothing to write: the horizon moves on all the same. */
  advance(horizonUs: number): void {
    this.#horizonUs = horizonUs;
    this.#wake?.();
  }

  /** Milliseconds since the database went away, or undefined while it is there. */
  get awayMs(): number | undefined {
    if (this.#awaySinceMs === undefined) return undefined;
    return this.#options.clock.monotonicMs() - this.#awaySinceMs;
  }

  /** Writes what waits, for at most `patienceMs`, and ends. Resolves to the number of rows that were lost. */
  async stop(patienceMs: number): Promise<number> {
    const { clock, backlog } = this.#options;
    this.#stopping = true;
    this.#wake?.();
    const cancel = clock.setTimer(patienceMs, () => {
      this.#patienceOver = true;
      this.#connection?.destroy();
      this.#wake?.();
    });
    await this.#finished;
    cancel();
    const lost = backlog.clear();
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
    const { backlog } = this.#options;
    while (!this.#patienceOver) {
      const batch = backlog.take();
      if (batch) {
        await this.#write(connection, batch);
      } else if (this.#horizonUs !== undefined) {
        const horizonUs = this.#horizonUs;
        this.#horizonUs = undefined;
        await this.#limit(connection, () => connection.publish(horizonUs));
        this.#succeed(horizonUs);
      } else if (this.#stopping) {
        await this.#limit(connection, () => connection.close());
        return;
      } else {
        await this.#sleep(undefined);
      }
    }
  }

  async #write(connection: StoreConnection, batch: Batch): Promise<void> {
    const { counters } = this;
    this.state = 'writing';
    const { already, refused } = await this.#limit(connection, (alive) => connection.store(batch, alive));
    this.#options.backlog.acknowledge();
    this.state = 'ready';
    counters.batchesWritten++;
    counters.rowsWritten += batch.rows - refused.length;
    counters.rowsRefused += refused.length;
    if (already) counters.batchesInDoubtStored++;
    if (refused.length > 0) this.#options.events.onRefused(refused);
    this.#succeed(batch.horizonUs);
  }

  #succeed(horizonUs: number): void {
    this.writtenUpToUs = horizonUs;
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

  #isOver(): boolean {
    return this.#patienceOver || (this.#stopping && this.#options.backlog.length === 0);
  }

  /** Sleeps until woken; with a delay, for that long: what comes in meanwhile does not shorten it, the end does. */
  #sleep(delayMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const cancel = delayMs === undefined ? undefined : this.#options.clock.setTimer(delayMs, resolve);
      this.#wake = () => {
        if (delayMs !== undefined && !this.#isOver()) return;
        cancel?.();
        resolve();
      };
    });
  }
}
