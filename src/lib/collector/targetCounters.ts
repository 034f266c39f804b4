/** What is counted of an endpoint, polled or a stream: the source of its state in `kw status` and of the self-metrics. */
import type { ProblemKind } from '../devices/driver.ts';

/** What is counted for each target, since the start of the collector or of the target. */
export interface TargetCounters {
  /** Whether the last poll was answered; undefined before the first one. */
  up: boolean | undefined;
  polls: number;
  /** Intervals in which no poll could begin. */
  missed: number;
  samples: number;
  /** Problems by kind. */
  readonly errors: Partial<Record<ProblemKind, number>>;
  lastError: string | undefined;
  lastPollUs: number | undefined;
  lastUpUs: number | undefined;
  /** Duration of the last poll in milliseconds. */
  pollMs: number | undefined;
}

export function newCounters(): TargetCounters {
  return {
    up: undefined,
    polls: 0,
    missed: 0,
    samples: 0,
    errors: {},
    lastError: undefined,
    lastPollUs: undefined,
    lastUpUs: undefined,
    pollMs: undefined,
  };
}
