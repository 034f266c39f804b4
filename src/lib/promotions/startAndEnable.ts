/** A job begins, and optional metrics are enabled for it: `kw job start --enable`, `--monitor`. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { type CheckedPatterns, checkPatterns, patternsOfComment } from '../jobs/slurm/comment.ts';
import { type NewJob, type StartedJob, startJob } from '../jobs/startJob.ts';
import { readSql } from '../packageRoot.ts';
import { attempt } from './attempt.ts';
import { type Enabled, enableMetrics } from './enable.ts';

export interface StartedWithMetrics extends StartedJob {
  /** What its comment asks for, if that was to be looked at. */
  readonly asked?: CheckedPatterns;
  readonly enabled: readonly Enabled[];
  /** Patterns that were refused, with the reason. The job runs all the same. */
  readonly notEnabled: readonly { pattern: string; message: string }[];
}

export interface StartRequest {
  readonly job: NewJob;
  /** Of optional metrics. */
  readonly patterns: readonly string[];
}

/** The job starts whatever becomes of the patterns, and each pattern whatever becomes of the others. */
export async function startAndEnable(
  client: Client,
  { job, patterns }: StartRequest,
): Promise<StartedWithMetrics> {
  const started = await startJob(client, job);
  const enabled: Enabled[] = [];
  const notEnabled: { pattern: string; message: string }[] = [];
  /** Undefined for what was refused. */
  const unlessRefused = async <T>(wanted: readonly string[], work: () => Promise<T>) => {
    try {
      return await attempt(client, work);
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      const message = error.hint ? `${error.message} (${error.hint})` : error.message;
      notEnabled.push(...wanted.map((pattern) => ({ pattern, message })));
      return undefined;
    }
  };
  const ofComment = job.monitor ? patternsOfComment(job.comment ?? '') : [];
  const checked = ofComment.length === 0 ? undefined : await checkPatterns(ofComment);
  const values = [job.source, job.jobId, checked?.usable];
  const asked =
    checked &&
    ((await unlessRefused(checked.usable, async () => {
      await client.query(readSql('queries/job_promotions'), values);
      return checked;
    })) ?? { ...checked, usable: [] });
  for (const pattern of patterns) {
    const ref = { source: job.source, jobId: job.jobId, nameId: undefined, text: String(job.jobId) };
    const request = { pattern, target: { job: ref }, force: false };
    const done = await unlessRefused([pattern], () => enableMetrics(client, request));
    if (done) enabled.push(done);
  }
  return { ...started, ...(asked && { asked }), enabled, notEnabled };
}
