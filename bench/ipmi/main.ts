/**
 * What reading BMCs costs and whether it keeps its instants: a real `kw collect` on real ipmi_sim processes and a real
 * database; and `ipmi-sensors`, which Kwollect runs for every poll, on the same BMCs in the same run.
 * See README.md beside this file.
 *
 *   node bench/run.js ipmi/main [bmcs=50] [seconds=30]
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SIM_SENSORS, type SimBmc, startBmcs } from '../../test/support/ipmiSim.ts';
import { findProgram } from '../../test/support/skip.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { CpuMeter, endedChildrenUs } from '../collect/cpu.ts';
import { benchDatabase } from '../support/database.ts';
import { startKw } from '../support/kw.ts';

const BAR_CORE_PERCENT = 15;
const BAR_TIMES_CHEAPER = 30;
const WARM_UP_S = 5;
/** The BMCs' addresses are 127.0.61.1 and so on. */
const NET = 61;

// Each BMC is ended with this process.
process.setMaxListeners(0);

const count = Number(process.argv[2] ?? 50);
const seconds = Number(process.argv[3] ?? 30);
if (!(count >= 1 && count <= 254 && seconds > 0)) {
  console.error('how many BMCs (1 to 254), and for how many seconds');
  process.exit(2);
}
process.exitCode = await measure();

/** Resolves to the exit code: 0 when every bar is met. */
async function measure(): Promise<number> {
  const database = await benchDatabase();
  const bmcs = await startBmcs(count, NET, { pollMs: 500, dcmi: false });
  const kw = await startKw({ metrics: metricsOf(bmcs), database: database.url });
  try {
    console.log(`${count} BMCs of ${SIM_SENSORS.length} sensors at 1 s, ${seconds} s, ${database.label}`);
    await sleep(WARM_UP_S * 1000);
    const meter = new CpuMeter({ collector: kw.pid, postmaster: database.postmaster });
    const fromMs = Date.now();
    const before = await kw.counters();
    await sleep(seconds * 1000);
    const after = await kw.counters();
    const cpu = meter.stop();
    const values = after.stored - before.stored;
    const tool = await ipmiSensorsUs(bmcs);
    await kw.stop();

    const { read, stored, missed, intervals, refused, lost } = await database.counters();
    const rows = await database.rows();
    const spacing = await database.spacing(fromMs);
    const offered = [...intervals.values()].reduce((sum, n) => sum + n, 0) * SIM_SENSORS.length;
    const collectorUs = cpu.collectorUs / values;
    const corePercent = cpu.collectorUs / (seconds * 1e4);
    const times = tool.readingUs / collectorUs;
    const show = (what: string, text: string) => console.log(`  ${what.padEnd(30)}${text}`);
    show('values a second', (values / seconds).toFixed(0));
    show('values offered, read, stored', `${offered}, ${read}, ${stored}; rows in the table ${rows}`);
    show('refused, lost', `${refused}, ${lost}`);
    show('missed intervals', `${missed}, gaps of two periods or more ${spacing.gaps}`);
    show('spacing, deviation p99', `${spacing.p99Ms.toFixed(2)} ms (worst ${spacing.worstMs.toFixed(2)} ms)`);
    show('collector, of a core', `${corePercent.toFixed(1)}% (bar ${BAR_CORE_PERCENT}%)`);
    show('CPU us a reading, collector', collectorUs.toFixed(1));
    show('CPU us a value, PostgreSQL', (cpu.databaseUs / values).toFixed(1));
    show(
      'CPU us a reading, ipmi-sensors',
      `${tool.readingUs.toFixed(0)}, ${tool.runMs.toFixed(1)} ms a run: ${times.toFixed(0)} times kw's (bar ${BAR_TIMES_CHEAPER})`,
    );
    show('memory of the collector', `${kw.peakMb()} MB`);
    const complete =
      offered === read && read === stored && stored === rows && missed === 0 && spacing.gaps === 0;
    if (!complete)
      console.log('  NOT COMPLETE: offered, read, stored and rows must be equal, and nothing missed');
    return complete && corePercent < BAR_CORE_PERCENT && times >= BAR_TIMES_CHEAPER ? 0 : 1;
  } finally {
    await kw.stop();
    await Promise.all(bmcs.map((bmc) => bmc.stop()));
    await database.drop();
  }
}

function metricsOf(bmcs: readonly SimBmc[]): string {
  return bmcs
    .flatMap(({ address, port }, index) =>
      SIM_SENSORS.map(
        ({ name, number }) =>
          `- name: bmc_sensor_${number}\n  device_id: node-${index + 1}\n  url: ipmisensor://kwoll:kwpass@${address}:${port}/${name}\n  update_every: 1000\n`,
      ),
    )
    .join('');
}

/**
 * One run of `ipmi-sensors` a BMC, all sensors, its records in its cache already (Kwollect has them read anew at every
 * poll). User and system time.
 */
async function ipmiSensorsUs(bmcs: readonly SimBmc[]): Promise<{ readingUs: number; runMs: number }> {
  const { folder, remove } = temporaryFolder();
  const program = findProgram('ipmi-sensors') ?? 'ipmi-sensors';
  const read = async ({ address, port }: SimBmc) => {
    const { stdout } = await promisify(execFile)(program, [
      ...['-b', '-D', 'LAN_2_0', '-h', `${address}:${port}`, '-u', 'kwoll', '-p', 'kwpass', '-l', 'user'],
      ...['-I', '3', '-W', 'opensesspriv', `--sdr-cache-directory=${join(folder)}`, '--quiet-cache'],
    ]);
    const lines = stdout.split('\n').filter((line) => /^\d+ +\|/.test(line));
    if (lines.length !== SIM_SENSORS.length) throw new Error(`ipmi-sensors read ${lines.length} sensors`);
  };
  try {
    for (const bmc of bmcs) await read(bmc);
    const beforeUs = endedChildrenUs();
    for (const bmc of bmcs) await read(bmc);
    const runUs = (endedChildrenUs() - beforeUs) / bmcs.length;
    return { readingUs: runUs / SIM_SENSORS.length, runMs: runUs / 1000 };
  } finally {
    remove();
  }
}
