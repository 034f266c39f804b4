/**
 * Holds the jobs that kw was told of against what Slurm says, and makes good what a lost prolog or epilog left.
 * The rules are those of kw.sync_job; a prolog that speaks at the same time is newer than the answer of Slurm, and wins.
 */
import type { Client } from 'pg';
import { KwError } from '../../errors.ts';
import { readSql } from '../../packageRoot.ts';
import type { NodeMap } from '../sources/nodeMap.ts';
import { askAccounting, askSlurm } from './askSlurm.ts';
import { type SaidJob, saidJobs } from './saidJobs.ts';

export interface SyncOptions {
  readonly source: string;
  /** Change nothing, only say what would change. */
  readonly dryRun: boolean;
  /** Undefined leaves what is known of names. */
  readonly nodes?: NodeMap | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface JobChange {
  readonly jobId: number;
  /** `failed` where the job cannot be stored. */
  readonly change: 'started' | 'ended' | 'corrected' | 'reopened' | 'enabled' | 'disabled' | 'failed';
  readonly nodes: readonly string[];
}

export interface Synced {
  readonly source: string;
  /** How many jobs Slurm knows, and how many of them run. */
  readonly jobs: number;
  readonly running: number;
  readonly changes: readonly JobChange[];
  readonly problems: readonly { jobId: number | undefined; problem: string }[];
}

/** Jobs in one transaction: prologs of these wait for its end. */
const JOBS_AT_ONCE = 50;

/** @throws KwError SLURM_AWAY and others of askSlurm: noted in the database before, and nothing is changed */
export async function syncSlurm(client: Client, options: SyncOptions): Promise<Synced> {
  const { source } = options;
  const startedMs = performance.now();
  if (!options.dryRun) await prepare(client, options);
  const { rows: clock } = await client.query<{ seen_at: string }>('SELECT now()::text AS seen_at');
  const seenAt = clock[0]?.seen_at;
  const answer = await askSlurm(options.signal).catch(async (error: unknown) => {
    if (error instanceof KwError && !options.dryRun) await note(client, source, error.message);
    throw error;
  });
  const said = await saidJobs(answer.jobs);
  const running = said.jobs.filter(({ runs }) => runs.some(({ stop }) => stop === null)).length;
  const problems = [
    ...answer.odd.map(({ jobId, problem }) => ({ jobId, problem: `it is not understood: ${problem}` })),
    ...said.problems,
  ];

  const known = new Set([
    ...answer.jobs.flatMap(({ jobId, hetJobId }) => [jobId, hetJobId ?? jobId]),
    ...answer.odd.flatMap(({ jobId }) => jobId ?? []),
  ]);
  const { rows: open } = await client.query<{ job_id: number }>(readSql('queries/jobs_said_to_run'), [
    source,
    seenAt,
  ]);
  const openJobs = open.map(({ job_id }) => job_id);
  // What is not understood may be any job: then none is taken for gone.
  const unknown = answer.odd.some(({ jobId }) => jobId === undefined);
  const forgotten = unknown ? [] : openJobs.filter((id) => !known.has(id));
  const gone = await goneJobs(forgotten, options.signal);

  const changes: JobChange[] = [];
  const all = [...said.jobs.filter(worthSending(new Set(openJobs))), ...gone];
  for (let from = 0; from < all.length; from += JOBS_AT_ONCE) {
    const part = await syncPart(client, source, all.slice(from, from + JOBS_AT_ONCE), seenAt, options.dryRun);
    for (const { job_id: jobId, change, nodes, problem } of part) {
      if (problem !== null) problems.push({ jobId, problem });
      changes.push({ jobId, change, nodes: nodes ?? [] });
    }
  }
  if (!options.dryRun) await note(client, source, null, running, performance.now() - startedMs);
  return { source, jobs: said.jobs.length, running, changes, problems };
}

/** A job that waits matters only if it ran, as far as kw knows. */
function worthSending(open: ReadonlySet<number>): (job: SaidJob) => boolean {
  return ({ job_id, runs }) => runs.length > 0 || open.has(job_id);
}

async function goneJobs(jobIds: readonly number[], signal: AbortSignal | undefined): Promise<SaidJob[]> {
  if (jobIds.length === 0) return [];
  const accounting = await askAccounting(jobIds, signal);
  return jobIds.map((job_id) => {
    const ended = accounting.get(job_id);
    return { job_id, state: ended?.state ?? 'unknown', ended: ended?.endS, runs: [] };
  });
}

interface ChangeRow {
  job_id: number;
  change: JobChange['change'];
  nodes: string[] | null;
  problem: string | null;
}

async function syncPart(
  client: Client,
  source: string,
  jobs: readonly SaidJob[],
  seenAt: string | undefined,
  dryRun: boolean,
): Promise<ChangeRow[]> {
  await client.query('BEGIN');
  try {
    const { rows } = await client.query<ChangeRow>(readSql('queries/jobs_sync'), [
      source,
      JSON.stringify(jobs),
      seenAt,
    ]);
    await client.query(dryRun ? 'ROLLBACK' : 'COMMIT');
    return rows;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function prepare(client: Client, { source, nodes }: SyncOptions): Promise<void> {
  if (nodes === undefined) return;
  await note(client, source, null);
  await client.query('SELECT kw.set_node_names($1, $2, $3)', [
    source,
    [...nodes.keys()],
    [...nodes.values()],
  ]);
}

async function note(
  client: Client,
  source: string,
  problem: string | null,
  running: number | null = null,
  tookMs: number | null = null,
): Promise<void> {
  await client.query('SELECT kw.note_sync($1, $2, $3, $4, $5)', [source, 'slurm', problem, running, tookMs]);
}
