/** What the command line asks for beside what prologs do (prologCalls.ts) and rows (remoteAnswer.ts, remoteStore.ts). */
import type { JobRef } from '../jobs/jobRef.ts';
import { type JobList, type JobSelection, listJobs, type ShownJob, showJob } from '../jobs/listJobs.ts';
import { jobGaps } from '../metrics/gaps.ts';
import { listMetrics, type MetricList } from '../metrics/listMetrics.ts';
import type { SelectionRequest } from '../metrics/selection.ts';
import {
  listPromotions,
  type Promotion,
  type PromotionGroup,
  promotionsOfJob,
} from '../promotions/listPromotions.ts';
import { type DeleteSelection, deletePushed } from '../push/delete.ts';
import { nowUs } from '../time.ts';
import type { Call } from './call.ts';

export const enabledCall: Call<Record<string, never>, Promotion[]> = {
  name: 'enabled',
  repeatable: true,
  run: (client) => listPromotions(client),
};

export const metricsCall: Call<Pick<SelectionRequest, 'jobs' | 'devices' | 'metrics'>, MetricList> = {
  name: 'metrics',
  repeatable: true,
  run: (client, request) => listMetrics(client, request, nowUs()),
};

export const jobListCall: Call<JobSelection, JobList> = {
  name: 'job-list',
  repeatable: true,
  run: listJobs,
};

export interface JobShowRequest {
  readonly ref: JobRef;
  /** Whether to count its values, which takes a second for every few millions. */
  readonly values: boolean;
}

export interface JobShown {
  readonly shown: ShownJob & { readonly enabled: readonly PromotionGroup[] };
  readonly gaps: readonly string[];
}

export const jobShowCall: Call<JobShowRequest, JobShown> = {
  name: 'job-show',
  repeatable: true,
  async run(client, { ref, values }) {
    const job = await showJob(client, ref, values);
    const enabled = await promotionsOfJob(client, job);
    return { shown: { ...job, enabled }, gaps: await jobGaps(client, ref.text) };
  },
};

export interface DeleteRequest extends DeleteSelection {
  readonly dryRun: boolean;
}

export const deleteCall: Call<DeleteRequest, number> = {
  name: 'delete',
  repeatable: false,
  run: (client, { dryRun, ...selection }) => deletePushed(client, selection, { dryRun }),
};
