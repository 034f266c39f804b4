/**
 * Whether anything is lost, stored twice or out of order when something breaks: a real `kw collect` on 200 PDUs of 25
 * metrics at 1 s (a real snmpd) and 20 wattmeters of 42 ports at 50 frames a second, every frame stored: 5,000 and
 * 42,000 values a second. See README.md beside this file.
 *
 *   node bench/run.js faults/main [scenario|all] [seconds=60]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startLoad } from '../../test/support/faults/load.ts';
import { startOwnServer } from '../../test/support/faults/ownServer.ts';
import { startSnmpdAgents } from '../../test/support/faults/polledAgents.ts';
import { missingFrames } from '../../test/support/faults/stored.ts';
import { halfOpenProxy } from '../../test/support/halfOpenProxy.ts';
import { temporaryFolder } from '../../test/support/temporaryFolder.ts';
import { benchDatabase } from '../support/database.ts';
import { buildKw } from '../support/kw.ts';
import { Drain } from './drain.ts';
import { SCENARIOS, type Scenario, spoolDisk } from './scenarios.ts';

const PDUS = 200;
const WATTMETERS = 20;
const WARM_UP_S = 5;
/** Two flush intervals: a busy machine may be late with one. */
const LOSS_FRAMES = 100;

const name = process.argv[2] ?? 'all';
const seconds = Number(process.argv[3] ?? 60);
const chosen = name === 'all' ? Object.keys(SCENARIOS) : [name];
if (chosen.some((one) => !SCENARIOS[one]) || !(seconds > 0)) {
  console.error(`which one? ${Object.keys(SCENARIOS).join(', ')} or all; and for how many seconds`);
  process.exit(2);
}

buildKw();
console.log(`5,000 polled and 42,000 streamed values a second; the fault lasts ${seconds} s`);
console.log(
  '| fault | for | read | stored | twice | out of order | lost, told | refused | waited | drained in | live behind | memory |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|---|---|');
for (const one of chosen) {
  const scenario = SCENARIOS[one] as Scenario;
  if (scenario.needsOwnServer && process.env.KW_DATABASE_URL)
    console.log(`| ${one} | needs a server of its own |`);
  else if (!(await measure(one, scenario).catch(tell))) process.exitCode = 1;
}

function tell(error: unknown): false {
  console.log(`NOT RIGHT: ${(error as Error).stack}`);
  return false;
}

/** Prints a row. Resolves to whether what was read is stored once, but for what was told. */
async function measure(label: string, scenario: Scenario): Promise<boolean> {
  const { folder, remove } = temporaryFolder();
  const { serverSpareBytes: spareBytes, spoolDiskBytes } = scenario;
  const native = process.env.KW_DATABASE_URL ? await benchDatabase() : undefined;
  const server = native ? undefined : await startOwnServer(spareBytes === undefined ? {} : { spareBytes });
  const url = native?.url ?? server?.url ?? '';
  const proxy = await halfOpenProxy({ url, label: 'the database', embedded: false });
  const spool = spoolDiskBytes === undefined ? undefined : spoolDisk(folder, spoolDiskBytes);
  const load = await startLoad({
    database: url,
    databaseUrl: proxy.target.url,
    agents: await startSnmpdAgents(PDUS),
    wattmeters: WATTMETERS,
    prepare: scenario.prepare,
    ...scenario.options,
    ...(spool ? { settings: spool.settings } : {}),
  });
  try {
    await sleep(WARM_UP_S * 1000);
    const from = performance.now();
    await scenario.harm({ load, url, proxy, server, spoolDisk: spool?.disk, seconds });
    const lastedS = (performance.now() - from) / 1000;
    const drain = await Drain.follow(load, url);
    const outcome = await load.settle();
    const { read, rows, twice, outOfOrder, damaged, lost, lostTold, refused, code } = outcome;
    const runs = missingFrames(outcome, load.feed.sent(), load.feed.ports);
    const isKilled = scenario.mayLose === 'last second';
    const worstLost = Math.max(...runs.map(({ atEnd }) => atEnd));
    const isRight =
      code === 0 &&
      twice + outOfOrder === 0 &&
      // A reading that lacks the metric that is refused.
      damaged === (scenario.mayRefuse ? refused : 0) &&
      (scenario.mayRefuse ? refused > 0 : refused === 0) &&
      (isKilled
        ? worstLost <= LOSS_FRAMES && runs.every(({ elsewhere }) => elsewhere === 0)
        : rows === read - lost - refused &&
          lost === lostTold &&
          (scenario.mayLose === 'told' ? lost > 0 : lost === 0));
    const cells = [
      `${label}: ${scenario.title}`,
      `${lastedS.toFixed(0)} s`,
      // Of a collector that was killed nobody knows what it had read: what the wattmeters sent is all there is to compare.
      isKilled ? `${load.feed.rowsSent()} sent by wattmeters` : read,
      isKilled ? `${rows}, ${load.feed.rowsSent() - outcome.missingFrames} of wattmeters` : rows,
      twice,
      outOfOrder,
      isKilled ? `at most ${(worstLost / 50).toFixed(2)} s a kill` : `${lost}, ${lostTold}`,
      refused,
      drain.waited,
      `${drain.seconds} s`,
      `${drain.liveBehindS.toFixed(1)} s`,
      `${load.collector.peakMb()} MB`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
    if (!isRight)
      console.log(
        `NOT RIGHT: ${JSON.stringify({ ...outcome, polled: [], streamed: [], runs: isKilled ? runs : [] })}`,
      );
    return isRight;
  } finally {
    await load.remove();
    await proxy.close();
    spool?.disk.unmount();
    await server?.remove();
    await native?.drop();
    remove();
  }
}
