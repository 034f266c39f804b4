/**
 * What this collector reads or could read: the rows of kw.metric_catalogue. Configured metrics are known from the
 * start; those on the page of an exporter when they are seen first. The number of the latter is bounded, since
 * users write such pages.
 */
import { append } from '../append.ts';
import type { MetricEntry } from '../config/model.ts';
import { isStreamDriver } from '../devices/driver.ts';
import type { Series } from '../sample.ts';

export interface CatalogueRow {
  readonly deviceId: string;
  readonly metricId: string;
  readonly alias: string;
  readonly periodMs: number;
  readonly optional: boolean;
  readonly optionalPeriodMs: number | null;
  readonly protocol: string;
  readonly unit: string | null;
  readonly description: string | null;
  /** The entry that gives it: what is enabled by patterns. */
  readonly entryName: string;
}

/** Where a series comes from. */
export interface Origin {
  readonly scheme: string;
  readonly endpointKey: string;
}

const MAX_DISCOVERED_PER_DEVICE = 2_000;
const MAX_DISCOVERED = 100_000;

export class Catalogue {
  #configured = new Map<string, CatalogueRow>();
  /** What was seen of devices, with where. */
  readonly #discovered = new Map<string, { origin: Origin; row: CatalogueRow }>();
  /** What streams give at present, with how many series each row stands for. */
  readonly #streamed = new Map<string, { row: CatalogueRow; series: number }>();
  #entriesOf = new Map<string, MetricEntry[]>();
  readonly #discoveredPerDevice = new Map<string, number>();
  #fresh: CatalogueRow[] = [];

  /** Replaces what is configured; what was discovered and no entry gives any more is forgotten. */
  configure(entries: readonly MetricEntry[]): void {
    this.#configured = new Map();
    this.#entriesOf = new Map();
    for (const entry of entries) {
      // A stream says itself what it gives: the ports of a wattmeter are devices of their own.
      if (isStreamDriver(entry.driver)) continue;
      const row = rowWithTexts(entry, entry.deviceId, entry.labels._device_alias);
      append(this.#entriesOf, entry.deviceId, entry);
      this.#configured.set(keyOf(row), row);
    }
    for (const [key, found] of this.#discovered) {
      const { origin, row } = found;
      const entry = this.#entryOf(row.deviceId, row.metricId, row.alias, origin);
      if (entry && !this.#configured.has(key)) {
        found.row = rowOf(entry, row.metricId);
        continue;
      }
      this.#discovered.delete(key);
      this.#discoveredPerDevice.set(row.deviceId, (this.#discoveredPerDevice.get(row.deviceId) ?? 1) - 1);
    }
  }

  /** A series that was read: remembers its metric unless it is known. */
  discover(series: Series, origin: Origin): void {
    const { deviceId, metricId } = series;
    // A user's own (kwollect_custom): in the catalogue it would be the collector's, and closed to everybody's pushes.
    if (series.labels._metric_origin !== undefined) return;
    const alias = series.labels._device_alias ?? '';
    const key = keyOf({ deviceId, metricId, alias });
    if (this.#configured.has(key) || this.#discovered.has(key) || this.#streamed.has(key)) return;
    const ofDevice = this.#discoveredPerDevice.get(deviceId) ?? 0;
    if (this.#discovered.size >= MAX_DISCOVERED || ofDevice >= MAX_DISCOVERED_PER_DEVICE) return;
    const entry = this.#entryOf(deviceId, metricId, alias, origin);
    if (!entry) return;
    const row = rowOf(entry, metricId);
    this.#discovered.set(key, { origin, row });
    this.#discoveredPerDevice.set(deviceId, ofDevice + 1);
    this.#fresh.push(row);
  }

  /** A stream gives a series from now on, as a metric of this entry. */
  streams(series: Series, entry: MetricEntry): void {
    const row = rowWithTexts(entry, series.deviceId, series.labels._device_alias, series.metricId);
    const key = keyOf(row);
    const known = this.#streamed.get(key);
    this.#streamed.set(key, { row, series: (known?.series ?? 0) + 1 });
    this.#fresh.push(row);
  }

  /** A stream does not give a series any more. */
  streamsNoMore({ deviceId, metricId, labels }: Series): void {
    const key = keyOf({ deviceId, metricId, alias: labels._device_alias ?? '' });
    const known = this.#streamed.get(key);
    if (known === undefined) return;
    known.series--;
    if (known.series === 0) this.#streamed.delete(key);
  }

  /** The entry that gives a series; of several one that is always read. */
  #entryOf(deviceId: string, metricId: string, alias: string, origin: Origin): MetricEntry | undefined {
    const giving = this.#entriesOf
      .get(deviceId)
      ?.filter(
        ({ url, driver, labels }) =>
          url.scheme === origin.scheme &&
          url.endpointKey === origin.endpointKey &&
          (labels._device_alias ?? '') === alias &&
          driver.asksFor?.(url, metricId) !== false,
      );
    return giving?.find(({ optional }) => !optional) ?? giving?.[0];
  }

  all(): CatalogueRow[] {
    this.#fresh = [];
    return [
      ...this.#configured.values(),
      ...Array.from(this.#discovered.values(), ({ row }) => row),
      ...Array.from(this.#streamed.values(), ({ row }) => row),
    ];
  }

  /** What was discovered since this was asked last. */
  takeFresh(): CatalogueRow[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  get hasFresh(): boolean {
    return this.#fresh.length > 0;
  }
}

/** A metric that an entry gives, under the entry's own name or another one. */
function rowOf(entry: MetricEntry, metricId: string): CatalogueRow {
  return {
    deviceId: entry.deviceId,
    metricId,
    alias: entry.labels._device_alias ?? '',
    periodMs: entry.updateEveryMs,
    optional: entry.optional,
    optionalPeriodMs: entry.optionalUpdateEveryMs ?? null,
    protocol: entry.url.scheme,
    unit: null,
    description: null,
    entryName: entry.name,
  };
}

/** The row of a metric that an entry names, with what it says for people; the device may be a part of the entry's. */
function rowWithTexts(
  entry: MetricEntry,
  deviceId: string,
  alias: string | undefined,
  metricId = entry.name,
): CatalogueRow {
  const { unit = null, description = null } = entry;
  return { ...rowOf(entry, metricId), deviceId, alias: alias ?? '', unit, description };
}

function keyOf(row: Pick<CatalogueRow, 'deviceId' | 'metricId' | 'alias'>): string {
  return `${row.deviceId}\n${row.metricId}\n${row.alias}`;
}
