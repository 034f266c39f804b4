/**
 * What goes wrong often, told seldom: the same complaint is logged once, and again after ten minutes with how many
 * there were meanwhile. Values that were refused are counted by reason.
 */
import type { Clock } from './clock.ts';

const REPEAT_MS = 600_000;
/** Complaints and reasons that are told apart: some hold names that came from a device. */
const MAX_DISTINCT = 10_000;
const MAX_REASONS = 20;

export class Complaints {
  readonly #clock: Clock;
  readonly #told = new Map<string, { atMs: number; since: number }>();
  readonly #reasons = new Map<string, number>();
  refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `tell` unless the same was told lately; `times`: how often it happened since, this time included. */
  tell(key: string, tell: (times: number) => void): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#told.get(key);
    if (last && nowMs - last.atMs < REPEAT_MS) {
      last.since++;
      return;
    }
    if (this.#told.size >= MAX_DISTINCT) this.#told.clear();
    this.#told.set(key, { atMs: nowMs, since: 0 });
    tell((last?.since ?? 0) + 1);
  }

  /** Counts a value that cannot be stored. */
  refuse(reason: string): void {
    this.refused++;
    const known = this.#reasons.has(reason) || this.#reasons.size < MAX_REASONS;
    const key = known ? reason : 'other reasons';
    this.#reasons.set(key, (this.#reasons.get(key) ?? 0) + 1);
  }

  /** Number of refused values by reason, the most frequent first. */
  reasons(): Record<string, number> {
    return Object.fromEntries([...this.#reasons].sort(([, a], [, b]) => b - a));
  }
}
