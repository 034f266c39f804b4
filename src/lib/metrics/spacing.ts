/** How the rows of an answer are spaced, so that a device that fell silent for a while is noticed. Costs some ns a row. */
import type { RowSeries } from '../output/row.ts';

/** Of one metric of a device, all its series together; metrics of Prometheus pages together too. Times in microseconds. */
export interface Spacing {
  readonly deviceId: string;
  readonly source: string;
  readonly firstUs: number;
  readonly lastUs: number;
  /** Different timestamps. */
  readonly instants: number;
  /** Between neighbouring ones. */
  readonly widestFromUs: number;
  readonly widestToUs: number;
}

/** Metrics that come from one reading: those of a page come and go, and are read together. */
export function sourceOf(metricId: string): string {
  return metricId.startsWith('prom_') ? 'prom_*' : metricId;
}

type MutableSpacing = { -readonly [Field in keyof Spacing]: Spacing[Field] };

export class SpacingMeter {
  readonly #all = new Map<string, MutableSpacing>();
  /** By id of series. */
  readonly #bySeries: (MutableSpacing | undefined)[] = [];

  /** A series whose rows come from now on under this id. */
  begin({ id, deviceId, metricId }: RowSeries): void {
    const source = sourceOf(metricId);
    const key = JSON.stringify([deviceId, source]);
    let spacing = this.#all.get(key);
    if (spacing === undefined) {
      spacing = {
        deviceId,
        source,
        firstUs: Number.NaN,
        lastUs: Number.NaN,
        instants: 0,
        widestFromUs: 0,
        widestToUs: 0,
      };
      this.#all.set(key, spacing);
    }
    this.#bySeries[id] = spacing;
  }

  row(id: number, timestampUs: number): void {
    const spacing = this.#bySeries[id] as MutableSpacing;
    const { lastUs } = spacing;
    if (timestampUs <= lastUs) return;
    if (spacing.instants++ === 0) spacing.firstUs = timestampUs;
    else if (timestampUs - lastUs > spacing.widestToUs - spacing.widestFromUs) {
      spacing.widestFromUs = lastUs;
      spacing.widestToUs = timestampUs;
    }
    spacing.lastUs = timestampUs;
  }

  get all(): readonly Spacing[] {
    return [...this.#all.values()];
  }
}
