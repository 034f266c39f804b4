/** Real agents: dead ones cost only themselves, and promotions take effect in under a second. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Collector } from '../../../src/lib/collector/collector.ts';
import { openClient } from '../../../src/lib/database/connection.ts';
import { readSql } from '../../../src/lib/packageRoot.ts';
import { pduEntries, testCollector } from '../../support/collector.ts';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { skipUnless } from '../../support/skip.ts';
import { type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';

const PDUS = 200;
const DEAD = 60;

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('a collector', () => {
  let agent: Snmpd;
  let db: TestDatabase;
  let collector: Collector | undefined;
  beforeAll(async () => {
    agent = await startSnmpd({ addresses: PDUS - DEAD, firstAddress: '127.26.9.1' });
  });
  afterAll(() => agent.stop());
  beforeEach(async () => {
    db = await testDatabase();
  });
  afterEach(async () => {
    await collector?.stop(() => 1_000);
    collector = undefined;
    await db.drop();
  });

  async function start(...args: Parameters<typeof testCollector>) {
    const made = await testCollector(...args);
    collector = made.collector;
    return made;
  }

  it('loses no interval of 140 PDUs although 60 others are dead', async () => {
    const { collector } = await start(db.target);
    // Silent, not refusing: a machine that is off sends no ICMP message.
    const silent = await Promise.all(
      Array.from({ length: DEAD }, async (_, index) => {
        const socket = createSocket('udp4').bind(agent.port, `127.26.9.${PDUS - DEAD + index + 1}`);
        await once(socket, 'listening');
        return socket;
      }),
    );
    const entries = Array.from({ length: PDUS }, (_, index) =>
      pduEntries(`pdu-${index}`, `127.26.9.${index + 1}`, agent.port),
    ).flat();
    await collector.start(entries);
    await sleep(10_500);
    await collector.stop(() => 10_000);
    for (const socket of silent) socket.close();
    const statuses = collector.deviceStatuses();
    const alive = statuses.filter(({ up }) => up);
    const dead = statuses.filter(({ up }) => !up);
    expect(alive).toHaveLength(PDUS - DEAD);
    expect(dead).toHaveLength(DEAD);
    expect(alive.filter(({ polls, missed }) => polls < 10 || missed > 0)).toEqual([]);
    expect(dead.filter(({ errors, missed }) => (errors.timeout ?? 0) < 9 || missed > 0)).toEqual([]);
    const { rows } = await db.client.query(`
      SELECT count(*)::int AS gaps FROM (
        SELECT timestamp - lag(timestamp) OVER (PARTITION BY device_id ORDER BY timestamp) AS gap
        FROM kw.metrics WHERE labels ->> 'outlet' = '1') g WHERE gap > interval '1.5 s'`);
    expect(rows).toEqual([{ gaps: 0 }]);
    const stored = await db.client.query('SELECT count(*)::int AS n FROM kw.metrics');
    expect(stored.rows).toEqual([{ n: collector.counters().read }]);
  });

  const optional = () => [
    ...pduEntries('pdu-1', '127.26.9.1', agent.port, { outlets: 1 }),
    ...pduEntries('pdu-1', '127.26.9.1', agent.port, {
      name: 'pdu_board_watt',
      outlets: 1,
      optional: true,
      updateEveryMs: 10_000,
      optionalUpdateEveryMs: 200,
      labels: { _device_alias: 'node-1' },
    }),
  ];

  async function boardValues(): Promise<number> {
    const { rows } = await db.client.query(
      "SELECT count(*)::int AS n FROM kw.metrics WHERE metric_id = 'pdu_board_watt'",
    );
    return rows[0].n;
  }

  async function enable(seconds: number): Promise<void> {
    await db.client.query("SELECT kw.enable_metrics(ARRAY['node-1'], 'pdu_b.*', NULL, NULL, $1)", [seconds]);
  }

  it('reads an optional metric within a second of its promotion, and stops as quickly', async () => {
    const { collector } = await start(db.target);
    await collector.start(optional());
    await sleep(2_500);
    expect(await boardValues()).toBe(0);
    const read = () => collector.counters().read;
    const before = read();
    await enable(60);
    await sleep(900);
    // One from the schedule at most; the others are the promoted ones, at 200 ms.
    expect(read() - before).toBeGreaterThan(3);
    await sleep(2_000);
    expect(await boardValues()).toBeGreaterThan(7);
    await db.client.query("SELECT kw.disable_metrics(ARRAY['node-1'], 'pdu_b.*')");
    await sleep(900);
    const ended = read();
    await sleep(2_000);
    expect(read() - ended).toBeLessThanOrEqual(2);
  });

  it('ends a promotion on time although the database is away, and starts none', async () => {
    const proxy: HalfOpenProxy = await halfOpenProxy(db.target);
    try {
      const { collector } = await start(proxy.target);
      await collector.start(optional());
      await enable(3);
      await sleep(1_500);
      proxy.refuse();
      const before = collector.counters().read;
      await sleep(1_000);
      expect(collector.counters().read - before).toBeGreaterThan(3);
      await sleep(1_500);
      const ended = collector.counters().read;
      await sleep(2_000);
      expect(collector.counters().read - ended).toBeLessThanOrEqual(3);
      await proxy.heal();
      await collector.stop(() => 5_000);
    } finally {
      await proxy.close();
    }
  });

  it('tells the database what it reads and how its devices are', async () => {
    const { collector } = await start(db.target);
    await collector.start([...optional(), ...pduEntries('dead', '127.26.9.250', agent.port, { outlets: 1 })]);
    await sleep(3_500);
    const catalogue = await db.client.query(
      'SELECT device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol FROM kw.metric_catalogue ORDER BY 1, 2',
    );
    expect(catalogue.rows).toEqual([
      row('dead', 'pdu_outlet_power_watt', '', 1000, false, null),
      row('pdu-1', 'pdu_board_watt', 'node-1', 10_000, true, 200),
      row('pdu-1', 'pdu_outlet_power_watt', '', 1000, false, null),
    ]);
    const devices = await db.client.query(
      'SELECT device_id, protocol, up, period_ms FROM kw.device_status ORDER BY 1',
    );
    expect(devices.rows).toEqual([
      { device_id: 'dead', protocol: 'snmp', up: false, period_ms: 1000 },
      { device_id: 'pdu-1', protocol: 'snmp', up: true, period_ms: 1000 },
    ]);
    await collector.reload(pduEntries('pdu-1', '127.26.9.1', agent.port, { outlets: 1 }));
    await sleep(1_500);
    const after = await db.client.query(
      'SELECT (SELECT count(*)::int FROM kw.metric_catalogue) AS metrics, (SELECT count(*)::int FROM kw.device_status) AS devices',
    );
    expect(after.rows).toEqual([{ metrics: 1, devices: 1 }]);
  });

  function row(
    device_id: string,
    metric_id: string,
    alias: string,
    period_ms: number,
    isOptional: boolean,
    optional_period_ms: number | null,
  ) {
    return {
      device_id,
      metric_id,
      alias,
      period_ms,
      optional: isOptional,
      optional_period_ms,
      protocol: 'snmp',
    };
  }

  it('needs no more rights than those of kw_collector', async () => {
    const user = `kw_test_collector_${process.pid}`;
    await db.client.query(`CREATE ROLE ${user} LOGIN PASSWORD 'secret' IN ROLE kw_collector`);
    try {
      const database = targetOf((await db.client.query('SELECT current_database() AS name')).rows[0].name, {
        user,
        password: 'secret',
      });
      const { collector, log } = await start(database);
      await collector.start(optional());
      await enable(60);
      await sleep(3_000);
      expect(await boardValues()).toBeGreaterThan(5);
      const told = await db.client.query(
        'SELECT (SELECT count(*)::int FROM kw.metric_catalogue) AS metrics, (SELECT count(*)::int FROM kw.device_status) AS devices',
      );
      expect(told.rows).toEqual([{ metrics: 2, devices: 1 }]);
      const client = await openClient(database);
      await client.query(readSql('queries/collector_maintain')).finally(() => client.end());
      expect(await collector.stop(() => 5_000)).toBe(0);
      expect(log).toEqual([]);
    } finally {
      await db.client.query(`DROP ROLE ${user}`);
    }
  });

  it('publishes up to where everything is stored, and keeps that promise', async () => {
    const { collector } = await start(db.target);
    await collector.start(pduEntries('pdu-1', '127.26.9.1', agent.port));
    for (let check = 0; check < 4; check++) {
      await sleep(400);
      const { rows } = await db.client.query(`
        SELECT extract(epoch FROM clock_timestamp() - c.written_up_to)::float8 AS lag_s, c.written_up_to AS upto,
          (SELECT count(*)::int FROM kw.metrics m WHERE m.timestamp < c.written_up_to) AS n FROM kw.collectors c`);
      const [now] = rows;
      if (!now?.upto) continue;
      expect(now.lag_s).toBeLessThan(2.5);
      await sleep(1_500);
      const later = await db.client.query('SELECT count(*)::int AS n FROM kw.metrics WHERE timestamp < $1', [
        now.upto,
      ]);
      expect(later.rows).toEqual([{ n: now.n }]);
    }
  });
});
