/**
 * Reads a selection: windows of time, each one COPY, all in one snapshot, pushed through to a sink.
 *
 *   COPY --RowDecoder--> stored rows --RateSink--> --ByDeviceSink--> rows of devices --EverySink--> --LimitSink--> sink
 *
 * Memory does not grow with the number of rows. A million rows pass in about a second, the server's part included.
 */
import type { Client } from 'pg';
import { copyOut } from '../database/copyOut.ts';
import { bindLiterals } from '../database/literals.ts';
import type { RowSeries, RowSink, SummaryFields } from '../output/row.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import { AliasSumSink } from './aliasSum.ts';
import { ByDeviceSink, type KnownOrigin, type MissingOrigin } from './byDevice.ts';
import { compactJson, RowDecoder } from './decode.ts';
import { type Aggregate, EverySink } from './every.ts';
import type { Interval } from './interval.ts';
import { LimitSink } from './limit.ts';
import { RateSink } from './rate.ts';
import type { Selection } from './selection.ts';
import { type Spacing, SpacingMeter } from './spacing.ts';
import { type Window, windows } from './windows.ts';

export interface ReadOptions {
  /** Per second, from counters. */
  readonly rate?: boolean | undefined;
  readonly every?: { readonly periodUs: number; readonly aggregate: Aggregate } | undefined;
  /** The 5-minute summary instead of the values. */
  readonly summary?: boolean | undefined;
  /** Stop after so many rows. */
  readonly limit?: number | undefined;
  /** Rows of one timestamp count as one. */
  readonly limitByTime?: boolean | undefined;
}

export interface ReadResult {
  /** There are more rows than the limit. */
  readonly cut: boolean;
  /** Metrics of devices that had rows. */
  readonly seen: SeenMetrics;
  readonly spacings: readonly Spacing[];
  readonly missingOrigins: readonly MissingOrigin[];
}

/** Devices with rows, and the metrics of each. */
export type SeenMetrics = ReadonlyMap<string, ReadonlySet<string>>;

export const SUMMARY_BUCKET_US = 300 * 1e6;
/** The summary has one row in 5 minutes: begin with longer slices. */
const SUMMARY_SLICE_US = 86_400 * 1e6;
/** Origins of aliases show themselves within this time, or are in the catalogue. */
const ORIGIN_PROBE_US = 60 * 1e6;

/**
 * How windows are planned. TimescaleDB merges the batches of a compressed chunk in order, without a sort, only
 * where it may keep an open batch of each series in work_mem, and never in parallel workers (a million rows: first
 * row after 1 instead of 370 ms, 0.46 instead of 0.88 s in all). Compiling costs more than running one window.
 */
const PLANNING =
  "SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL work_mem = '64MB'";

/** Has this transaction plan windows well. */
export async function planWindows(client: Client): Promise<void> {
  await client.query(PLANNING);
}

/**
 * Runs `use` in one snapshot: everything it reads is of one moment.
 */
export async function inSnapshot<T>(client: Client, use: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await planWindows(client);
    return await use();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/**
 * Pushes the rows into `sink`, and ends it. Call it in a snapshot.
 * @param flush called after every few thousand rows; reading waits for it
 */
export async function readRows(
  client: Client,
  selection: Selection,
  options: ReadOptions,
  sink: RowSink,
  flush: () => Promise<void> | undefined,
): Promise<ReadResult> {
  const limit =
    options.limit === undefined
      ? undefined
      : new LimitSink(sink, options.limit, { byTime: options.limitByTime });
  let last: RowSink = limit ?? sink;
  if (options.every) last = new EverySink(last, options.every.periodUs, options.every.aggregate);
  const seen = new SeenSink(last);
  const reader = new WindowReader(client, selection, options);
  await reader.prepare();
  const byDevice =
    selection.devices === undefined
      ? undefined
      : new ByDeviceSink(seen, reader.deviceTimes(selection.devices), {
          origins: reader.origins,
          sameTimeOnly: options.summary === true,
        });
  let first: RowSink = byDevice ?? seen;
  if (options.rate) first = new RateSink(first, selection.devices);
  await reader.read(first, flush, () => limit?.cut === true);
  first.end();
  return {
    cut: limit?.cut ?? false,
    seen: seen.metrics,
    spacings: seen.spacing.all,
    missingOrigins: byDevice?.missing() ?? [],
  };
}

/**
 * Pushes the rows into `sink` by Kwollect's rule for aliases (see aliasSum.ts), and ends it. The selection names its
 * devices. Call it in a snapshot, after `planWindows`.
 * @param flush as in readRows
 */
export async function readKwollectRows(
  client: Client,
  selection: Selection & { readonly devices: ReadonlyMap<string, readonly Interval[]> },
  { rate, summary }: { readonly rate: boolean; readonly summary: boolean },
  sink: RowSink,
  flush: () => Promise<void> | undefined,
): Promise<void> {
  const reader = new WindowReader(client, selection, { summary });
  await reader.prepare({ findOrigins: false });
  const last = rate ? new RateSink(sink) : sink;
  const first = new AliasSumSink(last, reader.deviceTimes(selection.devices), { nanIsNone: summary });
  await reader.read(first, flush, () => false);
  first.end();
}

/** The series of a selection as devices see them: one row each, with the time 0. Call it in a snapshot. */
export async function readSeries(client: Client, selection: Selection, sink: RowSink): Promise<void> {
  const reader = new WindowReader(client, selection, {});
  await reader.prepare();
  const always = [{ fromUs: 0, toUs: 0 }];
  const devices = selection.devices && new Map([...selection.devices.keys()].map((name) => [name, always]));
  const first = devices ? new ByDeviceSink(sink, devices) : sink;
  let id = 0;
  for (const { deviceId, metricId, labels } of await reader.series()) {
    first.row(0, { id: id++, deviceId, metricId, labels }, 0);
  }
  first.end();
}

class WindowReader {
  readonly #client: Client;
  readonly #selection: Selection;
  readonly #options: ReadOptions;
  #compressed: readonly Interval[] = [];
  #aliases = false;
  origins: readonly KnownOrigin[] = [];

  constructor(client: Client, selection: Selection, options: ReadOptions) {
    this.#client = client;
    this.#selection = selection;
    this.#options = options;
  }

  /** Finds out what decides how to read: aliases among the devices, compressed chunks. */
  async prepare({ findOrigins = true } = {}): Promise<void> {
    const first = this.#selection.times[0];
    const last = this.#selection.times.at(-1);
    if (first === undefined || last === undefined) return;
    const bounds = [formatUtc(first.fromUs), formatUtc(last.toUs)] as const;
    if (this.#selection.devices !== undefined) {
      const names = [...this.#selection.devices.keys()];
      // The summary reaches back further than what it was made of.
      this.#aliases = this.#options.summary === true || (await hasAlias(this.#client, names, bounds));
      if (this.#aliases && findOrigins) this.origins = await this.#knownOrigins(names, first.fromUs);
    }
    if (!this.#options.summary) this.#compressed = await compressedChunks(this.#client, bounds);
  }

  /** Buckets of the summary that overlap a time belong to it. */
  deviceTimes(devices: ReadonlyMap<string, readonly Interval[]>): ReadonlyMap<string, readonly Interval[]> {
    if (!this.#options.summary) return devices;
    return new Map([...devices].map(([name, times]) => [name, times.map(wholeBuckets)]));
  }

  async read(sink: RowSink, flush: () => Promise<void> | undefined, enough: () => boolean): Promise<void> {
    const { summary = false } = this.#options;
    const times = summary ? this.#selection.times.map(wholeBuckets) : this.#selection.times;
    let rows = 0;
    const decoder = new RowDecoder(
      (timestampUs, value, series, fields) => {
        rows++;
        sink.row(timestampUs, series, value, fields);
      },
      { summary },
    );
    const sql = readSql(summary ? 'queries/metrics_read_summary' : 'queries/metrics_read');
    const batches = windows(times, this.#compressed, summary ? SUMMARY_SLICE_US : undefined);
    for (let batch = batches.next(0); !batch.done; batch = batches.next(rows)) {
      rows = 0;
      const copies = batch.value.map(
        (window) => `COPY (${this.#bind(sql, window)}) TO STDOUT (FORMAT binary)`,
      );
      for await (const chunk of copyOut(this.#client, copies.join(';'))) {
        decoder.decode(chunk);
        await flush();
        if (enough()) return;
      }
    }
  }

  async series(): Promise<{ deviceId: string; metricId: string; labels: string }[]> {
    const sql = readSql('queries/metrics_series');
    const found: { deviceId: string; metricId: string; labels: string }[] = [];
    for (const time of this.#selection.times) {
      const { rows } = await this.#client.query<{ device_id: string; metric_id: string; labels: string }>(
        this.#bind(sql, { ...time, compressed: false }),
      );
      for (const { device_id, metric_id, labels } of rows) {
        found.push({ deviceId: device_id, metricId: metric_id, labels: compactJson(labels) });
      }
    }
    return found;
  }

  #bind(sql: string, window: Window): string {
    const { devices, metrics, labels } = this.#selection;
    const inWindow =
      devices &&
      [...devices]
        .filter(([, times]) => times.some((time) => time.fromUs <= window.toUs && time.toUs >= window.fromUs))
        .map(([name]) => name);
    return bindLiterals(sql, {
      from: formatUtc(window.fromUs),
      to: formatUtc(window.toUs),
      devices: this.#options.summary && devices ? [...devices.keys()] : (inWindow ?? null),
      aliases: this.#aliases,
      metrics: metrics?.names ?? null,
      metric_patterns: metrics?.patterns ?? [],
      labels: labels === undefined ? null : JSON.stringify(labels),
      limit: this.#rowsNeeded(),
    });
  }

  /** A limit in SQL is exact only where each stored row makes a row; one more tells that there are more. */
  #rowsNeeded(): number | null {
    const { limit, limitByTime, every, rate } = this.#options;
    const { devices } = this.#selection;
    const uniform =
      devices === undefined || new Set([...devices.values()].map((times) => JSON.stringify(times))).size <= 1;
    return limit === undefined || limitByTime || every || rate || this.#aliases || !uniform
      ? null
      : limit + 1;
  }

  async #knownOrigins(names: readonly string[], fromUs: number): Promise<KnownOrigin[]> {
    const { rows } = await this.#client.query<{
      alias: string;
      metric_id: string;
      device_id: string;
      period_ms: number | null;
    }>(readSql('queries/metrics_alias_origins'), [
      names,
      formatUtc(fromUs),
      formatUtc(fromUs + ORIGIN_PROBE_US),
    ]);
    return rows.map((row) => ({
      alias: row.alias,
      metricId: row.metric_id,
      deviceId: row.device_id,
      periodUs: row.period_ms === null ? undefined : row.period_ms * 1000,
    }));
  }
}

/** Whether rows of this time have one of the names as their alias. */
export async function hasAlias(
  client: Client,
  names: readonly string[],
  [from, to]: readonly [from: string, to: string],
): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(readSql('queries/metrics_alias_exists'), [
    names,
    from,
    to,
  ]);
  return rows[0]?.exists === true;
}

/** From the beginning of the bucket of the summary on. */
export function wholeBuckets({ fromUs, toUs }: Interval): Interval {
  return { fromUs: Math.floor(fromUs / SUMMARY_BUCKET_US) * SUMMARY_BUCKET_US, toUs };
}

async function compressedChunks(client: Client, bounds: readonly string[]): Promise<Interval[]> {
  const { rows: views } = await client.query<{ exists: boolean }>(
    "SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL AS exists",
  );
  if (!views[0]?.exists) return [];
  const { rows } = await client.query<{ from_us: number; to_us: number }>(
    readSql('queries/metrics_compressed_chunks'),
    [...bounds],
  );
  return rows.map(({ from_us, to_us }) => ({ fromUs: from_us, toUs: to_us }));
}

/** Remembers which devices and metrics passed, and how far apart. */
class SeenSink implements RowSink {
  readonly metrics = new Map<string, Set<string>>();
  readonly spacing = new SpacingMeter();
  readonly #next: RowSink;
  /** By id. */
  readonly #known: RowSeries[] = [];

  constructor(next: RowSink) {
    this.#next = next;
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    if (this.#known[series.id] !== series) {
      this.#known[series.id] = series;
      const metrics = this.metrics.get(series.deviceId);
      if (metrics === undefined) this.metrics.set(series.deviceId, new Set([series.metricId]));
      else metrics.add(series.metricId);
      this.spacing.begin(series);
    }
    this.spacing.row(series.id, timestampUs);
    this.#next.row(timestampUs, series, value, summary);
  }

  end(): void {
    this.#next.end();
  }
}
