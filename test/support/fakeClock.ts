/** A clock that stands still until a test moves it: an hour passes in a moment. */
import type { Clock } from '../../src/lib/collector/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #nowMs = 5_000.25;
  #wallOffsetMs: number;
  #timers: Timer[] = [];
  /** Added to every timer: how late a busy process would run it. */
  latenessMs: () => number = () => 0;

  constructor(wallMs = Date.UTC(2026, 10, 22, 10)) {
    this.#wallOffsetMs = wallMs - this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs);
  }

  nowUs(): number {
    return Math.round((this.#nowMs + this.#wallOffsetMs) * 1000);
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs + this.latenessMs(), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Someone sets the wall clock. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The process is held: time passes and no timer runs. */
  hold(forMs: number): void {
    this.#nowMs += forMs;
  }

  /** Lets time pass, and everything happen that is due; promises settle after each timer. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (;;) {
      const next = this.#timers.reduce<Timer | undefined>(
        (first, timer) => (first === undefined || timer.atMs < first.atMs ? timer : first),
        undefined,
      );
      if (!next || next.atMs > untilMs) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets promises that need no I/O run to their end. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
