/**
 * What the way through `kw serve` costs, against the same command on the database in the same run.
 *
 *   node bench/run.js remote/main [--rows 100000] [--runs 7]
 *
 * `kw query` of all rows as CSV, both ways in turns, with the peak memory of the client and of the server; and `kw enable`
 * through KW_URL beyond `node -e 0`, as a prolog waits for it. The server is that of KW_DATABASE_URL, in a database that
 * is made and dropped, else an embedded one of its own. Exits 1 where a bar is missed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { type Serve, startServe } from '../../test/support/serve.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { benchDatabase } from '../support/database.ts';
import { median, peakOf } from '../support/figures.ts';
import { buildKw } from '../support/kw.ts';

const BARS = { ratio: 1.5, enableMs: 150 };
const FROM = '2026-11-20T00:00:00Z';
const TO = '2026-11-20T23:00:00Z';

const { values: args } = parseArgs({
  options: { rows: { type: 'string', default: '100000' }, runs: { type: 'string', default: '7' } },
});
const rows = Number(args.rows);
const runs = Number(args.runs);
const root = process.env.INIT_CWD ?? process.cwd();
const kw = [`${root}/bin/run.js`];

async function timed(command: readonly string[], env: NodeJS.ProcessEnv) {
  const begunMs = performance.now();
  const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  let peakMb = 0;
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const sampler = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid));
  }, 20);
  const [code] = await once(child, 'close');
  clearInterval(sampler);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${stderr}`);
  return { ms: performance.now() - begunMs, peakMb };
}

buildKw();
const database = await benchDatabase();
const { folder, remove } = temporaryFolder();
const base = { PATH: process.env.PATH, HOME: process.env.HOME, KW_DATA_DIR: folder };
const local = { ...base, KW_DATABASE_URL: database.url };
let server: Serve | undefined;
try {
  const client = database.client();
  await client.query('SELECT kw.ensure_storage($1, $2)', [FROM, TO]);
  await client.query(
    `INSERT INTO kw.metrics SELECT $1::timestamptz + s * interval '7 ms', 'bench-' || s % 10, 'bench_' || s % 24 || '_watt',
       round((random() * 1000)::numeric, 3)::float8, '{}' FROM generate_series(1, $2::int) s`,
    [FROM, rows],
  );
  await client.query('VACUUM ANALYZE kw.metrics');
  server = await startServe({ database: database.url, built: true });
  const token = await server.token('bench', '--role', 'admin');
  const remote = { ...base, KW_URL: server.url, KW_TOKEN: token };

  const query = [...kw, 'query', '--from', FROM, '--to', TO, '--format', 'csv'];
  const enable = [...kw, 'enable', 'bench_1_watt', '--job', '1', '--force', '--timeout', '30s'];
  await timed([...kw, 'job', 'start', '--job', '1', '--nodes', 'bench-[1-9]'], remote);
  const took = { here: [], there: [], bare: [], enable: [] } as Record<string, number[]>;
  const peaks = { here: 0, there: 0 };
  await timed(query, remote);
  for (let run = 0; run < runs; run++) {
    const here = await timed(query, local);
    const there = await timed(query, remote);
    took.here?.push(here.ms);
    took.there?.push(there.ms);
    peaks.here = Math.max(peaks.here, here.peakMb);
    peaks.there = Math.max(peaks.there, there.peakMb);
    took.bare?.push((await timed(['-e', '0'], base)).ms);
    took.enable?.push((await timed(enable, remote)).ms);
  }
  const [here, there, bare, enabled] = ['here', 'there', 'bare', 'enable'].map((name) =>
    median(took[name] ?? []),
  ) as [number, number, number, number];
  const ratio = there / here;
  console.log(`${database.label}, ${rows} rows, median of ${runs}`);
  console.log(`kw query on the database    ${here.toFixed(0)} ms, client ${peaks.here.toFixed(0)} MB`);
  console.log(
    `kw query through kw serve   ${there.toFixed(0)} ms, client ${peaks.there.toFixed(0)} MB, server ${peakOf(server.pid).toFixed(0)} MB`,
  );
  console.log(`ratio                       ${ratio.toFixed(2)} (bar ${BARS.ratio})`);
  console.log(`kw enable beyond node -e 0  ${(enabled - bare).toFixed(0)} ms (bar ${BARS.enableMs} ms)`);
  if (ratio > BARS.ratio || enabled - bare > BARS.enableMs) process.exitCode = 1;
} finally {
  await server?.stop();
  await database.drop();
  remove();
}
