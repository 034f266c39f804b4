/** A database for one measurement: in the server of KW_DATABASE_URL, else in an embedded server of its own. */
import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { startEmbedded, stopEmbedded } from '../../src/lib/database/embedded/server.ts';
import { migrate } from '../../src/lib/database/migrate.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';

export interface BenchDatabase {
  readonly url: string;
  readonly label: string;
  readonly postmaster: number;
  readonly client: () => Client;
  /** What the collector counted, once it has ended. `intervals`: polls and missed ones, by device. */
  counters(): Promise<{
    read: number;
    stored: number;
    missed: number;
    refused: number;
    lost: number;
    intervals: Map<string, number>;
  }>;
  rows(): Promise<number>;
  /** How far the timestamps of a device, from an instant on, are from one second apart. */
  spacing(fromMs: number): Promise<{ p99Ms: number; worstMs: number; gaps: number; driftMs: number }>;
  drop(): Promise<void>;
}

export async function benchDatabase(): Promise<BenchDatabase> {
  const server = process.env.KW_DATABASE_URL ? await native(process.env.KW_DATABASE_URL) : await embedded();
  const client = await openClient({ ...server, embedded: false });
  const { flavour } = await migrate(client);
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  return {
    url: server.url,
    label: `${server.label} (${flavour})`,
    postmaster: parentOf(rows[0].pid),
    client: () => client,
    counters: () => counters(client),
    rows: async () => (await client.query('SELECT count(*) AS n FROM kw.metrics')).rows[0].n,
    spacing: (fromMs) => spacing(client, fromMs),
    async drop() {
      await client.end();
      await server.remove();
    },
  };
}

async function counters(client: Client) {
  const { rows } = await client.query('SELECT counters FROM kw.collectors');
  const devices = await client.query('SELECT device_id, polls + missed AS intervals FROM kw.device_status');
  const intervals = new Map<string, number>(devices.rows.map((row) => [row.device_id, row.intervals]));
  return { ...rows[0].counters, intervals };
}

async function spacing(client: Client, fromMs: number) {
  const { rows } = await client.query(
    `
    WITH readings AS (
      SELECT DISTINCT device_id, timestamp FROM kw.metrics WHERE timestamp >= to_timestamp($1::float8 / 1e3)),
    gaps AS (
      SELECT device_id, timestamp, extract(epoch FROM timestamp - lag(timestamp) OVER w) * 1e3 - 1000 AS off_ms
      FROM readings WINDOW w AS (PARTITION BY device_id ORDER BY timestamp)),
    ends AS (
      SELECT device_id, extract(epoch FROM max(timestamp) - min(timestamp)) * 1e3 AS ms FROM readings GROUP BY 1)
    SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY abs(off_ms))::float8 AS p99,
      max(abs(off_ms))::float8 AS worst,
      count(*) FILTER (WHERE off_ms > 900)::int AS gaps,
      (SELECT max(abs(ms - round(ms / 1000) * 1000))::float8 FROM ends) AS drift
    FROM gaps`,
    [fromMs],
  );
  const { p99, worst, gaps, drift } = rows[0];
  return { p99Ms: p99, worstMs: worst, gaps, driftMs: drift };
}

async function native(serverUrl: string) {
  const name = `kw_bench_${process.pid}`;
  const run = async (sql: string) => {
    const client = await openClient({ url: serverUrl, label: 'the server', embedded: false });
    await client.query(sql);
    await client.end();
  };
  await run(`CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    label: 'native PostgreSQL',
    remove: () => run(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

async function embedded() {
  const { folder, remove } = temporaryFolder();
  const { url } = await startEmbedded(folder);
  return {
    url,
    label: 'embedded PostgreSQL',
    async remove() {
      await stopEmbedded(folder);
      remove();
    },
  };
}

function parentOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}
