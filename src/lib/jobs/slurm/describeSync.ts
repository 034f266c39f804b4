/** What holding the jobs against Slurm changed, in words and as JSON. */
import { listing } from '../../output/listing.ts';
import { foldHostList } from '../hostList.ts';
import type { Synced } from './syncSlurm.ts';

/** A table of changes; undefined when there are none. */
export function changeTable({ source, changes }: Synced, width?: number): string | undefined {
  if (changes.length === 0) return undefined;
  const rows = changes.map(({ jobId, change, nodes }) => [`${source}:${jobId}`, change, foldHostList(nodes)]);
  return listing(['JOB', 'CHANGE', 'NODES'], rows, width);
}

/** Lines of a service's log: one a change. */
export function changeLines({ source, changes }: Synced): string[] {
  return changes.map(({ jobId, change, nodes }) =>
    `job ${source}:${jobId} ${change} ${foldHostList(nodes)}`.trimEnd(),
  );
}

export function problemLines({ source, problems }: Synced): string[] {
  return problems.map(
    ({ jobId, problem }) =>
      `job ${jobId === undefined ? 'without a number' : `${source}:${jobId}`}: ${problem}`,
  );
}

export function countLine({ jobs, running, changes }: Synced, dryRun: boolean): string {
  const what = `Slurm knows ${jobs} ${jobs === 1 ? 'job' : 'jobs'}, of which ${running} ${running === 1 ? 'runs' : 'run'}`;
  if (changes.length === 0) return `${what}; all is as it should be`;
  const many = `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`;
  return dryRun ? `${what}; ${many} would be made` : `${what}; ${many} made`;
}

export function syncJson(synced: Synced): Record<string, unknown> {
  return {
    source: synced.source,
    jobs: synced.jobs,
    running: synced.running,
    changes: synced.changes.map(({ jobId, change, nodes }) => ({ job_id: jobId, change, nodes })),
    problems: synced.problems.map(({ jobId, problem }) => ({ job_id: jobId ?? null, problem })),
  };
}
