/** From the jobs of Slurm to what kw stores of them: arrays by their element, heterogeneous jobs as one. */
import { KwError } from '../../errors.ts';
import { expandHostList } from '../hostList.ts';
import { checkPatterns, patternsOfComment, storableComment } from './comment.ts';
import type { SlurmJob } from './model.ts';

/** One run of one node, in seconds of the epoch; `stop` is null while it goes on. */
export interface SaidRun {
  readonly node: string;
  readonly start: number;
  readonly stop: number | null;
}

/** As kw.sync_job of the database takes it. */
export interface SaidJob {
  readonly job_id: number;
  readonly name_id?: string;
  readonly owner?: string;
  readonly state: string;
  readonly comment?: string | undefined;
  readonly submitted?: number | undefined;
  readonly resized?: number | undefined;
  /** When a job without runs ended. */
  readonly ended?: number | undefined;
  readonly patterns?: readonly string[];
  readonly runs: readonly SaidRun[];
}

export interface Said {
  readonly jobs: readonly SaidJob[];
  /** What could not be used, by job. */
  readonly problems: readonly { jobId: number; problem: string }[];
}

/** The components of a heterogeneous job share the number that its user knows, and what any of them asks for. */
export async function saidJobs(jobs: readonly SlurmJob[]): Promise<Said> {
  const byNumber = new Map<number, SlurmJob[]>();
  for (const job of jobs) {
    const id = job.hetJobId ?? job.jobId;
    const parts = byNumber.get(id);
    if (parts === undefined) byNumber.set(id, [job]);
    else parts.push(job);
  }
  const said: SaidJob[] = [];
  const problems: { jobId: number; problem: string }[] = [];
  for (const [jobId, parts] of byNumber) {
    try {
      said.push(await saidJob(jobId, parts, (problem) => problems.push({ jobId, problem })));
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      problems.push({ jobId, problem: error.message });
    }
  }
  return { jobs: said, problems };
}

async function saidJob(
  jobId: number,
  parts: readonly SlurmJob[],
  onProblem: (problem: string) => void,
): Promise<SaidJob> {
  // The first component that has not ended speaks for the state of all.
  const order = ['running', 'waiting', 'over'];
  const [first] = parts.toSorted(
    (a, b) => order.indexOf(a.phase) - order.indexOf(b.phase) || a.jobId - b.jobId,
  );
  if (first === undefined) throw new Error('a job has a part');
  const comments = [...new Set(parts.flatMap(({ comment }) => comment ?? []))];
  const { usable, refused } = await checkPatterns([...new Set(comments.flatMap(patternsOfComment))]);
  for (const { pattern, message } of refused)
    onProblem(`${JSON.stringify(pattern.slice(0, 80))} is not enabled: ${message}`);
  return {
    job_id: jobId,
    name_id: first.array === undefined ? String(jobId) : `${first.array.jobId}_${first.array.index}`,
    owner: first.user,
    state: first.state,
    comment: comments.length === 0 ? undefined : storableComment(comments.join('\n')),
    submitted: latest(parts.map(({ submitS }) => submitS)),
    resized: latest(parts.map(({ resizeS }) => resizeS)),
    patterns: usable,
    runs: parts.flatMap(runsOf),
  };
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** None before it has nodes, and none of a job that was cancelled while it waited. @throws KwError BAD_NODES */
function runsOf({ phase, nodes, startS, endS }: SlurmJob): SaidRun[] {
  if (phase === 'waiting' || startS === undefined || nodes.trim() === '') return [];
  const stop = phase === 'running' ? null : Math.max(startS, endS ?? startS);
  return expandHostList(nodes).map((node) => ({ node, start: startS, stop }));
}
