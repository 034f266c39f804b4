/**
 * Series as people think of them: labels that may differ in every row, and the list of origins of an alias, do
 * not make another series.
 */
import type { RowSeries } from '../output/row.ts';
import { isVolatile, stableLabels } from './decode.ts';

export interface StableSeries extends RowSeries {
  /** Its place among the series seen so far, from 0 on, in order of appearance. */
  readonly index: number;
}

export class StableSeriesMap {
  readonly #bySeries: { from: RowSeries; stable: StableSeries }[] = [];
  readonly #byKey = new Map<string, StableSeries>();

  get all(): Iterable<StableSeries> {
    return this.#byKey.values();
  }

  of(series: RowSeries): StableSeries {
    const known = this.#bySeries[series.id];
    if (known?.from === series) return known.stable;
    const stable = this.#find(series);
    this.#bySeries[series.id] = { from: series, stable };
    return stable;
  }

  #find(series: RowSeries): StableSeries {
    const { deviceId, metricId } = series;
    const labels = isVolatile(series.labels) ? JSON.stringify(stableLabels(series.labels)) : series.labels;
    const key = JSON.stringify([deviceId, metricId, withoutOrigins(labels)]);
    let stable = this.#byKey.get(key);
    if (stable === undefined) {
      const index = this.#byKey.size;
      stable = { id: index, index, deviceId, metricId, labels };
      this.#byKey.set(key, stable);
    }
    return stable;
  }
}

function withoutOrigins(labels: string): string {
  if (!labels.includes('"_device_orig":')) return labels;
  const { _device_orig, ...rest } = JSON.parse(labels) as Record<string, unknown>;
  return JSON.stringify(rest);
}
