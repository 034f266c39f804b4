/**
 * Whether a fault costs more than itself: a real `kw collect` on 200 PDUs of 24 outlets at 1 s, while devices or the
 * database misbehave for a minute. See README.md beside this file.
 *
 *   node bench/run.js faults/main [dead|slow|lying|hanging|refused|stopped|overflow|all] [seconds=60]
 */
import { OUTLETS, startSnmpd } from '../../test/support/snmpd.ts';
import { benchDatabase } from '../support/database.ts';
import { pduEntries } from '../support/entries.ts';
import { startKw } from '../support/kw.ts';
import { type Kept, keptOf } from './kept.ts';
import { openProxy, PDUS, SCENARIOS, type Scenario, wait } from './scenarios.ts';
import { Watch } from './watch.ts';

const WARM_UP_S = 10;
const AFTERWARDS_S = 5;

const name = process.argv[2] ?? 'all';
const seconds = Number(process.argv[3] ?? 60);
const chosen = name === 'all' ? Object.keys(SCENARIOS) : [name];
if (chosen.some((one) => !SCENARIOS[one]) || !(seconds > 0)) {
  console.error(`which one? ${Object.keys(SCENARIOS).join(', ')} or all; and for how many seconds`);
  process.exit(2);
}

console.log(`${PDUS} PDUs x ${OUTLETS} outlets at 1 s; the fault lasts ${seconds} s`);
console.log(
  '| fault | offered | read | stored | missed | twice | lost, told | waited at most | back after | memory |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const one of chosen) if (!(await measure(one, SCENARIOS[one] as Scenario))) process.exitCode = 1;

/** Prints a row. Resolves to whether nothing went missing but what was told. */
async function measure(label: string, scenario: Scenario): Promise<boolean> {
  const database = await benchDatabase();
  const agent = await startSnmpd({ addresses: scenario.healthy, firstAddress: '127.26.20.1' });
  const bad = await scenario.badDevices?.(agent.port);
  const proxy = scenario.proxied ? await openProxy(database) : undefined;
  const healthy = agent.addresses.map((address, index) => ({ device: `pdu-${index + 1}`, address }));
  const pdus = healthy.map(({ device, address }) => pduEntries(device, address, agent.port)).join('');
  const kw = await startKw({
    metrics: pdus + (bad?.yaml ?? ''),
    database: proxy?.target.url ?? database.url,
    settings: scenario.settings ?? '',
  });
  try {
    await wait(WARM_UP_S);
    const watch = new Watch(kw);
    const pause = () => wait(seconds);
    if (scenario.breakDatabase) await scenario.breakDatabase(database, proxy, pause);
    else await pause();
    const backS = scenario.breakDatabase ? await watch.untilStored() : undefined;
    await wait(AFTERWARDS_S);
    const waitedMb = watch.stop();
    const { read, lost } = await kw.counters();
    await kw.stop();
    const kept = await keptOf(
      database.client(),
      healthy.map(({ device }) => device),
    );
    const counted = await database.counters();
    const isRight = judge(scenario, kept, counted.lost);
    const cells = [
      `${label}: ${scenario.title}`,
      kept.offered,
      counted.read,
      kept.stored,
      kept.missed,
      kept.twice,
      `${counted.lost}, ${kept.lossesTold}`,
      `${waitedMb.toFixed(1)} MB`,
      backS === undefined ? '-' : `${backS} s`,
      `${kw.peakMb()} MB`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
    if (!isRight) console.log(`NOT RIGHT: ${JSON.stringify({ ...kept, read, lost })}`);
    return isRight;
  } finally {
    await kw.stop();
    await proxy?.close();
    await bad?.stop();
    await agent.stop();
    await database.drop();
  }
}

function judge({ mayLose }: Scenario, kept: Kept, lost: number): boolean {
  if (kept.twice > 0 || kept.incompleteReadings > 0) return false;
  if (!mayLose) return kept.missed === 0 && kept.stored === kept.offered && lost === 0;
  return lost > 0 && kept.lossesTold === lost && kept.stored + lost === kept.offered;
}
