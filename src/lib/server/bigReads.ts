/**
 * Bounds answers that are large and sent at the same time: each of them keeps a core of the database busy. A read takes a
 * place when it has made more than fits into one first packet, before anything was sent, so that small reads never
 * wait. Without a place for a while it is asked to come again.
 */
import { HttpProblem } from './problem.ts';

const RETRY_AFTER_S = 5;

export class BigReads {
  readonly #most: number;
  readonly #waitMs: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #refused = 0;

  constructor(most: number, waitMs: number) {
    this.#most = most;
    this.#waitMs = waitMs;
  }

  /** For self-metrics. */
  get counts(): { readonly taken: number; readonly waiting: number; readonly refused: number } {
    return { taken: this.#taken, waiting: this.#waiting.length, refused: this.#refused };
  }

  /**
   * Takes a place; the returned function gives it back.
   * @throws HttpProblem 503
   */
  async take(): Promise<() => void> {
    if (this.#taken >= this.#most) await this.#wait();
    else this.#taken++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken--;
      else next();
    };
  }

  /** Resolves with a place that somebody gave back. */
  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        this.#refused++;
        reject(
          new HttpProblem(503, 'TOO_MANY_BIG_READS', `${this.#most} large answers are being sent already`, {
            hint: 'try again in some seconds, or ask for summary=true, less time or fewer devices',
            retryAfterS: RETRY_AFTER_S,
          }),
        );
      }, this.#waitMs);
      this.#waiting.push(take);
    });
  }
}
