/** A job as Slurm tells of it, whichever of its programs did. Times are seconds of the epoch. */

export interface SlurmJob {
  readonly jobId: number;
  /** Element of an array: the array's number and its index. Undefined for elements that wait together. */
  readonly array: { readonly jobId: number; readonly index: number } | undefined;
  /** Component of a heterogeneous job: the number that its user knows. */
  readonly hetJobId: number | undefined;
  readonly user: string;
  /** Slurm's words in small letters, such as `running` or `cancelled`. */
  readonly state: string;
  readonly phase: Phase;
  /** A host list; empty before it has nodes. */
  readonly nodes: string;
  /** Of the run that goes on or was the last; undefined while it waits. */
  readonly startS: number | undefined;
  /** Undefined while it goes on. */
  readonly endS: number | undefined;
  /** A requeue submits a job anew. */
  readonly submitS: number | undefined;
  /** When it gave back nodes, or got more. */
  readonly resizeS: number | undefined;
  readonly comment: string | undefined;
}

/** `waiting`: before its first run, or between two. */
export type Phase = 'waiting' | 'running' | 'over';

const WAITING = new Set([
  'PENDING',
  'REQUEUED',
  'REQUEUE_FED',
  'REQUEUE_HOLD',
  'SPECIAL_EXIT',
  'RESV_DEL_HOLD',
]);
const HAS_NODES = new Set([
  'RUNNING',
  'SUSPENDED',
  'CONFIGURING',
  'POWER_UP_NODE',
  'STOPPED',
  'SIGNALING',
  'RESIZING',
]);

/**
 * What Slurm's states mean, of which newer versions give several at once (`CANCELLED`, `COMPLETING`).
 * While it completes, a job is over, and its nodes run the epilog.
 */
export function phaseOf(states: readonly string[]): Phase {
  if (states.includes('COMPLETING')) return states.includes('PENDING') ? 'waiting' : 'over';
  if (states.some((state) => WAITING.has(state))) return 'waiting';
  return states.some((state) => HAS_NODES.has(state)) ? 'running' : 'over';
}
