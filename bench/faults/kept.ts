/** What came of the readings of some devices, by what is in the database: the collector's own counters are not asked. */
import type { Client } from 'pg';
import { OUTLETS } from '../../test/support/snmpd.ts';

export interface Kept {
  /** Instants of one second between the first and the last reading of each device, times its outlets. */
  readonly offered: number;
  readonly stored: number;
  /** Values stored more than once. */
  readonly twice: number;
  /** Instants without a reading. */
  readonly missed: number;
  /** Readings that have not all outlets. */
  readonly incompleteReadings: number;
  readonly devices: number;
  /** By how much the last readings of devices lie apart, at most; the same of the first. */
  readonly endsApartS: number;
}

export async function keptOf(client: Client, devices: readonly string[]): Promise<Kept> {
  const { rows } = await client.query(
    `
    WITH readings AS (
      SELECT device_id, timestamp, count(*) AS stored, count(DISTINCT labels ->> 'outlet') AS outlets
      FROM kw.metrics WHERE device_id = ANY ($1) GROUP BY 1, 2),
    -- The phase that most readings of a device have, to 20 ms. One that is late by less than 0.9 s is of its instant.
    phases AS (
      SELECT device_id, mode() WITHIN GROUP (ORDER BY round(extract(epoch FROM timestamp) * 50) % 50) / 50 AS phase
      FROM readings GROUP BY 1),
    slots AS (
      SELECT readings.*, floor(extract(epoch FROM timestamp) - phase + 0.1) AS slot
      FROM readings JOIN phases USING (device_id)),
    devices AS (
      SELECT device_id, count(DISTINCT slot) AS readings, sum(stored) AS stored, sum(outlets) AS outlets,
        max(slot) - min(slot) + 1 AS instants,
        count(*) FILTER (WHERE outlets < $2) AS incomplete, min(timestamp) AS first, max(timestamp) AS last
      FROM slots GROUP BY 1)
    SELECT count(*)::int AS devices, sum(instants)::int * $2 AS offered, sum(stored)::int AS stored,
      sum(stored - outlets)::int AS twice, sum(instants - readings)::int AS missed, sum(incomplete)::int AS incomplete,
      greatest(extract(epoch FROM max(last) - min(last)), extract(epoch FROM max(first) - min(first)))::float8 AS apart
    FROM devices`,
    [devices, OUTLETS],
  );
  const { devices: seen, offered, stored, twice, missed, incomplete, apart } = rows[0];
  if (seen !== devices.length) throw new Error(`${devices.length - seen} devices have no values at all`);
  if (apart > 2) throw new Error(`readings of devices begin or end ${apart} s apart`);
  return {
    offered,
    stored,
    twice,
    missed,
    incompleteReadings: incomplete,
    devices: seen,
    endsApartS: apart,
  };
}
