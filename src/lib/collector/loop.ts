/**
 * A loop: the metrics of one target that share a period. The smallest noun of the collector; see collector.ts.
 */

import type { MetricEntry } from '../config/model.ts';
import type { Poll } from '../devices/driver.ts';
import type { Scheduled } from './schedule.ts';

export interface Loop {
  readonly periodMs: number;
  /** What is read, and how; replaced together when promotions or the configuration change. */
  entries: readonly MetricEntry[];
  poll: Poll;
  /** Bound on one poll, below the period. */
  timeoutMs: number;
  /** Undefined for a single reading out of turn. */
  scheduled: Scheduled | undefined;
}

/** A device that does not answer holds up its own loops for that long at most, unless its entry says otherwise. */
const DEFAULT_TIMEOUT_MS = 5_000;
/** The share of a period that a poll may take: it must be over when the next one is due. */
const TIMEOUT_SHARE = 0.9;

/** The longest timeout that an entry asks for, else the default; always below the period. */
export function pollTimeoutMs(entries: readonly MetricEntry[], periodMs: number): number {
  let askedMs = 0;
  for (const { timeoutMs } of entries) askedMs = Math.max(askedMs, timeoutMs ?? 0);
  return Math.max(1, Math.floor(Math.min(askedMs || DEFAULT_TIMEOUT_MS, periodMs * TIMEOUT_SHARE)));
}
