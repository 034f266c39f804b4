/** From a reference to the one job that it means. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import type { JobRef } from './jobRef.ts';
import { type Job, jobLabel } from './model.ts';

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

/** @throws KwError NO_SUCH_JOB, or AMBIGUOUS_JOB when two sources have the number */
export async function findJob(client: Client, ref: JobRef): Promise<Job> {
  const { rows } = await client.query<JobRow>(readSql('queries/job_find'), [
    ref.jobId ?? null,
    ref.nameId ?? null,
    ref.source ?? null,
  ]);
  const [first, ...others] = rows.map(jobOfRow);
  if (first === undefined)
    throw new KwError(`there is no job ${ref.text}`, { code: 'NO_SUCH_JOB', hint: 'see kw job list --all' });
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
