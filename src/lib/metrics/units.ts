/** Units of metrics, from what collectors are configured to read. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';

/**
 * @param devices undefined for all
 * @returns the unit of a metric of a device or alias, such as `W`; undefined where none is configured
 */
export async function readUnits(
  client: Client,
  devices: readonly string[] | undefined,
): Promise<(series: { deviceId: string; metricId: string }) => string | undefined> {
  const { rows } = await client.query<{ name: string; metric_id: string; unit: string }>(
    readSql('queries/catalogue_units'),
    [devices ?? null],
  );
  const units = new Map(rows.map((row) => [JSON.stringify([row.name, row.metric_id]), row.unit]));
  return ({ deviceId, metricId }) => units.get(JSON.stringify([deviceId, metricId]));
}
