/**
 * 8 clients read 100,000 rows each, again and again, while 5,000 values a second are collected from real agents: no interval is
 * missed, every answer is whole. See README.md beside this file.
 *
 *   node bench/run.js paper/reading [--seconds 30]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fillForReaders, readForAWhile } from '../../test/support/readMetrics.ts';
import { startServe } from '../../test/support/serve.ts';
import { OUTLETS, startSnmpd } from '../../test/support/snmpd.ts';
import { benchDatabase } from '../support/database.ts';
import { pduEntries } from '../support/entries.ts';
import { startKw } from '../support/kw.ts';

const CLIENTS = 8;
const ROWS = 100_000;
/** 5,040 values a second. */
const PDUS = 210;
const WARM_UP_MS = 5_000;

const { values: args } = parseArgs({ options: { seconds: { type: 'string', default: '30' } } });
const seconds = Number(args.seconds);

const database = await benchDatabase();
await fillForReaders(database.client(), CLIENTS, ROWS);
const agent = await startSnmpd({ addresses: PDUS, firstAddress: '127.26.15.1' });
const kw = await startKw({
  metrics: agent.addresses.map((address, pdu) => pduEntries(`pdu-${pdu + 1}`, address, agent.port)).join(''),
  database: database.url,
});
const server = await startServe({ database: database.url, built: true });
try {
  await sleep(WARM_UP_MS);
  const fromMs = Date.now();
  const all = await readForAWhile(server.url, CLIENTS, seconds * 1000);
  const passedS = (Date.now() - fromMs) / 1000;
  await kw.stop();
  const broken = all.filter(({ rows, whole }) => rows !== ROWS || !whole).length;
  const { read, stored, missed, lost, intervals } = await database.counters();
  const offered = [...intervals.values()].reduce((sum, count) => sum + count, 0) * OUTLETS;
  const rows = (await database.rows()) - CLIENTS * ROWS;
  const spacing = await database.spacing(fromMs);
  const times = all.map(({ totalMs }) => totalMs).toSorted((a, b) => a - b);
  const show = (what: string, text: string) => console.log(`  ${what.padEnd(30)}${text}`);
  console.log(
    `${CLIENTS} clients beside ${PDUS * OUTLETS} values a second, ${passedS.toFixed(0)} s, ${database.label}`,
  );
  show('answers', `${all.length} of ${ROWS} rows, not whole ${broken}`);
  show('rows read a second', ((all.length * ROWS) / passedS).toFixed(0));
  show(
    'time of an answer',
    `median ${times[times.length >> 1]?.toFixed(0)} ms, longest ${times.at(-1)?.toFixed(0)} ms`,
  );
  show('values offered, read, stored', `${offered}, ${read}, ${stored}, rows in the table ${rows}`);
  show('missed intervals, lost values', `${missed}, ${lost}; gaps of two periods or more ${spacing.gaps}`);
  show('spacing, deviation p99', `${spacing.p99Ms.toFixed(2)} ms (worst ${spacing.worstMs.toFixed(2)} ms)`);
  const isComplete = offered === read && read === stored && stored === rows && lost === 0;
  process.exitCode = isComplete && broken === 0 && missed === 0 && spacing.gaps === 0 ? 0 : 1;
  if (process.exitCode)
    console.log('  NOT MET: every answer whole, offered = read = stored, no interval missed');
} finally {
  await kw.stop();
  await server.stop();
  await agent.stop();
  await database.drop();
}
