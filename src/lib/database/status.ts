/** What there is in a database of kw: for kw db status. */
import { readSql } from '../packageRoot.ts';
import { extensionSchema, readChunks } from './chunks.ts';
import { type Flavour, type SqlClient, timescaleState } from './flavour.ts';
import { readRetention } from './retention.ts';

export interface DatabaseStatus {
  readonly server: string;
  readonly flavour: Flavour;
  /** Version of TimescaleDB. */
  readonly timescaledb: string | undefined;
  readonly schema: number;
  /** Chunks or daily partitions of raw values. */
  readonly chunks: number;
  readonly chunkIntervalMs: number;
  /** Bytes of everything, of raw values and of the summary, indexes included. */
  readonly databaseBytes: number;
  readonly rawBytes: number;
  readonly summaryBytes: number;
  /** Compressed chunks, and their bytes before and after; plain has no compression. */
  readonly compression:
    | { readonly chunks: number; readonly beforeBytes: number; readonly afterBytes: number }
    | undefined;
  /** Estimate of the number of raw values. */
  readonly rows: number;
  /** Start of the oldest chunk or partition, in UTC. */
  readonly oldest: string | undefined;
  readonly retention: { readonly rawMs: number | null; readonly summaryMs: number | null };
}

export async function readStatus(client: SqlClient, flavour: Flavour): Promise<DatabaseStatus> {
  const schema = (await extensionSchema(client)) ?? '';
  const { rows } = await client.query(
    readSql(`queries/status_${flavour}`).replaceAll('timescaledb.', `${schema}.`),
  );
  const row = rows[0] as {
    version: string;
    schema: number;
    database_bytes: number;
    raw_bytes: number;
    summary_bytes: number;
    compressed_chunks: number;
    before_bytes: number;
    after_bytes: number;
    rows: number;
    oldest: string | null;
  };
  const chunks = await readChunks(client, flavour);
  const { installed } = await timescaleState(client);
  return {
    server: `PostgreSQL ${row.version}`,
    flavour,
    timescaledb: flavour === 'timescaledb' ? installed : undefined,
    schema: row.schema,
    chunks: chunks.count,
    chunkIntervalMs: chunks.intervalMs,
    databaseBytes: row.database_bytes,
    rawBytes: row.raw_bytes,
    summaryBytes: row.summary_bytes,
    compression:
      flavour === 'timescaledb'
        ? { chunks: row.compressed_chunks, beforeBytes: row.before_bytes, afterBytes: row.after_bytes }
        : undefined,
    rows: row.rows,
    oldest: row.oldest ?? undefined,
    retention: await readRetention(client),
  };
}

/** `1.2 GB`: powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
