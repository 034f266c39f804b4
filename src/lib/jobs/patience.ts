/**
 * How long a look-up of jobs may wait for a scheduler's database. The bounds of the foreign server (see
 * sources/sourceUrl.ts) do not cover a server that takes connections and says nothing: since PostgreSQL 16
 * postgres_fdw does not keep to connect_timeout. A statement that is ended takes what was seen of the jobs here.
 */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';

const PATIENCE_MS = 4_000;

/** Runs statements that may ask schedulers, each for so long at most; then what held before holds again. */
export async function withPatience<T>(client: Pick<Client, 'query'>, read: () => Promise<T>): Promise<T> {
  const { rows } = await client.query<{ before: string }>(readSql('queries/job_patience'), [
    String(PATIENCE_MS),
  ]);
  try {
    return await read();
  } finally {
    // In a transaction that failed its rollback takes the bound away.
    await client.query(readSql('queries/job_patience'), [rows[0]?.before ?? '0']).catch(() => {});
  }
}

/** What a server said, for people. */
export function plainWords(problem: string): string {
  if (/due to lock timeout/.test(problem)) return 'its tables are locked';
  if (/timeout expired|due to statement timeout/.test(problem)) return 'it does not answer in time';
  return problem;
}
