/** Where jobs come from, and how each source is: for `kw job source list` and `kw status`. */
import type { Client } from 'pg';
import { listing } from '../../output/listing.ts';
import { readSql } from '../../packageRoot.ts';
import { formatAge, formatUtc, nowUs } from '../../time.ts';
import { plainWords } from '../patience.ts';

export interface SourceReport {
  readonly name: string;
  /** `oar` and `view` are read; others tell kw of their jobs; `slurm` does, and kw job sync asks it too. */
  readonly kind: 'kw' | 'oar' | 'slurm' | 'view';
  /** `new`: not asked yet. `slow`: it does not answer in time. `wrong`: its tables are not as they were. */
  readonly state: 'new' | 'ok' | 'slow' | 'wrong' | 'away';
  readonly running_jobs: number;
  /** `user@host:port/database`, or the view's name. */
  readonly where: string | null;
  /** Times in UTC. */
  readonly checked_at: string | null;
  readonly last_good_at: string | null;
  readonly problem: string | null;
  readonly took_ms: number | null;
  /** Nobody has looked for half a minute: no collector runs. */
  readonly unwatched: boolean;
}

interface SourceRow {
  name: string;
  kind: SourceReport['kind'];
  state: SourceReport['state'];
  running_jobs: number;
  database: string | null;
  site_view: string | null;
  checked_us: number | null;
  good_us: number | null;
  problem: string | null;
  took_ms: number | null;
  hangs: boolean;
  unwatched: boolean;
}

export async function listSources(client: Pick<Client, 'query'>): Promise<SourceReport[]> {
  const { rows } = await client.query<SourceRow>(readSql('queries/source_list'));
  return rows.map((row) => ({
    name: row.name,
    kind: row.kind,
    state: row.hangs ? 'slow' : row.state,
    running_jobs: row.running_jobs,
    where: row.database ?? row.site_view,
    checked_at: row.checked_us === null ? null : formatUtc(row.checked_us),
    last_good_at: row.good_us === null ? null : formatUtc(row.good_us),
    problem: row.problem === null ? (row.hangs ? 'it does not answer' : null) : plainWords(row.problem),
    took_ms: row.took_ms,
    unwatched: isRead(row.kind) && row.unwatched,
  }));
}

/** Whether collectors read it, rather than that kw is told. */
function isRead(kind: SourceReport['kind']): boolean {
  return kind === 'oar' || kind === 'view';
}

/** Whether kw asks it at all, and so knows how it is. */
function isAsked(kind: SourceReport['kind']): boolean {
  return isRead(kind) || kind === 'slurm';
}

const STATE_WORDS: Readonly<Record<SourceReport['state'], string>> = {
  new: 'has not been asked yet',
  ok: 'answers',
  slow: 'is too slow',
  wrong: 'is not what it should be',
  away: 'cannot be reached',
};

/** One sentence about a source that is not well, or undefined. */
export function sourceProblem(source: SourceReport, atUs: number = nowUs()): string | undefined {
  if (!isAsked(source.kind) || source.state === 'ok' || source.state === 'new') return undefined;
  const goodUs = source.last_good_at === null ? undefined : Date.parse(source.last_good_at) * 1000;
  const since = goodUs === undefined ? '' : `, last heard of ${formatAge(Math.max(0, atUs - goodUs))} ago`;
  return `the job source ${source.name} ${STATE_WORDS[source.state]}${since}: ${source.problem ?? 'unknown reason'}`;
}

/** The table of `kw job source list` and of `kw status`. */
export function sourceTable(
  sources: readonly SourceReport[],
  atUs: number = nowUs(),
  width?: number,
): string {
  const age = (time: string | null) =>
    time === null ? '-' : `${formatAge(Math.max(0, atUs - Date.parse(time) * 1000))} ago`;
  const rows = sources.map((source) => [
    source.name,
    source.kind,
    isAsked(source.kind) ? source.state : '-',
    String(source.running_jobs),
    age(source.checked_at),
    age(source.last_good_at),
    source.took_ms === null ? '-' : `${Math.round(source.took_ms)} ms`,
    source.where ?? (isRead(source.kind) ? '-' : 'tells kw'),
    source.problem ?? '',
  ]);
  return listing(
    ['SOURCE', 'KIND', 'STATE', 'RUNNING', 'ASKED', 'ANSWERED', 'TOOK', 'WHERE', 'PROBLEM'],
    rows,
    width,
  );
}
