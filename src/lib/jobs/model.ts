/** Jobs as kw shows them. Times are microseconds since the epoch. */

export interface Job {
  readonly source: string;
  readonly jobId: number;
  /** The scheduler's other name, such as `1234_7`; the number as text if there is none. */
  readonly nameId: string;
  readonly owner: string;
  readonly state: string;
  readonly comment: string | undefined;
  readonly startedUs: number | undefined;
  /** Undefined while it runs. */
  readonly stoppedUs: number | undefined;
}

/** One stay of a node in a job; after a requeue a node has several. */
export interface NodeTime {
  readonly node: string;
  readonly startedUs: number;
  readonly stoppedUs: number | undefined;
}

/** How people call it: `1234`, or `oar:1234` where the source is not kw's own. */
export function jobLabel({ source, jobId }: { source: string; jobId: number }): string {
  return source === 'kw' ? String(jobId) : `${source}:${jobId}`;
}
