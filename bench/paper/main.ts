/**
 * Figures 4 and 5 of Kwollect's paper, again: see README.md beside this file.
 *
 *   node bench/run.js paper/main [--site nancy|lyon] [--figure 4|5] [--runs 3] [--nodes 20] [--seconds 4]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ReadAnswer, readMetrics } from '../../test/support/readMetrics.ts';
import { type Serve, startServe } from '../../test/support/serve.ts';
import { benchDatabase } from '../support/database.ts';
import { median } from '../support/figures.ts';
import { buildKw } from '../support/kw.ts';
import { fillSite, type Job, jobsOf, rowsOf, SITE_NODES, SITES, type Site, valuesASecond } from './site.ts';

const MOST_CLIENTS = 8;
/** Answers of more rows take long enough to be measured once. */
const ONCE_ROWS = 1_000_000;
/**
 * The paper shows both figures as plots; their numbers are in no text that can be cited, so none stand here.
 * Write them in where you have them: seconds by site, nodes, minutes and state.
 */
const PAPER = 'plot only';

const { values: args } = parseArgs({
  options: {
    /** One of them; both unless told. */
    site: { type: 'string' },
    /** One of them; both unless told. */
    figure: { type: 'string' },
    runs: { type: 'string', default: '3' },
    /** Nodes of each site whose two hours are written; 20 are those of the jobs, 250 the whole site. */
    nodes: { type: 'string', default: '20' },
    /** Of each measurement of figure 4. */
    seconds: { type: 'string', default: '4' },
  },
});
const [runs, nodes, seconds] = [Number(args.runs), Number(args.nodes), Number(args.seconds)];
const sites = SITES.filter(({ name }) => args.site === undefined || args.site === name);
if (sites.length === 0) throw new Error(`no site ${args.site}`);
let failed = false;
const begunMs = performance.now();

const database = await benchDatabase();
buildKw();
let server: Serve | undefined;
try {
  const client = database.client();
  await client.query("UPDATE kw.settings SET value = 'true' WHERE name = 'anonymous_read'");
  const end = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000);
  for (const site of sites) {
    await fillSite(client, site, nodes, end);
    console.log(
      `${site.name}: ${valuesASecond(site)} values a second and node (${valuesASecond(site) * SITE_NODES} with ${SITE_NODES} nodes), ${nodes} nodes of it written`,
    );
  }
  await client.query('VACUUM ANALYZE kw.metrics');
  server = await startServe({ database: database.url, built: true });
  console.log(
    `${await database.rows()} rows in ${database.label}, medians of ${runs} runs ${sinceBegin()}\n`,
  );

  if (args.figure !== '4') await drawFigure5(server);
  if (args.figure !== '5') await drawFigure4(server);
  console.log(
    `\npaper: "${PAPER}": the paper prints these figures without their numbers, and none are invented here`,
  );
} finally {
  await server?.stop();
  await database.drop();
}
process.exitCode = failed ? 1 : 0;

async function drawFigure5({ url }: Serve): Promise<void> {
  console.log('figure 5: time of the answer to get_metrics?job_id=');
  console.log('site   nodes  length  state           rows       MB  first byte       whole  paper');
  for (const site of sites) await figure5(site, 'fresh', url);
  if (!database.label.includes('timescaledb')) {
    console.log('(no TimescaleDB here: nothing is compressed a day later)');
    return;
  }
  const client = database.client();
  await client.query("SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('kw.metrics') c");
  await client.query('ANALYZE kw.metrics');
  console.log(`compressed ${sinceBegin()}`);
  for (const site of sites) await figure5(site, 'a day later', url);
}

async function drawFigure4(server: Serve): Promise<void> {
  console.log(
    `\nfigure 4: simultaneous requests, each of the 2 hours of 2 nodes; cores of CPU ${sinceBegin()}`,
  );
  console.log('site   clients  requests/s     rows/s  kw serve  PostgreSQL  in all  us a row  paper');
  for (const site of sites) {
    for (let clients = 1; clients <= MOST_CLIENTS; clients++) await figure4(site, clients, server);
  }
}

/** An answer that is refused, cut or short is told, and the run goes on. */
async function ask(site: Site, job: Job, url: string): Promise<ReadAnswer | undefined> {
  const wanted = rowsOf(site, job);
  try {
    const answer = await readMetrics(url, { job_id: String(job.id) });
    if (answer.rows === wanted && answer.whole) return answer;
    const broken = answer.whole ? '' : ', and it is broken off';
    console.log(`NOT COMPLETE: job ${job.id} has ${wanted} rows, the answer ${answer.rows}${broken}`);
  } catch (error) {
    console.log(`NOT COMPLETE: job ${job.id}: ${String(error)}`);
  }
  failed = true;
  return undefined;
}

function sinceBegin(): string {
  return `[${((performance.now() - begunMs) / 60_000).toFixed(1)} min]`;
}

async function figure5(site: Site, state: string, url: string): Promise<void> {
  for (const job of jobsOf(site)) {
    const answers = [];
    for (let run = 0; run < (rowsOf(site, job) > ONCE_ROWS ? 1 : runs); run++) {
      const answer = await ask(site, job, url);
      if (answer) answers.push(answer);
    }
    const [answer] = answers;
    if (!answer) continue;
    console.log(
      [
        site.name.padEnd(6),
        String(job.nodes).padStart(5),
        `${job.seconds / 60} min`.padStart(7),
        ` ${state.padEnd(12)}`,
        String(answer.rows).padStart(7),
        (answer.bytes / 1e6).toFixed(1).padStart(8),
        `${median(answers.map(({ firstByteMs }) => firstByteMs)).toFixed(0)} ms`.padStart(11),
        `${(median(answers.map(({ totalMs }) => totalMs)) / 1000).toFixed(3)} s`.padStart(11),
        ` ${PAPER}`,
      ].join(' '),
    );
  }
}

async function figure4(site: Site, clients: number, { url, pid }: Serve): Promise<void> {
  const job = jobsOf(site)[2] as Job;
  // Once before: then the connections that are measured are there.
  await Promise.all(Array.from({ length: clients }, () => ask(site, job, url)));
  const before = await cpuOf(pid);
  const fromMs = performance.now();
  let answered = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      do {
        if (await ask(site, job, url)) answered++;
      } while (performance.now() - fromMs < seconds * 1000);
    }),
  );
  const passedUs = (performance.now() - fromMs) * 1000;
  const after = await cpuOf(pid);
  const [serve, postgres] = [after.serveUs - before.serveUs, after.postgresUs - before.postgresUs].map(
    (us) => us / passedUs,
  );
  const aSecond = (answered / passedUs) * 1e6;
  const cores = (value = 0, width = 8) => value.toFixed(2).padStart(width);
  console.log(
    [
      site.name.padEnd(6),
      String(clients).padStart(7),
      aSecond.toFixed(1).padStart(11),
      (aSecond * rowsOf(site, job)).toFixed(0).padStart(10),
      cores(serve, 9),
      cores(postgres, 11),
      cores((serve ?? 0) + (postgres ?? 0), 7),
      cores((((serve ?? 0) + (postgres ?? 0)) / (aSecond * rowsOf(site, job))) * 1e6, 9),
      ` ${PAPER}`,
    ].join(' '),
  );
}

/** User and system time of kw serve and of its connections, so that what else a shared server does is not counted. */
async function cpuOf(serve: number): Promise<{ serveUs: number; postgresUs: number }> {
  const { rows } = await database
    .client()
    .query(
      "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kw-serve'",
    );
  const postgresUs = rows.reduce((sum, row) => sum + processUs(Number(row.pid)), 0);
  return { serveUs: processUs(serve), postgresUs };
}

/** Ticks of /proc are 10 ms. The name of the program, in brackets, may hold blanks. */
function processUs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
