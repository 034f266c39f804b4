/**
 * Brings the schema of a database up to this version of kw.
 *
 * A migration is a number: sql/migrations/NNNN_name.sql, then timescaledb/NNNN_name.sql or plain/NNNN_name.sql;
 * either may be missing. Each is one transaction, run as kw_owner (RESET ROLE in a file gives the login back),
 * which begins with its row in kw.migrations. One migrator at a time: an advisory lock of the session.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KwError } from '../errors.ts';
import { packageRoot, readSql } from '../packageRoot.ts';
import { extensionSchema } from './chunks.ts';
import { applyRights, findDrift, findRightsProblems, mendDrift, recordObjects } from './drift.ts';
import { isAway } from './errors.ts';
import { checkServer, chooseFlavour, type Flavour, type SqlClient, timescaleState } from './flavour.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the SQL, in hexadecimal. */
  readonly checksum: string;
}

export interface MigrateOptions {
  /** Change nothing; the SQL that would be run is in the result. */
  readonly dryRun?: boolean;
  /** For a database without a schema; otherwise it has one already. */
  readonly flavour?: Flavour | undefined;
  /** Stop after this version. For tests of upgrades. */
  readonly upTo?: number;
  readonly onProgress?: (message: string) => void;
}

export interface MigrateResult {
  readonly flavour: Flavour;
  /** The schema's version before and after. 0 is an empty database. */
  readonly from: number;
  readonly to: number;
  readonly applied: readonly string[];
  /** Objects that had been changed by hand and were restored. */
  readonly mended: readonly string[];
  /** With dryRun: the SQL of all migrations that are due. */
  readonly sql: string;
}

/** Any two programs that migrate the same database meet in this lock. */
const LOCK = "hashtextextended('kw.migrate', 0)";
const LOCK_TIMEOUT_MS = 60_000;

/** The migrations of a flavour, in order. */
export function listMigrations(
  flavour: Flavour,
  folder = join(packageRoot(), 'sql', 'migrations'),
): Migration[] {
  const texts = new Map<number, { name: string; parts: string[] }>();
  for (const part of ['.', flavour]) {
    for (const file of readdirSync(join(folder, part)).sort()) {
      const match = /^(\d{4})_(\w+)\.sql$/.exec(file);
      if (!match) continue;
      const version = Number(match[1]);
      const entry = texts.get(version) ?? { name: match[2] as string, parts: [] };
      if (entry.name !== match[2]) throw new Error(`two migrations have the number ${match[1]}: ${file}`);
      entry.parts.push(readFileSync(join(folder, part, file), 'utf8'));
      texts.set(version, entry);
    }
  }
  return [...texts.entries()]
    .sort(([a], [b]) => a - b)
    .map(([version, { name, parts }]) => {
      const sql = parts.join('\n');
      return { version, name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });
}

/**
 * Runs what is due. Safe to call at any time, from several programs at once.
 *
 * @throws KwError SERVER_OLD, TIMESCALEDB_..., SCHEMA_NEW (the database was migrated by a newer kw),
 * SCHEMA_CHANGED (an applied migration is not the one of this kw), MIGRATION_FAILED, MIGRATION_LOCKED
 */
export async function migrate(client: SqlClient, options: MigrateOptions = {}): Promise<MigrateResult> {
  await checkServer(client);
  if (options.dryRun) return plan(client, options);
  await lock(client);
  try {
    return await run(client, options);
  } finally {
    await client.query(`SELECT pg_advisory_unlock(${LOCK})`).catch(() => {});
  }
}

async function plan(client: SqlClient, options: MigrateOptions): Promise<MigrateResult> {
  const applied = await readApplied(client);
  const flavour = applied.flavour ?? (await guessFlavour(client, options.flavour));
  const due = findDue(applied, listMigrations(flavour), options.upTo);
  const files = due.map((one) => `-- ${one.version} ${one.name} (${flavour})\n${transaction(one.sql)}`);
  if (applied.version === 0) files.unshift(`-- preparation\n${transaction(prepareSql(flavour), false)}`);
  return {
    flavour,
    from: applied.version,
    to: due.at(-1)?.version ?? applied.version,
    applied: [],
    mended: [],
    sql: files.join('\n'),
  };
}

/** As chooseFlavour, but without creating the extension. */
async function guessFlavour(client: SqlClient, wanted: Flavour | undefined): Promise<Flavour> {
  if (wanted) return wanted;
  const state = await timescaleState(client);
  return state.installed !== undefined || (state.available && state.preloaded) ? 'timescaledb' : 'plain';
}

async function run(client: SqlClient, options: MigrateOptions): Promise<MigrateResult> {
  const before = await readApplied(client);
  if (before.flavour && options.flavour && before.flavour !== options.flavour) {
    throw new KwError(
      `this database has the flavour ${before.flavour}, and that cannot be changed in place`,
      {
        code: 'FLAVOUR_FIXED',
        hint: 'copy it into an empty database of the other flavour: kw db move --to URL',
      },
    );
  }
  const flavour = before.flavour ?? (await chooseFlavour(client, options.flavour));
  const due = findDue(before, listMigrations(flavour), options.upTo);
  const applied: string[] = [];
  // Roles may be missing although the schema is there: a dump restored into a new cluster.
  await inTransaction(client, prepareSql(flavour), 'the preparation of roles and schema');
  const mended = await mend(client, options);
  for (const one of due) {
    const title = `${String(one.version).padStart(4, '0')}_${one.name}`;
    options.onProgress?.(`migration ${title}`);
    await inTransaction(client, one.sql, `migration ${title}`, async () => {
      await client.query('SET LOCAL ROLE kw_owner');
      await client.query(
        'INSERT INTO kw.migrations (version, name, flavour, checksum) VALUES ($1, $2, $3, $4)',
        [one.version, one.name, flavour, one.checksum],
      );
      await client.query(`SET LOCAL search_path = ${await searchPath(client)}`);
    });
    applied.push(title);
  }
  if (due.length > 0 || mended.length > 0) {
    await inTransaction(client, 'SELECT', 'the record of what was made', async () => {
      await client.query('SET LOCAL ROLE kw_owner');
      await recordObjects(client);
      await applyRights(client);
    });
  }
  return {
    flavour,
    from: before.version,
    to: due.at(-1)?.version ?? before.version,
    applied,
    mended,
    sql: '',
  };
}

/** Restores what somebody changed since the last migration; their names. */
async function mend(client: SqlClient, options: MigrateOptions): Promise<string[]> {
  const drift = await findDrift(client);
  const names = [
    ...drift.map(({ expected, problem }) => `${expected.kind} ${expected.name} (was ${problem})`),
    ...(await findRightsProblems(client)).map((problem) => `rights (${problem})`),
  ];
  if (names.length === 0) return [];
  for (const name of names) options.onProgress?.(`restoring ${name}`);
  await inTransaction(client, 'SELECT', 'restoring what was changed', async () => {
    await client.query('SET LOCAL ROLE kw_owner');
    await mendDrift(client, drift);
    await applyRights(client);
  });
  return names;
}

function prepareSql(flavour: Flavour): string {
  const roles =
    flavour === 'timescaledb' ? `${readSql('roles')}\n${readSql('roles_timescaledb')}` : readSql('roles');
  return `${roles}\n${readSql('queries/migrations_prepare')}`;
}

function transaction(sql: string, asOwner = true): string {
  return `BEGIN;\n${asOwner ? 'SET LOCAL ROLE kw_owner;\n' : ''}${sql}COMMIT;\n`;
}

/** Files name what they make in full; the path is for the functions of TimescaleDB, wherever it is installed. */
async function searchPath(client: SqlClient): Promise<string> {
  const schema = await extensionSchema(client);
  return schema === undefined ? 'pg_catalog, pg_temp' : `pg_catalog, ${schema}, pg_temp`;
}

async function inTransaction(
  client: SqlClient,
  sql: string,
  title: string,
  before: () => Promise<void> = async () => {},
): Promise<void> {
  await client.query('BEGIN');
  try {
    await before();
    await client.query(sql);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    if (error instanceof KwError || isAway(error)) throw error;
    const code = (error as { code?: unknown }).code;
    throw new KwError(`${title} failed: ${error instanceof Error ? error.message : String(error)}`, {
      code: 'MIGRATION_FAILED',
      hint:
        code === '42501'
          ? 'migrate as a superuser, or as the owner of the database with CREATEROLE; see docs/production.md'
          : 'nothing of it was kept; mend the cause and run kw db migrate again',
      cause: error,
    });
  }
}

async function lock(client: SqlClient): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    await client.query(`SELECT pg_advisory_lock(${LOCK})`);
  } catch (error) {
    if (isAway(error)) throw error;
    throw new KwError('another kw is migrating this database and does not come to an end', {
      code: 'MIGRATION_LOCKED',
      hint: 'see who holds the advisory lock in pg_locks',
      cause: error,
    });
  } finally {
    await client.query('RESET lock_timeout');
  }
}

interface Applied {
  readonly version: number;
  readonly flavour: Flavour | undefined;
  readonly checksums: ReadonlyMap<number, string>;
}

async function readApplied(client: SqlClient): Promise<Applied> {
  const exists = await client.query("SELECT to_regclass('kw.migrations') IS NOT NULL AS exists");
  if (!exists.rows[0]?.exists) return { version: 0, flavour: undefined, checksums: new Map() };
  const { rows } = await client.query(
    'SELECT version, flavour, checksum FROM kw.migrations ORDER BY version',
  );
  const checksums = new Map(rows.map((row) => [Number(row.version), String(row.checksum)]));
  return {
    version: Math.max(0, ...checksums.keys()),
    flavour: rows[0]?.flavour as Flavour | undefined,
    checksums,
  };
}

function findDue(
  applied: Applied,
  known: readonly Migration[],
  upTo = Number.POSITIVE_INFINITY,
): Migration[] {
  const newest = known.at(-1)?.version ?? 0;
  if (applied.version > newest) throw newerSchema(applied.version, newest);
  for (const one of known) {
    const checksum = applied.checksums.get(one.version);
    if (checksum !== undefined && checksum !== one.checksum) {
      throw new KwError(
        `migration ${one.version} (${one.name}) was applied in another form than this kw has it`,
        {
          code: 'SCHEMA_CHANGED',
          hint: 'use the kw that made this database, or restore sql/migrations as it was released',
        },
      );
    }
  }
  return known.filter((one) => !applied.checksums.has(one.version) && one.version <= upTo);
}

function newerSchema(version: number, newest: number): KwError {
  return new KwError(`the database has schema ${version}, and this kw knows only up to ${newest}`, {
    code: 'SCHEMA_NEW',
    hint: 'install the newer kw that migrated it',
  });
}

/**
 * Whether the database is as this kw needs it. One cheap query, no files of migrations read.
 *
 * @throws KwError SCHEMA_MISSING, SCHEMA_OLD, SCHEMA_NEW
 */
export async function checkSchema(client: SqlClient): Promise<Flavour> {
  const applied = await readApplied(client);
  const flavour = applied.flavour;
  if (flavour === undefined) {
    throw new KwError('the database has no schema of kw yet', {
      code: 'SCHEMA_MISSING',
      hint: 'run kw db migrate',
    });
  }
  const newest = listMigrations(flavour).at(-1)?.version ?? 0;
  if (applied.version < newest) {
    throw new KwError(`the database has schema ${applied.version}, and this kw needs ${newest}`, {
      code: 'SCHEMA_OLD',
      hint: 'run kw db migrate',
    });
  }
  if (applied.version > newest) throw newerSchema(applied.version, newest);
  return flavour;
}
