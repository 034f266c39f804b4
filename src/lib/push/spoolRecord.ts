/** Pushed values as a record of the spool: columns as JSON, checked when they are read back. */
import { labelsProblem, nameProblem } from '../limits.ts';
import type { RecordContent, StoredRecord } from '../spool/model.ts';
import { type PushColumns, toColumns } from './columns.ts';
import type { PushRow } from './pushRow.ts';

/** Values read back, with the numbers of their lines in the input of the push that they came in. */
export interface SpooledRows extends PushColumns {
  /** Which push that was. */
  readonly run: string;
  readonly lines: readonly number[];
}

export function toRecord(run: string, rows: readonly PushRow[]): RecordContent {
  const lines = rows.map(({ line }) => line);
  return {
    rows: rows.length,
    meta: { run },
    payload: Buffer.from(JSON.stringify({ ...toColumns(rows), lines })),
  };
}

/** @throws Error with the reason when it is no record of a push */
export function fromRecord({ meta, payload, rows }: StoredRecord): SpooledRows {
  const run = isObject(meta) && typeof meta.run === 'string' ? meta.run : '';
  const json: unknown = JSON.parse(
    Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'),
  );
  if (!isObject(json)) throw new Error('it holds no object');
  const read = <T>(name: string, isOne: (value: unknown) => value is T): T[] => {
    const column = json[name];
    if (!Array.isArray(column) || column.length !== rows || !column.every(isOne)) {
      throw new Error(`its ${name} are none of ${rows} values`);
    }
    return column;
  };
  return {
    run,
    timestampsUs: read('timestampsUs', isInteger),
    devices: read('devices', (value): value is string => isText(value) && !nameProblem('device', value)),
    metrics: read('metrics', (value): value is string => isText(value) && !nameProblem('metric', value)),
    values: read(
      'values',
      (value): value is string => isText(value) && (value === 'NaN' || !Number.isNaN(Number(value))),
    ),
    labels: read('labels', isLabels),
    lines: read('lines', isInteger),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isLabels(value: unknown): value is Record<string, string> {
  return (
    isObject(value) && Object.values(value).every(isText) && !labelsProblem(value as Record<string, string>)
  );
}
