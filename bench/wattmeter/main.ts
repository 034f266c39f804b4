/**
 * What wattmeters at 50 frames a second cost with every frame stored, and whether every frame is stored: a real
 * `kw collect` with a reader process a wattmeter, and a real database. See README.md beside this file.
 *
 *   node bench/run.js wattmeter/main [wattmeters=20] [seconds=60]
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../src/lib/packageRoot.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { CpuMeter } from '../collect/cpu.ts';
import { benchDatabase } from '../support/database.ts';
import { startKw } from '../support/kw.ts';

const PORTS = 42;
const HZ = 50;
const COLLECTOR_BAR_US = 3;
const TOTAL_BAR_US = 10;

const options = new Map(process.argv.slice(2).map((argument) => argument.split('=', 2) as [string, string]));
const wattmeters = Number(options.get('wattmeters') ?? 20);
const seconds = Number(options.get('seconds') ?? 60);
if (!(wattmeters >= 1 && wattmeters <= 99 && seconds >= 1)) {
  console.error('node bench/run.js wattmeter/main [wattmeters=20] [seconds=60]');
  process.exit(2);
}
process.exitCode = await measure();

/** Resolves to the exit code: 0 when every frame is stored and both bars are met. */
async function measure(): Promise<number> {
  const database = await benchDatabase();
  const { folder, remove } = temporaryFolder();
  const names = Array.from({ length: wattmeters }, (_, index) => `wm${index}`);
  const feeder = spawn(
    process.execPath,
    [join(packageRoot(), 'bench', 'wattmeter', 'feeder.js'), folder, String(PORTS), String(HZ), ...names],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await new Promise((resolve) => feeder.stdout.once('data', resolve));
  const metrics = names
    .map((name) => {
      const url = `wattmetre+exec:///bin/cat?arg=${join(folder, name)}`;
      return `- {name: wattmetre_power_watt, device_id: ${name}, url: "${url}"}\n`;
    })
    .join('');
  const kw = await startKw({ metrics, database: database.url });
  try {
    console.log(`${wattmeters} wattmeters of ${PORTS} ports at ${HZ} Hz, ${seconds} s, ${database.label}`);
    await sleep(2_500);
    await database.client().query(
      `INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at)
       SELECT 'wm' || w || '-port' || p, 'wattmetre_power_watt', now() + interval '1 hour'
       FROM generate_series(0, $1::int - 1) w, generate_series(0, $2::int - 1) p`,
      [wattmeters, PORTS],
    );
    await sleep(3_000);
    // On a whole second, so that the number of frames is known.
    const fromS = Math.ceil(Date.now() / 1000);
    await sleep(fromS * 1000 - Date.now());
    const meter = new CpuMeter({ collector: kw.pid, postmaster: database.postmaster });
    let lagS = 0;
    for (let second = 1; second <= seconds; second++) {
      await sleep((fromS + second) * 1000 - Date.now());
      lagS = Math.max(lagS, await kw.lagS());
    }
    const cpu = meter.stop();
    await sleep(1_500);
    await kw.stop();

    const offered = wattmeters * PORTS * HZ * seconds;
    const { rows } = await database.client().query<{ stored: number; frames: number; exact: number }>(
      `SELECT count(*)::int AS stored, count(DISTINCT (device_id, timestamp))::int AS frames,
         count(*) FILTER (WHERE (extract(epoch FROM timestamp) * 1000000)::bigint % 20000
           = 7 * substring(device_id FROM '^wm([0-9]+)')::int)::int AS exact
       FROM kw.metrics WHERE timestamp >= to_timestamp($1) AND timestamp < to_timestamp($2)`,
      [fromS, fromS + seconds],
    );
    const { stored = 0, frames = 0, exact = 0 } = rows[0] ?? {};
    const { missed, refused, lost } = await database.counters();
    const collectorUs = cpu.collectorUs / offered;
    const databaseUs = cpu.databaseUs / offered;
    const show = (what: string, text: string) => console.log(`  ${what.padEnd(30)}${text}`);
    show('values a second', (offered / seconds).toFixed(0));
    show('values offered', String(offered));
    show('values stored', `${stored}, distinct frames ${frames}, with their microseconds ${exact}`);
    show('frames missed', String(missed));
    show('refused, lost', `${refused}, ${lost}`);
    show('lag, worst', `${lagS.toFixed(1)} s`);
    show('CPU us a value, collector', `${collectorUs.toFixed(2)} (bar ${COLLECTOR_BAR_US})`);
    show('CPU us a value, PostgreSQL', databaseUs.toFixed(2));
    show('CPU us a value, in all', `${(collectorUs + databaseUs).toFixed(2)} (bar ${TOTAL_BAR_US})`);
    show('memory of the collector', `${kw.peakMb()} MB`);
    const complete =
      [stored, frames, exact].every((count) => count === offered) && missed + refused + lost === 0;
    if (!complete)
      console.log('  NOT COMPLETE: offered, stored and distinct frames must be equal, and nothing missed');
    return complete && collectorUs < COLLECTOR_BAR_US && collectorUs + databaseUs < TOTAL_BAR_US ? 0 : 1;
  } finally {
    await kw.stop();
    feeder.kill('SIGKILL');
    await database.drop();
    remove();
  }
}
