/**
 * The envelope of a selection: for each column of a chart the lowest, the highest and the mean value, so that no peak is
 * lost at any zoom and a client never loads more than it can draw.
 *
 * Short times are read from the values, at a cost that is bounded: where there are more than MAX_VALUES, or where a
 * column is five minutes or longer, the 5-minute summary gives the same lowest and highest values in its steps.
 */
import type { Client } from 'pg';
import { bindLiterals, type LiteralValue } from '../database/literals.ts';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import { DeviceViews } from './deviceViews.ts';
import type { Interval } from './interval.ts';
import { hasAlias, planWindows, SUMMARY_BUCKET_US, wholeBuckets } from './read.ts';
import type { Selection } from './selection.ts';
import { readUnits, unitFinder } from './units.ts';

export interface EnvelopeSeries {
  readonly deviceId: string;
  readonly metricId: string;
  /** An alias has `_device_orig`; origins of one alias are series of their own. */
  readonly labels: Readonly<Record<string, unknown>>;
  readonly unit: string | undefined;
  /** Numbers of the columns that have values, rising; the following lists belong to them. */
  readonly columns: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly mean: readonly number[];
  readonly count: readonly number[];
}

export interface Envelope {
  /** Where the first column begins. */
  readonly fromUs: number;
  readonly toUs: number;
  readonly columnUs: number;
  readonly columns: number;
  readonly source: 'values' | 'summary';
  readonly series: readonly EnvelopeSeries[];
  /** There are more series than are given. */
  readonly cut: boolean;
}

/** Read within two or three seconds. */
const MAX_VALUES = 3_000_000;
const MAX_PIXELS = 4000;
const MAX_SERIES = 64;
/** Estimating costs more than reading so short a time. */
const SHORT_US = 600 * 1e6;

interface ColumnRow {
  column: number;
  device_id: string;
  metric_id: string;
  labels: string;
  low: number;
  high: number;
  mean: number;
  count: number;
  last_us: number;
}

/**
 * Call it in a transaction. `rate`: counters as values per second, the mean of each column.
 * @param pixels columns at most
 * @throws KwError BAD_PIXELS, EMPTY_TIME
 */
export async function readEnvelope(
  client: Client,
  selection: Selection,
  pixels: number,
  { rate = false, maxValues = MAX_VALUES }: { rate?: boolean; maxValues?: number } = {},
): Promise<Envelope> {
  if (!Number.isInteger(pixels) || pixels < 1 || pixels > MAX_PIXELS) {
    throw new KwError(`pixels is a whole number from 1 to ${MAX_PIXELS}`, { code: 'BAD_PIXELS' });
  }
  const { fromUs, toUs } = selection.bounds;
  if (toUs <= fromUs) {
    throw new KwError('the time is empty', { code: 'EMPTY_TIME', hint: 'give a later end' });
  }
  const devices = selection.devices && [...selection.devices.keys()];
  const aliases =
    devices !== undefined && (await hasAlias(client, devices, [formatUtc(fromUs), formatUtc(toUs)]));
  // By hashing too: a sort of the values would write files (measured: 1 million values 1.3 instead of 1.1 s).
  await planWindows(client);
  const values: Record<string, LiteralValue> = {
    from: formatUtc(fromUs),
    to: formatUtc(toUs),
    devices: devices ?? null,
    aliases,
    metrics: selection.metrics?.names ?? null,
    metric_patterns: selection.metrics?.patterns ?? [],
    limit: pixels * MAX_SERIES * 2,
  };
  let columnUs = Math.max(1, Math.ceil((toUs - fromUs + 1) / pixels));
  // One column is asked for its figures, which are those of the values as long as there are not too many.
  const summary =
    (columnUs >= SUMMARY_BUCKET_US && pixels > 1) ||
    (toUs - fromUs > SHORT_US && (await countValues(client, values, selection.bounds)) > maxValues);
  let firstUs = fromUs;
  if (summary) {
    firstUs = wholeBuckets(selection.bounds).fromUs;
    columnUs = Math.ceil((toUs - firstUs + 1) / pixels / SUMMARY_BUCKET_US) * SUMMARY_BUCKET_US;
  }
  const sql = bindLiterals(readSql(summary ? 'queries/envelope_read_summary' : 'queries/envelope_read'), {
    ...values,
    from: formatUtc(firstUs),
    width: `${columnUs} microseconds`,
    width_us: columnUs,
  });
  const { rows } = await client.query<ColumnRow>(sql);
  const unitOf = unitFinder(await readUnits(client, devices));
  const all = seriesOf(rows, devices, unitOf, { rate, columnUs });
  return {
    fromUs: firstUs,
    toUs,
    columnUs,
    columns: Math.ceil((toUs - firstUs + 1) / columnUs),
    source: summary ? 'summary' : 'values',
    series: all.slice(0, MAX_SERIES),
    cut: all.length > MAX_SERIES || rows.length >= pixels * MAX_SERIES * 2,
  };
}

async function countValues(
  client: Client,
  values: Readonly<Record<string, LiteralValue>>,
  bounds: Interval,
): Promise<number> {
  const from = formatUtc(wholeBuckets(bounds).fromUs);
  const { rows } = await client.query<{ rows: number }>(
    bindLiterals(readSql('queries/envelope_rows'), { ...values, from }),
  );
  return rows[0]?.rows ?? 0;
}

/** `rows` are in order of series and column. */
function seriesOf(
  rows: readonly ColumnRow[],
  devices: readonly string[] | undefined,
  unitOf: (series: { deviceId: string; metricId: string }) => string | undefined,
  { rate, columnUs }: { rate: boolean; columnUs: number },
): EnvelopeSeries[] {
  const views = new DeviceViews(devices);
  const groups = new Map<string, ColumnRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.device_id, row.metric_id, row.labels]);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  const series: EnvelopeSeries[] = [];
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const isCounter = rate && first.metric_id.endsWith('_total');
    const shown = isCounter ? perSecond(group, columnUs) : group;
    const stored = { id: 0, deviceId: first.device_id, metricId: first.metric_id, labels: first.labels };
    for (const { deviceId, metricId, labels } of views.of(stored)) {
      const unit = unitOf({ deviceId, metricId });
      series.push({
        deviceId,
        metricId,
        labels: JSON.parse(labels) as Record<string, unknown>,
        unit: isCounter ? `${unit ?? ''}/s` : unit,
        columns: shown.map(({ column }) => column),
        min: shown.map(({ low }) => low),
        max: shown.map(({ high }) => high),
        mean: shown.map(({ mean }) => mean),
        count: shown.map(({ count }) => count),
      });
    }
  }
  return series;
}

/** From the last reading of one column to that of the next; a fall is a reset, of which nothing is known. */
function perSecond(group: readonly ColumnRow[], columnUs: number): ColumnRow[] {
  const rates: ColumnRow[] = [];
  for (let at = 1; at < group.length; at++) {
    const [before, row] = [group[at - 1], group[at]] as [ColumnRow, ColumnRow];
    const seconds = (row.last_us - before.last_us) / 1e6;
    const rate = (row.high - before.high) / (seconds > 0 ? seconds : columnUs / 1e6);
    if (rate >= 0) rates.push({ ...row, low: rate, high: rate, mean: rate });
  }
  return rates;
}
