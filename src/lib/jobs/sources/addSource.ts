/**
 * Has the database read the jobs of a scheduler: OAR's tables through postgres_fdw, or a view of the site's own. One
 * transaction: a source is there as a whole, checked, or not at all.
 */
import { type Client, escapeIdentifier } from 'pg';
import { codeOf, KwError } from '../../errors.ts';
import { readSql } from '../../packageRoot.ts';
import type { NodeMap } from './nodeMap.ts';
import { parseSourceUrl, type SourceUrl } from './sourceUrl.ts';

export interface NewSource {
  readonly name: string;
  /** Where its jobs are: OAR's database, or a view `schema.name` in this one. */
  readonly from: { readonly oar: SourceUrl } | { readonly view: string };
  readonly nodes: NodeMap;
  /** Device names are the scheduler's with their domain. */
  readonly keepDomain: boolean;
  /** Put in the place of a source of that name. */
  readonly replace: boolean;
}

export interface AddedSource {
  readonly name: string;
  readonly kind: 'oar' | 'view';
  readonly runningJobs: number;
  /** How long the question for what runs took. */
  readonly tookMs: number;
}

/** For each step of the import: a server may take connections and say nothing. */
const IMPORT_TIMEOUT_MS = 15_000;
const NAME = /^[a-z][a-z0-9_]{0,30}$/;
/** Schemas that are somebody's already. */
const TAKEN = new Set(['kw', 'kw_sources', 'api', 'public', 'information_schema', 'all']);

/** @throws KwError BAD_SOURCE, for a name that cannot be one */
export function checkSourceName(name: string): void {
  if (NAME.test(name) && !TAKEN.has(name) && !/^(pg_|timescaledb|_timescaledb)/.test(name)) return;
  throw new KwError(`${JSON.stringify(name.slice(0, 60))} cannot be the name of a source`, {
    code: 'BAD_SOURCE',
    hint: 'write a short word of small letters, such as oar: it is also the name of the schema with its tables',
  });
}

/**
 * Where the jobs of a new source are, of what the user gave.
 * @throws KwError BAD_SOURCE, SOURCE_URL
 */
export function readOrigin(
  url: string | undefined,
  view: string | undefined,
  password: string | undefined,
): NewSource['from'] {
  if ((url === undefined) === (view === undefined)) {
    throw new KwError(
      url === undefined ? 'nothing says where the jobs are' : 'a URL and --view contradict each other',
      {
        code: 'BAD_SOURCE',
        hint: "give the URL of OAR's database, or --view with a view of this database",
      },
    );
  }
  return url === undefined ? { view: view as string } : { oar: parseSourceUrl(url, password) };
}

/**
 * @throws KwError SOURCE_EXISTS, SCHEMA_EXISTS, NO_FDW (no right to use postgres_fdw), SOURCE_AWAY, SOURCE_WRONG
 * (other tables than expected, or columns missing), SOURCE_DENIED
 */
export async function addSource(client: Client, source: NewSource): Promise<AddedSource> {
  checkSourceName(source.name);
  const kind = 'oar' in source.from ? 'oar' : 'view';
  await client.query('BEGIN');
  try {
    const old = await client.query('SELECT FROM kw.job_sources WHERE name = $1', [source.name]);
    if (old.rowCount !== 0 && !source.replace) {
      throw new KwError(`there is a source ${source.name} already`, {
        code: 'SOURCE_EXISTS',
        hint: 'with --replace the new one takes its place; its jobs are kept',
      });
    }
    if (old.rowCount !== 0) await asOwner(client, 'SELECT kw.drop_source($1)', [source.name]);
    if (kind === 'oar') await prepareImport(client, source.name);
    await client.query(`SET LOCAL ROLE kw_owner; SET LOCAL statement_timeout = ${IMPORT_TIMEOUT_MS}`);
    await describe(client, source, kind);
    if ('oar' in source.from) {
      const { server, user, password } = source.from.oar;
      // The password is a parameter: it is in no statement that a log or pg_stat_activity could show.
      await client.query('SELECT kw.import_oar($1, $2, $3, $4)', [
        source.name,
        server,
        user,
        password ?? null,
      ]);
    } else {
      await client.query('SELECT kw.make_site_view($1, $2::regclass)', [source.name, source.from.view]);
    }
    await client.query('SELECT kw.rebuild_nodetime_by_job()');
    await client.query('SELECT kw.sync_source($1)', [source.name]);
    const { rows } = await client.query<{ running_jobs: number; took_ms: number }>(
      'SELECT running_jobs, took_ms FROM kw.job_sources WHERE name = $1',
      [source.name],
    );
    await client.query("NOTIFY kw_jobs, 'sources'");
    await client.query('COMMIT');
    const [{ running_jobs: runningJobs, took_ms: tookMs } = { running_jobs: 0, took_ms: 0 }] = rows;
    return { name: source.name, kind, runningJobs, tookMs };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw explain(error, source);
  }
}

/** Ends a source. What was seen of its jobs is kept. @throws KwError NO_SOURCE, SOURCE_USED */
export async function removeSource(client: Client, name: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await asOwner(client, 'SELECT kw.drop_source($1)', [name]);
    await client.query("NOTIFY kw_jobs, 'sources'");
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    const code = codeOf(error);
    if (code === 'P0002') {
      throw new KwError(`there is no source ${JSON.stringify(name.slice(0, 60))}`, {
        code: 'NO_SOURCE',
        hint: 'see kw job source list',
      });
    }
    if (code === '2BP01') {
      throw new KwError(
        `something else uses the tables of ${name}: ${(error as { detail?: string }).detail ?? ''}`,
        {
          code: 'SOURCE_USED',
          hint: 'drop it first',
        },
      );
    }
    throw error;
  }
}

async function asOwner(client: Client, sql: string, values: unknown[]): Promise<void> {
  await client.query('SET LOCAL ROLE kw_owner');
  await client.query(sql, values);
  await client.query('RESET ROLE');
}

/** What kw_owner cannot do itself: the extension, the right to use it, the schema. */
async function prepareImport(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ usable: boolean; schema_exists: boolean }>(
    readSql('queries/source_prepare'),
    [name],
  );
  if (rows[0]?.schema_exists) {
    throw new KwError(`there is a schema ${name} in this database, which is not one of kw`, {
      code: 'SCHEMA_EXISTS',
      hint: `give the source another name: kw job source add ${name}2 ...`,
    });
  }
  if (!rows[0]?.usable) {
    await client.query('CREATE EXTENSION IF NOT EXISTS postgres_fdw');
    await client.query('GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO kw_owner');
  }
  await client.query(`CREATE SCHEMA ${escapeIdentifier(name)} AUTHORIZATION kw_owner`);
}

async function describe(client: Client, source: NewSource, kind: string): Promise<void> {
  const settings = 'oar' in source.from ? { database: source.from.oar.label } : { view: source.from.view };
  await client.query(
    'INSERT INTO kw.job_sources (name, kind, settings, node_mapping) VALUES ($1, $2, $3, $4)',
    [source.name, kind, settings, source.keepDomain ? { cut_at_dot: false } : {}],
  );
  await client.query(
    'INSERT INTO kw.node_names (source, node, device_id) SELECT $1, * FROM unnest($2::text[], $3::text[])',
    [source.name, [...source.nodes.keys()], [...source.nodes.values()]],
  );
}

/** Errors of the import in words that say what to do; others as they are. */
function explain(error: unknown, source: NewSource): unknown {
  if (error instanceof KwError || !(error instanceof Error)) return error;
  const code = codeOf(error) ?? '';
  const { detail } = error as { detail?: string };
  const where = 'oar' in source.from ? source.from.oar.label : source.from.view;
  const words = (detail && error.message.startsWith('could not connect') ? detail : error.message)
    .replaceAll(/\s+/g, ' ')
    .trim();
  if (code === '2F003' || /password.*required/i.test(error.message)) {
    return new KwError(`${where} needs a password: ${words}`, {
      code: 'SOURCE_DENIED',
      hint: 'kw_owner is no superuser: PostgreSQL lets it use such a connection only with a password that the server asks for (scram in pg_hba.conf); give it in the URL or as PGPASSWORD',
    });
  }
  if (code.startsWith('08')) {
    return new KwError(`the database server cannot reach ${where}: ${words}`, {
      code: 'SOURCE_AWAY',
      hint: 'it is the server of kw that connects, not this machine: its network, its pg_hba.conf there and the password must permit that',
    });
  }
  if (code === '57014' || code === '55P03') {
    return new KwError(`${where} is too slow: ${words}`, { code: 'SOURCE_AWAY' });
  }
  if (
    code === '42501' &&
    'oar' in source.from &&
    !/kw_owner|foreign-data wrapper|extension|database/.test(error.message)
  ) {
    return new KwError(`${where} does not permit it: ${words}`, {
      code: 'SOURCE_DENIED',
      hint: 'there: GRANT SELECT ON jobs, job_types, assigned_resources, resources TO that user',
    });
  }
  if (code === '42501') {
    return new KwError(`this login may not do that: ${words}`, {
      code: 'NO_FDW',
      hint:
        'oar' in source.from
          ? 'run it as a superuser; or let one run CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO kw_owner; and give kw_admin CREATE on the database'
          : `GRANT SELECT ON ${where} TO kw_owner (and USAGE on its schema)`,
    });
  }
  if (/^42|^HV|^22/.test(code)) {
    return new KwError(`${where} is not what it should be: ${words}`, {
      code: 'SOURCE_WRONG',
      hint: (error as { hint?: string }).hint ?? 'see docs/jobs/README.md for what is expected',
    });
  }
  return error;
}
