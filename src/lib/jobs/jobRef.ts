/**
 * How people name a job: `1234`, an element of an array `1234_7`, `oar:1234` where two schedulers share a number,
 * or `current` inside a job. Shared by every command with --job.
 */
import { KwError } from '../errors.ts';

export interface JobRef {
  /** Only when the user named it (`oar:1234`); otherwise any source. */
  readonly source: string | undefined;
  /** The scheduler's own number. Undefined when only the name of an array element is known. */
  readonly jobId: number | undefined;
  /** The scheduler's other name for it, such as `1234_7`. */
  readonly nameId: string | undefined;
  /** For messages: as the user wrote it, `current` replaced by the number. */
  readonly text: string;
}

const FORM = /^(?:([A-Za-z][\w.-]{0,62}):)?(\d{1,16})(_\d{1,10})?$/;

/**
 * @param env where `current` looks: OAR_JOB_ID, then SLURM_JOB_ID
 * @throws KwError BAD_JOB, or NO_CURRENT_JOB when `current` is not inside a job
 */
export function parseJobRef(text: string, env: NodeJS.ProcessEnv = process.env): JobRef {
  if (text === 'current') return currentJob(env);
  const parsed = FORM.exec(text);
  const jobId = Number(parsed?.[2]);
  if (parsed === null || !Number.isSafeInteger(jobId))
    throw new KwError(`${JSON.stringify(text.slice(0, 60))} is not a job`, {
      code: 'BAD_JOB',
      hint: 'write its number (1234), an array element (1234_7), oar:1234, or current inside a job',
    });
  const element = parsed[3];
  return {
    source: parsed[1],
    jobId: element === undefined ? jobId : undefined,
    nameId: element === undefined ? undefined : `${parsed[2]}${element}`,
    text,
  };
}

function currentJob(env: NodeJS.ProcessEnv): JobRef {
  const number = env.OAR_JOB_ID || env.SLURM_JOB_ID;
  if (!number)
    throw new KwError('--job current works inside a job only', {
      code: 'NO_CURRENT_JOB',
      hint: 'neither OAR_JOB_ID nor SLURM_JOB_ID is set; write the number of the job',
    });
  return { ...parseJobRef(number, {}), text: number };
}
