/**
 * What it costs that jobs are read in OAR's own tables: looking up one job of a million, against kw's own table of as
 * many; and what asking OAR every second for what runs costs.
 *
 *   node bench/run.js jobs/main [jobs] [running]
 *
 * OAR's tables are another database of the same server (KW_DATABASE_URL, else an embedded one), in the form of
 * OAR 2.5: a job has two nodes of four resources each. Exit code 1 if a look-up is beyond its bound, or reads a
 * whole table of jobs.
 */
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { addSource, readOrigin } from '../../src/lib/jobs/sources/addSource.ts';
import { resolveSelection } from '../../src/lib/metrics/selection.ts';
import { benchDatabase } from '../support/database.ts';

const BOUND_MS = 50;
const LOOKUPS = 60;
const jobs = Number(process.argv[2] ?? 1_000_000);
const running = Number(process.argv[3] ?? 200);

/** OAR's tables (database/pg_structure.sql of OAR 2.5.9), as far as they are read, with their indexes. */
const STRUCTURE = `
  CREATE TABLE jobs (
    job_id bigserial PRIMARY KEY, job_name varchar(100), state varchar(16) NOT NULL, job_user varchar(255) NOT NULL,
    command text, submission_time integer NOT NULL, start_time integer NOT NULL, stop_time integer NOT NULL,
    assigned_moldable_job integer);
  CREATE INDEX state ON jobs (state);
  CREATE INDEX state_id ON jobs (state, job_id);
  CREATE TABLE assigned_resources (
    moldable_job_id integer NOT NULL, resource_id integer NOT NULL, assigned_resource_index varchar(7) NOT NULL,
    PRIMARY KEY (moldable_job_id, resource_id));
  CREATE INDEX mjob_id ON assigned_resources (moldable_job_id);
  CREATE INDEX log ON assigned_resources (assigned_resource_index);
  CREATE TABLE resources (
    resource_id bigserial PRIMARY KEY, type varchar(100) NOT NULL DEFAULT 'default', network_address varchar(100) NOT NULL);
  CREATE INDEX resource_type ON resources (type);
  CREATE INDEX resource_network_address ON resources (network_address);
  CREATE TABLE job_types (
    job_type_id bigserial PRIMARY KEY, job_id integer NOT NULL, type varchar(255) NOT NULL, types_index varchar(7) NOT NULL);
  CREATE INDEX log_types ON job_types (types_index);
  CREATE INDEX type ON job_types (type);
  CREATE INDEX id_types ON job_types (job_id);
`;

/** $1 jobs, the last $2 of which run. */
async function fill(client: Client): Promise<void> {
  await client.query(STRUCTURE);
  await client.query(
    `INSERT INTO resources (network_address) SELECT 'node-' || (r - 1) / 4 || '.site.example' FROM generate_series(1, 4000) r`,
  );
  await client.query(
    `INSERT INTO jobs (job_id, job_name, state, job_user, command, submission_time, start_time, stop_time, assigned_moldable_job)
     SELECT j, 'name', CASE WHEN j > $1 - $2 THEN 'Running' ELSE 'Terminated' END, 'user' || j % 500, 'sleep 3600',
       s, s, CASE WHEN j > $1 - $2 THEN 0 ELSE s + 3600 END, j
     FROM generate_series(1, $1::int) j, LATERAL (SELECT extract(epoch FROM now())::int - ($1 - j) * 60 AS s) t`,
    [jobs, running],
  );
  await client.query(
    `INSERT INTO assigned_resources
     SELECT j, (j * 8 + r) % 4000 + 1, CASE WHEN j > $1 - $2 THEN 'CURRENT' ELSE 'LOG' END
     FROM generate_series(1, $1::int) j, generate_series(0, 7) r`,
    [jobs, running],
  );
  await client.query(
    `INSERT INTO job_types (job_id, type, types_index)
     SELECT j, 'monitor=wattmetre.*', CASE WHEN j > $1 - $2 THEN 'CURRENT' ELSE 'LOG' END
     FROM generate_series(1, $1::int) j WHERE j % 5 = 0`,
    [jobs, running],
  );
  await client.query('ANALYZE');
}

async function fillLocal(client: Client): Promise<void> {
  await client.query(
    `INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped)
     SELECT 'kw', j, j, 'user' || j % 500, 'stopped', now() - ($1 - j) * interval '1 minute',
       now() - ($1 - j) * interval '1 minute' + interval '1 hour'
     FROM generate_series(1, $1::int) j`,
    [jobs],
  );
  await client.query(
    `INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
     SELECT 'kw', j.job_id, 'node-' || (j.job_id * 2 + n) % 1000, j.started, j.stopped
     FROM kw.jobs j, generate_series(0, 1) n`,
  );
  await client.query('ANALYZE kw.jobs, kw.job_nodes');
}

const middle = (values: number[], share = 0.5) =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;

/** Milliseconds of looking a job up, as kw query does: each on a new connection, which is not counted. */
async function lookUp(url: string, source: string): Promise<number[]> {
  const took: number[] = [];
  for (let run = 0; run < LOOKUPS; run++) {
    const client = await openClient({ url, label: 'bench', embedded: false });
    const job = 1 + ((run * 7919 * 97) % (jobs - running));
    const startedMs = performance.now();
    const { devices } = await resolveSelection(client, { jobs: [`${source}:${job}`] }, Date.now() * 1000);
    took.push(performance.now() - startedMs);
    await client.end();
    if (devices?.size !== 2) throw new Error(`job ${job} of ${source} has ${devices?.size} nodes`);
  }
  return took;
}

/** The statement that is sent to OAR for one job, and whether OAR's server reads a whole table for it. */
async function remotePlan(client: Client, oar: Client): Promise<{ sql: string; readsAll: string[] }> {
  const { rows } = await client.query(
    'EXPLAIN (VERBOSE) SELECT * FROM kw.nodetime_by_job WHERE job_id = 4711',
  );
  const lines = rows.map((row) => String(row['QUERY PLAN']));
  const remote = lines.filter((line) => line.includes('Remote SQL:'));
  if (remote.length !== 1) throw new Error(`${remote.length} statements go to OAR: ${lines.join('\n')}`);
  const sql = (remote[0] ?? '').replace(/.*Remote SQL: /, '');
  const plan = await oar.query(`EXPLAIN ${sql}`);
  const readsAll = plan.rows
    .map((row) => String(row['QUERY PLAN']))
    .filter((line) => /Seq Scan on (jobs|assigned_resources|job_types)/.test(line));
  return { sql, readsAll };
}

const db = await benchDatabase();
const oarUrl = new URL(db.url);
oarUrl.pathname = '/kw_bench_oar';
let failed = false;
try {
  const client = db.client();
  await client.query('DROP DATABASE IF EXISTS kw_bench_oar WITH (FORCE)');
  await client.query('CREATE DATABASE kw_bench_oar');
  const oar = await openClient({ url: oarUrl.href, label: 'OAR', embedded: false });
  await fill(oar);
  await fillLocal(client);
  const from = readOrigin(oarUrl.href, undefined, undefined);
  const added = await addSource(client, {
    name: 'oar',
    from,
    nodes: new Map(),
    keepDomain: false,
    replace: false,
  });
  console.log(`${db.label}: ${jobs} jobs of OAR, ${added.runningJobs} running; ${jobs} jobs of kw's own`);
  console.log(`asking for what runs, the first time: ${added.tookMs.toFixed(0)} ms`);
  const again: number[] = [];
  for (let run = 0; run < 10; run++) {
    const startedMs = performance.now();
    await client.query("SELECT kw.try_source('oar')");
    again.push(performance.now() - startedMs);
  }
  console.log(`then, every second: ${middle(again).toFixed(1)} ms`);

  const { sql, readsAll } = await remotePlan(client, oar);
  console.log(
    `sent to OAR for one job: ${sql.slice(0, 100)}... ${/job_id = 4711/.test(sql) ? 'with' : 'WITHOUT'} its number`,
  );
  if (readsAll.length > 0 || !/job_id = 4711/.test(sql)) failed = true;
  for (const line of readsAll) console.log(`OAR reads it all: ${line}`);

  await lookUp(db.url, 'kw');
  const local = await lookUp(db.url, 'kw');
  const there = await lookUp(db.url, 'oar');
  const describe = (name: string, took: number[]) =>
    console.log(
      `looking up a job of ${name}: median ${middle(took).toFixed(1)} ms, p95 ${middle(took, 0.95).toFixed(1)} ms`,
    );
  describe("kw's own", local);
  describe('OAR', there);
  const beyond = middle(there) - middle(local);
  console.log(`OAR's beyond kw's own: ${beyond.toFixed(1)} ms (bound ${BOUND_MS})`);
  if (beyond > BOUND_MS) failed = true;
  for (const [what, statement] of [
    ['the jobs that run', 'SELECT count(*) FROM kw.listed_jobs(false, NULL, 50)'],
    ['the last 50 of all jobs', 'SELECT count(*) FROM kw.listed_jobs(true, NULL, 50)'],
  ] as const) {
    const startedMs = performance.now();
    await client.query(statement);
    console.log(`listing ${what}: ${(performance.now() - startedMs).toFixed(0)} ms`);
  }
  await oar.end();
} finally {
  // What is left of it is in nobody's way; an error of before shall be seen.
  await db
    .client()
    .query('DROP DATABASE IF EXISTS kw_bench_oar WITH (FORCE)')
    .catch(() => {});
  await db.drop();
}
process.exitCode = failed ? 1 : 0;
