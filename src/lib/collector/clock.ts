/**
 * The two clocks of the collector: a monotonic one that decides when to read, and the wall clock that says when
 * something was measured. Both are injected, so that tests can run an hour in a moment.
 */

/** What the collector asks of the machine's clocks. */
export interface Clock {
  /** Milliseconds since some fixed instant, with fractions; never goes back, unmoved by steps of the wall clock. */
  monotonicMs(): number;
  /** Milliseconds since the epoch, as whole milliseconds (`Date.now`). */
  wallMs(): number;
  /** Calls back once after at least `delayMs`; returns the means to cancel. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A difference between the two clocks that grew by more than this at once is a step of the wall clock. */
const STEP_US = 500_000;

/** How often at most the two clocks are compared, in milliseconds. */
const COMPARE_EVERY_MS = 100;

/**
 * The wall clock in microseconds: the monotonic clock plus an offset. `Date.now` has whole milliseconds only, but
 * it bounds the true time from both sides (it lies in [now, now + 1 ms)), and the offset is moved only when it
 * leaves those bounds; so readings are smooth, converge on the true time, and follow every step and slew.
 */
export class WallClock {
  readonly #clock: Clock;
  #offsetUs: number;
  #comparedAtMs: number;
  /** Steps of more than 0.5 s since the start, in either direction. */
  steps = 0;
  /** Added to the machine's clock: timestamps are taken on another one's. */
  correctionUs = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#comparedAtMs = clock.monotonicMs();
    this.#offsetUs = clock.wallMs() * 1000 - this.#comparedAtMs * 1000;
  }

  /** Microseconds since the epoch, an integer. */
  nowUs(): number {
    return this.ownUs() + this.correctionUs;
  }

  /** The same by the machine's clock alone. */
  ownUs(): number {
    const monotonicMs = this.#clock.monotonicMs();
    if (monotonicMs - this.#comparedAtMs >= COMPARE_EVERY_MS) return this.#compare();
    return Math.round(monotonicMs * 1000 + this.#offsetUs);
  }

  #compare(): number {
    const beforeMs = this.#clock.monotonicMs();
    const wallUs = this.#clock.wallMs() * 1000;
    const afterMs = this.#clock.monotonicMs();
    this.#comparedAtMs = afterMs;
    // The process was held between the readings: they say nothing about each other. The next call compares again.
    if (afterMs - beforeMs <= 1) {
      const aheadUs = wallUs - (beforeMs * 1000 + this.#offsetUs);
      if (Math.abs(aheadUs) > STEP_US) this.steps++;
      if (aheadUs > 0) this.#offsetUs += aheadUs;
      else if (aheadUs < -1000) this.#offsetUs += aheadUs + 1000;
    }
    return Math.round(afterMs * 1000 + this.#offsetUs);
  }
}
