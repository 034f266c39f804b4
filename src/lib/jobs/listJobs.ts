/** Lists of jobs, and one job with its nodes and the number of its values. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { cannotAsk, type FoundJob, findJob, type JobRow, jobOfRow, type ProblemRow } from './findJob.ts';
import type { JobRef } from './jobRef.ts';
import type { Job, NodeTime } from './model.ts';
import { byNodeName } from './nodeName.ts';
import { withPatience } from './patience.ts';

export interface ListedJob extends Job {
  readonly nodes: readonly string[];
}

export interface JobSelection {
  /** Finished jobs too; otherwise running ones only. */
  readonly all: boolean;
  readonly owner?: string | undefined;
  readonly limit: number;
}

/** Jobs, and what is to be said of them. */
export interface JobList {
  readonly jobs: ListedJob[];
  /** There are more than the limit. */
  readonly cut: boolean;
  /** Sources that could not be asked, one sentence each. */
  readonly problems: string[];
}

/** The last started first. */
export async function listJobs(client: Client, { all, owner, limit }: JobSelection): Promise<JobList> {
  const values = [all, owner ?? null, limit + 1];
  const answer = await withPatience(client, () =>
    client.query<JobRow & ProblemRow & { nodes: string[] }>(readSql('queries/job_list'), values),
  );
  const problems = answer.rows.filter(({ job_id }) => job_id === null).map(cannotAsk);
  const rows = answer.rows.filter(({ job_id }) => job_id !== null);
  const jobs = rows
    .slice(0, limit)
    .map((row) => ({ ...jobOfRow(row), nodes: row.nodes.toSorted(byNodeName) }));
  return { jobs, cut: rows.length > limit, problems };
}

/** When a job had which nodes, in order of their names. */
export async function nodesOfJob(client: Client, job: FoundJob): Promise<NodeTime[]> {
  const stays = job.stays ?? (await readStays(client, job));
  return stays.toSorted((a, b) => byNodeName(a.node, b.node) || a.startedUs - b.startedUs);
}

async function readStays(client: Client, job: FoundJob): Promise<NodeTime[]> {
  const { rows } = await withPatience(client, () =>
    client.query<{ node: string; start_us: number; stop_us: number | null }>(
      readSql('queries/job_node_times'),
      [job.source, job.jobId, job.problem !== undefined],
    ),
  );
  return rows.map(({ node, start_us, stop_us }) => ({
    node,
    startedUs: start_us,
    stoppedUs: stop_us ?? undefined,
  }));
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
  /** Why this may be old, in one sentence. */
  readonly problem: string | undefined;
}

/** @throws KwError NO_SUCH_JOB, AMBIGUOUS_JOB */
export async function showJob(client: Client, ref: JobRef, withValues: boolean): Promise<ShownJob> {
  const job = await findJob(client, ref);
  const nodes = await nodesOfJob(client, job);
  const values = withValues ? await countValues(client, job) : undefined;
  return { ...job, nodes, values };
}
