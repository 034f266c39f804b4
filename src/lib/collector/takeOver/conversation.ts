/**
 * What two collectors say to each other while one takes over from the other: JSON, one message a line, over a Unix
 * socket `takeover` in the folder of their identity, which only its owner may open.
 *
 *   successor                                         predecessor
 *   {version, pid, kw}                    -->
 *                                         <--         {version, pid, id, atUs, ...}: from atUs on it can be yours
 *   {go}                                  -->         in good time before atUs
 *                                         <--         {yours}: nothing from atUs on is read here
 *                        (both wait for atUs; if the connection ends before, the predecessor goes on)
 *                                         <--         {released}: what was read is kept, and the lock is free
 *   {settled}                             -->         the predecessor ends
 *
 * Instead of an answer the predecessor may say {refused}, with the reason.
 */
import type { Socket } from 'node:net';
import { z } from 'zod';
import { KwError } from '../../errors.ts';

export const VERSION = 1;
/** Promotions are told with the offer: a site has some thousands at most. */
const MAX_LINE_BYTES = 4 << 20;

const microseconds = z.int().positive();
export const hello = z.object({ version: z.int(), pid: z.int(), kw: z.string() });
export const offer = z.object({
  version: z.literal(VERSION),
  pid: z.int().positive(),
  kw: z.string(),
  /** UUID. */
  id: z.string().max(36),
  /** When the successor begins: microseconds since the epoch, a whole second. */
  atUs: microseconds,
  /** The same in the time of the predecessor's schedule, in milliseconds. */
  fromMs: z.number(),
  /** The time of its schedule less the clock that all processes of the machine share (CLOCK_MONOTONIC). */
  gridAheadMs: z.number(),
  promotions: z.array(
    z.object({ deviceId: z.string(), pattern: z.string(), expiresAtUs: microseconds.optional() }),
  ),
});
export const go = z.object({ go: z.literal(true) });
export const yours = z.object({ yours: z.literal(true) });
export const released = z.object({ released: z.literal(true) });
export const settled = z.object({ settled: z.literal(true) });
const refusal = z.object({ refused: z.string().max(1000) });

export type Offer = z.infer<typeof offer>;

/** One end of the conversation. What comes is kept until it is asked for. */
export class Conversation {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #rest = '';
  #wake = () => {};
  #isClosed = false;
  /** Resolves when the other end is gone. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('error', () => {});
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      if (this.#rest.length > MAX_LINE_BYTES || this.#lines.length > 10) socket.destroy();
      this.#wake();
    });
    socket.on('end', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(message: unknown): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /**
   * The next message.
   * @throws KwError TAKE_OVER_REFUSED with the other's words, TAKE_OVER_FAILED when it is gone, silent or says something else
   */
  async receive<T>(schema: z.ZodType<T>, timeoutMs: number): Promise<T> {
    const untilMs = performance.now() + timeoutMs;
    while (this.#lines.length === 0) {
      const leftMs = untilMs - performance.now();
      if (this.#isClosed) throw failed('the other collector is gone');
      if (leftMs <= 0) throw failed('the other collector does not answer');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    let message: unknown;
    try {
      message = JSON.parse(this.#lines.shift() as string);
    } catch {}
    const refused = refusal.safeParse(message);
    if (refused.success) {
      throw new KwError(`the collector that runs does not hand over: ${refused.data.refused}`, {
        code: 'TAKE_OVER_REFUSED',
        hint: 'stop it, and start this one without --take-over',
      });
    }
    const parsed = schema.safeParse(message);
    if (!parsed.success) throw failed('the other collector says something that this version does not know');
    return parsed.data;
  }

  /** Ends it, after what was sent. */
  end(): void {
    this.#socket.end();
    this.#socket.unref();
  }
}

function failed(why: string): KwError {
  return new KwError(`the take-over failed: ${why}`, {
    code: 'TAKE_OVER_FAILED',
    hint: 'a collector that still answers kw status goes on; else stop it, and start this one without --take-over',
  });
}

/** The clock that all processes of the machine share, less `performance.now()` of this one, in milliseconds. */
export function sharedClockAheadMs(): number {
  const beforeMs = performance.now();
  const sharedMs = Number(process.hrtime.bigint()) / 1e6;
  return sharedMs - (beforeMs + performance.now()) / 2;
}
