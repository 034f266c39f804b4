/** Two collectors of one configuration: each value is stored by one of them, whatever happens to the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type CollectorProcess, collectorProcess } from '../../support/faults/collectorProcess.ts';
import { type PolledAgents, startCountingAgents } from '../../support/faults/polledAgents.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { runKw } from '../../support/runKw.ts';
import { clockOff, faketimeLibrary, intervalsOf, sharesOf } from '../../support/shardedCollectors.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

/** 500 values a second. */
const DEVICES = 20;

describe('two collectors', () => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let agents: PolledAgents;
  let started: CollectorProcess[];
  let homes: ReturnType<typeof temporaryFolder>[];
  beforeEach(async () => {
    started = [];
    homes = [];
    db = await testDatabase();
    proxy = await halfOpenProxy(db.target);
    agents = await startCountingAgents(DEVICES);
  });
  afterEach(async () => {
    await Promise.all(started.map((collector) => collector.kill()));
    await agents.stop();
    await proxy.close();
    await db.drop();
    for (const home of homes) home.remove();
  });

  async function start(name: string, options: { url?: string; env?: Record<string, string> } = {}) {
    const home = temporaryFolder();
    homes.push(home);
    const collector = await collectorProcess({
      folder: home.folder,
      metrics: agents.metrics(1_000),
      databaseUrl: options.url ?? db.url,
      settings: `collector: {name: ${name}}\n`,
      ...(options.env ? { env: options.env } : {}),
    });
    started.push(collector);
    await collector.start();
    return collector;
  }
  const shared = (...names: string[]) =>
    waitUntil(async () => {
      const shares = await sharesOf(db.client);
      const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
      const isShared = Object.values(shares).every((share) => share > 0);
      return isShared && Object.keys(shares).join() === names.join() && total === DEVICES;
    }, 15_000);

  it('divide the devices, miss nothing when one joins or leaves, and never store an interval twice in a partition', async () => {
    const one = await start('one');
    await shared('one');
    const two = await start('two', { url: proxy.target.url });
    await shared('one', 'two');
    const shares = await sharesOf(db.client);
    const told = one.log().flatMap(({ msg, devices }) => (msg === 'devices are shared' ? [devices] : []));
    expect(told).toEqual([DEVICES, shares.one]);
    await sleep(2_000);
    const readBefore = (await two.counters()).read;

    proxy.hang();
    const from = performance.now();
    await shared('one');
    expect(performance.now() - from).toBeLessThan(10_000);
    await sleep(3_000);
    // Cut off, it goes on.
    expect((await two.counters()).read - readBefore).toBeGreaterThan(5 * 25 * (shares.two ?? 0));

    await proxy.heal();
    await shared('one', 'two');
    await waitUntil(async () => (await two.counters()).waiting < 1_000, 15_000);
    await sleep(2_000);
    expect(await two.stop()).toBe(0);
    await shared('one');
    await sleep(2_000);
    expect(await one.stop()).toBe(0);

    const intervals = await intervalsOf(db.client);
    expect(intervals).toHaveLength(DEVICES);
    for (const device of intervals) {
      expect(device.twice).toBe(0);
      expect(device.shortest).toBeGreaterThan(0.5);
      expect(device.longest).toBeLessThan(2.2);
    }
    // Most of them not even by a part of an interval.
    expect(intervals.filter(({ longest }) => longest > 1.5).length).toBeLessThan(3);
  });

  describe.skipIf(skipUnless('faketime', faketimeLibrary !== undefined))('two days apart', () => {
    it('change places within 10 s when one is killed, and store the time of the database', async () => {
      await start('one', { env: clockOff(86_400) });
      await shared('one');
      const two = await start('two', { env: clockOff(-86_400) });
      await shared('one', 'two');
      const shares = await sharesOf(db.client);
      await sleep(3_000);
      await two.kill();
      await shared('one');
      await sleep(3_000);

      const intervals = await intervalsOf(db.client);
      expect(intervals.filter(({ twice, shortest }) => twice > 0 || shortest < 0.5)).toEqual([]);
      const taken = intervals.filter(({ longest }) => longest > 2.2);
      expect(taken).toHaveLength(shares.two ?? -1);
      for (const { longest } of taken) expect(longest).toBeLessThan(10);
      const { rows } = await db.client.query(
        "SELECT min(timestamp) > now() - interval '1 minute' AND max(timestamp) < now() + interval '1 s' AS ok FROM kw.metrics",
      );
      expect(rows).toEqual([{ ok: true }]);

      const device = taken[0]?.device ?? '';
      const told = () =>
        runKw(['query', '--device', device, '--from=-5m', '--format', 'csv'], {
          env: { KW_DATABASE_URL: db.url },
        });
      // It may only be cut off from the database, and still have values to store.
      expect((await told()).stderr).toMatch(
        /^warning: the collector two has written up to .*: later values may be missing/m,
      );
      await db.client.query("UPDATE kw.collectors SET seen_at = now() - interval '61 s' WHERE name = 'two'");
      const gaps = (await told()).stderr.split('\n').filter((line) => line.includes('no collector ran'));
      expect(gaps).toHaveLength(1);
      expect(gaps[0]).toMatch(
        new RegExp(
          `^warning: no collector ran for ${device} from \\S+ to \\S+ \\(two ended without a word\\)$`,
        ),
      );
    });
  });
});
