/**
 * What collecting costs and whether it keeps its instants: a real `kw collect` on real agents and a real database.
 * See README.md beside this file.
 *
 *   node bench/run.js collect/main [pdus|sessions|exporters] [seconds=60]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { benchDatabase } from '../support/database.ts';
import { startKw } from '../support/kw.ts';
import { CpuMeter } from './cpu.ts';
import { MODES, type Mode } from './modes.ts';

const WARM_UP_S = 10;

const name = process.argv[2] ?? 'pdus';
const seconds = Number(process.argv[3] ?? 60);
const mode = MODES[name];
if (!mode || !(seconds > 0)) {
  console.error(`which one? ${Object.keys(MODES).join(', ')}; and for how many seconds`);
  process.exit(2);
}
process.exitCode = await measure(mode);

/** Resolves to the exit code: 0 when every bar is met. */
async function measure({ title, start, barUs }: Mode): Promise<number> {
  const database = await benchDatabase();
  const devices = await start();
  const kw = await startKw({ metrics: devices.yaml, database: database.url });
  try {
    console.log(`${title}, ${seconds} s, ${database.label}`);
    await sleep(WARM_UP_S * 1000);
    const meter = new CpuMeter({ collector: kw.pid, postmaster: database.postmaster });
    const fromMs = Date.now();
    const before = await kw.counters();
    await sleep(seconds * 1000);
    const after = await kw.counters();
    const cpu = meter.stop();
    const values = after.stored - before.stored;
    await kw.stop();

    const collectorUs = cpu.collectorUs / values;
    const databaseUs = cpu.databaseUs / values;
    const { read, stored, missed, intervals, refused, lost } = await database.counters();
    const rows = await database.rows();
    const spacing = await database.spacing(fromMs);
    const offered = devices.offered(intervals, read);
    const totalUs = collectorUs + databaseUs;
    const show = (what: string, text: string) => console.log(`  ${what.padEnd(30)}${text}`);
    show('values a second', (values / seconds).toFixed(0));
    show('values offered', String(offered));
    show('values read', String(read));
    show('values stored', `${stored}, rows in the table ${rows}`);
    show('refused, lost', `${refused}, ${lost}`);
    show('missed intervals', `${missed}, gaps of two periods or more ${spacing.gaps}`);
    show('spacing, deviation p99', `${spacing.p99Ms.toFixed(2)} ms (worst ${spacing.worstMs.toFixed(2)} ms)`);
    show('drift of the phase', `${spacing.driftMs.toFixed(2)} ms (worst device, first to last second)`);
    show('CPU us a value, collector', collectorUs.toFixed(2));
    show('CPU us a value, PostgreSQL', databaseUs.toFixed(2));
    show('CPU us a value, in all', `${totalUs.toFixed(2)} (bar ${barUs})`);
    show('memory of the collector', `${kw.peakMb()} MB`);
    const complete =
      offered === read && read === stored && stored === rows && missed === 0 && spacing.gaps === 0;
    if (!complete)
      console.log('  NOT COMPLETE: offered, read, stored and rows must be equal, and nothing missed');
    return complete && totalUs < barUs ? 0 : 1;
  } finally {
    await kw.stop();
    await devices.stop();
    await database.drop();
  }
}
