/**
 * Rows as columns: how they lie in the spool of `kw push --spool`, go to a `kw serve` and are handed to the database's
 * functions. Arrays of the same length.
 */
import type { Labels } from '../sample.ts';
import { formatUtc } from '../time.ts';
import type { PushRow } from './pushRow.ts';

export interface PushColumns {
  readonly timestampsUs: readonly number[];
  readonly devices: readonly string[];
  readonly metrics: readonly string[];
  /** As text: JSON has not all numbers. */
  readonly values: readonly string[];
  readonly labels: readonly Labels[];
}

/** What of a row is stored. */
export type PushValue = Pick<PushRow, 'timestampUs' | 'deviceId' | 'metricId' | 'value' | 'labels'>;

export function toColumns(rows: readonly PushValue[]): PushColumns {
  return {
    timestampsUs: rows.map(({ timestampUs }) => timestampUs),
    devices: rows.map(({ deviceId }) => deviceId),
    metrics: rows.map(({ metricId }) => metricId),
    values: rows.map(({ value }) => (Object.is(value, -0) ? '-0' : String(value))),
    labels: rows.map(({ labels }) => labels),
  };
}

/** Their lines are their places in the columns, from 1. */
export function toRows({ timestampsUs, devices, metrics, values, labels }: PushColumns): PushRow[] {
  return timestampsUs.map((timestampUs, index) => ({
    line: index + 1,
    timestampUs,
    deviceId: devices[index] ?? '',
    metricId: metrics[index] ?? '',
    value: Number(values[index]),
    labels: labels[index] ?? {},
    removedLabels: 0,
  }));
}

/** Rows `from` to before `to`. */
export function sliceColumns(
  { timestampsUs, devices, metrics, values, labels }: PushColumns,
  from: number,
  to: number,
): PushColumns {
  return {
    timestampsUs: timestampsUs.slice(from, to),
    devices: devices.slice(from, to),
    metrics: metrics.slice(from, to),
    values: values.slice(from, to),
    labels: labels.slice(from, to),
  };
}

/** As parameters of statements: timestamps, devices, metrics, values, labels. */
export function toParameters({ timestampsUs, devices, metrics, values, labels }: PushColumns): unknown[] {
  return [
    timestampsUs.map((timestampUs) => formatUtc(timestampUs)),
    devices,
    metrics,
    values,
    labels.map((set) => JSON.stringify(set)),
  ];
}
