/** How long raw values and summaries are kept. For ever, unless somebody asks for less. */
import { KwError } from '../errors.ts';
import type { Flavour, SqlClient } from './flavour.ts';

export interface Retention {
  /** Milliseconds; null is for ever. */
  readonly rawMs: number | null;
  readonly summaryMs: number | null;
}

const DAY_MS = 86_400_000;

export async function readRetention(client: SqlClient): Promise<Retention> {
  const { rows } = await client.query(`
    SELECT round(extract(epoch FROM kw.setting_interval('raw_retention')) * 1000)::float8 AS raw,
           round(extract(epoch FROM kw.setting_interval('summary_retention')) * 1000)::float8 AS summary`);
  const row = rows[0] as { raw: number | null; summary: number | null };
  return { rawMs: row.raw, summaryMs: row.summary };
}

/** For what asks first and sets later. @throws KwError RETENTION_SHORT where it cannot be set so */
export function checkRetention({ rawMs, summaryMs }: Retention): void {
  for (const ms of [rawMs, summaryMs]) {
    // Raw values are summarised, and on TimescaleDB compressed, within a day.
    if (ms !== null && ms < DAY_MS)
      throw new KwError('values are kept for a day at least', { code: 'RETENTION_SHORT' });
  }
  if (summaryMs !== null && (rawMs === null || rawMs > summaryMs)) {
    throw new KwError('the summary cannot be kept for less time than the raw values that it is made of', {
      code: 'RETENTION_SHORT',
      hint: 'give --raw as well, and not more than --summary',
    });
  }
}

/**
 * Sets it; what is then too old goes with the next maintenance. Needs kw_admin.
 *
 * @throws KwError RETENTION_SHORT
 */
export async function writeRetention(client: SqlClient, retention: Retention): Promise<void> {
  checkRetention(retention);
  const { rawMs, summaryMs } = retention;
  await client.query(
    `UPDATE kw.settings SET value = coalesce(to_jsonb(w.seconds || ' seconds'), 'null')
     FROM (VALUES ('raw_retention', $1::float8), ('summary_retention', $2::float8)) AS w (name, seconds)
     WHERE settings.name = w.name`,
    [rawMs === null ? null : rawMs / 1000, summaryMs === null ? null : summaryMs / 1000],
  );
}

/** How many chunks or partitions of raw values lie wholly before the retention: they go at the next maintenance. */
export async function countDue(client: SqlClient, flavour: Flavour, rawMs: number | null): Promise<number> {
  if (rawMs === null) return 0;
  const ends =
    flavour === 'timescaledb'
      ? "SELECT range_end AS ends FROM timescaledb_information.chunks WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics'"
      : "SELECT (day + 1)::timestamp AT TIME ZONE 'UTC' AS ends FROM kw.metrics_partitions";
  const { rows } = await client.query(
    `SELECT count(*)::int AS n FROM (${ends}) p WHERE p.ends <= now() - make_interval(secs => $1)`,
    [rawMs / 1000],
  );
  return rows[0]?.n as number;
}

/** `90 days`, `for ever`. */
export function formatRetention(ms: number | null): string {
  if (ms === null) return 'for ever';
  const days = ms / DAY_MS;
  if (days === 1) return '1 day';
  return Number.isInteger(days) ? `${days} days` : `${Number((ms / 3_600_000).toPrecision(3))} hours`;
}
