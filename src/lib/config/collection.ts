/** How much a configuration collects: what `kw config check` says when there is nothing to mend. */
import type { MetricEntry } from './model.ts';
import { isPageUrl } from './pageUrl.ts';

export interface Collection {
  /** Distinct device ids. */
  readonly devices: number;
  /** Series that are named one by one, and names chosen from pages. */
  readonly metrics: number;
  /** Whole pages: how many values they hold is known only when they are read. */
  readonly wholePages: number;
  /** Values a second of `metrics`. */
  readonly valuesPerSecond: number;
}

export interface CollectionSummary {
  readonly always: Collection;
  /** What promotions can add: entries with `optional: true`, at the period they have while promoted. */
  readonly onDemand: Collection;
}

export function summarize(entries: readonly MetricEntry[]): CollectionSummary {
  return {
    always: count(entries.filter(({ optional }) => !optional)),
    onDemand: count(entries.filter(({ optional }) => optional)),
  };
}

function count(entries: readonly MetricEntry[]): Collection {
  let metrics = 0;
  let wholePages = 0;
  let valuesPerSecond = 0;
  for (const entry of entries) {
    const names = isPageUrl(entry.url) ? entry.url.names?.length : 1;
    if (names === undefined) {
      wholePages++;
      continue;
    }
    const periodMs = entry.optional
      ? (entry.optionalUpdateEveryMs ?? entry.updateEveryMs)
      : entry.updateEveryMs;
    metrics += names;
    valuesPerSecond += (names * 1000) / periodMs;
  }
  return {
    devices: new Set(entries.map(({ deviceId }) => deviceId)).size,
    metrics,
    wholePages,
    valuesPerSecond: Math.round(valuesPerSecond * 1000) / 1000,
  };
}
