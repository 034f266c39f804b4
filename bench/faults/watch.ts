/** What waits for the database while it is away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OUTLETS } from '../../test/support/snmpd.ts';
import type { RunningKw } from '../support/kw.ts';
import { PDUS } from './scenarios.ts';

/** How long what waits may take to be stored after the database is back. */
const CATCH_UP_S = 60;

/** Asks the collector every second how much waits for the database. */
export class Watch {
  readonly #kw: RunningKw;
  readonly #timer: NodeJS.Timeout;
  #mostBytes = 0;

  constructor(kw: RunningKw) {
    this.#kw = kw;
    this.#timer = setInterval(async () => {
      const counters = await kw.counters().catch(() => undefined);
      this.#mostBytes = Math.max(this.#mostBytes, counters?.waitingBytes ?? 0);
    }, 1000);
  }

  /** Seconds until no more waits than is gathered in two. */
  async untilStored(): Promise<number> {
    for (let second = 0; second < CATCH_UP_S; second++) {
      if ((await this.#kw.counters()).waiting < 2 * PDUS * OUTLETS) return second;
      await sleep(1000);
    }
    throw new Error(`what waited was not stored within ${CATCH_UP_S} s`);
  }

  /** The most that waited, in MB. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#mostBytes / 1e6;
  }
}
