/**
 * From rows as they are stored to rows as devices see them, by Kwollect's rule: each under its own name, and under its
 * alias (`_device_alias`), where values of several origins with the same alias, metric, timestamp and labels are one
 * row, their sum, and `_device_orig` lists the origins. It is what the view kw.metrics_by_device gives; byDevice.ts
 * combines values that are not of the same microsecond.
 *
 * An aliased row waits until the instant is over: others of its group may come.
 */
import type { RowSeries, RowSink } from '../output/row.ts';
import { ALIAS_LABEL, withOrigins } from './aliasLabels.ts';
import { covers, type Interval } from './interval.ts';

/** Labels may differ in every row: groups and sums are forgotten from time to time. */
const MAX_REMEMBERED = 20_000;

/** What a stored series becomes. */
interface View {
  readonly stored: RowSeries;
  readonly own: RowSeries | undefined;
  readonly ownTimes: readonly Interval[];
  /** As the alias shows it when it is alone. */
  readonly alias: RowSeries | undefined;
  readonly aliasTimes: readonly Interval[];
  readonly group: Group | undefined;
}

/** Rows of one alias, metric and labels; at each instant they are one. */
interface Group {
  readonly labels: Readonly<Record<string, unknown>>;
  /** At the current instant. */
  sum: number;
  first: View | undefined;
  others: View[] | undefined;
}

export class AliasSumSink implements RowSink {
  readonly #next: RowSink;
  readonly #devices: ReadonlyMap<string, readonly Interval[]>;
  readonly #nanIsNone: boolean;
  /** By id of stored series. */
  readonly #views: View[] = [];
  readonly #groups = new Map<string, Group>();
  /** By their origins. */
  readonly #sums = new Map<string, RowSeries>();
  /** Groups that have a value at #timestampUs. */
  readonly #touched: Group[] = [];
  #timestampUs = Number.NaN;

  /**
   * `devices`: the names that were asked for, each with its times. `nanIsNone`: as in the summary, where NaN stands for
   * a bucket without a value, and adds nothing.
   */
  constructor(
    next: RowSink,
    devices: ReadonlyMap<string, readonly Interval[]>,
    { nanIsNone = false }: { readonly nanIsNone?: boolean } = {},
  ) {
    this.#next = next;
    this.#devices = devices;
    this.#nanIsNone = nanIsNone;
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    if (timestampUs !== this.#timestampUs) {
      if (this.#touched.length > 0) this.#flush();
      this.#timestampUs = timestampUs;
    }
    let view = this.#views[series.id];
    if (view?.stored !== series) {
      view = this.#view(series);
      this.#views[series.id] = view;
    }
    if (view.own !== undefined && covers(view.ownTimes, timestampUs)) {
      this.#next.row(timestampUs, view.own, value);
    }
    const { group } = view;
    if (group === undefined || !covers(view.aliasTimes, timestampUs)) return;
    if (group.first === undefined) {
      group.first = view;
      group.sum = value;
      this.#touched.push(group);
    } else {
      if (this.#nanIsNone && Number.isNaN(group.sum)) group.sum = value;
      else if (!this.#nanIsNone || !Number.isNaN(value)) group.sum += value;
      group.others ??= [];
      group.others.push(view);
    }
  }

  end(): void {
    this.#flush();
    this.#next.end();
  }

  #flush(): void {
    for (const group of this.#touched) {
      const { first, others } = group;
      if (first?.alias === undefined) continue;
      const series = others === undefined ? first.alias : this.#sumOf(group.labels, [first, ...others]);
      this.#next.row(this.#timestampUs, series, group.sum);
      group.first = undefined;
      group.others = undefined;
    }
    this.#touched.length = 0;
    if (this.#groups.size > MAX_REMEMBERED) {
      this.#groups.clear();
      this.#views.length = 0;
    }
    if (this.#sums.size > MAX_REMEMBERED) this.#sums.clear();
  }

  #view(stored: RowSeries): View {
    const ownTimes = this.#devices.get(stored.deviceId);
    if (!stored.labels.includes(`"${ALIAS_LABEL}":`)) {
      const own = ownTimes && { ...stored, id: stored.id * 2 };
      return { stored, own, ownTimes: ownTimes ?? [], alias: undefined, aliasTimes: [], group: undefined };
    }
    const { [ALIAS_LABEL]: label, ...labels } = JSON.parse(stored.labels) as Record<string, unknown>;
    const own = ownTimes && { ...stored, id: stored.id * 2, labels: JSON.stringify(labels) };
    const alias = typeof label === 'string' ? label : JSON.stringify(label);
    const aliasTimes = label === null ? undefined : this.#devices.get(alias);
    if (aliasTimes === undefined) {
      return { stored, own, ownTimes: ownTimes ?? [], alias: undefined, aliasTimes: [], group: undefined };
    }
    const aliased = {
      id: stored.id * 2 + 1,
      deviceId: alias,
      metricId: stored.metricId,
      labels: withOrigins(labels, [stored.deviceId]),
    };
    const group = this.#group(aliased, labels);
    return { stored, own, ownTimes: ownTimes ?? [], alias: aliased, aliasTimes, group };
  }

  #group({ deviceId, metricId }: RowSeries, labels: Readonly<Record<string, unknown>>): Group {
    const key = JSON.stringify([deviceId, metricId, labels]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { labels, sum: 0, first: undefined, others: undefined };
      this.#groups.set(key, group);
    }
    return group;
  }

  #sumOf(labels: Readonly<Record<string, unknown>>, views: readonly View[]): RowSeries {
    // The same device may have stored the same instant twice: it is listed twice.
    const origins = views.map(({ stored }) => stored.deviceId).sort();
    const first = views[0]?.alias as RowSeries;
    const key = JSON.stringify([first.deviceId, first.metricId, labels, origins]);
    let series = this.#sums.get(key);
    if (series === undefined) {
      series = { ...first, labels: withOrigins(labels, origins) };
      this.#sums.set(key, series);
    }
    return series;
  }
}
