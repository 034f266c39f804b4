/**
 * Reading never costs a measurement: 8 clients of kw serve read 100,000 rows each, again and again, while a collector reads real
 * agents. bench/paper does the same at 5,000 values a second.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { endProcess } from '../../support/endProcess.ts';
import { fillForReaders, readForAWhile } from '../../support/readMetrics.ts';
import { type Serve, startServe } from '../../support/serve.ts';
import { skipUnless } from '../../support/skip.ts';
import { OUTLET_WATT, OUTLETS, type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const CLIENTS = 8;
const ROWS = 100_000;
const PDUS = 40;
const READING_MS = 5_000;

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('while 8 clients read', () => {
  let db: TestDatabase;
  let agent: Snmpd;
  let server: Serve;
  let collector: ChildProcess;
  const { folder, remove } = temporaryFolder();

  beforeAll(async () => {
    [db, agent] = await Promise.all([
      testDatabase(),
      startSnmpd({ addresses: PDUS, firstAddress: '127.26.14.1' }),
    ]);
    await fillForReaders(db.client, CLIENTS, ROWS);
    mkdirSync(join(folder, 'metrics.d'));
    const entries = agent.addresses.flatMap((address, pdu) =>
      Array.from({ length: OUTLETS }, (_, outlet) => {
        const url = `snmp://public@${address}:${agent.port}/${OUTLET_WATT}.${outlet + 1}`;
        return `- {name: outlet_${outlet + 1}_watt, device_id: pdu-${pdu + 1}, url: "${url}", update_every: 1000}\n`;
      }),
    );
    writeFileSync(join(folder, 'metrics.d', 'pdus.yaml'), entries.join(''));
    writeFileSync(join(folder, 'kw.yaml'), 'metrics_dir: metrics.d\nlisten: off\n');
    server = await startServe({ database: db.url, built: true });
    collector = spawn(process.execPath, [join(packageRoot(), 'bin', 'run.js'), 'collect'], {
      stdio: 'ignore',
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        KW_CONFIG: join(folder, 'kw.yaml'),
        KW_DATA_DIR: join(folder, 'data'),
        KW_DATABASE_URL: db.url,
      },
    });
  });
  afterAll(async () => {
    if (collector) await endProcess(collector, 10_000);
    await server?.stop();
    await agent?.stop();
    await db?.drop();
    remove();
  });

  const stored = async () =>
    Number(
      (await db.client.query("SELECT count(*) AS n FROM kw.metrics WHERE device_id LIKE 'pdu-%'")).rows[0].n,
    );

  it('no interval is missed, every value is stored, and every answer is whole', async () => {
    await waitUntil(async () => (await stored()) >= PDUS * OUTLETS, 20_000, 100);

    const answers = await readForAWhile(server.url, CLIENTS, READING_MS);
    await endProcess(collector, 10_000);

    expect(answers.length).toBeGreaterThanOrEqual(CLIENTS);
    for (const { rows, whole } of answers) expect({ rows, whole }).toEqual({ rows: ROWS, whole: true });

    const { rows: counted } = await db.client.query(`
      SELECT (counters ->> 'polls')::int AS polls, (counters ->> 'missed')::int AS missed, (counters ->> 'lost')::int AS lost,
        (counters ->> 'read')::int AS read
      FROM kw.collectors`);
    const { polls, ...rest } = counted[0];
    // Each answered poll gave all outlets of a PDU, and all of it is stored.
    expect(rest).toEqual({ missed: 0, lost: 0, read: polls * OUTLETS });
    expect(await stored()).toBe(polls * OUTLETS);
    // As the rows themselves tell it: of each PDU one time a second.
    const { rows: gaps } = await db.client.query(`
      SELECT device_id, timestamp FROM (
        SELECT device_id, timestamp, timestamp - lag(timestamp) OVER (PARTITION BY device_id ORDER BY timestamp) AS distance
        FROM (SELECT DISTINCT device_id, timestamp FROM kw.metrics WHERE device_id LIKE 'pdu-%') t
      ) d WHERE distance > '1.9 seconds'`);
    expect(gaps).toEqual([]);
  });
});
