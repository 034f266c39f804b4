/** Two hours of a site as Kwollect's paper describes them, and the jobs whose metrics are asked for. */
import type { Client } from 'pg';

export interface Site {
  readonly name: string;
  /** Metrics of a node that are read once a second. */
  readonly metrics: number;
  /** Values a second of the wattmeter's port that powers the node, under the node's name as alias. 0: none. */
  readonly wattmeterHz: number;
  readonly firstJob: number;
}

/** What the paper says is 5,000 to 10,000 values a second; a site of 250 nodes, and what a node gives, are assumed. */
export const SITES: readonly Site[] = [
  { name: 'nancy', metrics: 20, wattmeterHz: 0, firstJob: 1000 },
  { name: 'lyon', metrics: 20, wattmeterHz: 20, firstJob: 2000 },
];
export const SITE_NODES = 250;
export const valuesASecond = ({ metrics, wattmeterHz }: Site): number => metrics + wattmeterHz;

const HOURS = 2;

export interface Job {
  readonly id: number;
  readonly nodes: number;
  readonly seconds: number;
}

/** Those of figure 5. They end together with the data. */
export function jobsOf({ firstJob }: Site): Job[] {
  return [
    { id: firstJob + 1, nodes: 2, seconds: 300 },
    { id: firstJob + 2, nodes: 20, seconds: 300 },
    { id: firstJob + 3, nodes: 2, seconds: HOURS * 3600 },
    { id: firstJob + 4, nodes: 20, seconds: HOURS * 3600 },
  ];
}

/** How many rows a job has, both ends counted. */
export function rowsOf(site: Site, { nodes, seconds }: Job): number {
  return nodes * (site.metrics * (seconds + 1) + (site.wattmeterHz ? site.wattmeterHz * seconds + 1 : 0));
}

/** Writes the two hours before `end` of `nodes` nodes, as collectors do: all of one second, then the next. */
export async function fillSite(client: Client, site: Site, nodes: number, end: Date): Promise<void> {
  await client.query("SELECT kw.ensure_storage($1::timestamptz - $2::int * interval '1 hour', $1)", [
    end,
    HOURS,
  ]);
  await client.query(
    `INSERT INTO kw.metrics
     SELECT $1::timestamptz - s * interval '1 s', $2 || '-' || n, 'metric_' || m || '_watt', round((100 + 50 * random())::numeric, 2)::float8,
       '{}'::jsonb
     FROM generate_series($3::int * 3600, 0, -1) s, generate_series(1, $4::int) n, generate_series(1, $5::int) m`,
    [end, site.name, HOURS, nodes, site.metrics],
  );
  if (site.wattmeterHz > 0) {
    await client.query(
      `INSERT INTO kw.metrics
       SELECT $1::timestamptz - s * interval '1 s' / $5::int, 'wattmetre1-port' || n, 'wattmetre_power_watt',
         round((100 + 50 * random())::numeric, 2)::float8, jsonb_build_object('_device_alias', $2 || '-' || n)
       FROM generate_series($3::int * 3600 * $5, 0, -1) s, generate_series(1, $4::int) n`,
      [end, site.name, HOURS, nodes, site.wattmeterHz],
    );
  }
  for (const job of jobsOf(site)) {
    const begin = new Date(end.getTime() - job.seconds * 1000);
    await client.query(
      `INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped)
       VALUES ('kw', $1::bigint, $1::bigint::text, 'bench', 'ended', $2, $3)`,
      [job.id, begin, end],
    );
    await client.query(
      `INSERT INTO kw.job_nodes SELECT 'kw', $1, $2 || '-' || n, $3, $4 FROM generate_series(1, $5::int) n`,
      [job.id, site.name, begin, end, job.nodes],
    );
  }
}
