/**
 * Counters as values per second. A counter that falls was reset and has counted up from zero since: never a
 * negative rate. The first value of a series has no rate; of several at one instant the lowest counts; values that
 * are no finite numbers are left out. What a device measures itself and what others measure for it (`_device_orig`) are
 * counters of their own.
 *
 * A row waits until the instant is over: another one of its series may come.
 */
import type { RowSeries, RowSink } from '../output/row.ts';
import type { Interval } from './interval.ts';
import { StableSeriesMap } from './stableSeries.ts';

export class RateSink implements RowSink {
  readonly #next: RowSink;
  readonly #series = new StableSeriesMap();
  /** By #indexOf(). */
  readonly #lastUs: number[] = [];
  readonly #lastValue: number[] = [];

  /** Times of each device. A rate never reaches over a gap between them, in which others had the device. */
  readonly #devices: ReadonlyMap<string, readonly Interval[]> | undefined;
  readonly #times: (readonly Interval[])[] = [];
  /** At #timestampUs. */
  readonly #waiting = new Map<number, { series: RowSeries; value: number }>();
  #timestampUs = Number.NaN;

  constructor(next: RowSink, devices?: ReadonlyMap<string, readonly Interval[]>) {
    this.#next = next;
    this.#devices = devices;
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    if (timestampUs !== this.#timestampUs) {
      this.#flush();
      this.#timestampUs = timestampUs;
    }
    if (!Number.isFinite(value)) return;
    const index = this.#indexOf(series);
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) {
      this.#waiting.set(index, { series, value });
    } else if (value < waiting.value) {
      waiting.series = series;
      waiting.value = value;
    }
  }

  end(): void {
    this.#flush();
    this.#next.end();
  }

  #flush(): void {
    for (const [index, { series, value }] of this.#waiting)
      this.#take(index, this.#timestampUs, series, value);
    this.#waiting.clear();
  }

  #indexOf(series: RowSeries): number {
    return this.#series.of(series).index * 2 + (series.labels.includes('"_device_orig":') ? 1 : 0);
  }

  #take(index: number, timestampUs: number, series: RowSeries, value: number): void {
    const lastUs = this.#lastUs[index];
    const lastValue = this.#lastValue[index];
    if (lastUs !== undefined && timestampUs <= lastUs) return;
    this.#lastUs[index] = timestampUs;
    this.#lastValue[index] = value;
    if (
      lastUs === undefined ||
      lastValue === undefined ||
      !this.#together(index, series, lastUs, timestampUs)
    )
      return;
    const increase = value >= lastValue ? value - lastValue : Math.max(value, 0);
    this.#next.row(timestampUs, series, (increase / (timestampUs - lastUs)) * 1e6);
  }

  /** Whether both times lie in one interval of the device, by its own name or by its alias. */
  #together(index: number, series: RowSeries, earlierUs: number, laterUs: number): boolean {
    if (this.#devices === undefined) return true;
    let times = this.#times[index];
    if (times === undefined) {
      const { _device_alias: alias } = JSON.parse(series.labels) as Record<string, unknown>;
      times = [
        ...(this.#devices.get(series.deviceId) ?? []),
        ...((typeof alias === 'string' && this.#devices.get(alias)) || []),
      ];
      this.#times[index] = times;
    }
    return times.some(({ fromUs, toUs }) => earlierUs >= fromUs && laterUs <= toUs);
  }
}
