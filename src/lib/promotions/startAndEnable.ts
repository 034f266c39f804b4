/** A job begins, and optional metrics are enabled for it: `kw job start --enable`. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { type NewJob, type StartedJob, startJob } from '../jobs/startJob.ts';
import { type Enabled, enableMetrics } from './enable.ts';

export interface StartedWithMetrics extends StartedJob {
  readonly enabled: readonly Enabled[];
  /** Patterns that were refused, with the reason. The job runs all the same. */
  readonly notEnabled: readonly { pattern: string; message: string }[];
}

export interface StartRequest {
  readonly job: NewJob;
  /** Of optional metrics. */
  readonly patterns: readonly string[];
}

export async function startAndEnable(
  client: Client,
  { job, patterns }: StartRequest,
): Promise<StartedWithMetrics> {
  const started = await startJob(client, job);
  const enabled: Enabled[] = [];
  const notEnabled: { pattern: string; message: string }[] = [];
  for (const pattern of patterns) {
    const ref = { source: job.source, jobId: job.jobId, nameId: undefined, text: String(job.jobId) };
    try {
      enabled.push(await enableMetrics(client, { pattern, target: { job: ref }, force: false }));
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      notEnabled.push({ pattern, message: error.hint ? `${error.message} (${error.hint})` : error.message });
    }
  }
  return { ...started, enabled, notEnabled };
}
