/** The first rows only. */
import type { RowSeries, RowSink, SummaryFields } from '../output/row.ts';

export class LimitSink implements RowSink {
  readonly #next: RowSink;
  #left: number;
  /** A row more than the limit came: there are more than were let through. */
  cut = false;

  readonly #byTime: boolean;
  #timestampUs = Number.NaN;

  /** `byTime`: rows of one timestamp count as one. */
  constructor(next: RowSink, limit: number, { byTime = false } = {}) {
    this.#next = next;
    this.#left = limit;
    this.#byTime = byTime;
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    const counts = !this.#byTime || timestampUs !== this.#timestampUs;
    if (!this.cut && (this.#left > 0 || !counts)) {
      if (counts) this.#left--;
      this.#timestampUs = timestampUs;
      this.#next.row(timestampUs, series, value, summary);
    } else {
      this.cut = true;
    }
  }

  end(): void {
    this.#next.end();
  }
}
