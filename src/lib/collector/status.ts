/**
 * What a collector says about itself and its devices: the shape that goes into the database, onto the local
 * endpoint and into `kw status`. Holds no secrets.
 */
import type { ProblemKind } from '../devices/driver.ts';
import type { AnyTarget, Fleet } from './fleet.ts';
import { StreamTarget } from './streamTarget.ts';

/** One device as read by one protocol. */
export interface DeviceStatus {
  readonly device: string;
  readonly protocol: string;
  readonly up: boolean;
  /** Microseconds since the epoch. */
  readonly lastPollUs: number | undefined;
  readonly lastUpUs: number | undefined;
  /** Duration of the last poll. */
  readonly pollMs: number | undefined;
  /** The shortest period at which it is read now; undefined when nothing of it is. */
  readonly periodMs: number | undefined;
  readonly polls: number;
  readonly missed: number;
  readonly errors: Partial<Record<ProblemKind, number>>;
  readonly lastError: string | undefined;
}

/** What waits on the collector's disk, and what came of it since the start. */
export interface SpoolCounters {
  /** Values that are on the disk and not stored, of earlier runs too. */
  readonly waiting: number;
  /** Those of them that are not in memory: they are read back. */
  readonly backlog: number;
  /** Values a second at which those are stored now. */
  readonly drainRate: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly segments: number;
  /** Values of segments that had to go before they were stored. */
  readonly dropped: number;
  /** Parts of segments that could not be read. */
  readonly damaged: number;
  /** Values that the database refused, kept in refused.ndjson. */
  readonly setAside: number;
  /** What the disk says while it takes nothing. */
  readonly problem?: string | undefined;
}

/** What a collector counted since its start. */
export interface CollectorCounters {
  readonly polls: number;
  readonly missed: number;
  /** Values that devices gave. */
  readonly read: number;
  readonly stored: number;
  /** Values that wait for the database, in batches and in the batch that is being gathered. */
  readonly waiting: number;
  /** Encoded, in memory. */
  readonly waitingBytes: number;
  /** Undefined: there is none. */
  readonly spool: SpoolCounters | undefined;
  /** Values that earlier runs left on the disk and this one stored. */
  readonly replayed: number;
  /** Values that could not be stored: beyond the limits, or refused by the database. */
  readonly refused: number;
  /** Values that were read and are nowhere any more. */
  readonly lost: number;
  /** Why values were refused, most frequent first. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly targets: number;
  /** The database hears of the collector at least so often, or every 20 s. */
  readonly flushIntervalMs: number;
  readonly clockSteps: number;
  /** Seconds that timestamps are corrected by, to the database's clock; 0 unless the clocks are far apart. */
  readonly clockCorrectionS: number;
  readonly reloads: number;
  readonly reloadsRefused: number;
  /** The error of the last reload that was refused, until one succeeds. */
  readonly reloadProblem?: string | undefined;
}

/** Every device that was polled at least once. Several targets of one device and protocol are told as one. */
export function deviceStatuses(fleet: Fleet): DeviceStatus[] {
  const statuses = new Map<string, DeviceStatus>();
  for (const target of fleet.targets.values()) {
    for (const device of target.deviceIds) {
      const status = statusOf(device, target);
      if (!status) continue;
      const key = `${device}\n${status.protocol}`;
      const other = statuses.get(key);
      statuses.set(key, other ? combine(other, status) : status);
    }
  }
  return [...statuses.values()];
}

function statusOf(device: string, target: AnyTarget): DeviceStatus | undefined {
  const { up, polls, missed, errors, lastError, lastPollUs, lastUpUs, pollMs } = target.counters;
  if (up === undefined) return undefined;
  const periodMs = shortestPeriodMs(target);
  const { protocol } = target;
  return { device, protocol, up, lastPollUs, lastUpUs, pollMs, periodMs, polls, missed, errors, lastError };
}

/** A stream is not polled: it has no period that a poll could exceed. */
function shortestPeriodMs(target: AnyTarget): number | undefined {
  if (target instanceof StreamTarget) return undefined;
  let shortest: number | undefined;
  for (const { periodMs } of target.loops) shortest = Math.min(shortest ?? periodMs, periodMs);
  return shortest;
}

function combine(a: DeviceStatus, b: DeviceStatus): DeviceStatus {
  const errors = { ...a.errors };
  for (const [kind, count] of Object.entries(b.errors) as [ProblemKind, number][]) {
    errors[kind] = (errors[kind] ?? 0) + count;
  }
  return {
    device: a.device,
    protocol: a.protocol,
    up: a.up && b.up,
    lastPollUs: latest(a.lastPollUs, b.lastPollUs),
    lastUpUs: latest(a.lastUpUs, b.lastUpUs),
    pollMs: latest(a.pollMs, b.pollMs),
    periodMs: a.periodMs && b.periodMs ? Math.min(a.periodMs, b.periodMs) : (a.periodMs ?? b.periodMs),
    polls: a.polls + b.polls,
    missed: a.missed + b.missed,
    errors,
    lastError: a.lastError ?? b.lastError,
  };
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
