/** What the database has of a load (load.ts), in the words of the guarantees: how many rows, none twice, in order, what is missing. */
import type { Client } from 'pg';
import type { SentRun } from './frameFeed.ts';
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

/** What is missing of the frames that went to one connection, at the ports of its wattmeter. */
export interface MissingFrames {
  readonly run: SentRun;
  /** Frames at its end, of the port that misses most. */
  readonly atEnd: number;
  /** Rows missing elsewhere, of all ports. */
  readonly elsewhere: number;
}

export function missingFrames(
  { streamed }: Stored,
  runs: readonly SentRun[],
  ports: number,
): MissingFrames[] {
  const devices = new Map(streamed.map((device) => [device.device, device]));
  return runs.map((run) => {
    let atEnd = 0;
    let elsewhere = 0;
    for (let port = 0; port < ports; port++) {
      for (const [first, last] of missingOf(devices.get(`${run.wattmeter}-port${port}`), run)) {
        if (last === run.last) atEnd = Math.max(atEnd, last - first + 1);
        else elsewhere += last - first + 1;
      }
    }
    return { run, atEnd, elsewhere };
  });
}

/** First and last of each piece of a run that is not stored. */
function missingOf(device: StoredDevice | undefined, run: SentRun): [number, number][] {
  if (!device) return [[run.first, run.last]];
  const holes: [number, number][] = [
    [run.first, device.first - 1],
    ...device.gaps.map(({ after, before }): [number, number] => [after + 1, before - 1]),
    [device.last + 1, run.last],
  ];
  return holes
    .map(([first, last]): [number, number] => [Math.max(first, run.first), Math.min(last, run.last)])
    .filter(([first, last]) => first <= last);
}
