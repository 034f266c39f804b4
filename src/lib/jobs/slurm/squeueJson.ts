/**
 * The answer of `squeue --json`, of Slurm 21.08 to 25: which jobs wait, run, or ended within the last minutes
 * (MinJobAge). Its form differs between versions:
 *
 *   number        5   |   {"set": true, "infinite": false, "number": 5}     from 23.02 on
 *   job_state     "RUNNING"   |   ["COMPLETED", "COMPLETING"]               from 23.11 on
 */
import { z } from 'zod';
import { KwError } from '../../errors.ts';
import { phaseOf, type SlurmJob } from './model.ts';

const number = z
  .union([
    z.number(),
    z.null(),
    z
      .object({ set: z.boolean(), infinite: z.boolean().optional(), number: z.number() })
      .transform((value) => (value.set && value.infinite !== true ? value.number : null)),
  ])
  .optional();

/** A time; 0 and what is no time in this or the next century is none. */
const seconds = number.transform((value) => (value && value > 0 && value < 2 ** 33 ? value : undefined));
const jobNumber = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const text = z.string().nullish();

const jobSchema = z.object({
  job_id: jobNumber,
  array_job_id: number,
  array_task_id: number,
  array_task_string: text,
  het_job_id: number,
  user_name: z.string().min(1),
  job_state: z.union([z.string().transform((state) => [state]), z.array(z.string())]),
  nodes: text,
  start_time: seconds,
  end_time: seconds,
  submit_time: seconds,
  resize_time: seconds,
  comment: text,
});

const answerSchema = z.object({
  errors: z.array(z.object({ description: text, error: text })).nullish(),
  jobs: z.array(z.unknown()),
});

export interface SqueueAnswer {
  readonly jobs: readonly SlurmJob[];
  /** Jobs that are not understood, each with the reason. They are not as if they were not there. */
  readonly odd: readonly { jobId: number | undefined; problem: string }[];
}

/** @throws KwError SLURM_AWAY when squeue says so itself (it may exit with 0), SLURM_ANSWER for what is no answer */
export function parseSqueueJson(answer: string): SqueueAnswer {
  const parsed = answerSchema.safeParse(json(answer));
  if (!parsed.success) throw notUnderstood(z.prettifyError(parsed.error));
  const [error] = parsed.data.errors ?? [];
  if (error !== undefined)
    throw new KwError(`squeue: ${error.description || error.error || 'an error without words'}`, {
      code: 'SLURM_AWAY',
      hint: 'see whether slurmctld runs: scontrol ping',
    });
  const jobs: SlurmJob[] = [];
  const odd: { jobId: number | undefined; problem: string }[] = [];
  for (const one of parsed.data.jobs) {
    const job = jobSchema.safeParse(one);
    if (job.success) jobs.push(slurmJob(job.data));
    else odd.push({ jobId: numberOf(one), problem: z.prettifyError(job.error).replaceAll(/\s+/g, ' ') });
  }
  return { jobs, odd };
}

function json(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    throw notUnderstood('it is not JSON');
  }
}

function notUnderstood(problem: string): KwError {
  return new KwError(`squeue --json is not understood: ${problem.slice(0, 300)}`, { code: 'SLURM_ANSWER' });
}

function numberOf(job: unknown): number | undefined {
  const parsed = z.object({ job_id: jobNumber }).safeParse(job);
  return parsed.success ? parsed.data.job_id : undefined;
}

function slurmJob(job: z.output<typeof jobSchema>): SlurmJob {
  const phase = phaseOf(job.job_state);
  const arrayJobId = job.array_job_id || undefined;
  const index = job.array_task_id ?? undefined;
  return {
    jobId: job.job_id,
    array: arrayJobId === undefined || index === undefined ? undefined : { jobId: arrayJobId, index },
    hetJobId: job.het_job_id || undefined,
    user: job.user_name,
    state: job.job_state.join(',').toLowerCase(),
    phase,
    nodes: job.nodes ?? '',
    // Of a job that waits it is when Slurm expects it to start.
    startS: phase === 'waiting' ? undefined : job.start_time,
    endS: phase === 'over' ? job.end_time : undefined,
    submitS: job.submit_time,
    resizeS: job.resize_time,
    comment: job.comment || undefined,
  };
}
