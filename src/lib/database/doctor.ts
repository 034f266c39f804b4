/**
 * Looks for what is wrong or missing in a database of kw, and names the command that mends it. Changes nothing.
 */
import { totalmem } from 'node:os';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { readChunks } from './chunks.ts';
import type { DatabaseTarget } from './connection.ts';
import { findDrift, findRightsProblems } from './drift.ts';
import { checkServer, type Flavour, type SqlClient, timescaleState } from './flavour.ts';
import { checkSchema, migrate } from './migrate.ts';

export interface Finding {
  /** What was looked at, one or two words. */
  readonly check: string;
  /** error: something does not work or values are in danger; warning: it will hurt; note: worth knowing. */
  readonly level: 'ok' | 'note' | 'warning' | 'error';
  readonly message: string;
  /** The command that mends it: kw, SQL or a line of postgresql.conf. */
  readonly mend: string | undefined;
}

/** All findings, those that are fine included. Never rejects for what it finds, nor for what it may not see. */
export async function examine(client: SqlClient, target: DatabaseTarget): Promise<Finding[]> {
  const findings: Finding[] = [];
  const unseen: string[] = [];
  const look = async (what: string, examinePart: () => Promise<Finding[]>): Promise<void> => {
    try {
      findings.push(...(await examinePart()));
    } catch (error) {
      if ((error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error;
      unseen.push(what);
    }
  };

  const server = await refusal(() => checkServer(client));
  if (server) return [asFinding('server', server)];
  await look('server', () => examineServer(client, target));
  let flavour: Flavour | undefined;
  await look('schema', async () => {
    // The dry run also compares the migrations that were applied with those of this kw.
    const schema =
      (await refusal(() => checkSchema(client))) ?? (await refusal(() => migrate(client, { dryRun: true })));
    if (!schema || schema.code === 'SCHEMA_OLD' || schema.code === 'SCHEMA_CHANGED')
      flavour = await readFlavour(client);
    return schema ? [asFinding('schema', schema)] : [fine('schema', 'as this kw needs it')];
  });
  if (flavour === undefined && unseen.length === 0) return findings;
  await look('roles', () => examineRoles(client, flavour));
  if (!target.embedded) await look('rights of everybody', () => examineEverybody(client));
  if (flavour !== undefined) await examineContents(client, target, flavour, look);
  if (unseen.length === 0) return findings;
  return [
    ...findings.filter(({ check }) => check !== 'privileges'),
    await lackOfPrivileges(client, flavour === undefined ? [...unseen, 'all that depends on it'] : unseen),
  ];
}

async function examineContents(
  client: SqlClient,
  target: DatabaseTarget,
  flavour: Flavour,
  look: (what: string, examinePart: () => Promise<Finding[]>) => Promise<void>,
): Promise<void> {
  await look('objects', () => examineObjects(client));
  await look('extension', () => examineExtension(client, flavour));
  await look('storage', () => examineStorage(client, target, flavour));
  if (flavour === 'timescaledb') await look('jobs', () => examineJobs(client));
  else await look('partitions', () => examinePartitions(client));
}

/** PostgreSQL's code of "permission denied". */
const INSUFFICIENT_PRIVILEGE = '42501';

async function lackOfPrivileges(client: SqlClient, unseen: readonly string[]): Promise<Finding> {
  const { rows } = await client.query('SELECT quote_ident(session_user) AS login');
  const login = String(rows[0]?.login);
  return {
    check: 'privileges',
    level: 'error',
    message: `the login ${login} may not see: ${unseen.join(', ')}`,
    mend: `GRANT kw_reader TO ${login}`,
  };
}

async function examineEverybody(client: SqlClient): Promise<Finding[]> {
  const { rows } = await client.query(readSql('queries/doctor_everybody'));
  const row = rows[0] as {
    public_open: boolean;
    add_job_open: string | null;
    large_objects_open: string[];
    large_objects: number;
    large_object_bytes: number;
    large_object_owners: string[];
  };
  const findings: Finding[] = [];
  const note = (message: string, mend: string) =>
    findings.push({ check: 'everybody', level: 'note', message, mend });
  if (row.public_open) {
    note(
      'every login may make functions in the schema public, which others then call',
      'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    );
  }
  if (row.add_job_open !== null) {
    const name = row.add_job_open;
    note(
      'every login may occupy all background workers of TimescaleDB with jobs of its own',
      `REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC; GRANT EXECUTE ON FUNCTION ${name} TO kw_owner`,
    );
  }
  if (row.large_objects_open.length > 0) {
    note(
      'every login may store large objects, of any size and number',
      `REVOKE EXECUTE ON FUNCTION ${row.large_objects_open.join(', ')} FROM PUBLIC`,
    );
  }
  return [...findings, ...largeObjects(row)];
}

/** kw stores none: whatever is there came by another way. */
function largeObjects(row: {
  large_objects: number;
  large_object_bytes: number;
  large_object_owners: string[];
}): Finding[] {
  if (row.large_objects === 0) return [];
  const owners = row.large_object_owners.join(', ');
  return [
    {
      check: 'large objects',
      level: 'warning',
      message: `there are large objects, and kw stores none: ${row.large_objects} of ${owners}, ${Math.ceil(row.large_object_bytes / 1e6)} MB`,
      mend: "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = 'OWNER'::regrole, if nobody needs them",
    },
  ];
}

async function refusal(check: () => Promise<unknown>): Promise<KwError | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (error instanceof KwError) return error;
    throw error;
  }
}

function fine(check: string, message: string): Finding {
  return { check, level: 'ok', message, mend: undefined };
}

function asFinding(check: string, error: KwError): Finding {
  const mend = error.hint?.replace(/^run /, '');
  return { check, level: 'error', message: error.message, mend };
}

async function readFlavour(client: SqlClient): Promise<Flavour> {
  const { rows } = await client.query('SELECT flavour FROM kw.migrations LIMIT 1');
  return rows[0]?.flavour as Flavour;
}

async function examineServer(client: SqlClient, target: DatabaseTarget): Promise<Finding[]> {
  const { rows } = await client.query(readSql('queries/doctor_server'));
  const row = rows[0] as {
    version: string;
    encoding: string;
    synchronous_commit: string;
    fsync: string;
    full_page_writes: string;
    encrypted: boolean | null;
    local: boolean;
    database: string;
    search_path_finds: boolean | null;
    search_path: string;
  };
  const findings: Finding[] = [fine('server', `PostgreSQL ${row.version}`)];
  if (row.encoding !== 'UTF8') {
    findings.push({
      check: 'encoding',
      level: 'error',
      message: `the database is in ${row.encoding}, and names of devices and labels need UTF8`,
      mend: `createdb --encoding=UTF8 --template=template0 NAME, then kw db move --to URL`,
    });
  }
  for (const name of ['fsync', 'full_page_writes', 'synchronous_commit'] as const) {
    if (row[name] === 'off') {
      findings.push({
        check: name,
        level: 'error',
        message: `${name} is off: values that count as stored are lost in a crash`,
        mend: `ALTER SYSTEM SET ${name} = on; SELECT pg_reload_conf()`,
      });
    }
  }
  if (!row.local && !target.embedded && row.encrypted === false) {
    findings.push({
      check: 'TLS',
      level: 'warning',
      message: 'this connection crosses the network in the clear',
      mend: 'set ssl = on on the server, and sslmode=verify-full in the database URL',
    });
  }
  if (row.search_path_finds === false) {
    findings.push({
      check: 'search path',
      level: 'note',
      message: `SQL by hand must write kw.metrics, since the search path is ${row.search_path}`,
      mend: `ALTER DATABASE ${row.database} SET search_path = "$user", public, kw`,
    });
  }
  return findings;
}

async function examineRoles(client: SqlClient, flavour: Flavour | undefined): Promise<Finding[]> {
  const { rows } = await client.query(readSql('queries/doctor_roles'));
  const row = rows[0] as {
    missing: string[];
    owner_super: boolean;
    owner_login: boolean;
    owner_limit: number;
    foreign_owned: string[];
    mine: string[];
    login: string;
    schema_open: boolean;
  };
  const findings: Finding[] = [];
  const error = (message: string, mend: string) =>
    findings.push({ check: 'roles', level: 'error', message, mend });
  if (row.missing.length > 0) error(`roles are missing: ${row.missing.join(', ')}`, 'kw db migrate');
  if (row.owner_super) error('kw_owner is a superuser', 'ALTER ROLE kw_owner NOSUPERUSER');
  if (row.owner_login && row.owner_limit !== 0) {
    error(
      'anybody with a password of kw_owner could connect as it',
      'ALTER ROLE kw_owner CONNECTION LIMIT 0 PASSWORD NULL',
    );
  }
  if (flavour === 'timescaledb' && !row.owner_login) {
    error('TimescaleDB runs no jobs for kw_owner: it has no LOGIN', 'kw db migrate');
  }
  if (row.schema_open)
    error('everybody may make tables in the schema kw', 'REVOKE CREATE ON SCHEMA kw FROM PUBLIC');
  if (row.foreign_owned.length > 0) {
    error(
      `not owned by kw_owner: ${row.foreign_owned.slice(0, 5).join(', ')}`,
      `ALTER TABLE ${row.foreign_owned[0]} OWNER TO kw_owner`,
    );
  }
  if (row.mine.length === 0) {
    findings.push({
      check: 'privileges',
      level: 'warning',
      message: `the login ${row.login} has none of kw's roles`,
      mend: `GRANT kw_reader TO ${row.login}`,
    });
  }
  if (findings.length === 0) {
    findings.push(fine('roles', `all there; ${row.login} has ${row.mine.join(', ')}`));
  }
  return findings;
}

async function examineObjects(client: SqlClient): Promise<Finding[]> {
  const drift = await findDrift(client);
  const problems = [
    ...drift.map(({ expected, problem }) => `${expected.kind} ${expected.name} is ${problem}`),
    ...(await findRightsProblems(client)),
  ];
  if (problems.length === 0) return [fine('objects', 'functions, views, indexes, rights as they should be')];
  return problems.map((message) => ({ check: 'objects', level: 'error', message, mend: 'kw db migrate' }));
}

async function examineExtension(client: SqlClient, flavour: Flavour): Promise<Finding[]> {
  const state = await timescaleState(client);
  if (flavour === 'plain') {
    return [
      {
        check: 'extension',
        level: 'note',
        message: `no TimescaleDB: nothing is compressed${state.available ? ', although this server has it' : ''}`,
        mend: 'kw db move --to URL, into an empty database with TimescaleDB; see docs/production.md',
      },
    ];
  }
  if (state.installed === undefined || !state.preloaded) {
    return [
      {
        check: 'extension',
        level: 'error',
        message: 'TimescaleDB is not loaded',
        mend: "shared_preload_libraries = 'timescaledb' in postgresql.conf, then restart the server",
      },
    ];
  }
  const { rows } = await client.query(
    "SELECT default_version AS newest FROM pg_available_extensions WHERE name = 'timescaledb'",
  );
  const newest = rows[0]?.newest;
  if (typeof newest === 'string' && newest !== state.installed) {
    return [
      {
        check: 'extension',
        level: 'warning',
        message: `TimescaleDB ${state.installed} is in use, and ${newest} is installed on the server`,
        mend: 'psql -X -c "ALTER EXTENSION timescaledb UPDATE"',
      },
    ];
  }
  return [fine('extension', `TimescaleDB ${state.installed}`)];
}

/** Each chunk takes a lock, and so does each of its two indexes and its compressed twin. */
const LOCKS_PER_CHUNK = { timescaledb: 4, plain: 3 };

async function examineStorage(
  client: SqlClient,
  target: DatabaseTarget,
  flavour: Flavour,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const chunks = await readChunks(client, flavour);
  const { rows } = await client.query(`
    SELECT current_setting('max_locks_per_transaction')::int AS locks,
           current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int AS sessions,
           pg_size_bytes(current_setting('effective_cache_size'))::float8 AS cache,
           inet_server_addr() IS NULL OR host(inet_server_addr()) IN ('127.0.0.1', '::1') AS local`);
  const row = rows[0] as { locks: number; sessions: number; cache: number; local: boolean };
  const what = flavour === 'plain' ? 'partitions' : 'chunks';

  const needed = chunks.count * LOCKS_PER_CHUNK[flavour];
  const available = row.locks * row.sessions;
  if (needed > available / 2) {
    const wanted = 2 ** Math.ceil(Math.log2((needed * 2) / row.sessions));
    findings.push({
      check: 'locks',
      level: needed > available ? 'error' : 'warning',
      message: `a query over all ${chunks.count} ${what} takes ${needed} locks of the ${available} there are`,
      mend: `ALTER SYSTEM SET max_locks_per_transaction = ${wanted}; then restart the server`,
    });
  } else {
    findings.push(fine('locks', `${needed} of ${available} for all ${chunks.count} ${what}`));
  }

  // The memory of another machine is known to its effective_cache_size at best.
  const memory = row.local || target.embedded ? totalmem() : row.cache;
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  if (chunks.largestBytes > memory / 4) {
    const shorterHours = Math.max(
      1,
      Math.floor((chunks.intervalMs / 3_600_000) * (memory / 4 / chunks.largestBytes)),
    );
    findings.push({
      check: 'chunk size',
      level: 'warning',
      message: `the largest of the ${what} has ${megabytes(chunks.largestBytes)}, more than a quarter of the memory (${megabytes(memory)}): inserts will wait for the disk`,
      mend:
        flavour === 'plain'
          ? 'more memory, or kw db move --to a server with TimescaleDB'
          : `kw db maintain --chunk-interval ${shorterHours}h`,
    });
  } else {
    findings.push(fine('chunk size', `at most ${megabytes(chunks.largestBytes)}`));
  }
  return findings;
}

async function examineJobs(client: SqlClient): Promise<Finding[]> {
  const { rows } = await client.query(readSql('queries/doctor_jobs'));
  const findings = (
    rows as { name: string; scheduled: boolean; failed: boolean; overdue: boolean; error: string | null }[]
  )
    .map(({ name, scheduled, failed, overdue, error }): Finding | undefined => {
      if (!scheduled) {
        return {
          check: 'jobs',
          level: 'error',
          message: `${name} is switched off`,
          mend: `SELECT alter_job(job_id, scheduled => true) FROM timescaledb_information.jobs WHERE proc_name = '${name}'`,
        };
      }
      if (failed)
        return {
          check: 'jobs',
          level: 'error',
          message: `${name} failed: ${error ?? 'see the log of the server'}`,
          mend: 'SELECT * FROM timescaledb_information.job_errors',
        };
      if (overdue) {
        return {
          check: 'jobs',
          level: 'error',
          message: `${name} does not run`,
          mend: 'ALTER SYSTEM SET timescaledb.max_background_workers = 16; ALTER SYSTEM SET max_worker_processes = 32; then restart the server',
        };
      }
      return undefined;
    })
    .filter((finding) => finding !== undefined);
  const names = new Set(rows.map((row) => row.name));
  for (const wanted of ['policy_compression', 'refresh_summary']) {
    if (!names.has(wanted)) {
      const mend =
        wanted === 'refresh_summary'
          ? "SET ROLE kw_owner; SELECT add_job('kw.refresh_summary', INTERVAL '5 minutes')"
          : "SET ROLE kw_owner; SELECT add_compression_policy('kw.metrics', INTERVAL '24 hours')";
      findings.push({ check: 'jobs', level: 'error', message: `the job ${wanted} is missing`, mend });
    }
  }
  if (findings.length === 0) findings.push(fine('jobs', 'compression and summary run'));
  return findings;
}

async function examinePartitions(client: SqlClient): Promise<Finding[]> {
  const { rows } = await client.query(readSql('queries/doctor_partitions'));
  const row = rows[0] as { days_ahead: number; summary_lag_s: number; rows_behind: boolean };
  if (row.days_ahead < 2) {
    return [
      {
        check: 'partitions',
        level: 'error',
        message: `there are partitions for ${Math.max(0, row.days_ahead)} days to come only: no collector looks after them`,
        mend: 'kw db maintain',
      },
    ];
  }
  if (row.rows_behind && row.summary_lag_s > 7200) {
    return [
      {
        check: 'summary',
        level: 'warning',
        message: `the summary lags ${Math.round(row.summary_lag_s / 3600)} h behind: no collector looks after it`,
        mend: 'kw db maintain',
      },
    ];
  }
  return [fine('partitions', `${row.days_ahead} days ahead, the summary follows`)];
}
