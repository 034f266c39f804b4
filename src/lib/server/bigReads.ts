/**
 * Bounds answers that are large and sent at the same time: each of them keeps a core of the database busy. A read takes a
 * place when it has made more than fits into one first packet, before anything was sent, so that small reads never
 * wait. Places go round by user, and one user has three quarters of them at most. Without a place for a while it is asked
 * to come again.
 */
import type { EventEmitter } from 'node:events';
import { FairLines, type Holder } from './fairLines.ts';
import { CLIENT_GONE, HttpProblem } from './problem.ts';

const RETRY_AFTER_S = 5;

export class BigReads {
  readonly #most: number;
  readonly #waitMs: number;
  readonly #lines: FairLines<() => void>;
  #refused = 0;

  constructor(most: number, waitMs: number) {
    this.#most = most;
    this.#waitMs = waitMs;
    this.#lines = new FairLines({ places: most, each: Math.max(1, Math.floor((most * 3) / 4)), kept: 0 });
  }

  /** For self-metrics. */
  get counts(): { readonly taken: number; readonly waiting: number; readonly refused: number } {
    return { taken: this.#lines.taken, waiting: this.#lines.waiting, refused: this.#refused };
  }

  /**
   * Takes a place; the returned function gives it back.
   * @param socket the client's: who goes away waits no longer
   * @throws HttpProblem 503, CLIENT_GONE
   */
  async take(holder: Holder, socket: EventEmitter): Promise<() => void> {
    await this.#wait(holder, socket);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#lines.giveBack(holder);
      this.#lines.next()?.();
    };
  }

  /** Resolves with a place. */
  #wait(holder: Holder, socket: EventEmitter): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        socket.removeListener('close', onClose);
      };
      const take = () => {
        done();
        resolve();
      };
      const giveUp = (problem: HttpProblem) => {
        done();
        this.#lines.leave(holder, take);
        reject(problem);
      };
      const onClose = () => giveUp(CLIENT_GONE);
      socket.once('close', onClose);
      const timer = setTimeout(() => {
        this.#refused++;
        giveUp(
          new HttpProblem(503, 'TOO_MANY_BIG_READS', `${this.#most} large answers are being sent already`, {
            hint: 'try again in some seconds, or ask for summary=true, less time or fewer devices',
            retryAfterS: RETRY_AFTER_S,
          }),
        );
      }, this.#waitMs);
      this.#lines.join(holder, take);
      this.#lines.next()?.();
    });
  }
}
