/** The pieces in which raw values are stored: chunks of TimescaleDB, daily partitions of plain PostgreSQL. */
import { KwError } from '../errors.ts';
import type { Flavour, SqlClient } from './flavour.ts';

export interface ChunkState {
  /** Chunks or partitions of raw values. */
  readonly count: number;
  /** Largest uncompressed one, in bytes, indexes included. */
  readonly largestBytes: number;
  /** Length of those to come. */
  readonly intervalMs: number;
}

const DAY_MS = 86_400_000;
const MIN_INTERVAL_MS = 600_000;

export async function readChunks(client: SqlClient, flavour: Flavour): Promise<ChunkState> {
  if (flavour === 'plain') {
    const { rows } = await client.query(
      `SELECT count(*)::int AS count, coalesce(max(pg_total_relation_size(relation)), 0)::float8 AS largest
       FROM kw.metrics_partitions`,
    );
    return { count: rows[0]?.count as number, largestBytes: rows[0]?.largest as number, intervalMs: DAY_MS };
  }
  const { rows } = await client.query(`
    SELECT
      (SELECT count(*)::int FROM timescaledb_information.chunks
       WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics') AS count,
      (SELECT coalesce(max(pg_total_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass)), 0)::float8
       FROM timescaledb_information.chunks
       WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics' AND NOT is_compressed) AS largest,
      (SELECT extract(epoch FROM time_interval)::float8 * 1000 FROM timescaledb_information.dimensions
       WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics') AS interval_ms`);
  const row = rows[0] as { count: number; largest: number; interval_ms: number };
  return { count: row.count, largestBytes: row.largest, intervalMs: row.interval_ms };
}

/** Sets the length of the chunks to come. Needs kw_admin. */
export async function setChunkInterval(
  client: SqlClient,
  flavour: Flavour,
  intervalMs: number,
): Promise<void> {
  if (flavour === 'plain') {
    throw new KwError('plain PostgreSQL has partitions of a day, always', { code: 'CHUNK_INTERVAL' });
  }
  if (intervalMs < MIN_INTERVAL_MS || intervalMs > 30 * DAY_MS) {
    throw new KwError('a chunk is 10 minutes to 30 days long', { code: 'CHUNK_INTERVAL' });
  }
  const schema = await extensionSchema(client);
  await client.query(`SELECT ${schema}.set_chunk_time_interval('kw.metrics', make_interval(secs => $1))`, [
    intervalMs / 1000,
  ]);
}

/** Where TimescaleDB keeps its functions: public, unless somebody chose another. Quoted; undefined without it. */
export async function extensionSchema(client: SqlClient): Promise<string | undefined> {
  const { rows } = await client.query(
    "SELECT quote_ident(n.nspname) AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'",
  );
  return rows[0]?.schema as string | undefined;
}
