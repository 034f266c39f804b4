/**
 * From rows as they are stored to rows as devices see them: each within the times that are selected for it, under
 * its own name, and under its alias (`_device_alias`), where `_device_orig` lists the origins.
 *
 * Several origins of one alias are added up: two outlets power one node. Two supplies on two PDUs never share a
 * microsecond, so the sum takes the last value of each, if it is not older than one period (half as much again
 * for jitter). Of the origins that are alive, the first by name leads: each of its values makes one row. If it
 * falls silent, the next one leads. A row with an origin missing lists those it has, and is counted.
 */
import { append } from '../append.ts';
import type { RowSeries, RowSink, SummaryFields } from '../output/row.ts';
import { ALIAS_LABEL, withOrigins } from './aliasLabels.ts';
import { isVolatile } from './decode.ts';
import { covers, type Interval } from './interval.ts';

/** An origin of an alias that is known before its first row. */
export interface KnownOrigin {
  readonly alias: string;
  readonly metricId: string;
  readonly deviceId: string;
  readonly periodUs: number | undefined;
}

/** How often an origin was missing from the sums of an alias. */
export interface MissingOrigin {
  readonly alias: string;
  readonly metricId: string;
  readonly origin: string;
  /** Rows without it, of all rows. */
  readonly rows: number;
  readonly of: number;
}

/** Before an origin has shown its own period: Kwollect's default. */
const DEFAULT_PERIOD_US = 10 * 1e6;
const JITTER = 1.5;

export class ByDeviceSink implements RowSink {
  readonly #next: RowSink;
  readonly #devices: ReadonlyMap<string, readonly Interval[]>;
  readonly #known = new Map<string, KnownOrigin[]>();
  readonly #sameTimeOnly: boolean;
  /** By id of stored series. */
  readonly #views: View[] = [];
  readonly #groups = new Map<string, Group>();
  /** Groups that have a value at #timestampUs. */
  readonly #touched = new Set<Group>();
  #timestampUs = Number.NaN;

  /** `sameTimeOnly`: origins share their timestamps, as in the summary. */
  constructor(
    next: RowSink,
    devices: ReadonlyMap<string, readonly Interval[]>,
    { origins = [], sameTimeOnly = false }: { origins?: readonly KnownOrigin[]; sameTimeOnly?: boolean } = {},
  ) {
    this.#next = next;
    this.#devices = devices;
    this.#sameTimeOnly = sameTimeOnly;
    for (const origin of origins) {
      const key = JSON.stringify([origin.alias, origin.metricId]);
      append(this.#known, key, origin);
    }
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    if (timestampUs !== this.#timestampUs) {
      this.#flush();
      this.#timestampUs = timestampUs;
    }
    let view = this.#views[series.id];
    if (view?.stored !== series) {
      view = this.#view(series);
      this.#views[series.id] = view;
    }
    if (view.own && covers(view.ownTimes, timestampUs)) this.#next.row(timestampUs, view.own, value, summary);
    if (!view.alias || !covers(view.aliasTimes, timestampUs)) return;
    if (view.group === undefined || (view.group.origins.length === 1 && !this.#sameTimeOnly)) {
      if (view.group) view.group.rows++;
      this.#next.row(timestampUs, view.alias, value, summary);
      return;
    }
    view.group.take(series, timestampUs, value, summary);
    this.#touched.add(view.group);
  }

  end(): void {
    this.#flush();
    this.#next.end();
  }

  missing(): MissingOrigin[] {
    return [...this.#groups.values()].flatMap((group) => group.missing());
  }

  #flush(): void {
    for (const group of this.#touched) group.emit(this.#next, this.#timestampUs);
    this.#touched.clear();
  }

  #view(stored: RowSeries): View {
    const ownTimes = this.#devices.get(stored.deviceId);
    if (!stored.labels.includes(`"${ALIAS_LABEL}":`)) {
      // Nothing to take from the labels: their text stays as it is.
      return {
        stored,
        own: ownTimes && { ...stored, id: stored.id * 2 },
        ownTimes: ownTimes ?? [],
        alias: undefined,
        aliasTimes: [],
        group: undefined,
      };
    }
    const { [ALIAS_LABEL]: alias, ...labels } = JSON.parse(stored.labels) as Record<string, unknown>;
    const aliasTimes = typeof alias === 'string' ? this.#devices.get(alias) : undefined;
    const own = ownTimes && { ...stored, id: stored.id * 2, labels: JSON.stringify(labels) };
    if (aliasTimes === undefined || typeof alias !== 'string') {
      return { stored, own, ownTimes: ownTimes ?? [], alias: undefined, aliasTimes: [], group: undefined };
    }
    const aliased = {
      id: stored.id * 2 + 1,
      deviceId: alias,
      metricId: stored.metricId,
      labels: withOrigins(labels, [stored.deviceId]),
    };
    const group = isVolatile(stored.labels) ? undefined : this.#group(aliased, labels);
    group?.join(stored.deviceId);
    return { stored, own, ownTimes: ownTimes ?? [], alias: aliased, aliasTimes, group };
  }

  #group(aliased: RowSeries, labels: Record<string, unknown>): Group {
    const key = JSON.stringify([aliased.deviceId, aliased.metricId, labels]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const known = this.#known.get(JSON.stringify([aliased.deviceId, aliased.metricId])) ?? [];
      group = new Group(aliased, labels, known, this.#sameTimeOnly);
      this.#groups.set(key, group);
    }
    return group;
  }
}

/** What a stored series becomes. */
interface View {
  readonly stored: RowSeries;
  readonly own: RowSeries | undefined;
  readonly ownTimes: readonly Interval[];
  readonly alias: RowSeries | undefined;
  readonly aliasTimes: readonly Interval[];
  /** Undefined for texts, which cannot be added up. */
  readonly group: Group | undefined;
}

interface Origin {
  readonly deviceId: string;
  periodUs: number | undefined;
  /** Whether the period comes from the catalogue; otherwise it is the distance of the last two values. */
  readonly periodKnown: boolean;
  lastUs: number;
  value: number;
  summary: SummaryFields | undefined;
  /** Rows of the alias that lack it. */
  missed: number;
}

/** The origins of one alias, metric and labels. */
class Group {
  /** In order of their names. */
  readonly origins: Origin[] = [];
  rows = 0;
  readonly #aliased: RowSeries;
  readonly #labels: Record<string, unknown>;
  readonly #sameTimeOnly: boolean;
  readonly #bySet = new Map<string, RowSeries>();
  #firstUs: number | undefined;

  constructor(
    aliased: RowSeries,
    labels: Record<string, unknown>,
    known: readonly KnownOrigin[],
    sameTimeOnly: boolean,
  ) {
    this.#aliased = aliased;
    this.#labels = labels;
    this.#sameTimeOnly = sameTimeOnly;
    for (const { deviceId, periodUs } of known) this.join(deviceId, periodUs);
  }

  join(deviceId: string, periodUs?: number): void {
    const present = this.origins.find((origin) => origin.deviceId === deviceId);
    if (present !== undefined) {
      present.periodUs ??= periodUs;
      return;
    }
    this.origins.push({
      deviceId,
      periodUs,
      periodKnown: periodUs !== undefined,
      lastUs: Number.NEGATIVE_INFINITY,
      value: Number.NaN,
      summary: undefined,
      missed: 0,
    });
    this.origins.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  }

  take(series: RowSeries, timestampUs: number, value: number, summary: SummaryFields | undefined): void {
    const origin = this.origins.find(({ deviceId }) => deviceId === series.deviceId);
    if (origin === undefined) return;
    this.#firstUs ??= timestampUs;
    const gapUs = timestampUs - origin.lastUs;
    if (!origin.periodKnown && gapUs > 0 && Number.isFinite(gapUs)) {
      // After an outage the gap is no period: let it grow by steps only.
      origin.periodUs = Math.min(gapUs, 4 * (origin.periodUs ?? gapUs));
    }
    origin.lastUs = timestampUs;
    origin.value = value;
    origin.summary = summary;
  }

  /** One row, if the leading origin has a value at this time. */
  emit(next: RowSink, timestampUs: number): void {
    const alive = this.origins.filter((origin) => timestampUs - origin.lastUs <= this.#toleranceUs(origin));
    if (alive[0]?.lastUs !== timestampUs) return;
    if (alive.length < this.origins.length) {
      // At the beginning the others may still be on their way.
      const waited = timestampUs - (this.#firstUs ?? timestampUs);
      const unseen = this.origins.filter(({ lastUs }) => lastUs === Number.NEGATIVE_INFINITY);
      if (!this.#sameTimeOnly && unseen.some((origin) => waited < this.#toleranceUs(origin))) return;
      for (const origin of this.origins) if (!alive.includes(origin)) origin.missed++;
    }
    this.rows++;
    next.row(
      timestampUs,
      this.#series(alive),
      alive.reduce((sum, { value }) => sum + value, 0),
      this.#sameTimeOnly ? sumOfSummaries(alive) : undefined,
    );
  }

  missing(): MissingOrigin[] {
    const { deviceId: alias, metricId } = this.#aliased;
    return this.origins
      .filter(({ missed }) => missed > 0)
      .map(({ deviceId, missed }) => ({ alias, metricId, origin: deviceId, rows: missed, of: this.rows }));
  }

  #toleranceUs({ periodUs }: Origin): number {
    return this.#sameTimeOnly ? 0 : JITTER * (periodUs ?? DEFAULT_PERIOD_US);
  }

  #series(alive: readonly Origin[]): RowSeries {
    const names = alive.map(({ deviceId }) => deviceId);
    const key = JSON.stringify(names);
    let series = this.#bySet.get(key);
    if (series === undefined) {
      series = { ...this.#aliased, labels: withOrigins(this.#labels, names) };
      this.#bySet.set(key, series);
    }
    return series;
  }
}

/** Lowest and highest of a sum are between these: the origins' extremes need not fall together. */
function sumOfSummaries(origins: readonly Origin[]): SummaryFields {
  const total = { min: 0, max: 0, count: 0, countNotFinite: 0 };
  for (const { summary } of origins) {
    if (summary === undefined) continue;
    total.min += summary.min;
    total.max += summary.max;
    total.count += summary.count;
    total.countNotFinite += summary.countNotFinite;
  }
  return total;
}
