/**
 * A row on its way out: what readers hand to writers. Writers know nothing of where rows come from.
 *
 * Rows are pushed, not pulled, and are no objects: a million of them pass in a second, and only their series,
 * of which there are few, are objects, each made once.
 */

/** What rows of one series share. */
export interface RowSeries {
  /**
   * Small whole number: writers keep prepared text in arrays by it. Series that exist at the same time have
   * different numbers; that of a series which is gone may be used again.
   */
  readonly id: number;
  readonly deviceId: string;
  readonly metricId: string;
  /** Labels as compact JSON text, an object. */
  readonly labels: string;
}

/** What a row of the 5-minute summary has beside its value. */
export interface SummaryFields {
  readonly min: number;
  readonly max: number;
  /** Finite values. */
  readonly count: number;
  /** Values that were NaN or infinite: in no other figure. */
  readonly countNotFinite: number;
}

/** Takes rows, in order of time. */
export interface RowSink {
  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void;
  /** After the last row. */
  end(): void;
}

/** A sink that makes bytes. */
export interface RowWriter extends RowSink {
  /** Rows written. */
  readonly rows: number;
  /** What has been written since the last call; undefined when that is nothing. The buffer is the caller's. */
  take(): Buffer | undefined;
  /** Bytes that `take` would give. */
  readonly pendingBytes: number;
}

/** Columns of every machine format, in order. */
export const COLUMNS = ['timestamp', 'device_id', 'metric_id', 'value', 'labels'] as const;
export const SUMMARY_COLUMNS = [...COLUMNS, 'min', 'max', 'count', 'count_not_finite'] as const;
