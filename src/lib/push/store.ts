/**
 * Sends rows to the database in batches, through kw.insert_samples(), which judges them again: it knows who asks,
 * which metrics collectors read, and the limits of this database.
 */
import type pg from 'pg';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import type { PushRow, Refusal } from './pushRow.ts';

/** The database's own reasons for the rows that it did not store; all others of the batch are stored. */
export async function storeRows(client: pg.Client, rows: readonly PushRow[]): Promise<Refusal[]> {
  if (rows.length === 0) return [];
  const { rows: refused } = await client.query<{ sample: number; reason: string }>(
    readSql('queries/push_insert'),
    [
      rows.map(({ timestampUs }) => formatUtc(timestampUs)),
      rows.map(({ deviceId }) => deviceId),
      rows.map(({ metricId }) => metricId),
      rows.map(({ value }) => (Object.is(value, -0) ? '-0' : String(value))),
      rows.map(({ labels }) => JSON.stringify(labels)),
    ],
  );
  return refused.map(({ sample, reason }) => ({ line: rows[sample - 1]?.line ?? 0, reason }));
}
