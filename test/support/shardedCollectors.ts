/** Two collectors of one configuration, and what the database has of their devices. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { findProgram } from './skip.ts';

/** Where Debian's libfaketime is, for the threads of Node; undefined: it is not installed. */
export const faketimeLibrary: string | undefined = findProgram('faketime')
  ? readdirSync('/usr/lib')
      .map((folder) => join('/usr/lib', folder, 'faketime', 'libfaketimeMT.so.1'))
      .find((path) => {
        try {
          return readdirSync(join(path, '..')).includes('libfaketimeMT.so.1');
        } catch {
          return false;
        }
      })
  : undefined;

/** The environment of a process whose wall clock is off by so many seconds; its monotonic clock is right. */
export function clockOff(seconds: number): Record<string, string> {
  return {
    LD_PRELOAD: faketimeLibrary as string,
    FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_NO_CACHE: '1',
  };
}

export interface DeviceIntervals {
  readonly device: string;
  readonly polls: number;
  /** Rows beyond one of each series at one timestamp. */
  readonly twice: number;
  /** Seconds between two polls that follow each other. */
  readonly shortest: number;
  readonly longest: number;
  /** Microseconds since the epoch: the polls on both sides of the longest. */
  readonly gapFromUs: number;
  readonly gapToUs: number;
}

/** The polls of each device, of what is stored. */
export async function intervalsOf(client: Client): Promise<DeviceIntervals[]> {
  const { rows } = await client.query<DeviceIntervals>(`
    WITH polls AS (
      SELECT device_id, timestamp, count(*) - count(DISTINCT (metric_id, labels)) AS twice
      FROM kw.metrics GROUP BY device_id, timestamp
    ), steps AS (
      SELECT *, lag(timestamp) OVER (PARTITION BY device_id ORDER BY timestamp) AS previous FROM polls
    )
    SELECT device_id AS device, count(*)::int AS polls, sum(twice)::int AS twice,
      min(extract(epoch FROM timestamp - previous))::float8 AS shortest,
      max(extract(epoch FROM timestamp - previous))::float8 AS longest,
      (array_agg((extract(epoch FROM previous) * 1e6)::float8 ORDER BY timestamp - previous DESC NULLS LAST))[1] AS "gapFromUs",
      (array_agg((extract(epoch FROM timestamp) * 1e6)::float8 ORDER BY timestamp - previous DESC NULLS LAST))[1] AS "gapToUs"
    FROM steps GROUP BY device_id ORDER BY device_id`);
  return rows;
}

/** Devices that each collector says it owns, by name; only of those whose lease holds. */
export async function sharesOf(client: Client): Promise<Record<string, number>> {
  const { rows } = await client.query<{ name: string; owned: number }>(
    `SELECT c.name, l.owned FROM kw.shard_leases l JOIN kw.collectors c USING (collector_id)
     WHERE l.expires_at > clock_timestamp() ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, owned }) => [name, owned]));
}
