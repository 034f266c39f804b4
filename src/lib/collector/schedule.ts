/**
 * Calls back on an absolute grid of instants: `phase + k * period`, for many callers with one timer.
 *
 * The grid is fixed once, to the wall clock of the start, so that a device keeps its instant across restarts, and
 * runs on the monotonic clock from then on: a late callback does not delay the next one, and a step of the wall clock
 * causes neither a burst nor a stall. Instants that passed while the process was held are counted, never made up for.
 */
import type { Clock } from './clock.ts';

/** `missed`: how many instants passed unused just before this one. */
export type Tick = (missed: number) => void;

export interface Scheduled {
  cancel(): void;
}

interface Entry extends Scheduled {
  readonly periodMs: number;
  readonly tick: Tick;
  cancelled: boolean;
}

/** Timers of Node keep whole milliseconds and may fire that much early. */
const TIMER_SLACK_MS = 1;

export class Schedule {
  readonly #clock: Clock;
  /** Added to the monotonic clock, gives the time of the grid in milliseconds since the epoch. */
  readonly #anchorMs: number;
  /** Callers by the instant when they are due next. */
  readonly #due = new Map<number, Entry[]>();
  /** The keys of #due as a binary heap, the earliest first. */
  readonly #instants: number[] = [];
  #cancelTimer: (() => void) | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#anchorMs = Math.round(clock.wallMs() - clock.monotonicMs());
  }

  /** Calls `tick` at each `phaseMs + k * periodMs` that lies in the future, until cancelled. */
  add(periodMs: number, phaseMs: number, tick: Tick): Scheduled {
    const entry: Entry = {
      periodMs,
      tick,
      cancelled: false,
      cancel() {
        this.cancelled = true;
      },
    };
    const periods = Math.floor((this.#nowMs() - phaseMs) / periodMs) + 1;
    this.#insert(phaseMs + periods * periodMs, entry);
    this.#arm();
    return entry;
  }

  /** Cancels every caller and the timer. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#due.clear();
    this.#instants.length = 0;
  }

  #nowMs(): number {
    return this.#clock.monotonicMs() + this.#anchorMs;
  }

  #insert(dueMs: number, entry: Entry): void {
    const entries = this.#due.get(dueMs);
    if (entries) {
      entries.push(entry);
    } else {
      this.#due.set(dueMs, [entry]);
      pushHeap(this.#instants, dueMs);
    }
  }

  #arm(): void {
    const next = this.#instants[0];
    if (this.#stopped || next === undefined || next >= this.#timerAtMs) return;
    this.#cancelTimer?.();
    this.#timerAtMs = next;
    this.#cancelTimer = this.#clock.setTimer(Math.max(0, Math.ceil(next - this.#nowMs())), () =>
      this.#wake(),
    );
  }

  #wake(): void {
    this.#cancelTimer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs() + TIMER_SLACK_MS;
    for (let dueMs = this.#instants[0]; dueMs !== undefined && dueMs <= nowMs; dueMs = this.#instants[0]) {
      popHeap(this.#instants);
      const entries = this.#due.get(dueMs) ?? [];
      this.#due.delete(dueMs);
      for (const entry of entries) {
        if (entry.cancelled) continue;
        const missed = Math.floor((nowMs - dueMs) / entry.periodMs);
        this.#insert(dueMs + (missed + 1) * entry.periodMs, entry);
        entry.tick(missed);
      }
    }
    this.#arm();
  }
}

function pushHeap(heap: number[], value: number): void {
  let index = heap.push(value) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as number;
    if (above <= value) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = value;
}

function popHeap(heap: number[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
    if ((heap[child] as number) >= last) break;
    heap[index] = heap[child] as number;
    index = child;
  }
  heap[index] = last;
}
