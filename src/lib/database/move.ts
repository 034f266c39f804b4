/**
 * Copies everything of one kw database into another: what `kw db move` does when a trial on the embedded server
 * has become serious. The source is only read.
 *
 *   settings          first, since they say which timestamps are accepted
 *   metrics           one day (UTC) after the other, each a transaction that also moves the progress mark
 *   old summaries     of raw values that were dropped; all others are computed anew from the raw values
 *   all other tables  last, in one transaction that removes the mark: jobs, promotions, catalogue, ledger, ...
 *
 * A move that was interrupted goes on after the last whole day. Rows travel as binary COPY, from one server's
 * socket to the other's, and nothing of them is kept in memory.
 */
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { from, to } from 'pg-copy-streams';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { checkSchema } from './migrate.ts';

export interface MoveProgress {
  /** The day that was copied, such as `2026-11-22`. */
  readonly day: string;
  readonly rows: number;
}

export interface MoveOptions {
  /** Add to a target that holds something already. */
  readonly force?: boolean;
  readonly onProgress?: (progress: MoveProgress) => void;
}

export interface MoveResult {
  /** Metrics copied by this run. */
  readonly rows: number;
  /** The day after which an interrupted move was continued, or undefined. */
  readonly resumedAfter: string | undefined;
  /** Rows of each other table. */
  readonly tables: Readonly<Record<string, number>>;
}

/** Written in the target while a move is under way: which source, and before which timestamp all is copied. */
interface Mark {
  readonly source: string;
  readonly before: string;
}

const MARK = 'move_in_progress';
/**
 * Not copied as tables: the schema's own, what is computed from the metrics, what lasts while collectors
 * run, and job sources (with their foreign tables).
 */
const NOT_COPIED = [
  'job_sources',
  'node_names',
  'migrations',
  'expected_objects',
  'scoped_views',
  'settings',
  'metrics',
  'summary_stored',
  'summary_state',
  'summary_late',
  'push_parts',
  'shard_offers',
  'shard_leases',
  'shard_epochs',
  'shard_state',
];

/**
 * Both databases have this kw's schema (migrate the target before). The clients are the caller's.
 *
 * @throws KwError MOVE_SAME, MOVE_COLLECTING, MOVE_NOT_EMPTY, MOVE_COUNTS
 */
export async function move(
  source: ClientBase,
  target: ClientBase,
  options: MoveOptions = {},
): Promise<MoveResult> {
  await checkSchema(source);
  const flavour = await checkSchema(target);
  const identity = await identityOf(source);
  if (identity === (await identityOf(target))) {
    throw new KwError('the source and the target are the same database', { code: 'MOVE_SAME' });
  }
  await refuseWhileCollecting(source);
  const mark = await readMark(target);
  const resumes = mark?.source === identity;
  if (!resumes && !options.force) await refuseUnlessEmpty(target);

  await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const tables = await sharedTables(source, target);
    const before = await counts(target, tables);
    if (!resumes) await copySettings(source, target);
    const rows = await copyMetrics(source, target, identity, resumes ? mark.before : '-infinity', options);
    await copyOldSummaries(source, target, flavour);
    const copied = await copyTables(source, target, tables);
    if (!options.force) await compareMetrics(source, target);
    await compareTables(source, target, tables, before);
    await refreshSummary(target, flavour);
    return { rows, resumedAfter: resumes ? mark.before : undefined, tables: copied };
  } finally {
    await source.query('ROLLBACK').catch(() => {});
  }
}

async function one(client: ClientBase, sql: string, values: unknown[] = []): Promise<unknown> {
  const { rows } = await client.query({ text: sql, values, rowMode: 'array' });
  return rows[0]?.[0];
}

/** Of a database, whatever the way to it. */
async function identityOf(client: ClientBase): Promise<string> {
  return String(
    await one(
      client,
      "SELECT s.system_identifier || '/' || d.oid FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
    ),
  );
}

async function refuseWhileCollecting(source: ClientBase): Promise<void> {
  const collector = await one(
    source,
    "SELECT name || ' on ' || host FROM kw.collectors WHERE stopped_at IS NULL AND seen_at > now() - interval '1 minute' LIMIT 1",
  );
  if (collector === undefined) return;
  throw new KwError(`the collector ${collector} still writes into the source`, {
    code: 'MOVE_COLLECTING',
    hint: 'stop it, move, and start it again with KW_DATABASE_URL set to the new database; what it would have read meanwhile is not measured',
  });
}

async function refuseUnlessEmpty(target: ClientBase): Promise<void> {
  for (const table of ['metrics', 'jobs', 'collectors', 'promoted_metrics']) {
    if ((await one(target, `SELECT EXISTS (SELECT FROM kw.${table})`)) !== true) continue;
    throw new KwError(`the target is not empty: kw.${table} has rows`, {
      code: 'MOVE_NOT_EMPTY',
      hint: 'name an empty database, or add to this one with --force',
    });
  }
}

async function readMark(target: ClientBase): Promise<Mark | undefined> {
  return (await one(target, 'SELECT value FROM kw.settings WHERE name = $1', [MARK])) as Mark | undefined;
}

async function writeMark(target: ClientBase, mark: Mark): Promise<void> {
  await target.query(
    `INSERT INTO kw.settings (name, value, description) VALUES ($1, $2, 'written by kw db move while it is under way')
     ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    [MARK, JSON.stringify(mark)],
  );
}

async function inTransaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** raw_dropped_before comes last: it would refuse what is copied. */
async function copySettings(source: ClientBase, target: ClientBase): Promise<void> {
  const { rows } = await source.query<{ name: string; value: string; description: string }>(
    "SELECT name, value::text, description FROM kw.settings WHERE name <> 'raw_dropped_before' AND name <> $1",
    [MARK],
  );
  for (const { name, value, description } of rows) {
    await target.query(
      `INSERT INTO kw.settings (name, value, description) VALUES ($1, $2::jsonb, $3)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value, description = excluded.description`,
      [name, value, description],
    );
  }
}

async function copyMetrics(
  source: ClientBase,
  target: ClientBase,
  identity: string,
  after: string,
  options: MoveOptions,
): Promise<number> {
  let total = 0;
  let next = await nextDay(source, after);
  while (next !== undefined) {
    const { day, start, end } = next;
    const rows = await inTransaction(target, async () => {
      await target.query('SELECT kw.ensure_storage($1, $2)', [start, end]);
      const copied = await copy(
        source,
        target,
        `(SELECT timestamp, device_id, metric_id, value, labels FROM kw.metrics
          WHERE timestamp >= '${start}' AND timestamp < '${end}')`,
        'kw.metrics (timestamp, device_id, metric_id, value, labels)',
      );
      await writeMark(target, { source: identity, before: end });
      return copied;
    });
    total += rows;
    options.onProgress?.({ day, rows: total });
    next = await nextDay(source, end);
  }
  return total;
}

/** The first day (UTC) at or after a timestamp that has metrics. */
async function nextDay(
  source: ClientBase,
  after: string,
): Promise<{ day: string; start: string; end: string } | undefined> {
  const { rows } = await source.query(
    `SELECT to_char(d, 'YYYY-MM-DD') AS day, d || '+00' AS start, d + interval '1 day' || '+00' AS "end"
     FROM (SELECT date_trunc('day', timestamp AT TIME ZONE 'UTC') AS d FROM kw.metrics
           WHERE timestamp >= $1 ORDER BY timestamp LIMIT 1) first`,
    [after],
  );
  return rows[0];
}

/** Streams rows from one server to the other. Both count; they must agree. */
async function copy(source: ClientBase, target: ClientBase, what: string, into: string): Promise<number> {
  const reading = source.query(to(`COPY ${what} TO STDOUT (FORMAT binary)`));
  const writing = target.query(from(`COPY ${into} FROM STDIN (FORMAT binary)`));
  await pipeline(reading, writing);
  if (reading.rowCount !== writing.rowCount) throw countsDiffer(into, reading.rowCount, writing.rowCount);
  return writing.rowCount;
}

function countsDiffer(what: string, wanted: number, found: number): KwError {
  return new KwError(`${what}: the source has ${wanted} rows, and ${found} arrived`, {
    code: 'MOVE_COUNTS',
    hint: 'nothing was deleted in the source; empty the target and move again',
  });
}

/** Buckets whose raw values were dropped by retention. Where they are kept differs by flavour of the target. */
async function copyOldSummaries(source: ClientBase, target: ClientBase, flavour: string): Promise<void> {
  const dropped = String(await one(source, 'SELECT kw.raw_dropped_before()'));
  if (dropped === '-infinity') return;
  const columns =
    'bucket, device_id, metric_id, labels, value, min, max, count, count_not_finite, device_alias';
  const table =
    flavour === 'plain'
      ? 'kw.summary_stored'
      : String(await one(target, readSql('queries/move_summary_table')));
  await inTransaction(target, async () => {
    if ((await one(target, 'SELECT kw.raw_dropped_before() >= $1::timestamptz', [dropped])) === true) return;
    await copy(
      source,
      target,
      `(SELECT ${columns} FROM kw.metrics_summary WHERE bucket < '${dropped}')`,
      `${table} (${columns})`,
    );
    await target.query(
      "UPDATE kw.settings SET value = to_jsonb($1::timestamptz) WHERE name = 'raw_dropped_before'",
      [dropped],
    );
  });
}

interface Table {
  readonly name: string;
  /** Quoted, comma-separated, the same in both databases. */
  readonly columns: string;
}

/** The tables of kw to copy as they are, those first that others refer to. */
async function sharedTables(source: ClientBase, target: ClientBase): Promise<Table[]> {
  const list = async (client: ClientBase) =>
    (await client.query<{ name: string; columns: string }>(readSql('queries/move_tables'), [NOT_COPIED]))
      .rows;
  const there = new Map((await list(target)).map((table) => [table.name, table]));
  return (await list(source)).filter(({ name, columns }) => there.get(name)?.columns === columns);
}

async function copyTables(
  source: ClientBase,
  target: ClientBase,
  tables: readonly Table[],
): Promise<Record<string, number>> {
  const copied: Record<string, number> = {};
  await inTransaction(target, async () => {
    for (const { name, columns } of tables) {
      copied[name] = await copy(source, target, `kw.${name} (${columns})`, `kw.${name} (${columns})`);
    }
    await target.query(readSql('queries/move_identities'));
    await target.query('DELETE FROM kw.settings WHERE name = $1', [MARK]);
  });
  return copied;
}

async function counts(client: ClientBase, tables: readonly Table[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const { name } of tables)
    found.set(name, Number(await one(client, `SELECT count(*) FROM kw.${name}`)));
  return found;
}

async function compareMetrics(source: ClientBase, target: ClientBase): Promise<void> {
  const [wanted, found] = await Promise.all(
    [source, target].map((client) => one(client, 'SELECT count(*) FROM kw.metrics')),
  );
  if (wanted !== found) throw countsDiffer('kw.metrics', Number(wanted), Number(found));
}

async function compareTables(
  source: ClientBase,
  target: ClientBase,
  tables: readonly Table[],
  before: ReadonlyMap<string, number>,
): Promise<void> {
  const [wanted, found] = await Promise.all([counts(source, tables), counts(target, tables)]);
  for (const { name } of tables) {
    const arrived = (found.get(name) ?? 0) - (before.get(name) ?? 0);
    if (arrived !== wanted.get(name)) throw countsDiffer(`kw.${name}`, wanted.get(name) ?? 0, arrived);
  }
}

async function refreshSummary(target: ClientBase, flavour: string): Promise<void> {
  if (flavour === 'timescaledb') {
    await target.query('CALL kw.refresh_summary()');
    return;
  }
  for (;;) {
    const { more } = (await one(target, 'SELECT kw.maintain()')) as { more: boolean };
    if (!more) return;
  }
}
