/** What the writer asks of the place where batches go, and how it answers: PostgreSQL (databaseStore.ts), or a test. */
import type { Sample } from '../sample.ts';
import type { Place } from '../spool/model.ts';
import type { Batch } from './batch.ts';
import type { Loss } from './losses.ts';

/** A row that the server refused, with its words. */
export interface RefusedRow {
  readonly sample: Sample;
  readonly problem: string;
  /** Of its batch. */
  readonly place: Place;
}

/** One transaction. */
export interface Work {
  /** At least one; of one segment and one run, in the order of their places. */
  readonly batches: readonly Batch[];
  /** To be told with them. */
  readonly losses: readonly Loss[];
  /** Everything that the batches' run measured before is stored then; undefined while something earlier waits. */
  readonly horizonUs: number | undefined;
  /** Everything below this segment is stored or told as lost. */
  readonly floor: number | undefined;
}

export interface Outcome {
  /** Rows that the ledger showed to be stored: by an earlier attempt whose answer never came. */
  readonly alreadyRows: number;
  /** Rows that are another collector's to store. */
  readonly othersRows: number;
  readonly refused: readonly RefusedRow[];
}

/** What the ledger says when the store is opened. */
export interface LedgerState {
  readonly floor: number | undefined;
  readonly places: readonly Place[];
}

/** A place that takes batches, and tells whether it has them. */
export interface BatchStore {
  /** Connects, and ends what an earlier connection left running. */
  open(): Promise<StoreConnection>;
}

export interface StoreConnection {
  readonly ledger: LedgerState;
  /** Why the connection broke while nothing was asked: what is asked then only tells that it is broken. */
  readonly lost?: Error | undefined;
  /** Stores what is not stored already. `alive` is called whenever the server answered something. */
  store(work: Work, alive: () => void): Promise<Outcome>;
  /** Says that everything measured before `horizonUs` is stored, when there is no batch that could say it. */
  publish(horizonUs: number): Promise<void>;
  /** Ends the connection in an orderly way. */
  close(): Promise<void>;
  /** Drops the connection without a word: it hangs. */
  destroy(): void;
}
