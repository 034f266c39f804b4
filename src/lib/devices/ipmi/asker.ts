/**
 * Questions outside of the hot path: one at a time, sent again after each of `STEPS_MS` until an answer is accepted.
 * Opening, checking and closing a session ask through this; requests of an open session go through bmc.ts.
 */
import { ClosedError, IpmiError } from './errors.ts';

/** Doubling, so that a BMC slower than the first step is still understood (its newest answer is what counts). */
const STEPS_MS: readonly number[] = [500, 1000, 2000];

/** After `AGAIN`. */
const ATTEMPTS_AGAIN = 2;

export interface Question<T> {
  /** For messages: `Open Session`. */
  readonly name: string;
  /** The datagram of an attempt, counted from 0. */
  datagram(attempt: number): Buffer;
  /**
   * What a datagram says; undefined if it is not the answer, and AGAIN to ask at once instead of after the step.
   * An IpmiError that it throws ends the question.
   */
  accept(datagram: Buffer, attempts: number): T | typeof AGAIN | undefined;
  /** Waits for each attempt; default `STEPS_MS`. */
  readonly stepsMs?: readonly number[] | undefined;
}

export const AGAIN = Symbol('ask again');

export class Asker {
  readonly #send: (datagram: Buffer) => void;
  readonly #hostPort: string;
  #receive: ((datagram: Buffer) => void) | undefined;
  #fail: ((error: IpmiError) => void) | undefined;
  #isStopped = false;

  constructor(hostPort: string, send: (datagram: Buffer) => void) {
    this.#hostPort = hostPort;
    this.#send = send;
  }

  /** Rejects with IpmiError: `timeout` when no attempt is answered, or what `fail` or `accept` say. */
  ask<T>({ name, datagram, accept, stepsMs = STEPS_MS }: Question<T>): Promise<T> {
    if (this.#isStopped) return Promise.reject(new ClosedError());
    return new Promise<T>((resolve, reject) => {
      let attempts = 0;
      let steps = [...stepsMs];
      let timer: NodeJS.Timeout | undefined;
      const end = () => {
        clearTimeout(timer);
        this.#receive = undefined;
        this.#fail = undefined;
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const next = () => {
        clearTimeout(timer);
        const stepMs = steps.shift();
        if (stepMs === undefined)
          return fail(new IpmiError('timeout', `no answer from ${this.#hostPort} to ${name}`));
        timer = setTimeout(next, stepMs);
        this.#send(datagram(attempts++));
      };
      this.#fail = fail;
      this.#receive = (received) => {
        try {
          const answer = accept(received, attempts);
          if (answer === undefined) return;
          if (answer === AGAIN) {
            steps = stepsMs.slice(0, ATTEMPTS_AGAIN);
            return next();
          }
          end();
          resolve(answer);
        } catch (error) {
          fail(error);
        }
      };
      next();
    });
  }

  /** A datagram of the BMC, for the question under way if there is one. */
  receive(datagram: Buffer): void {
    this.#receive?.(datagram);
  }

  /** Ends the question under way. */
  fail(error: IpmiError): void {
    this.#fail?.(error);
  }

  /** Ends the question under way, and refuses all others. */
  stop(): void {
    this.#isStopped = true;
    this.fail(new ClosedError());
  }
}
