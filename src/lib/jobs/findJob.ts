/** From a reference to the one job that it means. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { formatAge, nowUs } from '../time.ts';
import type { JobRef } from './jobRef.ts';
import { type Job, jobLabel, type NodeTime } from './model.ts';
import { plainWords, withPatience } from './patience.ts';

export interface JobRow {
  source: string;
  job_id: number;
  name_id: string;
  owner: string;
  state: string;
  comment: string | null;
  started_us: number | null;
  stopped_us: number | null;
}

/** A source that could not be asked, if there is a problem. */
export interface UnaskedSource {
  source: string;
  problem: string | null;
  /** When it answered last, where that is known. */
  good_us?: number | null;
}

/** It is a row without a job, or with what was seen of the job here. */
export interface ProblemRow extends UnaskedSource {
  job_id: number | null;
}

/** A job, and why what is known of it may be old. */
export interface FoundJob extends Job {
  /** One sentence; undefined when its source answered. */
  readonly problem: string | undefined;
  /** When it had which nodes; undefined where that was not asked. */
  readonly stays: readonly NodeTime[] | undefined;
}

type Stay = [node: string, startUs: number, stopUs: number | null];

/** What to say of a source that could not be asked for its jobs. */
export function cannotAsk({ source, problem, good_us = null }: UnaskedSource): string {
  const since = good_us === null ? '' : ` since ${formatAge(Math.max(0, nowUs() - good_us))}`;
  return `the job source ${source} cannot be asked${since}: ${plainWords(problem ?? 'unknown reason')}`;
}

export function jobOfRow(row: JobRow): Job {
  return {
    source: row.source,
    jobId: row.job_id,
    nameId: row.name_id,
    owner: row.owner,
    state: row.state,
    comment: row.comment ?? undefined,
    startedUs: row.started_us ?? undefined,
    stoppedUs: row.stopped_us ?? undefined,
  };
}

/**
 * @param ask whether schedulers may be asked; prologs cannot wait for them, and all that runs is known here
 * @throws KwError NO_SUCH_JOB, or AMBIGUOUS_JOB when two sources have the number
 */
export async function findJob(client: Client, ref: JobRef, ask = true): Promise<FoundJob> {
  const values = [ref.jobId ?? null, ref.nameId ?? null, ref.source ?? null, ask];
  const find = () =>
    client.query<JobRow & ProblemRow & { stays: Stay[] | null }>(readSql('queries/job_find'), values);
  const { rows } = await (ask ? withPatience(client, find) : find());
  const problems = rows.filter(({ problem }) => problem !== null).map(cannotAsk);
  const found = rows.filter(({ job_id }) => job_id !== null);
  const [first, ...others] = found.map((row) => ({
    ...jobOfRow(row),
    problem: row.problem === null ? undefined : `${cannotAsk(row)}; this is what kw saw of the job itself`,
    stays: row.stays?.map(([node, startedUs, stopUs]) => ({
      node,
      startedUs,
      stoppedUs: stopUs ?? undefined,
    })),
  }));
  if (first === undefined && problems.length > 0) {
    throw new KwError(`no job ${ref.text} is known here, and ${problems.join('; ')}`, {
      code: 'NO_SUCH_JOB',
      hint: 'ask again when it is back (kw status); with --device, --from and --to its metrics can be read now',
    });
  }
  if (first === undefined)
    throw new KwError(`there is no job ${ref.text}`, {
      code: 'NO_SUCH_JOB',
      hint: 'jobs are known from their start on: see kw job list --all',
    });
  if (others.length > 0) throw ambiguousJob(ref, [first, ...others]);
  return first;
}

export function ambiguousJob(ref: JobRef, jobs: readonly { source: string; jobId: number }[]): KwError {
  const labels = jobs.map(({ source, jobId }) => `${source}:${jobId}`);
  return new KwError(`job ${ref.text} may be ${labels.join(' or ')}`, {
    code: 'AMBIGUOUS_JOB',
    hint: `write --job ${labels[0]}`,
  });
}

export function jobEnded(job: Job): KwError {
  return new KwError(`job ${jobLabel(job)} has ended`, { code: 'JOB_ENDED', hint: 'see kw job list' });
}
