/** Live rows of the last minutes, given out as columns like those of the server. No DOM. */
import type { SeriesColumns } from './lines.ts';

/** A line of the stream. */
export interface StreamRow {
  readonly timestamp: string;
  readonly device_id: string;
  readonly metric_id: string;
  readonly value: number | null;
  readonly labels: Readonly<Record<string, unknown>>;
}

interface Point {
  readonly at: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
}

interface Series {
  readonly names: Pick<SeriesColumns, 'device_id' | 'metric_id' | 'labels' | 'unit'>;
  readonly points: Point[];
  /** Times and values that came as rows: a stream that was interrupted begins again with what was seen. */
  readonly seen: Set<string>;
  /** Columns of the server end here; rows before it are in them. */
  readonly filledTo: number;
}

const CHANGING = new Set(['value_str', '_metric_scrape_time', '_timestamp']);
const MAX_POINTS = 200_000;

export class Ring {
  readonly #series = new Map<string, Series>();
  #points = 0;

  /** What is known before the stream begins: columns of the server, up to `to` seconds. */
  fill(series: readonly SeriesColumns[], from: number, columnS: number, to: number): void {
    for (const { column, min, max, mean, count, ...names } of series) {
      const points = column.map((number, index) => ({
        at: from + (number + 0.5) * columnS,
        min: min[index] ?? Number.NaN,
        max: max[index] ?? Number.NaN,
        mean: mean[index] ?? Number.NaN,
        count: count[index] ?? 0,
      }));
      this.#points += points.length;
      this.#series.set(keyOf(names), { names, points, seen: new Set(), filledTo: to });
    }
  }

  push(row: StreamRow): void {
    const { value } = row;
    if (value === null) return;
    const labels = Object.fromEntries(Object.entries(row.labels).filter(([name]) => !CHANGING.has(name)));
    const names = { device_id: row.device_id, metric_id: row.metric_id, labels };
    const key = keyOf(names);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { names, points: [], seen: new Set(), filledTo: Number.NEGATIVE_INFINITY };
      this.#series.set(key, series);
    }
    const at = Date.parse(row.timestamp) / 1000;
    const id = `${row.timestamp} ${value}`;
    if (at <= series.filledTo || series.seen.has(id)) return;
    series.seen.add(id);
    const { points } = series;
    let place = points.length;
    while (place > 0 && (points[place - 1]?.at ?? 0) > at) place--;
    points.splice(place, 0, { at, min: value, max: value, mean: value, count: 1 });
    this.#points++;
  }

  /** Forgets what is older; returns the time of the newest point. */
  trim(from: number): number | undefined {
    let newest: number | undefined;
    for (const series of this.#series.values()) {
      const keep = series.points.findIndex(({ at }) => at >= from);
      const count = keep < 0 ? series.points.length : keep;
      const over = Math.max(count, Math.ceil((this.#points - MAX_POINTS) / this.#series.size));
      if (over > 0) this.#points -= series.points.splice(0, over).length;
      if (series.seen.size > 2 * series.points.length + 10_000) series.seen.clear();
      const last = series.points.at(-1)?.at;
      if (last !== undefined) newest = Math.max(newest ?? last, last);
    }
    return newest;
  }

  columns(from: number, columnS: number, columns: number): SeriesColumns[] {
    return [...this.#series.values()].map(({ names, points }) => {
      const made = {
        column: [] as number[],
        min: [] as number[],
        max: [] as number[],
        mean: [] as number[],
        count: [] as number[],
      };
      for (const point of points) {
        const column = Math.floor((point.at - from) / columnS);
        if (column < 0 || column >= columns) continue;
        const place = made.column.length - 1;
        if (made.column[place] !== column) {
          made.column.push(column);
          made.min.push(point.min);
          made.max.push(point.max);
          made.mean.push(point.mean);
          made.count.push(point.count);
          continue;
        }
        const count = (made.count[place] as number) + point.count;
        made.min[place] = Math.min(made.min[place] as number, point.min);
        made.max[place] = Math.max(made.max[place] as number, point.max);
        made.mean[place] =
          ((made.mean[place] as number) * (made.count[place] as number) + point.mean * point.count) / count;
        made.count[place] = count;
      }
      return { ...names, ...made };
    });
  }
}

function keyOf({ device_id, metric_id, labels }: Series['names']): string {
  return JSON.stringify([device_id, metric_id, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
