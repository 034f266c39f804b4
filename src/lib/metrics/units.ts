/** Units of metrics, from what collectors are configured to read. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';

/** Of a metric of a device or alias. */
export interface MetricUnit {
  readonly name: string;
  readonly metricId: string;
  /** Such as `W`. */
  readonly unit: string;
}

/** @param devices undefined for all */
export async function readUnits(
  client: Client,
  devices: readonly string[] | undefined,
): Promise<MetricUnit[]> {
  const { rows } = await client.query<{ name: string; metric_id: string; unit: string }>(
    readSql('queries/catalogue_units'),
    [devices ?? null],
  );
  return rows.map(({ name, metric_id, unit }) => ({ name, metricId: metric_id, unit }));
}

/** The unit of a series; undefined where none is configured. */
export function unitFinder(
  units: readonly MetricUnit[],
): (series: { deviceId: string; metricId: string }) => string | undefined {
  const found = new Map(units.map(({ name, metricId, unit }) => [JSON.stringify([name, metricId]), unit]));
  return ({ deviceId, metricId }) => found.get(JSON.stringify([deviceId, metricId]));
}
