/**
 * How long a prolog waits for `kw enable`, beyond the time that Node itself takes to start.
 *
 *   node bench/enable.js [runs]
 *
 * Runs alternate, so that a busy moment of the machine hits both. The server is KW_DATABASE_URL (a job and a
 * catalogue of 2,500 devices are written into it), or else an embedded one that is made for it and removed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { build } from '../scripts/build.js';

const BOUND_MS = 150;
const JOB = '990001';

const runs = Number(process.argv[2] ?? 20);
const kw = fileURLToPath(new URL('../bin/run.js', import.meta.url));
const env = { ...process.env };

/** Milliseconds of one process from start to end. */
function time(args) {
  const startedMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: exit code ${status}: ${stderr}`);
  return performance.now() - startedMs;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}

async function prepare() {
  time([kw, 'db', 'migrate']);
  if (env.KW_DATABASE_URL) {
    const client = new pg.Client(env.KW_DATABASE_URL);
    await client.connect();
    await client.query(
      `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, optional, protocol)
       SELECT '00000000-0000-0000-0000-0000000000be', 'bench-' || d, 'bench_metric_' || m, 1000, true, 'snmp'
       FROM generate_series(1, 2500) d, generate_series(1, 5) m ON CONFLICT DO NOTHING`,
    );
    await client.end();
  }
  time([kw, 'job', 'start', '--job', JOB, '--nodes', 'bench-[1-32]', '--timeout', '30s']);
}

await build();
const folder = mkdtempSync(join(tmpdir(), 'kw-bench-enable-'));
const embedded = !env.KW_DATABASE_URL;
if (embedded) {
  env.KW_DATA_DIR = folder;
  time([kw, 'db', 'start']);
}
try {
  await prepare();
  const bare = [];
  const enable = [];
  for (let run = 0; run < runs; run++) {
    bare.push(time(['-e', '0']));
    enable.push(time([kw, 'enable', 'bench_metric_1', '--job', JOB, '--force', '--timeout', '30s']));
  }
  const [bareMs, enableMs] = [median(bare), median(enable)];
  console.log(
    `server                ${embedded ? 'embedded, 1 job of 32 nodes' : 'KW_DATABASE_URL, 2,500 devices'}`,
  );
  console.log(`node -e 0             ${bareMs.toFixed(0)} ms (median of ${runs})`);
  console.log(`kw enable             ${enableMs.toFixed(0)} ms (median of ${runs})`);
  console.log(`difference            ${(enableMs - bareMs).toFixed(0)} ms (bound ${BOUND_MS} ms)`);
  if (enableMs - bareMs >= BOUND_MS) process.exitCode = 1;
} finally {
  time([kw, 'job', 'stop', '--job', JOB, '--timeout', '30s']);
  if (embedded) time([kw, 'db', 'stop']);
  rmSync(folder, { recursive: true, force: true });
}
