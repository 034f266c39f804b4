/** The collector's own disk: full, read-only, or too small for an outage. It goes on, says so, and tells what it lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { expectStoredOnce, untilDrained, untilMuchWaits } from '../../support/faults/expectation.ts';
import { type Load, startLoad } from '../../support/faults/load.ts';
import { canMount, mountSmallDisk } from '../../support/faults/smallDisk.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

describe('a collector at 500 polled and 2,100 streamed values a second', () => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let load: Load | undefined;
  beforeEach(async () => {
    db = await testDatabase();
    proxy = await halfOpenProxy(db.target);
  });
  afterEach(async () => {
    await load?.remove();
    await proxy.close();
    await db.drop();
  });

  it.skipIf(skipUnless('the right to mount', canMount))(
    'goes on in memory while its disk is full, then read-only, and loses nothing in an outage meanwhile',
    async () => {
      const { folder, remove } = temporaryFolder();
      const disk = mountSmallDisk(folder, 20_000_000);
      try {
        load = await startLoad({
          database: db.url,
          databaseUrl: proxy.target.url,
          settings: `spool: {folder: ${folder}}\n`,
        });
        const { collector } = load;
        const said = (pattern: RegExp) => collector.log().some(({ msg }) => pattern.test(msg));
        await sleep(1_000);
        disk.fill(0);
        await waitUntil(() => said(/^the disk takes nothing/));
        await disk.makeReadOnly();
        proxy.refuse();
        await untilMuchWaits(load);
        expect((await collector.counters()).spool?.problem).toMatch(/read-only/);
        await proxy.heal();
        await untilDrained(load);
        disk.makeWritable();
        disk.free();
        await waitUntil(() => said(/^the disk takes values again/));
        expect((await collector.counters()).spool?.problem).toBeUndefined();
        expectStoredOnce(await load.settle());
      } finally {
        await load?.remove();
        disk.unmount();
        remove();
      }
    },
  );

  it('loses the oldest values beyond the bound of its spool, and tells exactly how many', async () => {
    // Never there: a COMMIT in doubt whose segment must go counts as lost, whether it is or not.
    proxy.refuse();
    load = await startLoad({
      database: db.url,
      databaseUrl: proxy.target.url,
      frames: 'period',
      settings: 'spool: {max_bytes: 1MB}\n',
    });
    const { collector } = load;
    await untilMuchWaits(load);
    // What another run left is on the disk only: memory keeps some minutes of this load for itself.
    await collector.stop();
    const { waiting } = collector.log().at(-1) as unknown as { waiting: number };
    await collector.start();
    await waitUntil(async () => (await collector.counters()).lost > 2_000);
    await proxy.heal();
    await untilDrained(load);
    const outcome = await load.settle();
    const { code, read, rows, twice, outOfOrder, damaged, lost, lostTold } = outcome;
    expect({ code, twice, outOfOrder, damaged }).toEqual({ code: 0, twice: 0, outOfOrder: 0, damaged: 0 });
    expect(lost).toBeGreaterThan(2_000);
    expect({ accountedFor: rows + lost, lostTold }).toEqual({
      accountedFor: waiting + read,
      lostTold: lost,
    });
    const { stdout } = await runKw(['status', '--json'], { env: { KW_DATABASE_URL: db.url } });
    expect(JSON.parse(stdout).collectors[0].counters.lost).toBe(lost);
  });
});
