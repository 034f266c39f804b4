/**
 * The two kinds of database: with TimescaleDB, or plain PostgreSQL with its own partitions. Decided once, at the
 * first migration; only migrations, doctor and status need to know.
 */
import { KwError } from '../errors.ts';

export type Flavour = 'timescaledb' | 'plain';

/** What migrations need of a connection: pg.Client has it, and so has any other PostgreSQL with an adapter. */
export interface SqlClient {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

/** 2.20 is the first with all that the migrations use. */
const MIN_TIMESCALEDB = [2, 20] as const;
const MIN_POSTGRESQL = 150_000;

/** Refuses servers that are too old. */
export async function checkServer(client: SqlClient): Promise<void> {
  const { rows } = await client.query(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version",
  );
  const row = rows[0] as { number: number; version: string };
  if (row.number < MIN_POSTGRESQL) {
    throw new KwError(`this server is PostgreSQL ${row.version}, and kw needs 15 or later`, {
      code: 'SERVER_OLD',
      hint: 'upgrade the server with pg_upgrade, or name another one',
    });
  }
}

/**
 * Decides the flavour of a database that has none yet: TimescaleDB if it is installed or can be.
 * Creates the extension, unless `wanted` is plain. Never inside a transaction of its own.
 *
 * @throws KwError TIMESCALEDB_MISSING, TIMESCALEDB_OLD, TIMESCALEDB_LICENSE, TIMESCALEDB_RIGHTS
 */
export async function chooseFlavour(client: SqlClient, wanted?: Flavour): Promise<Flavour> {
  if (wanted === 'plain') return 'plain';
  const state = await timescaleState(client);
  if (!state.available) {
    if (wanted === undefined) return 'plain';
    throw new KwError('this server has no TimescaleDB', {
      code: 'TIMESCALEDB_MISSING',
      hint: 'install the package timescaledb for its version of PostgreSQL, or leave out --flavour',
    });
  }
  if (state.installed === undefined) {
    if (!state.preloaded) {
      if (wanted === undefined) return 'plain';
      throw new KwError('TimescaleDB is on this server but not loaded', {
        code: 'TIMESCALEDB_MISSING',
        hint: "set shared_preload_libraries = 'timescaledb' in postgresql.conf and restart the server",
      });
    }
    await createExtension(client);
    return chooseFlavour(client, wanted);
  }
  const version = state.installed.split('.').map(Number);
  const [major = 0, minor = 0] = version;
  if (major < MIN_TIMESCALEDB[0] || (major === MIN_TIMESCALEDB[0] && minor < MIN_TIMESCALEDB[1])) {
    throw new KwError(
      `TimescaleDB here is ${state.installed}, and kw needs ${MIN_TIMESCALEDB.join('.')} or later`,
      {
        code: 'TIMESCALEDB_OLD',
        hint: 'install a newer one, then run ALTER EXTENSION timescaledb UPDATE as the first statement of a session',
      },
    );
  }
  if (state.license === 'apache') {
    throw new KwError(
      'TimescaleDB here is the Apache edition, which has neither compression nor aggregates',
      {
        code: 'TIMESCALEDB_LICENSE',
        hint: "install the community edition and set timescaledb.license = 'timescale', or use --flavour plain",
      },
    );
  }
  return 'timescaledb';
}

interface TimescaleState {
  readonly available: boolean;
  readonly preloaded: boolean;
  readonly installed: string | undefined;
  readonly license: string | undefined;
}

export async function timescaleState(client: SqlClient): Promise<TimescaleState> {
  const { rows } = await client.query(`
    SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS available,
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
           -- The loader has the first of these settings, the extension itself the second.
           current_setting('timescaledb.max_background_workers', true) IS NOT NULL AS preloaded,
           current_setting('timescaledb.license', true) AS license`);
  const row = rows[0] as {
    available: boolean;
    preloaded: boolean;
    installed: string | null;
    license: string | null;
  };
  return {
    available: row.available || row.installed !== null,
    preloaded: row.preloaded,
    installed: row.installed ?? undefined,
    license: row.license ?? undefined,
  };
}

async function createExtension(client: SqlClient): Promise<void> {
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS timescaledb');
  } catch (error) {
    throw new KwError('TimescaleDB is on this server, but this login may not create the extension', {
      code: 'TIMESCALEDB_RIGHTS',
      hint: 'let a superuser run CREATE EXTENSION timescaledb in this database, or use --flavour plain',
      cause: error,
    });
  }
}
