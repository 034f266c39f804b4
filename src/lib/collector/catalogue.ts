/**
 * What this collector reads or could read: the rows of kw.metric_catalogue. Configured metrics are known from the
 * start; those on the page of an exporter when they are seen first. The number of the latter is bounded, since
 * users write such pages.
 */
import type { MetricEntry } from '../config/model.ts';
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
}

const MAX_DISCOVERED_PER_DEVICE = 2_000;
const MAX_DISCOVERED = 100_000;

export class Catalogue {
  #configured = new Map<string, CatalogueRow>();
  readonly #discovered = new Map<string, CatalogueRow>();
  readonly #discoveredPerDevice = new Map<string, number>();
  #fresh: CatalogueRow[] = [];

  /** Replaces what is configured; what was discovered on devices that are gone is forgotten. */
  configure(entries: readonly MetricEntry[]): void {
    this.#configured = new Map();
    const devices = new Set<string>();
    for (const entry of entries) {
      const row = {
        deviceId: entry.deviceId,
        metricId: entry.name,
        alias: entry.labels._device_alias ?? '',
        periodMs: entry.updateEveryMs,
        optional: entry.optional,
        optionalPeriodMs: entry.optionalUpdateEveryMs ?? null,
        protocol: entry.url.scheme,
        unit: entry.unit ?? null,
        description: entry.description ?? null,
      };
      devices.add(entry.deviceId);
      this.#configured.set(keyOf(row), row);
    }
    for (const [key, row] of this.#discovered) {
      if (devices.has(row.deviceId) && !this.#configured.has(key)) continue;
      this.#discovered.delete(key);
      this.#discoveredPerDevice.set(row.deviceId, (this.#discoveredPerDevice.get(row.deviceId) ?? 1) - 1);
    }
  }

  /** A series that was read: remembers its metric unless it is known. */
  discover(series: Series, protocol: string, periodMs: number): void {
    const { deviceId, metricId } = series;
    // A user's own (kwollect_custom): in the catalogue it would be the collector's, and closed to everybody's pushes.
    if (series.labels._metric_origin !== undefined) return;
    const alias = series.labels._device_alias ?? '';
    const key = keyOf({ deviceId, metricId, alias });
    if (this.#configured.has(key) || this.#discovered.has(key)) return;
    const ofDevice = this.#discoveredPerDevice.get(deviceId) ?? 0;
    if (this.#discovered.size >= MAX_DISCOVERED || ofDevice >= MAX_DISCOVERED_PER_DEVICE) return;
    const row: CatalogueRow = {
      deviceId,
      metricId,
      alias,
      periodMs,
      optional: false,
      optionalPeriodMs: null,
      protocol,
      unit: null,
      description: null,
    };
    this.#discovered.set(key, row);
    this.#discoveredPerDevice.set(deviceId, ofDevice + 1);
    this.#fresh.push(row);
  }

  all(): CatalogueRow[] {
    this.#fresh = [];
    return [...this.#configured.values(), ...this.#discovered.values()];
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

function keyOf(row: Pick<CatalogueRow, 'deviceId' | 'metricId' | 'alias'>): string {
  return `${row.deviceId}\n${row.metricId}\n${row.alias}`;
}
