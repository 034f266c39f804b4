/**
 * How fast a real OAR server begins and ends jobs here, without kw: what bounds the rate of jobs that kw can be tried with.
 *
 *   node bench/run.js jobs/oarRate [jobs] [walltime in seconds]     as root, with Debian's oar-server
 *
 * Noop jobs of one resource each, that end at their walltime. Prints the states as they change, and at the end the seconds
 * from the first start to the last end by OAR's own times.
 */
import { startOar } from '../../test/support/oar.ts';

const jobs = Number(process.argv[2] ?? 200);
const walltime = Number(process.argv[3] ?? 5);

const oar = await startOar({
  nodes: ['node-1', 'node-2', 'node-3', 'node-4'],
  cores: Math.ceil(jobs / 4),
  settings: { SCHEDULER_FAIRSHARING_MAX_JOB_PER_USER: String(jobs) },
});
try {
  const client = await oar.connect();
  const startedMs = performance.now();
  await oar.submit({ resources: `resource_id=1,walltime=0:0:${walltime}`, array: jobs });
  for (let over = 0; over < jobs; ) {
    const { rows } = await client.query<{ state: string; n: number }>(
      'SELECT state, count(*)::int AS n FROM jobs GROUP BY state ORDER BY state',
    );
    over = rows.find(({ state }) => state === 'Terminated')?.n ?? 0;
    const at = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${at.padStart(6)} s  ${rows.map(({ state, n }) => `${state} ${n}`).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  const { rows } = await client.query<{ s: number }>(
    'SELECT max(stop_time) - min(start_time) AS s FROM jobs',
  );
  console.log(`${jobs} jobs began and ended within ${rows[0]?.s} s`);
  await client.end();
} finally {
  await oar.stop();
}
