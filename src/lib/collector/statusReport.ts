/**
 * What `kw status` shows: the same shape whether it comes from the database (all collectors) or from the local
 * endpoint of one collector. Times are UTC text with microseconds; nothing here is secret.
 */
import type { SourceReport } from '../jobs/sources/listSources.ts';
import { formatUtc } from '../time.ts';
import type { Collector } from './collector.ts';
import type { GapReport } from './gaps.ts';
import type { CollectorCounters, DeviceStatus } from './status.ts';

export interface CollectorReport {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly version: string;
  /** `silent`: it did not say that it stops, and has not been heard of for a while. */
  readonly state: 'running' | 'stopped' | 'silent';
  readonly started_at: string;
  readonly seen_at: string;
  readonly stopped_at: string | null;
  /** When it told the counters and the states of its devices; null for one of an older version. */
  readonly reported_at: string | null;
  /** Every value that it measured before is stored. */
  readonly written_up_to: string | null;
  readonly lag_seconds: number | null;
  /** Why the database takes no values, as far as the collector knows. */
  readonly database_problem: string | null;
  readonly endpoint: string | null;
  readonly counters: Partial<CollectorCounters>;
}

export interface DeviceReport {
  readonly collector_id: string;
  /** Name of the collector. */
  readonly collector: string;
  readonly device_id: string;
  readonly protocol: string;
  readonly up: boolean;
  readonly last_poll: string | null;
  readonly last_up: string | null;
  readonly poll_ms: number | null;
  readonly period_ms: number | null;
  readonly polls: number;
  readonly missed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly last_error: string | null;
}

/** A collector that shares the devices of one configuration with others. */
export interface ShardReport {
  readonly collector_id: string;
  /** Name of the collector. */
  readonly collector: string;
  /** Devices that it reads, of those that it is configured to read. */
  readonly devices: number;
  readonly configured: number;
  /** Its devices are named in its settings. */
  readonly fixed: boolean;
  /** `held`: it beats. `late`: not heard of for a while; others read its devices when its lease is over. */
  readonly lease: 'held' | 'late';
  /** Until the lease is over. */
  readonly lease_seconds: number;
}

/** Who reads what, as the database has it. */
export interface SharingReport {
  /** Rises whenever a collector comes, goes or is configured otherwise. */
  readonly epoch: number;
  readonly since: string;
  readonly collectors: readonly ShardReport[];
}

export interface StatusReport {
  /** `database`: all collectors, the one of this machine in its own words if it answers. */
  readonly source: 'database' | 'collector';
  readonly at: string;
  readonly collectors: readonly CollectorReport[];
  readonly devices: readonly DeviceReport[];
  /** Where jobs come from; the database's to tell. */
  readonly sources?: readonly SourceReport[];
  /** When values of the last day are missing because of a collector, the latest first; the database's to tell. */
  readonly gaps?: readonly GapReport[];
  /** Left out where no collector shares its devices. */
  readonly sharing?: SharingReport;
}

/** What a running collector says of itself. */
export function collectorReport(collector: Collector): StatusReport {
  const { identity, writer } = collector;
  const atUs = collector.nowUs();
  const { writtenUpToUs } = writer;
  return {
    source: 'collector',
    at: formatUtc(atUs),
    collectors: [
      {
        id: identity.id,
        name: identity.name,
        host: identity.host,
        version: identity.version,
        state: 'running',
        started_at: formatUtc(identity.startedAtUs),
        seen_at: formatUtc(atUs),
        stopped_at: null,
        reported_at: formatUtc(atUs),
        written_up_to: writtenUpToUs === undefined ? null : formatUtc(writtenUpToUs),
        lag_seconds: writtenUpToUs === undefined ? null : (atUs - writtenUpToUs) / 1e6,
        database_problem: writer.awayMs === undefined ? null : (writer.lastProblem ?? null),
        endpoint: identity.endpoint ?? null,
        counters: collector.counters(),
      },
    ],
    devices: collector.deviceStatuses().map((status) => deviceReport(identity, status)),
  };
}

function deviceReport({ id, name }: Collector['identity'], status: DeviceStatus): DeviceReport {
  const { lastPollUs, lastUpUs } = status;
  return {
    collector_id: id,
    collector: name,
    device_id: status.device,
    protocol: status.protocol,
    up: status.up,
    last_poll: lastPollUs === undefined ? null : formatUtc(lastPollUs),
    last_up: lastUpUs === undefined ? null : formatUtc(lastUpUs),
    poll_ms: status.pollMs ?? null,
    period_ms: status.periodMs ?? null,
    polls: status.polls,
    missed: status.missed,
    errors: status.errors,
    last_error: status.lastError ?? null,
  };
}
