/** Two nodes with a meter each, 50 values a second for 40 minutes, a job on them, and somebody who tries to write HTML. */
import { formatUtc } from '../../../src/lib/time.ts';
import type { TestDatabase } from '../../support/database.ts';

export const TRACE_S = 2400;
/** One reading of 900 W. */
export const PEAK_S = 1200.5;
export const HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';

export async function fillMeters({ client }: TestDatabase, beginS: number): Promise<void> {
  const at = (second: number) => formatUtc(Math.round((beginS + second) * 1e6));
  await client.query('SELECT kw.ensure_storage($1, $2)', [at(0), at(TRACE_S)]);
  // Without the triggers that note late rows for the summary, one row at a time: nothing here reads it.
  await client.query('SET session_replication_role = replica');
  for (const [meter, node, watt] of [
    ['meter1-port33', 'taurus-1', 100],
    ['meter1-port34', 'taurus-2', 150],
  ] as const) {
    // Five minutes of rest, five minutes of work, with a ripple.
    await client.query(
      `INSERT INTO kw.metrics
       SELECT $1::timestamptz + g * interval '20 ms', $2, 'wattmetre_power_watt',
         $3 + CASE WHEN (g / 15000) % 2 = 1 THEN 80 ELSE 0 END + (g % 21), jsonb_build_object('_device_alias', $4::text)
       FROM generate_series(0, $5::int) g`,
      [at(0), meter, watt, node, TRACE_S * 50],
    );
  }
  await client.query(
    `UPDATE kw.metrics SET value = 900 WHERE device_id = 'meter1-port33' AND timestamp = $1`,
    [at(PEAK_S)],
  );
  await client.query(
    `INSERT INTO kw.metrics
     SELECT $1::timestamptz + g * interval '10 s', 'taurus-1', 'bmc_cpu_temp_celsius', 48 + (g / 30) % 13, '{}'
     FROM generate_series(0, 240) g`,
    [at(0)],
  );
  await client.query(
    `INSERT INTO kw.metrics
     SELECT $1::timestamptz + g * interval '10 s', $2, $2, g, jsonb_build_object('where', $2::text) FROM generate_series(0, 9) g`,
    [at(400), HOSTILE],
  );
  await client.query('RESET session_replication_role');
  await client.query(
    `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, protocol, unit, description, seen_at)
     SELECT gen_random_uuid(), device, metric, alias, period, false, 'wattmeter', unit, description, now()
     FROM (VALUES
       ('meter1-port33', 'wattmetre_power_watt', 'taurus-1', 20, 'W', 'power at the plug, 50 values a second'),
       ('meter1-port34', 'wattmetre_power_watt', 'taurus-2', 20, 'W', 'power at the plug, 50 values a second'),
       ('taurus-1', 'bmc_cpu_temp_celsius', '', 10000, '°C', NULL)
     ) entries (device, metric, alias, period, unit, description)`,
  );
  for (const [job, owner, comment, nodes] of [
    [1234, 'alice', 'energy of FT on two nodes', ['taurus-1', 'taurus-2']],
    [666, 'mallory', HOSTILE, [HOSTILE]],
  ] as const) {
    await client.query(
      `INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, comment, stopped)
       VALUES ('oar', $1, $1::bigint::text, $2, 'terminated', $3, $4, $5)`,
      [job, owner, at(300), comment, at(2100)],
    );
    await client.query(
      `INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
       SELECT 'oar', $1, unnest($2::text[]), $3, $4`,
      [job, nodes, at(300), at(2100)],
    );
  }
}
