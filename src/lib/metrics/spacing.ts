/** How the rows of an answer are spaced, so that a device that fell silent for a while is noticed. Costs some ns a row. */
import type { RowSeries } from '../output/row.ts';
import type { Interval } from './interval.ts';

/** Of one metric of a device, all its series together; metrics of Prometheus pages together too. Times in microseconds. */
export interface Spacing {
  readonly deviceId: string;
  readonly source: string;
  readonly firstUs: number;
  readonly lastUs: number;
  /** Different timestamps. */
  readonly instants: number;
  /** The widest between neighbouring ones, at most MAX_HOLES, in no order. */
  readonly holes: readonly Interval[];
}

const MAX_HOLES = 8;

/** Metrics that come from one reading: those of a page come and go, and are read together. */
export function sourceOf(metricId: string): string {
  return metricId.startsWith('prom_') ? 'prom_*' : metricId;
}

/** The usual distance of neighbouring rows: without the widest ones, or in the middle of few. */
export function usualDistanceUs({ firstUs, lastUs, instants, holes }: Spacing): number | undefined {
  const widths = holes.map(widthUs).sort((a, b) => a - b);
  const others = instants - 1 - widths.length;
  if (others <= 0) return widths[widths.length >> 1];
  return (lastUs - firstUs - widths.reduce((sum, width) => sum + width, 0)) / others;
}

type MutableSpacing = { -readonly [Field in keyof Spacing]: Spacing[Field] } & {
  holes: Interval[];
  /** What a hole must exceed to be one of the widest. */
  leastUs: number;
};

function widthUs({ fromUs, toUs }: Interval): number {
  return toUs - fromUs;
}

/** Keeps it if it is one of the widest so far. */
function keepHole(spacing: MutableSpacing, hole: Interval): void {
  const { holes } = spacing;
  if (holes.push(hole) <= MAX_HOLES) return;
  holes.sort((a, b) => widthUs(b) - widthUs(a)).pop();
  spacing.leastUs = widthUs(holes.at(-1) as Interval);
}

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
        holes: [],
        leastUs: 0,
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
    else if (timestampUs - lastUs > spacing.leastUs) keepHole(spacing, { fromUs: lastUs, toUs: timestampUs });
    spacing.lastUs = timestampUs;
  }

  get all(): readonly Spacing[] {
    return [...this.#all.values()];
  }
}
