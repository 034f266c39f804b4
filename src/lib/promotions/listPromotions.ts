/** What is enabled now. */
import type { Client } from 'pg';
import { foldHostList } from '../jobs/hostList.ts';
import { jobLabel } from '../jobs/model.ts';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';

/** One pattern on one device. Times are microseconds since the epoch. */
export interface Promotion {
  readonly device: string;
  readonly pattern: string;
  /** The job with which it ends, if it was enabled for one. */
  readonly job: { source: string; jobId: number } | undefined;
  /** Who enabled it. */
  readonly owner: string;
  readonly enabledUs: number;
  readonly expiresUs: number | undefined;
}

export async function listPromotions(client: Client): Promise<Promotion[]> {
  const { rows } = await client.query<{
    device_id: string;
    pattern: string;
    source: string | null;
    job_id: number | null;
    owner: string;
    enabled_us: number;
    expires_us: number | null;
  }>(readSql('queries/promotions_list'));
  return rows.map((row) => ({
    device: row.device_id,
    pattern: row.pattern,
    job: row.job_id === null || row.source === null ? undefined : { source: row.source, jobId: row.job_id },
    owner: row.owner,
    enabledUs: row.enabled_us,
    expiresUs: row.expires_us ?? undefined,
  }));
}

/** What is enabled for one job, running or not. */
export async function promotionsOfJob(
  client: Client,
  { source, jobId }: { source: string; jobId: number },
): Promise<PromotionGroup[]> {
  const promotions = await listPromotions(client);
  return groupPromotions(promotions.filter(({ job }) => job?.source === source && job.jobId === jobId));
}

/** The same pattern for the same reason on several devices: a line of `kw enabled`. */
export interface PromotionGroup extends Omit<Promotion, 'device' | 'enabledUs'> {
  /** Folded, such as `node-[1-3]`. */
  readonly devices: string;
}

export function groupPromotions(promotions: readonly Promotion[]): PromotionGroup[] {
  const groups = new Map<string, { first: Promotion; devices: string[] }>();
  for (const promotion of promotions) {
    const { pattern, job, owner, expiresUs } = promotion;
    const key = JSON.stringify([pattern, job && jobLabel(job), owner, expiresUs]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { first: promotion, devices: [promotion.device] });
    else group.devices.push(promotion.device);
  }
  return [...groups.values()].map(({ first: { pattern, job, owner, expiresUs }, devices }) => ({
    pattern,
    job,
    owner,
    expiresUs,
    devices: foldHostList(devices.sort(byNodeName)),
  }));
}
