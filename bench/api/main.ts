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
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { benchDatabase } from '../support/database.ts';

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
const kw = join(process.env.INIT_CWD ?? process.cwd(), 'bin', 'dev.js');
let failed = false;

interface Server {
  readonly url: string;
  readonly token: string;
  readonly process: ChildProcess;
}

interface Fetched {
  readonly totalMs: number;
  readonly firstByteMs: number;
  readonly bytes: number;
}

async function startServer(databaseUrl: string, dataFolder: string): Promise<Server> {
  const env = {
    ...process.env,
    KW_DATABASE_URL: databaseUrl,
    KW_DATA_DIR: dataFolder,
    NODE_ENV: 'production',
  };
  const child = spawn(process.execPath, [kw, 'serve', '--json', '--listen', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { url } = JSON.parse(line.toString()) as { url: string };
  const token = execFileSync(process.execPath, [kw, 'token', 'create', '--user', 'bench'], { env });
  return { url, token: token.toString().trim(), process: child };
}

/** One request with curl, its body thrown away. */
function fetchWith({ url, token }: Server, query: string, ...headers: string[]): Fetched {
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

/** High-water mark of the server's memory. */
function peakMb({ process: { pid } }: Server): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
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

function measure(kind: string, server: Server, databaseUrl: string): void {
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

const database = await benchDatabase();
const { folder, remove } = temporaryFolder();
const server = await startServer(database.url, folder);
try {
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
  const peak = peakMb(server);
  report(`memory of kw serve, ${rows} rows`, `${peak.toFixed(0)} MB`);
  if (big !== undefined) {
    await fill(client, Math.ceil(rows / PORTS / PER_SECOND), big - rows);
    await client.query('ANALYZE kw.metrics');
    const { totalMs } = fetchWith(server, selection('taurus-', Math.ceil(big / PORTS / PER_SECOND)));
    const growth = peakMb(server) - peak;
    report(
      `memory of kw serve, ${big} rows (${(totalMs / 1000).toFixed(1)} s)`,
      `${peakMb(server).toFixed(0)} MB`,
      `bar ${BARS.growthMb} MB more`,
      growth <= BARS.growthMb,
    );
  }
  await client.end();
} finally {
  const ended = once(server.process, 'exit');
  server.process.kill('SIGTERM');
  await ended;
  remove();
  await database.drop();
}
process.exitCode = failed ? 1 : 0;
