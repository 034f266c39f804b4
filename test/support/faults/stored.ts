/** What the database has of a load (load.ts), in the words of the guarantees: how many rows, none twice, in order, what is missing. */
import type { Client } from 'pg';
import { METRICS } from './polledAgents.ts';

/** Numbers between two that are stored, both excluded. */
interface Gap {
  readonly after: number;
  readonly before: number;
}

/** One device, polled or one port of a wattmeter. */
interface StoredDevice {
  readonly device: string;
  readonly rows: number;
  readonly twice: number;
  /** Rows, or readings, whose number is not above that of the timestamp before. */
  readonly outOfOrder: number;
  /** Readings that have not all metrics; frames whose value is not that of their timestamp. */
  readonly damaged: number;
  readonly first: number;
  readonly last: number;
  readonly gaps: readonly Gap[];
}

export interface Stored {
  readonly rows: number;
  readonly twice: number;
  readonly outOfOrder: number;
  readonly damaged: number;
  readonly polled: readonly StoredDevice[];
  readonly streamed: readonly StoredDevice[];
}

export async function storedIn(client: Client): Promise<Stored> {
  const streamed = await client.query<StoredDevice>(`
    WITH frames AS (
      SELECT device_id, value, timestamp, lag(value) OVER (PARTITION BY device_id ORDER BY timestamp, value) AS previous
      FROM kw.metrics WHERE metric_id = 'wattmetre_power_watt')
    SELECT device_id AS device, count(*)::int AS rows, count(*) FILTER (WHERE value = previous)::int AS twice,
      count(*) FILTER (WHERE value < previous)::int AS "outOfOrder",
      count(*) FILTER (WHERE value <> extract(epoch FROM timestamp) * 50)::int AS damaged,
      min(value) AS first, max(value) AS last,
      coalesce(jsonb_agg(jsonb_build_object('after', previous, 'before', value)) FILTER (WHERE value > previous + 1), '[]') AS gaps
    FROM frames GROUP BY device_id`);
  const polled = await client.query<StoredDevice>(
    `
    WITH readings AS (
      SELECT device_id, timestamp, count(*) AS rows, count(DISTINCT (metric_id, labels)) AS metrics,
        max(value) FILTER (WHERE metric_id = 'reading_number') AS number
      FROM kw.metrics WHERE metric_id <> 'wattmetre_power_watt' GROUP BY 1, 2),
    ordered AS (
      SELECT *, lag(number) OVER (PARTITION BY device_id ORDER BY timestamp) AS previous FROM readings)
    SELECT device_id AS device, sum(rows)::int AS rows, sum(rows - metrics)::int AS twice,
      count(*) FILTER (WHERE number <= previous)::int AS "outOfOrder",
      count(*) FILTER (WHERE metrics <> $1)::int AS damaged, min(number) AS first, max(number) AS last,
      coalesce(jsonb_agg(jsonb_build_object('after', previous, 'before', number)) FILTER (WHERE number > previous + 1), '[]') AS gaps
    FROM ordered GROUP BY device_id`,
    [METRICS],
  );
  const all = [...streamed.rows, ...polled.rows];
  const sum = (field: 'rows' | 'twice' | 'outOfOrder' | 'damaged') =>
    all.reduce((total, device) => total + device[field], 0);
  return {
    rows: sum('rows'),
    twice: sum('twice'),
    outOfOrder: sum('outOfOrder'),
    damaged: sum('damaged'),
    polled: polled.rows,
    streamed: streamed.rows,
  };
}
