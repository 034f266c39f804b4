/** Rows as a live reader has them: few enough to be objects. */
import type { RowSeries } from '../output/row.ts';

export interface LiveRow {
  readonly timestampUs: number;
  readonly value: number;
  readonly series: RowSeries;
}

/** What one look at the database found. */
export interface Look {
  /** Every row of the window, in order of time. */
  readonly rows: readonly LiveRow[];
  /** There are more than are read at once: the newest are missing. */
  readonly cut: boolean;
}

/** Looks once at the rows of the last `windowMs`; never further back than the look before. */
export type LookAtWindow = (windowMs: number, signal: AbortSignal) => Promise<Look>;
