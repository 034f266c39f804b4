/**
 * What the spool costs: CPU of collector and database a stored value, with it and without, in turn on the same agents
 * and the same database. See README.md beside this file.
 *
 *   node bench/run.js collect/spool [seconds=20] [rounds=3]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { benchDatabase } from '../support/database.ts';
import { startKw } from '../support/kw.ts';
import { CpuMeter } from './cpu.ts';
import { MODES, type Mode } from './modes.ts';

const WARM_UP_S = 6;
/** The spool may add this share. */
const BAR = 0.15;

const seconds = Number(process.argv[2] ?? 20);
const rounds = Number(process.argv[3] ?? 3);
if (!(seconds > 0 && rounds > 0)) {
  console.error('for how many seconds, and how many rounds?');
  process.exit(2);
}

interface Figures {
  collectorUs: number;
  databaseUs: number;
}

const database = await benchDatabase();
const mode = MODES.pdus as Mode;
const devices = await mode.start();
const runs: Record<'on' | 'off', Figures[]> = { on: [], off: [] };
try {
  console.log(`${mode.title}, ${rounds} x ${seconds} s each, ${database.label}`);
  for (let round = 1; round <= rounds; round++) {
    for (const spool of ['off', 'on'] as const) {
      const { collectorUs, databaseUs } = await measure(spool);
      runs[spool].push({ collectorUs, databaseUs });
      console.log(
        `  round ${round}, spool ${spool.padEnd(4)}collector ${collectorUs.toFixed(2)}  PostgreSQL ${databaseUs.toFixed(2)}  in all ${(collectorUs + databaseUs).toFixed(2)} us a value`,
      );
    }
  }
} finally {
  await devices.stop();
  await database.drop();
}
const [without, withIt] = [mean(runs.off), mean(runs.on)];
const rise = withIt / without - 1;
console.log(
  `  without ${without.toFixed(2)}, with ${withIt.toFixed(2)} us a value: ${(rise * 100).toFixed(1)}% more (bar ${BAR * 100}%)`,
);
process.exitCode = rise < BAR ? 0 : 1;

async function measure(spool: 'on' | 'off'): Promise<Figures> {
  const settings = `spool: {enabled: ${spool === 'on'}}\n`;
  const kw = await startKw({ metrics: devices.yaml, database: database.url, settings });
  try {
    await sleep(WARM_UP_S * 1000);
    const meter = new CpuMeter({ collector: kw.pid, postmaster: database.postmaster });
    const before = await kw.counters();
    await sleep(seconds * 1000);
    const after = await kw.counters();
    const cpu = meter.stop();
    const values = after.stored - before.stored;
    return { collectorUs: cpu.collectorUs / values, databaseUs: cpu.databaseUs / values };
  } finally {
    await kw.stop();
  }
}

function mean(figures: readonly Figures[]): number {
  return (
    figures.reduce((sum, { collectorUs, databaseUs }) => sum + collectorUs + databaseUs, 0) / figures.length
  );
}
