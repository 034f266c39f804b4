/** A collector that is killed again and again: what it had flushed is stored, once, whether the database was there or not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { untilDrained } from '../../support/faults/expectation.ts';
import { FRAMES_PER_SECOND } from '../../support/faults/frameFeed.ts';
import { type Load, startLoad } from '../../support/faults/load.ts';
import { missingFrames } from '../../support/faults/stored.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { random } from '../../support/random.ts';

const KILLS = 20;
/** A collector lives that long; in an outage some of them live long enough to have flushed more than they may lose. */
const SHORT_MS = [100, 900] as const;
const LONG_MS = 3_500;
/** Kills at which the database is away, from the first to the last; those of LONG_MS among them. */
const AWAY = { first: 8, last: 14, long: [9, 12] } as const;

/** A flush a second, and as long again for a machine that is busy and a disk that is slow. */
const LOSS_FRAMES = 2 * FRAMES_PER_SECOND;

const dice = random(20);
const between = ([least, most]: readonly [number, number]) => least + (dice() % (most - least));

describe('a collector at 500 polled and 2,100 streamed values a second that is killed 20 times', () => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let load: Load;
  beforeEach(async () => {
    db = await testDatabase();
    proxy = await halfOpenProxy(db.target);
  });
  afterEach(async () => {
    await load?.remove();
    await proxy.close();
    await db.drop();
  });

  // A wattmeter's frames say which were stored: the last flush before each kill is where a run may end.
  it('loses a flush interval each time at most, and stores nothing twice', { timeout: 120_000 }, async () => {
    load = await startLoad({ database: db.url, databaseUrl: proxy.target.url, frames: 'period' });
    for (let kill = 0; kill < KILLS; kill++) {
      if (kill === AWAY.first) proxy.refuse();
      await sleep((AWAY.long as readonly number[]).includes(kill) ? LONG_MS : between(SHORT_MS));
      await load.collector.kill();
      if (kill === AWAY.last) await proxy.heal();
      await load.collector.start();
    }
    await sleep(1_500);
    await untilDrained(load);
    const outcome = await load.settle();
    const { code, twice, outOfOrder, damaged } = outcome;
    expect({ code, twice, outOfOrder, damaged }).toEqual({ code: 0, twice: 0, outOfOrder: 0, damaged: 0 });

    const runs = missingFrames(outcome, load.feed.sent(), load.feed.ports);
    expect(runs.length).toBe(KILLS + 1);
    expect(runs.filter(({ elsewhere }) => elsewhere > 0)).toEqual([]);
    expect(runs.filter(({ atEnd }) => atEnd > LOSS_FRAMES)).toEqual([]);
    expect(runs.at(-1)?.atEnd).toBe(0);
    for (const { device, gaps, first } of outcome.polled) {
      const missing = gaps.reduce((sum, { after, before }) => sum + before - after - 1, first - 1);
      expect({ device, tooMany: missing > 2 * KILLS ? missing : 0 }).toEqual({ device, tooMany: 0 });
    }
  });
});
