/**
 * Which rows an answer of the API shows. Programs read `value` as a number, so rows without a finite one are left out;
 * texts (label `value_str`), whose value is no number, are shown, as null, to who asks for their metric by name.
 */
import type { RowSeries, RowSink } from '../output/row.ts';

const TEXT = '"value_str":';

export class ShownValuesSink implements RowSink {
  readonly #next: RowSink;
  readonly #named: ReadonlySet<string>;

  /** `named`: metrics of which texts are shown. */
  constructor(next: RowSink, named: Iterable<string>) {
    this.#next = next;
    this.#named = new Set(named);
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    if (
      Number.isFinite(value) ||
      (Number.isNaN(value) && this.#named.has(series.metricId) && series.labels.includes(TEXT))
    ) {
      this.#next.row(timestampUs, series, value);
    }
  }

  end(): void {
    this.#next.end();
  }
}
