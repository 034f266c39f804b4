/**
 * A collector that hands over to its successor.
 *
 *   alone     --hello-->             offering    an instant is named, two seconds ahead or so
 *   offering  --go, in time-->       promised    the schedule ends at that instant
 *   offering  --late, silent, gone-->alone
 *   promised  --gone, before it-->   alone       nothing was missed
 *   promised  --the instant-->       given       `given` resolves: this process ends what it began, and then itself
 */
import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { folderSocket } from '../../folderSocket.ts';
import type { Logger } from '../../logger.ts';
import { listen } from '../identity.ts';
import type { Promotion } from '../promotions.ts';
import type { Grid } from '../schedule.ts';
import { Conversation, go, hello, type Offer, settled, sharedClockAheadMs, VERSION } from './conversation.ts';

export interface PredecessorOptions {
  /** Of the identity that this process holds. */
  readonly folder: string;
  readonly logger: Logger;
  /** Of kw. */
  readonly version: string;
  readonly collector: {
    readonly identity: { readonly id: string };
    /** An instant from which on a successor may read. */
    offer(leadMs: number): { atUs: number; grid: Grid; promotions: readonly Promotion[] };
    /** Reads nothing from `fromMs` of its schedule on; resolves then. Infinity: takes that back. */
    endAt(fromMs: number): Promise<void>;
  };
}

/** A successor that waits for the lock. */
export interface Given {
  readonly atUs: number;
  /** Tells it that the lock is free. Resolves to whether it has taken everything over. */
  release(): Promise<boolean>;
}

export interface Predecessor {
  /** Resolves when the instant came. */
  readonly given: Promise<Given>;
  /** Hands over no more. */
  close(): void;
}

const HELLO_TIMEOUT_MS = 2_000;
/** It needs a moment to hear what is promoted now. */
const LEAD_MS = 1_500;
/** A successor must be ready that long before the instant. */
const MARGIN_MS = 300;
const SETTLE_TIMEOUT_MS = 15_000;

/** Takes successors from now on. A folder without room for a socket only means that nobody can take over. */
export function awaitSuccessor({ folder, logger, version: kw, collector }: PredecessorOptions): Predecessor {
  let isBusy = false;
  let give = (_given: Given) => {};
  const given = new Promise<Given>((resolve) => {
    give = resolve;
  });

  /** Resolves to whether the successor has it now: it is still to be told when the lock is free. */
  const talk = async (successor: Conversation): Promise<boolean> => {
    const { version, pid, kw: newer } = await successor.receive(hello, HELLO_TIMEOUT_MS);
    const refused =
      version !== VERSION
        ? `it speaks version ${VERSION} of the protocol, not ${version}`
        : isBusy && 'it hands over to another one already';
    if (refused) {
      successor.send({ refused });
      return false;
    }
    isBusy = true;
    try {
      const { atUs, grid, promotions } = collector.offer(LEAD_MS);
      const made: Offer = {
        version: VERSION,
        pid: process.pid,
        kw,
        id: collector.identity.id,
        atUs,
        fromMs: grid.fromMs,
        gridAheadMs: grid.anchorMs - sharedClockAheadMs(),
        promotions: promotions.map(({ expiresAtUs, ...rest }) => ({
          ...rest,
          ...(expiresAtUs !== undefined && { expiresAtUs }),
        })),
      };
      successor.send(made);
      await successor.receive(go, grid.fromMs - grid.anchorMs - performance.now() - MARGIN_MS);
      let isOver = false;
      const over = collector.endAt(grid.fromMs).then(() => {
        isOver = true;
      });
      successor.send({ yours: true });
      logger.info({ successor: pid, version: newer }, 'another collector takes over');
      await Promise.race([over, successor.closed]);
      if (!isOver) {
        void collector.endAt(Number.POSITIVE_INFINITY);
        logger.warn({ successor: pid }, 'the other collector is gone: this one goes on');
        return false;
      }
      give({ atUs, release: () => release(successor) });
      return true;
    } finally {
      isBusy = false;
    }
  };

  const server = createServer((socket) => {
    const successor = new Conversation(socket);
    talk(successor).then(
      (isGiven) => isGiven || successor.end(),
      (error: Error) => {
        logger.debug({ problem: error.message }, 'nobody takes over');
        successor.end();
      },
    );
  });
  void open(server, folder, logger);
  return { given, close: () => void server.close() };
}

/** Whether the successor lives: one that is slow does. */
async function release(successor: Conversation): Promise<boolean> {
  successor.send({ released: true });
  try {
    await successor.receive(settled, SETTLE_TIMEOUT_MS);
    return true;
  } catch {
    return !successor.isClosed;
  } finally {
    successor.end();
  }
}

async function open(server: Server, folder: string, logger: Logger): Promise<void> {
  server.unref();
  server.maxConnections = 4;
  const path = folderSocket(folder, 'takeover');
  try {
    // Whoever holds the folder may remove what another one left.
    unlinkSync(path);
  } catch {}
  const failure = await listen(server, path);
  if (failure) logger.warn({ problem: failure.message }, 'no other collector can take over from this one');
  else chmodSync(path, 0o600);
}
