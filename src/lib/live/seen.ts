/**
 * Which rows of a window were not there at the last look. A window moves on and never back, so that what it had at the
 * last look is all that has to be remembered: memory is that of one window.
 *
 * A row has no number of its own. Two that are equal in time, series and value are two when the window has two.
 */
import type { LiveRow } from './rows.ts';

export class SeenRows {
  #counts: ReadonlyMap<string, number> = new Map();

  /** The rows that are new, in the order of `rows`, which are all of the window now. */
  news(rows: readonly LiveRow[]): LiveRow[] {
    const counts = new Map<string, number>();
    const fresh: LiveRow[] = [];
    for (const row of rows) {
      const key = keyOf(row);
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (count > (this.#counts.get(key) ?? 0)) fresh.push(row);
    }
    this.#counts = counts;
    return fresh;
  }
}

function keyOf({ timestampUs, value, series }: LiveRow): string {
  return `${timestampUs} ${value} ${series.deviceId}\0${series.metricId}\0${series.labels}`;
}
