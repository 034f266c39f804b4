/** How jobs ended that slurmctld has forgotten: `sacct --parsable2`, with SLURM_TIME_FORMAT=%s. */

export const SACCT_FIELDS = 'JobIDRaw,State,End';

export interface EndedJob {
  readonly state: string;
  /** Seconds of the epoch; undefined where the accounting does not know it. */
  readonly endS: number | undefined;
}

/** By number; of a job that was requeued the last run. Steps (`1234.batch`) are left out. */
export function parseSacct(answer: string): Map<number, EndedJob> {
  const jobs = new Map<number, EndedJob>();
  for (const line of answer.split('\n')) {
    const [id = '', state = '', end = ''] = line.split('|');
    if (!/^\d{1,15}$/.test(id)) continue;
    // "CANCELLED by 1000"
    const [word = 'unknown'] = state.toLowerCase().split(' ');
    const endS = /^\d{9,10}$/.test(end) ? Number(end) : undefined;
    jobs.set(Number(id), { state: word || 'unknown', endS });
  }
  return jobs;
}
