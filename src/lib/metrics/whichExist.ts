/** Asks whether there are rows, without reading them all. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import type { Interval } from './interval.ts';

export interface WantedRows {
  /** Or alias. */
  readonly device: string;
  readonly metricId: string;
  /** Of the metric, for LIKE. */
  readonly pattern: string;
  readonly times: Interval;
}

/** A metric without rows costs a look at every row of its device. */
const AT_MOST_MS = 1_000;

/** Those that have rows; undefined when the database does not find out in time. Call it in a transaction. */
export async function whichExist(
  client: Client,
  wanted: readonly WantedRows[],
  labels: Readonly<Record<string, string>> | undefined,
): Promise<WantedRows[] | undefined> {
  if (wanted.length === 0) return [];
  await client.query(`SAVEPOINT exist; SET LOCAL statement_timeout = ${AT_MOST_MS}`);
  try {
    const { rows } = await client.query<{ number: number }>(readSql('queries/metrics_exist'), [
      wanted.map(({ device }) => device),
      wanted.map(({ pattern }) => pattern),
      wanted.map(({ times }) => formatUtc(times.fromUs)),
      wanted.map(({ times }) => formatUtc(times.toUs)),
      labels === undefined ? null : JSON.stringify(labels),
    ]);
    return rows.map(({ number }) => wanted[number - 1] as WantedRows);
  } catch (error) {
    if ((error as { code?: string }).code !== QUERY_CANCELED) throw error;
    return undefined;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT exist');
  }
}

/** SQLSTATE of a statement that was ended by its timeout. */
const QUERY_CANCELED = '57014';
