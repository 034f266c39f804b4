/**
 * How long a job's values take to come out, against psql with the same SELECT in the same run.
 *
 *   node bench/run.js query/main [--rows 10000000] [--runs 5]
 *
 * 240 values a second (10 nodes with 24 metrics), uncompressed and, where there is TimescaleDB, compressed. kw and
 * psql take turns, so that a busy moment of the machine hits both. The server is that of KW_DATABASE_URL, in a
 * database that is made and dropped, else an embedded one of its own. Prints one line a figure; exits 1 where a
 * bar is missed.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { benchDatabase } from '../support/database.ts';
import { median, peakOf } from '../support/figures.ts';

const NODES = 10;
const METRICS = 24;
const JOB = '990002';
const BARS = { psqlRatio: 1.3, firstByteMs: 300, peakMb: 200 };

const { values: args } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, runs: { type: 'string', default: '5' } },
});
const rows = Number(args.rows);
const runs = Number(args.runs);
const kw = [process.execPath, `${process.env.INIT_CWD ?? process.cwd()}/bin/run.js`];
let failed = false;

interface Run {
  readonly totalMs: number;
  readonly firstByteMs: number;
  readonly peakMb: number;
}

/** One process to its end. `read`: through a pipe, for the first byte; else into /dev/null. */
async function run(command: readonly string[], env: NodeJS.ProcessEnv, read = false): Promise<Run> {
  const [program = '', ...rest] = command;
  const begunMs = performance.now();
  const child = spawn(program, rest, { env, stdio: ['ignore', read ? 'pipe' : 'ignore', 'pipe'] });
  let firstByteMs = Number.NaN;
  let stderr = '';
  let peakMb = 0;
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  child.stdout?.once('data', () => {
    firstByteMs = performance.now() - begunMs;
    child.stdout?.destroy();
  });
  const sampler = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid));
  }, 20);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(sampler);
  const totalMs = performance.now() - begunMs;
  if (code !== 0 && !read) throw new Error(`${program} ended with ${code}: ${stderr}`);
  return { totalMs, firstByteMs, peakMb };
}

function report(what: string, figure: string, bar: string, ok: boolean): void {
  if (!ok) failed = true;
  console.log(`${what.padEnd(44)} ${figure.padStart(22)}   ${bar}${ok ? '' : '   MISSED'}`);
}

async function fill(client: Client): Promise<{ from: string; to: string }> {
  const seconds = Math.ceil(rows / NODES / METRICS);
  const { rows: times } = await client.query<{ from: string; to: string }>(
    "SELECT date_trunc('day', now()) - interval '2 days' AS from, date_trunc('day', now()) - interval '2 days' + $1 * interval '1 s' AS to",
    [seconds],
  );
  const [bounds] = times;
  if (bounds === undefined) throw new Error('the statement gives one row');
  await client.query('SELECT kw.ensure_storage($1, $2)', [bounds.from, bounds.to]);
  // As collectors write: all values of one node at one time, another instant for each node.
  await client.query(
    `INSERT INTO kw.metrics
     SELECT $1::timestamptz + s * interval '1 s' + n * interval '97003 us', 'bench-' || n, 'bench_' || m || '_watt',
            round((random() * 1000)::numeric, 3)::float8, CASE WHEN m % 2 = 0 THEN '{}' ELSE jsonb_build_object('outlet', m::text) END
     FROM generate_series(0, $2::int - 1) s, generate_series(1, ${NODES}) n, generate_series(1, ${METRICS}) m
     LIMIT $3`,
    [bounds.from, seconds, rows],
  );
  await client.query(
    "INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped) VALUES ('kw', $1::bigint, $1::bigint::text, 'bench', 'ended', $2, $3)",
    [JOB, bounds.from, bounds.to],
  );
  await client.query(
    `INSERT INTO kw.job_nodes SELECT 'kw', $1::bigint, 'bench-' || n, $2, $3 FROM generate_series(1, ${NODES}) n`,
    [JOB, bounds.from, bounds.to],
  );
  await client.query('VACUUM ANALYZE kw.metrics');
  return bounds;
}

async function measure(kind: string, url: string, { from, to }: { from: string; to: string }): Promise<void> {
  const env = { ...process.env, KW_DATABASE_URL: url };
  const nodes = Array.from({ length: NODES }, (_, n) => `bench-${n + 1}`).join(',');
  const select =
    'SELECT timestamp, device_id, metric_id, value, labels FROM kw.metrics ' +
    `WHERE device_id = ANY ('{${nodes}}') AND timestamp BETWEEN '${from}' AND '${to}' ORDER BY timestamp`;
  const commands = {
    csv: [...kw, 'query', '--job', JOB, '--format', 'csv'],
    psqlCsv: ['psql', url, '-qc', `\\copy (${select}) to stdout csv`],
    json: [...kw, 'query', '--job', JOB, '--format', 'json'],
    psqlJson: ['psql', url, '-qc', `\\copy (SELECT row_to_json(x) FROM (${select}) x) to stdout`],
  };
  const totals = { csv: [] as Run[], psqlCsv: [] as Run[], json: [] as Run[], psqlJson: [] as Run[] };
  const first: number[] = [];
  const bare: number[] = [];
  for (const name of Object.keys(commands) as (keyof typeof commands)[]) await run(commands[name], env);
  for (let i = 0; i < runs; i++) {
    for (const name of Object.keys(commands) as (keyof typeof commands)[]) {
      totals[name].push(await run(commands[name], env));
    }
    bare.push((await run([process.execPath, '-e', '0'], env)).totalMs);
    first.push((await run(commands.csv, env, true)).firstByteMs);
  }
  const ms = (name: keyof typeof totals) => median(totals[name].map(({ totalMs }) => totalMs));
  for (const [format, peer] of [
    ['csv', 'psqlCsv'],
    ['json', 'psqlJson'],
  ] as const) {
    const ratio = ms(format) / ms(peer);
    const bar = format === 'csv' ? BARS.psqlRatio : Number.POSITIVE_INFINITY;
    report(
      `${kind}, ${format}: kw against psql`,
      `${ms(format).toFixed(0)} / ${ms(peer).toFixed(0)} ms = ${ratio.toFixed(2)}`,
      format === 'csv' ? `bar ${bar}` : 'row_to_json',
      ratio <= bar,
    );
  }
  const beyond = median(first) - median(bare);
  report(
    `${kind}: first byte beyond node -e 0`,
    `${beyond.toFixed(0)} ms`,
    `bar ${BARS.firstByteMs} ms`,
    beyond < BARS.firstByteMs,
  );
  const peak = Math.max(...[...totals.csv, ...totals.json].map(({ peakMb }) => peakMb));
  report(`${kind}: peak memory of kw`, `${peak.toFixed(0)} MB`, `bar ${BARS.peakMb} MB`, peak < BARS.peakMb);
}

const database = await benchDatabase();
try {
  const client = await openClient({ url: database.url, label: 'bench', embedded: false });
  const begunMs = performance.now();
  const bounds = await fill(client);
  console.log(
    `${rows} rows in ${database.label}, medians of ${runs} runs (written in ${((performance.now() - begunMs) / 1000).toFixed(0)} s)`,
  );
  await measure('uncompressed', database.url, bounds);
  if (database.label.includes('timescaledb')) {
    await client.query(
      "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('kw.metrics') c",
    );
    await client.query('ANALYZE kw.metrics');
    await measure('compressed', database.url, bounds);
  }
  await client.end();
} finally {
  await database.drop();
}
process.exitCode = failed ? 1 : 0;
