/** What changed between two configurations, by value, so that a reload restarts only that. */
import { isDeepStrictEqual } from 'node:util';
import type { Labels } from '../sample.ts';
import type { MetricEntry } from './model.ts';
import { isPageUrl } from './pageUrl.ts';

/**
 * Which entry this is, for as long as it is configured: device, metric and labels, and for a page of metrics
 * also where it is read. Unique within a valid configuration, the same after a restart. Holds no secret.
 */
export function entryKey(entry: MetricEntry): string {
  const page = isPageUrl(entry.url) ? [entry.url.origin, entry.url.pagePath, entry.url.names ?? null] : null;
  return JSON.stringify([entry.deviceId, entry.name, labelsKey(entry.labels), page]);
}

/** The same text for the same labels, in whatever order they stand. */
export function labelsKey(labels: Labels): string {
  const names = Object.keys(labels).sort();
  return JSON.stringify(names.map((name) => [name, labels[name]]));
}

/** Whether two entries say the same, wherever they stand. */
function sameEntry(a: MetricEntry, b: MetricEntry): boolean {
  const { place: _a, driver: driverA, ...restA } = a;
  const { place: _b, driver: driverB, ...restB } = b;
  return driverA === driverB && isDeepStrictEqual(restA, restB);
}

export interface EntryDiff {
  /** Entries of the old configuration that are gone or changed. */
  readonly removed: readonly MetricEntry[];
  /** Entries of the new configuration that are new or changed. */
  readonly added: readonly MetricEntry[];
  /** Entries that say the same in both, as objects of the old configuration: what hangs on them lives on. */
  readonly kept: readonly MetricEntry[];
}

/** Compares by value. An entry with a changed key or value is in `removed` as it was and in `added` as it is. */
export function diffEntries(before: readonly MetricEntry[], after: readonly MetricEntry[]): EntryDiff {
  const old = new Map(before.map((entry) => [entryKey(entry), entry]));
  const added: MetricEntry[] = [];
  const kept = new Set<MetricEntry>();
  for (const entry of after) {
    const same = old.get(entryKey(entry));
    if (same !== undefined && sameEntry(same, entry)) kept.add(same);
    else added.push(entry);
  }
  return { removed: before.filter((entry) => !kept.has(entry)), added, kept: [...kept] };
}
