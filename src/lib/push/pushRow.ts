/**
 * One value that a user pushes, and how it comes about from the fields of a line: absent ones are filled in, and
 * what could not be stored is refused here, with the number of its line, before anything is sent.
 */
import { labelsProblem, nameProblem, timestampProblem } from '../limits.ts';
import type { Labels } from '../sample.ts';

export interface PushRow {
  /** Number of the line that it began on, from 1; 0 when it was on the command line. */
  readonly line: number;
  readonly timestampUs: number;
  readonly deviceId: string;
  readonly metricId: string;
  readonly value: number;
  readonly labels: Labels;
  /** How many labels were removed because they begin with `_`. */
  readonly removedLabels: number;
}

/** Why a line is not stored. */
export interface Refusal {
  readonly line: number;
  readonly reason: string;
}

/** What holds for lines that do not say otherwise. */
export interface PushDefaults {
  readonly timestampUs: number;
  readonly deviceId: string;
  readonly metricId: string | undefined;
  /** A line's own label of the same name wins. */
  readonly labels: Labels;
}

/** A line, read but not judged. Undefined or empty: not given. */
export interface PushFields {
  readonly timestampUs?: number | undefined;
  readonly deviceId?: string | undefined;
  readonly metricId?: string | undefined;
  readonly value?: number | undefined;
  readonly labels?: Labels | undefined;
}

/** Far outside what any setting allows: the database decides about the rest, which knows its own settings. */
const TWO_CENTURIES_US = 200 * 365.25 * 86_400 * 1e6;

export function makeRow(line: number, fields: PushFields, defaults: PushDefaults): PushRow | Refusal {
  const deviceId = fields.deviceId || defaults.deviceId;
  const metricId = fields.metricId || defaults.metricId;
  const timestampUs = fields.timestampUs ?? defaults.timestampUs;
  const { value } = fields;
  if (metricId === undefined) return { line, reason: 'there is no metric name' };
  if (value === undefined) return { line, reason: 'there is no value' };
  const given = Object.entries(fields.labels ?? {});
  const own = given.filter(([name]) => !name.startsWith('_'));
  const labels = Object.fromEntries([...Object.entries(defaults.labels), ...own]);
  const reason =
    nameProblem('device', deviceId) ??
    nameProblem('metric', metricId) ??
    timestampProblem(timestampUs, defaults.timestampUs, TWO_CENTURIES_US, TWO_CENTURIES_US) ??
    labelsProblem(labels);
  if (reason !== undefined) return { line, reason };
  return { line, timestampUs, deviceId, metricId, value, labels, removedLabels: given.length - own.length };
}

export function isRefusal(row: PushRow | Refusal): row is Refusal {
  return 'reason' in row;
}
