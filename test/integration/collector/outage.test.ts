/** A database that is away is bridged: what was read meanwhile is stored afterwards, once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MetricEntry } from '../../../src/lib/config/model.ts';
import { type DatabaseTarget, openClient } from '../../../src/lib/database/connection.ts';
import { startEmbedded, stopEmbedded } from '../../../src/lib/database/embedded/server.ts';
import { pduEntries, testCollector, testIdentity } from '../../support/collector.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { runKw } from '../../support/kw.ts';
import { skipUnless } from '../../support/skip.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const PDUS = 10;

interface Stored {
  rows: number;
  distinct: number;
  /** Of one outlet. */
  widest_gap_s: number;
}

async function storedIn(database: DatabaseTarget): Promise<Stored> {
  const client = await openClient(database);
  try {
    const { rows } = await client.query<Stored>(`
      SELECT count(*)::int AS rows, count(DISTINCT (device_id, labels, timestamp))::int AS distinct,
        (SELECT max(gap) FROM (
          SELECT extract(epoch FROM timestamp - lag(timestamp) OVER (PARTITION BY device_id ORDER BY timestamp))::float8 AS gap
          FROM kw.metrics WHERE labels ->> 'outlet' = '1') g) AS widest_gap_s
      FROM kw.metrics`);
    return rows[0] as Stored;
  } finally {
    await client.end();
  }
}

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('an outage', () => {
  let agent: Snmpd;
  let entries: MetricEntry[];
  beforeAll(async () => {
    agent = await startSnmpd({ addresses: PDUS, firstAddress: '127.26.9.1' });
    entries = agent.addresses.flatMap((address, index) => pduEntries(`pdu-${index}`, address, agent.port));
  });
  afterAll(() => agent.stop());

  describe('of the way to the database', () => {
    let db: TestDatabase;
    let proxy: HalfOpenProxy;
    beforeEach(async () => {
      db = await testDatabase();
      proxy = await halfOpenProxy(db.target);
    });
    afterEach(async () => {
      await proxy.close();
      await db.drop();
    });

    it.each(['refuse', 'hang'] as const)('is bridged when connections %s', async (kind) => {
      const { collector, log } = await testCollector(proxy.target, { writeTimeoutMs: 1_500 });
      await collector.start(entries);
      await sleep(3_000);
      proxy[kind]();
      await sleep(5_000);
      expect(collector.writer.awayMs).toBeGreaterThan(1_000);
      expect(collector.counters().waiting).toBeGreaterThan(2 * PDUS * 24);
      await proxy.heal();
      await sleep(kind === 'hang' ? 8_000 : 4_000);
      expect(collector.writer.awayMs).toBeUndefined();
      expect(collector.counters().waiting).toBeLessThan(2 * PDUS * 24);
      expect(await collector.stop(() => 10_000)).toBe(0);
      const { read, stored, missed, lost } = collector.counters();
      expect({ missed, lost, notStored: read - stored }).toEqual({ missed: 0, lost: 0, notStored: 0 });
      const { rows, distinct, widest_gap_s } = await storedIn(db.target);
      expect(rows).toBe(read);
      expect(distinct).toBe(read);
      expect(widest_gap_s).toBeLessThan(1.5);
      expect(log).toEqual(['the database takes no values now: they wait here']);
    });

    it('loses the oldest values beyond its bound, counts them, and stops in time', async () => {
      const { collector, log } = await testCollector(proxy.target, { bufferBytes: 50_000 });
      proxy.refuse();
      await collector.start(entries);
      await sleep(6_000);
      const { lost, read, waitingBytes } = collector.counters();
      expect(lost).toBeGreaterThan(PDUS * 24);
      expect(waitingBytes).toBeLessThanOrEqual(50_000);
      expect(log).toContain('the buffer is full: the oldest values are lost');
      const from = performance.now();
      const lostAtEnd = await collector.stop(() => 1_000);
      expect(performance.now() - from).toBeLessThan(4_000);
      expect(lostAtEnd).toBeGreaterThan(0);
      expect(collector.counters().lost).toBeGreaterThanOrEqual(read);
      expect((await storedIn(db.target)).rows).toBe(0);
    });
  });

  it('of which not all was kept is told with the answer: when, and how many values', async () => {
    const db = await testDatabase();
    const proxy = await halfOpenProxy(db.target);
    try {
      const { collector } = await testCollector(proxy.target, { bufferBytes: 50_000 });
      await collector.start(entries);
      await sleep(2_500);
      proxy.refuse();
      await sleep(4_500);
      await proxy.heal();
      await sleep(3_000);
      expect(await collector.stop(() => 10_000)).toBe(0);
      const { read, lost } = collector.counters();
      expect(lost).toBeGreaterThan(PDUS * 24);
      const { rows, distinct } = await storedIn(db.target);
      expect({ rows, distinct }).toEqual({ rows: read - lost, distinct: read - lost });
      const { rows: losses } = await db.client.query(
        `SELECT samples, abs(extract(epoch FROM lost_until - lost_from) - (samples / ${PDUS * 24} - 1)) < 1.2 AS their_time,
           (SELECT count(*)::int FROM kw.metrics WHERE timestamp BETWEEN lost_from AND lost_until) AS stored_within,
           (SELECT count(*)::int FROM kw.metrics WHERE timestamp < lost_from) > 0 AS stored_before
         FROM kw.collector_losses`,
      );
      expect(losses).toEqual([{ samples: lost, their_time: true, stored_within: 0, stored_before: true }]);
      const { stderr } = await runKw(['query', '--device', 'pdu-1', '--from', '-1m', '--format', 'csv'], {
        env: { KW_DATABASE_URL: db.url },
      });
      expect(stderr).toMatch(
        new RegExp(
          `^warning: ${lost} values of the collector test were lost between \\S+ and \\S+: the database was away for longer than the buffer holds$`,
          'm',
        ),
      );
    } finally {
      await proxy.close();
      await db.drop();
    }
  });

  it('of the collector itself is told with the answer, once it runs again', async () => {
    const db = await testDatabase();
    try {
      const identity = testIdentity();
      const run = async (segment: number) => {
        const startedAtUs = Date.now() * 1000;
        const { collector } = await testCollector(db.target, {
          identity: { ...identity, segment, startedAtUs },
        });
        await collector.start(entries);
        await sleep(2_500);
        return { collector, startedAtUs };
      };
      const first = await run(1);
      expect(await first.collector.stop(() => 5_000)).toBe(0);
      await sleep(1_500);
      const { collector, startedAtUs } = await run(2);
      const env = { KW_DATABASE_URL: db.url };
      const query = ['query', '--device', 'pdu-1', '--format', 'csv', '--from', '-1m'];
      const { stderr } = await runKw(query, { env });
      const gap = /^warning: no collector ran for pdu-1 from (\S+) to (\S+) \(test was stopped\)$/m.exec(
        stderr,
      );
      expect(Date.parse(gap?.[2] ?? '') * 1000).toBe(startedAtUs);
      const gapMs = Date.parse(gap?.[2] ?? '') - Date.parse(gap?.[1] ?? '');
      expect(gapMs).toBeGreaterThan(1_400);
      expect(gapMs).toBeLessThan(2_900);
      const { rows } = await db.client.query(
        'SELECT 1 FROM kw.metrics WHERE timestamp > $1 AND timestamp < $2',
        [gap?.[1], gap?.[2]],
      );
      expect(rows).toEqual([]);
      // It lags by a moment, which is told; who waits gets it, and hears nothing more of it.
      expect(stderr).toContain('complete up to ');
      const waited = await runKw([...query, '--wait', '10s'], { env });
      expect(waited.stderr.trimEnd().split('\n')).toEqual([gap?.[0]]);
      await collector.stop(() => 5_000);
    } finally {
      await db.drop();
    }
  });

  it('is bridged when the server is stopped and started', async () => {
    const { folder, remove } = temporaryFolder();
    try {
      const { url, label } = await startEmbedded(folder);
      const database = { url, label, embedded: true };
      const { collector } = await testCollector(database);
      await collector.start(entries);
      await sleep(3_000);
      await stopEmbedded(folder);
      await sleep(4_000);
      expect(collector.writer.awayMs).toBeGreaterThan(1_000);
      const again = await startEmbedded(folder);
      expect(again.url).toBe(url);
      await sleep(6_000);
      expect(await collector.stop(() => 10_000)).toBe(0);
      const { read, missed } = collector.counters();
      expect(missed).toBe(0);
      const { rows, distinct, widest_gap_s } = await storedIn(database);
      expect(rows).toBe(read);
      expect(distinct).toBe(read);
      expect(widest_gap_s).toBeLessThan(1.5);
    } finally {
      await stopEmbedded(folder);
      remove();
    }
  });
});
