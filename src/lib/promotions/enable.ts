/**
 * Enabling and disabling optional metrics. The rules (who may, for how long) are in the database's functions:
 * here is what is asked of them, and what is checked before for the user's sake.
 */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { ambiguousJob, findJob, jobEnded } from '../jobs/findJob.ts';
import type { JobRef } from '../jobs/jobRef.ts';
import { shortNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import {
  type Candidates,
  compileUsersPattern,
  findCandidates,
  matchCandidates,
  nothingMatches,
  type Target,
  unknownDevices,
} from './candidates.ts';
import { listPromotions } from './listPromotions.ts';

export interface EnableRequest {
  readonly pattern: string;
  readonly target: Target;
  /** How long; undefined is as long as the job runs, or 24 h by device. */
  readonly forMs?: number | undefined;
  /** Even if nothing is known to match: a collector may be configured later. */
  readonly force: boolean;
}

export interface Enabled {
  readonly pattern: string;
  readonly job: { source: string; jobId: number } | undefined;
  readonly devices: readonly string[];
  /** Undefined when nothing could be checked: no collector ran yet. */
  readonly metrics: readonly string[] | undefined;
  /** Metrics that match and are read anyway. */
  readonly alwaysRead: readonly string[];
  /** Devices on which nothing matches. */
  readonly devicesWithout: readonly string[];
  /** False when all that matches is read anyway. */
  readonly changed: boolean;
  /** Undefined when it ends with the job only. */
  readonly expiresUs: number | undefined;
}

/** @throws KwError BAD_PATTERN, NO_SUCH_METRIC, UNKNOWN_DEVICE, NO_SUCH_JOB, JOB_ENDED, AMBIGUOUS_JOB, ... */
export async function enableMetrics(client: Client, request: EnableRequest): Promise<Enabled> {
  const pattern = await compileUsersPattern(request.pattern);
  const candidates = await findCandidates(client, request.target);
  const job = 'job' in request.target ? await theJob(client, request.target.job, candidates) : undefined;
  const match = matchCandidates(pattern, candidates);
  const result = {
    pattern: request.pattern,
    job,
    devices: candidates.devices,
    metrics: candidates.catalogueFilled ? match.metrics : undefined,
    alwaysRead: match.alwaysRead,
    devicesWithout: candidates.catalogueFilled ? match.devicesWithout : [],
  };
  if (candidates.catalogueFilled && !request.force && match.metrics.length === 0) {
    if (match.alwaysRead.length > 0) return { ...result, changed: false, expiresUs: undefined };
    if (job === undefined && candidates.metrics.length === 0)
      throw await unknownDevices(client, candidates.devices);
    throw nothingMatches(pattern, candidates);
  }
  const { rows } = await client.query<{ expires_us: number | null }>(readSql('queries/promotions_enable'), [
    job === undefined ? candidates.devices : null,
    request.pattern,
    job?.jobId ?? null,
    job?.source ?? null,
    request.forMs === undefined ? null : request.forMs / 1000,
  ]);
  return { ...result, changed: true, expiresUs: rows[0]?.expires_us ?? undefined };
}

/** The one running job that is meant. */
async function theJob(
  client: Client,
  ref: JobRef,
  { jobs }: Candidates,
): Promise<{ source: string; jobId: number }> {
  const [first, ...others] = jobs;
  if (first === undefined) throw jobEnded(await findJob(client, ref, false));
  if (others.length > 0) throw ambiguousJob(ref, jobs);
  return first;
}

export interface DisableRequest {
  /** Exactly as it was enabled; undefined is every pattern. */
  readonly pattern?: string | undefined;
  /** Undefined is everything that the user enabled. */
  readonly target?: Target | undefined;
}

export interface Disabled {
  /** How many patterns are gone, each counted on each device. */
  readonly disabled: number;
  /** Sorted. */
  readonly patterns: readonly string[];
  readonly devices: readonly string[];
}

/**
 * Disables what was enabled by device, or for one job, running or not; what others enabled stays.
 * It is no failure if there was nothing.
 *
 * @throws KwError NOT_ENABLED when a pattern was given and is not among those that are enabled
 */
export async function disableMetrics(client: Client, request: DisableRequest): Promise<Disabled> {
  const { pattern, target } = request;
  const job = target && 'job' in target ? await findJob(client, target.job, false) : undefined;
  const devices = target && 'devices' in target ? target.devices : undefined;
  const { rows } = await client.query<{ gone: number; candidates: Candidate[] }>(
    readSql('queries/promotions_disable'),
    [
      devices ?? null,
      pattern ?? null,
      job?.jobId ?? null,
      job?.source ?? null,
      devices?.map(shortNodeName) ?? null,
    ],
  );
  const { gone, candidates } = rows[0] ?? { gone: 0, candidates: [] };
  if (gone === 0) {
    if (pattern !== undefined) throw await notEnabled(client, pattern);
    return { disabled: 0, patterns: [], devices: [] };
  }
  const { rows: remaining } = await client.query<{ id: number }>(readSql('queries/promotions_remaining'), [
    candidates.map(({ id }) => id),
  ]);
  const kept = new Set(remaining.map(({ id }) => id));
  const disabled = candidates.filter(({ id }) => !kept.has(id));
  return {
    disabled: gone,
    patterns: [...new Set(disabled.map((one) => one.pattern))].sort(),
    devices: [...new Set(disabled.map((one) => one.device))].sort(),
  };
}

/** What may have been disabled: others' are among them, which stay. */
interface Candidate {
  readonly id: number;
  readonly device: string;
  readonly pattern: string;
}

async function notEnabled(client: Client, pattern: string): Promise<KwError> {
  const patterns = new Set((await listPromotions(client)).map((promotion) => promotion.pattern));
  const near = [...patterns].filter((other) => other !== pattern).slice(0, 5);
  return new KwError(`${JSON.stringify(pattern.slice(0, 80))} was not enabled there`, {
    code: 'NOT_ENABLED',
    hint: near.length > 0 ? `enabled are ${near.join(', ')}: see kw enabled` : 'nothing is enabled',
  });
}
