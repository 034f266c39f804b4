/**
 * Reads the status of collectors: of all from the database, of the one of this machine from itself. The database
 * hears of devices and counters every twenty seconds only; and it may be away.
 */
import type { Client } from 'pg';
import { z } from 'zod';
import type { Settings } from '../config/settingsModel.ts';
import { embeddedStatus } from '../database/embedded/server.ts';
import { withClient } from '../database/resolve.ts';
import { KwError } from '../errors.ts';
import { listSources } from '../jobs/sources/listSources.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc, nowUs } from '../time.ts';
import { readGaps } from './gaps.ts';
import type {
  CollectorReport,
  DeviceReport,
  ShardReport,
  SharingReport,
  StatusReport,
} from './statusReport.ts';

const ENDPOINT_TIMEOUT_MS = 2_000;

/**
 * The status as far as it can be known; starts nothing.
 *
 * @param onAway told why the database says nothing, when only the collector of this machine answers
 * @throws KwError when neither answers, or the database is of no use for another reason than being away
 */
export async function readStatus(
  settings: Settings,
  onAway: (problem: string) => void,
): Promise<StatusReport> {
  const [database, own] = await Promise.allSettled([
    askDatabase(settings),
    statusFromEndpoint(settings.listen),
  ]);
  if (database.status === 'fulfilled') {
    return own.status === 'fulfilled' ? withOwn(database.value, own.value) : database.value;
  }
  const away: unknown = database.reason;
  if (!(away instanceof KwError) || !AWAY.includes(away.code)) throw away;
  if (own.status === 'fulfilled') {
    onAway(away.message);
    return own.value;
  }
  if (!(own.reason instanceof KwError)) throw own.reason;
  throw new KwError(`${away.message}; and ${own.reason.message}`, { code: away.code, hint: away.hint });
}

/** Errors that say nothing about the collectors: then the one of this machine may know. */
const AWAY = ['DATABASE_AWAY', 'DATABASE_STOPPED', 'NO_DATABASE'];

async function askDatabase(settings: Settings): Promise<StatusReport> {
  if (!settings.databaseUrl) {
    const { exists, running, home } = embeddedStatus(settings.dataFolder);
    if (exists && !running) {
      throw new KwError(`the embedded database in ${home} is stopped`, {
        code: 'DATABASE_STOPPED',
        hint: 'start it with kw db start',
      });
    }
  }
  return withClient(settings, statusFromDatabase, { connectTimeoutMs: 5_000, statementTimeoutMs: 10_000 });
}

/**
 * What the collector of this machine says of itself replaces what the database has heard of it. One that writes to
 * another database is none of this one's.
 */
export function withOwn(all: StatusReport, own: StatusReport): StatusReport {
  const known = new Set(all.collectors.map(({ id }) => id));
  const fresh = new Map(own.collectors.filter(({ id }) => known.has(id)).map((one) => [one.id, one]));
  const devices = [
    ...all.devices.filter(({ collector_id }) => !fresh.has(collector_id)),
    ...own.devices.filter(({ collector_id }) => fresh.has(collector_id)),
  ];
  return {
    ...all,
    collectors: all.collectors.map((one) => fresh.get(one.id) ?? one),
    devices: devices.sort((a, b) => order(a.collector, b.collector) || order(a.device_id, b.device_id)),
  };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The database's account of all collectors; of devices only those whose collector was not stopped. */
async function statusFromDatabase(client: Pick<Client, 'query'>): Promise<StatusReport> {
  const collectors = await client.query(readSql('queries/status_collectors'));
  const devices = await client.query(readSql('queries/status_devices'));
  const sharing = sharingOf((await client.query<ShardRow>(readSql('queries/status_shards'))).rows);
  return {
    source: 'database',
    at: formatUtc(nowUs()),
    collectors: collectors.rows.map(collectorOf),
    devices: devices.rows.map(deviceOf),
    sources: await listSources(client),
    gaps: await readGaps(client),
    ...(sharing && { sharing }),
  };
}

interface ShardRow extends Omit<ShardReport, 'lease' | 'lease_seconds'> {
  lease_s: number;
  extended: boolean;
  epoch: number;
  since_us: number;
}

/** A lease lasts 5 s and is renewed each second. */
const LATE_LEASE_S = 2.5;

function sharingOf(rows: readonly ShardRow[]): SharingReport | undefined {
  const [first] = rows;
  if (!first) return undefined;
  return {
    epoch: first.epoch,
    since: formatUtc(first.since_us),
    collectors: rows.map(({ lease_s, extended, epoch: _epoch, since_us: _since, ...row }) => ({
      ...row,
      lease: extended || lease_s < LATE_LEASE_S ? 'late' : 'held',
      lease_seconds: Math.round(lease_s * 10) / 10,
    })),
  };
}

interface CollectorRow {
  id: string;
  name: string;
  host: string;
  version: string;
  started_us: number;
  seen_us: number;
  stopped_us: number | null;
  written_us: number | null;
  reported_us: number | null;
  silent: boolean;
  lag_s: number | null;
  counters: CollectorReport['counters'];
  endpoint: string | null;
}

function collectorOf(row: CollectorRow): CollectorReport {
  return {
    id: row.id,
    name: row.name,
    host: row.host,
    version: row.version,
    state: row.stopped_us !== null ? 'stopped' : row.silent ? 'silent' : 'running',
    started_at: formatUtc(row.started_us),
    seen_at: formatUtc(row.seen_us),
    stopped_at: time(row.stopped_us),
    reported_at: time(row.reported_us),
    written_up_to: time(row.written_us),
    lag_seconds: row.lag_s,
    database_problem: null,
    endpoint: row.endpoint,
    counters: row.counters,
  };
}

interface DeviceRow
  extends Pick<
    DeviceReport,
    'collector_id' | 'collector' | 'device_id' | 'protocol' | 'up' | 'poll_ms' | 'period_ms'
  > {
  polls: number;
  missed: number;
  errors: Record<string, number>;
  last_error: string | null;
  poll_us: number | null;
  up_us: number | null;
}

function deviceOf({ poll_us, up_us, ...row }: DeviceRow): DeviceReport {
  return { ...row, last_poll: time(poll_us), last_up: time(up_us) };
}

function time(us: number | null): string | null {
  return us === null ? null : formatUtc(us);
}

const text = z.string();
const textOrNull = z.string().nullable();
const numberOrNull = z.number().nullable();
const reportSchema: z.ZodType<StatusReport> = z.object({
  source: z.literal('collector'),
  at: text,
  collectors: z.array(
    z.object({
      id: text,
      name: text,
      host: text,
      version: text,
      state: z.enum(['running', 'stopped', 'silent']),
      started_at: text,
      seen_at: text,
      stopped_at: textOrNull,
      reported_at: textOrNull,
      written_up_to: textOrNull,
      lag_seconds: numberOrNull,
      database_problem: textOrNull,
      endpoint: textOrNull,
      counters: z.record(z.string(), z.unknown()),
    }),
  ),
  devices: z.array(
    z.object({
      collector_id: text,
      collector: text,
      device_id: text,
      protocol: text,
      up: z.boolean(),
      last_poll: textOrNull,
      last_up: textOrNull,
      poll_ms: numberOrNull,
      period_ms: numberOrNull,
      polls: z.number(),
      missed: z.number(),
      errors: z.record(z.string(), z.number()),
      last_error: textOrNull,
    }),
  ),
});

/** The account of the collector that runs on this machine. @throws KwError NO_COLLECTOR */
async function statusFromEndpoint(listen: Settings['listen']): Promise<StatusReport> {
  if (!listen) throw noCollector('its local endpoint is switched off');
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const url = `http://${host}:${listen.port}/status`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ENDPOINT_TIMEOUT_MS) });
    return reportSchema.parse(await response.json());
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
    throw noCollector(cause instanceof z.ZodError ? `${url} is something else` : `${url}: ${cause.message}`);
  }
}

function noCollector(why: string): KwError {
  return new KwError(`no collector answers on this machine: ${why}`, {
    code: 'NO_COLLECTOR',
    hint: 'start one with kw collect',
  });
}
