/** A database that is away, in each way that a database can be: what was read meanwhile is stored afterwards, once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectStoredOnce, untilDrained, untilMuchWaits } from '../../support/faults/expectation.ts';
import { type Load, startLoad } from '../../support/faults/load.ts';
import { type OwnServer, startOwnServer } from '../../support/faults/ownServer.ts';
import { canMount } from '../../support/faults/smallDisk.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { skipUnless } from '../../support/skip.ts';

const BEFORE_MS = 1_000;
const OUTAGE_MS = 6_000;
describe('an outage of the database at 500 polled and 2,100 streamed values a second', () => {
  let server: OwnServer;
  let proxy: HalfOpenProxy;
  let load: Load;
  beforeAll(async () => {
    server = await startOwnServer();
    proxy = await halfOpenProxy({ url: server.url, label: 'own server', embedded: false });
  });
  afterAll(async () => {
    await load?.remove();
    await proxy?.close();
    await server?.remove();
  });

  // One after the other on one collector: what an outage leaves behind is there for the next.
  it('is bridged when connections are refused, when they hang, and when the server is stopped', async () => {
    load = await startLoad({ database: server.url, databaseUrl: proxy.target.url });
    const faults: [() => unknown, () => unknown][] = [
      [() => proxy.refuse(), () => proxy.heal()],
      [() => proxy.hang(), () => proxy.heal()],
      [() => server.stop(), () => server.start()],
    ];
    for (const [harm, heal] of faults) {
      await sleep(BEFORE_MS);
      await harm();
      await sleep(OUTAGE_MS);
      await untilMuchWaits(load);
      await heal();
      await untilDrained(load);
    }
    expectStoredOnce(await load.settle());
  });
});

describe.skipIf(skipUnless('the right to mount', canMount))('a server whose disk is full', () => {
  let server: OwnServer;
  let load: Load;
  beforeAll(async () => {
    server = await startOwnServer({ spareBytes: 100_000_000 });
  });
  afterEach(async () => {
    await load?.remove();
    await server?.remove();
  });

  it('loses nothing and gets nothing twice', async () => {
    load = await startLoad({ database: server.url });
    await sleep(BEFORE_MS);
    server.disk?.fill(0);
    await untilMuchWaits(load);
    server.disk?.free();
    // A server that could not write its log of transactions has ended.
    await server.start();
    await untilDrained(load);
    expectStoredOnce(await load.settle());
    expect(load.collector.log().find(({ msg }) => /takes no values now/.test(msg))?.problem).toMatch(
      /No space left on device/,
    );
  });
});
