/**
 * How long answers of `kw serve` take, against psql with the same rows in the same run, and what memory they need.
 *
 *   node bench/run.js api/main [--rows 1000000] [--runs 5] [--big 10000000]
 *
 * 20 nodes with a wattmeter at 50 values a second each, uncompressed and, where there is TimescaleDB, compressed: the same
 * rows are read by the names of their ports and by their aliases. curl, over the loopback interface, and psql take turns.
 * --big reads so many rows at the end, for the memory. The server is a process of its own, with a real token; its database
 * lies in the server of KW_DATABASE_URL, else in an embedded one. Prints one line a figure; exits 1 where a bar is missed.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { startServe } from '../../test/support/serve.ts';
import { benchDatabase } from '../support/database.ts';
import { median, peakOf } from '../support/figures.ts';
import { buildKw } from '../support/kw.ts';

const PORTS = 20;
const PER_SECOND = 50;
const BEGIN = '2026-11-01T00:00:00Z';
const BARS = { psqlRatio: 1, firstByteMs: 200, aliasRatio: 1.5, growthMb: 50 };

const { values: args } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '5' },
    big: { type: 'string' },
  },
});
const rows = Number(args.rows);
const runs = Number(args.runs);
const big = args.big === undefined ? undefined : Number(args.big);
let failed = false;

interface Asked {
  readonly url: string;
  readonly token: string;
}

interface Fetched {
  readonly totalMs: number;
  readonly firstByteMs: number;
  readonly bytes: number;
}

/** One request with curl, its body thrown away. */
function fetchWith({ url, token }: Asked, query: string, ...headers: string[]): Fetched {
  const format = '%{http_code} %{time_starttransfer} %{time_total} %{size_download}';
  const output = execFileSync('curl', [
    ...['-s', '-o', '/dev/null', '-w', format, '-H', `Authorization: Bearer ${token}`],
    ...headers.flatMap((header) => ['-H', header]),
    `${url}/rpc/get_metrics?${query}`,
  ]);
  const [status, first, total, bytes] = output.toString().split(' ').map(Number);
  if (status !== 200) throw new Error(`status ${status}`);
  return { totalMs: Number(total) * 1000, firstByteMs: Number(first) * 1000, bytes: Number(bytes) };
}

function psqlMs(databaseUrl: string, select: string): number {
  const begunMs = performance.now();
  execFileSync('psql', [databaseUrl, '-qc', `\\copy (${select}) to stdout`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return performance.now() - begunMs;
}

function report(what: string, figure: string, bar = '', ok = true): void {
  if (!ok) failed = true;
  console.log(`${what.padEnd(48)} ${figure.padStart(26)}   ${bar}${ok ? '' : '   MISSED'}`);
}

async function fill(client: Client, from: number, count: number): Promise<void> {
  const seconds = Math.ceil(count / PORTS / PER_SECOND);
  const bounds = [from, seconds];
  await client.query(
    `SELECT kw.ensure_storage($3::timestamptz + $1 * interval '1 s', $3::timestamptz + ($1 + $2) * interval '1 s')`,
    [...bounds, BEGIN],
  );
  await client.query(
    `INSERT INTO kw.metrics
     SELECT $3::timestamptz + $1 * interval '1 s' + i * interval '20 ms' + p * interval '97 us',
       'wattmetre1-port' || p, 'wattmetre_power_watt', round((random() * 300)::numeric, 1)::float8,
       jsonb_build_object('_device_alias', 'taurus-' || p)
     FROM generate_series(0, $2::int * ${PER_SECOND} - 1) i, generate_series(1, ${PORTS}) p`,
    [...bounds, BEGIN],
  );
}

function selection(name: string, seconds: number): string {
  const devices = Array.from({ length: PORTS }, (_, p) => `${name}${p + 1}`).join(',');
  const end = new Date(Date.parse(BEGIN) + seconds * 1000).toISOString();
  return `devices=${devices}&start_time=${BEGIN}&end_time=${end}`;
}

function measure(kind: string, server: Asked, databaseUrl: string): void {
  const seconds = Math.ceil(rows / PORTS / PER_SECOND);
  const ports = selection('wattmetre1-port', seconds);
  const aliases = selection('taurus-', seconds);
  const names = Array.from({ length: PORTS }, (_, p) => `wattmetre1-port${p + 1}`).join(',');
  const select =
    'SELECT row_to_json(x) FROM (SELECT timestamp, device_id, metric_id, value, labels FROM kw.metrics ' +
    `WHERE device_id = ANY ('{${names}}') AND timestamp >= '${BEGIN}' ` +
    `AND timestamp <= '${BEGIN}'::timestamptz + ${seconds} * interval '1 s' ORDER BY timestamp) x`;
  const own: Fetched[] = [];
  const aliased: Fetched[] = [];
  const psql: number[] = [];
  fetchWith(server, ports);
  fetchWith(server, aliases);
  for (let i = 0; i < runs; i++) {
    own.push(fetchWith(server, ports));
    psql.push(psqlMs(databaseUrl, select));
    aliased.push(fetchWith(server, aliases));
  }
  const ms = (runsOf: readonly Fetched[]) => median(runsOf.map(({ totalMs }) => totalMs));
  const first = (runsOf: readonly Fetched[]) => median(runsOf.map(({ firstByteMs }) => firstByteMs));
  const ratio = ms(own) / median(psql);
  report(
    `${kind}, JSON: kw serve against row_to_json`,
    `${ms(own).toFixed(0)} / ${median(psql).toFixed(0)} ms = ${ratio.toFixed(2)}`,
    `bar ${BARS.psqlRatio}`,
    ratio < BARS.psqlRatio,
  );
  const aliasRatio = ms(aliased) / ms(own);
  report(
    `${kind}: by alias against by port`,
    `${ms(aliased).toFixed(0)} / ${ms(own).toFixed(0)} ms = ${aliasRatio.toFixed(2)}`,
    `bar ${BARS.aliasRatio}`,
    aliasRatio <= BARS.aliasRatio,
  );
  for (const [name, figures] of [
    ['by port', own],
    ['by alias', aliased],
  ] as const) {
    report(
      `${kind}: first byte ${name}`,
      `${first(figures).toFixed(0)} ms`,
      `bar ${BARS.firstByteMs} ms`,
      first(figures) <= BARS.firstByteMs,
    );
  }
  for (const [name, header] of [
    ['CSV', 'Accept: text/csv'],
    ['JSON as gzip', 'Accept-Encoding: gzip'],
    ['JSON as zstd', 'Accept-Encoding: zstd'],
  ] as const) {
    const { totalMs, bytes } = fetchWith(server, ports, header);
    report(`${kind}, ${name}`, `${totalMs.toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB`);
  }
}

buildKw();
const database = await benchDatabase();
const serve = await startServe({ database: database.url, built: true });
try {
  const server = { url: serve.url, token: await serve.token('bench') };
  const client = await openClient({ url: database.url, label: 'bench', embedded: false });
  await fill(client, 0, rows);
  await client.query('VACUUM ANALYZE kw.metrics');
  console.log(`${rows} rows in ${database.label}, medians of ${runs} runs`);
  measure('uncompressed', server, database.url);
  if (database.label.includes('timescaledb')) {
    await client.query(
      "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('kw.metrics') c",
    );
    await client.query('ANALYZE kw.metrics');
    measure('compressed', server, database.url);
  }
  const peak = peakOf(serve.pid);
  report(`memory of kw serve, ${rows} rows`, `${peak.toFixed(0)} MB`);
  if (big !== undefined) {
    await fill(client, Math.ceil(rows / PORTS / PER_SECOND), big - rows);
    await client.query('ANALYZE kw.metrics');
    const { totalMs } = fetchWith(server, selection('taurus-', Math.ceil(big / PORTS / PER_SECOND)));
    const growth = peakOf(serve.pid) - peak;
    report(
      `memory of kw serve, ${big} rows (${(totalMs / 1000).toFixed(1)} s)`,
      `${peakOf(serve.pid).toFixed(0)} MB`,
      `bar ${BARS.growthMb} MB more`,
      growth <= BARS.growthMb,
    );
  }
  await client.end();
} finally {
  await serve.stop();
  await database.drop();
}
process.exitCode = failed ? 1 : 0;
