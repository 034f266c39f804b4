/**
 * Whether bad devices cost more than themselves: a real `kw collect` on 200 PDUs of 24 outlets at 1 s, 60 of which
 * misbehave for a minute. See README.md beside this file.
 *
 *   node bench/run.js faults/devices [dead|slow|lying|all] [seconds=60]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { OUTLETS, startSnmpd } from '../../test/support/snmpd.ts';
import { benchDatabase } from '../support/database.ts';
import { pduEntries } from '../support/entries.ts';
import { startKw } from '../support/kw.ts';
import { PDUS, SCENARIOS, type Scenario } from './badDevices.ts';
import { keptOf } from './kept.ts';

const WARM_UP_S = 10;

const name = process.argv[2] ?? 'all';
const seconds = Number(process.argv[3] ?? 60);
const chosen = name === 'all' ? Object.keys(SCENARIOS) : [name];
if (chosen.some((one) => !SCENARIOS[one]) || !(seconds > 0)) {
  console.error(`which one? ${Object.keys(SCENARIOS).join(', ')} or all; and for how many seconds`);
  process.exit(2);
}

console.log(`${PDUS} PDUs x ${OUTLETS} outlets at 1 s; the fault lasts ${seconds} s`);
console.log('| fault | offered | read | stored | missed | twice | memory |');
console.log('|---|---|---|---|---|---|---|');
for (const one of chosen) if (!(await measure(one, SCENARIOS[one] as Scenario))) process.exitCode = 1;

/** Prints a row. Resolves to whether nothing went missing but what was told. */
async function measure(label: string, scenario: Scenario): Promise<boolean> {
  const database = await benchDatabase();
  const agent = await startSnmpd({ addresses: scenario.healthy, firstAddress: '127.26.20.1' });
  const bad = await scenario.badDevices(agent.port);
  const healthy = agent.addresses.map((address, index) => ({ device: `pdu-${index + 1}`, address }));
  const pdus = healthy.map(({ device, address }) => pduEntries(device, address, agent.port)).join('');
  const kw = await startKw({ metrics: pdus + bad.yaml, database: database.url });
  try {
    await sleep((WARM_UP_S + seconds) * 1000);
    await kw.stop();
    const kept = await keptOf(
      database.client(),
      healthy.map(({ device }) => device),
    );
    const counted = await database.counters();
    const isRight =
      kept.twice + kept.incompleteReadings + kept.missed + counted.lost === 0 && kept.stored === kept.offered;
    const { offered, stored, missed, twice } = kept;
    const cells = [
      `${label}: ${scenario.title}`,
      ...[offered, counted.read, stored, missed, twice],
      `${kw.peakMb()} MB`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
    if (!isRight) console.log(`NOT RIGHT: ${JSON.stringify({ ...kept, lost: counted.lost })}`);
    return isRight;
  } finally {
    await kw.stop();
    await bad.stop();
    await agent.stop();
    await database.drop();
  }
}
