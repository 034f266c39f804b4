/**
 * One value for each series and period: buckets begin at multiples of the period since the epoch (in UTC) and
 * carry the time of their beginning. Finite values count only; a bucket without any has no row.
 */
import type { RowSeries, RowSink } from '../output/row.ts';
import { type StableSeries, StableSeriesMap } from './stableSeries.ts';

export const AGGREGATES = ['mean', 'min', 'max', 'sum', 'count', 'last', 'first'] as const;
export type Aggregate = (typeof AGGREGATES)[number];

interface Bucket {
  count: number;
  sum: number;
  min: number;
  max: number;
  first: number;
  last: number;
}

export class EverySink implements RowSink {
  readonly #next: RowSink;
  readonly #periodUs: number;
  readonly #aggregate: Aggregate;
  readonly #series = new StableSeriesMap();
  /** Of the present period, by index of series. */
  readonly #buckets = new Map<StableSeries, Bucket>();
  #startUs = Number.NaN;

  constructor(next: RowSink, periodUs: number, aggregate: Aggregate) {
    this.#next = next;
    this.#periodUs = periodUs;
    this.#aggregate = aggregate;
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    if (!Number.isFinite(value)) return;
    const startUs = Math.floor(timestampUs / this.#periodUs) * this.#periodUs;
    if (startUs !== this.#startUs) {
      this.#flush();
      this.#startUs = startUs;
    }
    const stable = this.#series.of(series);
    const bucket = this.#buckets.get(stable);
    if (bucket === undefined) {
      this.#buckets.set(stable, { count: 1, sum: value, min: value, max: value, first: value, last: value });
      return;
    }
    bucket.count++;
    bucket.sum += value;
    if (value < bucket.min) bucket.min = value;
    if (value > bucket.max) bucket.max = value;
    bucket.last = value;
  }

  end(): void {
    this.#flush();
    this.#next.end();
  }

  #flush(): void {
    for (const [series, bucket] of this.#buckets) {
      this.#next.row(this.#startUs, series, aggregateOf(bucket, this.#aggregate));
    }
    this.#buckets.clear();
  }
}

function aggregateOf(bucket: Bucket, aggregate: Aggregate): number {
  return aggregate === 'mean' ? bucket.sum / bucket.count : bucket[aggregate];
}
