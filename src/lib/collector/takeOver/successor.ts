/**
 * A collector that takes over from the one that runs: what it asks, and what it waits for. The states are those of
 * predecessor.ts, seen from the other side.
 */
import { connect } from 'node:net';
import { KwError } from '../../errors.ts';
import { folderSocket } from '../../folderSocket.ts';
import type { Logger } from '../../logger.ts';
import { askHolder, identityFolder } from '../identity.ts';
import type { Promotion } from '../promotions.ts';
import type { Grid } from '../schedule.ts';
import {
  Conversation,
  type Offer,
  offer,
  released,
  sharedClockAheadMs,
  VERSION,
  yours,
} from './conversation.ts';

/** What a successor is told. */
export interface Inheritance {
  /** UUID: the same collector. */
  readonly id: string;
  /** From when on it reads: microseconds since the epoch. */
  readonly atUs: number;
  readonly grid: Grid;
  readonly promotions: readonly Promotion[];
}

export interface Successor extends Inheritance {
  /** Milliseconds until it must say that it is ready. */
  readonly leftMs: number;
  /** Ready. @throws KwError TAKE_OVER_REFUSED, TAKE_OVER_FAILED: the other one goes on */
  go(): Promise<void>;
  /** Resolves when the other one has kept what it read; one that hangs is ended. */
  untilReleased(): Promise<void>;
  /** Everything is taken over. */
  settled(): void;
}

const ANSWER_TIMEOUT_MS = 5_000;
/** Between being ready and the latest instant for it. */
const RESERVE_MS = 300;
/** How long the other one may go on after the instant: it writes for 30 s at most. */
const RELEASE_TIMEOUT_MS = 60_000;
const LONGEST_LEAD_MS = 10_000;

/** @throws KwError NO_COLLECTOR, TAKE_OVER_REFUSED, TAKE_OVER_FAILED */
export async function askForTakeOver(
  dataFolder: string,
  version: string,
  logger: Logger,
): Promise<Successor> {
  const folder = identityFolder(dataFolder);
  const predecessor = await openConversation(folder);
  predecessor.send({ version: VERSION, pid: process.pid, kw: version });
  let made: Offer;
  try {
    made = await predecessor.receive(offer, ANSWER_TIMEOUT_MS);
    checkClock(made);
  } catch (error) {
    predecessor.end();
    throw error;
  }
  const { id, atUs, fromMs, promotions, pid } = made;
  const anchorMs = anchorOf(made);
  const leftMs = () => fromMs - anchorMs - performance.now();
  return {
    id,
    atUs,
    grid: { anchorMs, fromMs },
    promotions: promotions.map((one) => ({ ...one, expiresAtUs: one.expiresAtUs })),
    get leftMs() {
      return Math.max(0, leftMs() - 2 * RESERVE_MS);
    },
    async go() {
      predecessor.send({ go: true });
      try {
        await predecessor.receive(yours, leftMs());
      } catch (error) {
        predecessor.end();
        throw error;
      }
    },
    async untilReleased() {
      try {
        await predecessor.receive(released, leftMs() + RELEASE_TIMEOUT_MS);
      } catch (error) {
        // It may have been killed; then the lock is free. One that hangs would keep it for ever.
        if (predecessor.isClosed) return;
        logger.error({ pid, problem: (error as Error).message }, 'the old collector hangs: it is killed');
        process.kill(pid, 'SIGKILL');
        await predecessor.closed;
      }
    },
    settled() {
      predecessor.send({ settled: true });
      predecessor.end();
    },
  };
}

/** What is added to `performance.now()` gives the time of the other one's schedule. */
function anchorOf({ gridAheadMs }: Offer): number {
  return gridAheadMs + sharedClockAheadMs();
}

/** Wall clocks may be set meanwhile, or corrected: the instant is told on the clock that both share. */
function checkClock(made: Offer): void {
  const inMs = made.fromMs - anchorOf(made) - performance.now();
  if (inMs > 0 && inMs < LONGEST_LEAD_MS) return;
  throw new KwError('the take-over failed: the two collectors do not have the same clock', {
    code: 'TAKE_OVER_FAILED',
    hint: 'both must run on the same machine; the old one goes on',
  });
}

async function openConversation(folder: string): Promise<Conversation> {
  const socket = connect(folderSocket(folder, 'takeover'));
  const failure = await new Promise<Error | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined)).once('error', resolve);
  });
  if (failure === undefined) return new Conversation(socket);
  const holder = await askHolder(folderSocket(folder, 'lock'));
  if (holder === undefined) {
    throw new KwError(`no collector runs on the folder ${folder}`, {
      code: 'NO_COLLECTOR',
      hint: 'there is nothing to take over: start this one without --take-over',
    });
  }
  throw new KwError(`the collector that runs (process ${holder}) cannot hand over`, {
    code: 'TAKE_OVER_REFUSED',
    hint: 'it is of an earlier version, or is ending: stop it, and start this one without --take-over',
  });
}
