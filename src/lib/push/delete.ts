/** Takes back values that the caller pushed. */
import type pg from 'pg';
import { readSql } from '../packageRoot.ts';
import type { Labels } from '../sample.ts';
import { formatUtc } from '../time.ts';

export interface DeleteSelection {
  readonly metrics: readonly string[];
  /** Undefined: of all devices. */
  readonly devices: readonly string[] | undefined;
  /** Bounds included; undefined: open. */
  readonly fromUs: number | undefined;
  readonly toUs: number | undefined;
  /** Labels that the values have, among others. */
  readonly labels: Labels;
}

/** How many values there are; with `dryRun` false they are deleted. Only those that this login pushed. */
export async function deletePushed(
  client: pg.Client,
  { metrics, devices, fromUs, toUs, labels }: DeleteSelection,
  { dryRun }: { dryRun: boolean },
): Promise<number> {
  const { rows } = await client.query<{ rows: number }>(readSql('queries/push_delete'), [
    devices ?? null,
    metrics,
    fromUs === undefined ? null : formatUtc(fromUs),
    toUs === undefined ? null : formatUtc(toUs),
    JSON.stringify(labels),
    dryRun,
  ]);
  return rows[0]?.rows ?? 0;
}
