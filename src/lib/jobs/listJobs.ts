/** Lists of jobs, and one job with its nodes and the number of its values. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { findJob, type JobRow, jobOfRow } from './findJob.ts';
import type { JobRef } from './jobRef.ts';
import type { Job, NodeTime } from './model.ts';
import { byNodeName } from './nodeName.ts';

export interface ListedJob extends Job {
  readonly nodes: readonly string[];
}

export interface JobSelection {
  /** Finished jobs too; otherwise running ones only. */
  readonly all: boolean;
  readonly owner?: string | undefined;
  readonly limit: number;
}

/** The last started first. `cut` when there are more than `limit`. */
export async function listJobs(
  client: Client,
  { all, owner, limit }: JobSelection,
): Promise<{ jobs: ListedJob[]; cut: boolean }> {
  const { rows } = await client.query<JobRow & { nodes: string[] }>(readSql('queries/job_list'), [
    all,
    owner ?? null,
    limit + 1,
  ]);
  const jobs = rows
    .slice(0, limit)
    .map((row) => ({ ...jobOfRow(row), nodes: row.nodes.toSorted(byNodeName) }));
  return { jobs, cut: rows.length > limit };
}

export async function nodesOfJob(client: Client, job: Job): Promise<NodeTime[]> {
  const { rows } = await client.query<{ node: string; started_us: number; stopped_us: number | null }>(
    readSql('queries/job_nodes'),
    [job.source, job.jobId],
  );
  return rows
    .map((row) => ({ node: row.node, startedUs: row.started_us, stoppedUs: row.stopped_us ?? undefined }))
    .sort((a, b) => byNodeName(a.node, b.node) || a.startedUs - b.startedUs);
}

export interface ValueCount {
  readonly metricId: string;
  readonly devices: number;
  readonly values: number;
  readonly lastUs: number;
}

/** How many values a job has so far, by metric: reads them all, which takes a second for every few millions. */
async function countValues(client: Client, job: Job): Promise<ValueCount[]> {
  const { rows } = await client.query<{
    metric_id: string;
    devices: number;
    values: number;
    last_us: number;
  }>(readSql('queries/job_values'), [job.source, job.jobId]);
  return rows.map((row) => ({
    metricId: row.metric_id,
    devices: row.devices,
    values: row.values,
    lastUs: row.last_us,
  }));
}

export interface ShownJob extends Job {
  readonly nodes: readonly NodeTime[];
  /** Undefined when they were not to be counted. */
  readonly values: readonly ValueCount[] | undefined;
}

/** @throws KwError NO_SUCH_JOB, AMBIGUOUS_JOB */
export async function showJob(client: Client, ref: JobRef, withValues: boolean): Promise<ShownJob> {
  const job = await findJob(client, ref);
  const nodes = await nodesOfJob(client, job);
  const values = withValues ? await countValues(client, job) : undefined;
  return { ...job, nodes, values };
}
