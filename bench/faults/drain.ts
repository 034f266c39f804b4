/** What happens once a fault is over: how long until nothing waits any more, and how old the newest stored value is meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Load } from '../../test/support/faults/load.ts';
import { whenItIsThere } from './whenItIsThere.ts';

/** Less than comes in two seconds. */
const NOTHING = 90_000;
const PATIENCE_S = 300;

export class Drain {
  /** Values that waited when the fault was over. */
  waited = 0;
  seconds = 0;
  /** The worst, from when the first value was stored that was read after the fault. */
  liveBehindS = 0;

  static async follow(load: Load, url: string): Promise<Drain> {
    const drain = new Drain();
    const from = performance.now();
    const client = await whenItIsThere(url);
    try {
      drain.waited = (await load.collector.counters()).waiting;
      let isLive = false;
      for (;;) {
        const behindS = await behind(client);
        drain.seconds = Math.round((performance.now() - from) / 1000);
        isLive ||= behindS < (performance.now() - from) / 1000;
        if (isLive) drain.liveBehindS = Math.max(drain.liveBehindS, behindS);
        if ((await load.collector.counters()).waiting < NOTHING && isLive) return drain;
        if (drain.seconds > PATIENCE_S) throw new Error(`what waited is not stored after ${PATIENCE_S} s`);
        await sleep(500);
      }
    } finally {
      await client.end();
    }
  }
}

/** Age of the newest value of a wattmeter. */
async function behind(client: Client): Promise<number> {
  const { rows } = await client.query<{ age: number | null }>(
    `SELECT extract(epoch FROM clock_timestamp() - max(timestamp))::float8 AS age
     FROM kw.metrics WHERE device_id = 'wm0-port0' AND timestamp > now() - interval '10 minutes'`,
  );
  return rows[0]?.age ?? Number.POSITIVE_INFINITY;
}
