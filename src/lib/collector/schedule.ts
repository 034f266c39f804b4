/**
 * Calls back on an absolute grid of instants: `phase + k * period`, for many callers with one timer.
 *
 * The grid is fixed once, to the wall clock of the start, so that a device keeps its instant across restarts, and
 * runs on the monotonic clock from then on: a late callback does not delay the next one, and a step of the wall clock
 * causes neither a burst nor a stall. Instants that passed while the process was held are counted, never made up for.
 *
 * A process that takes over from another one goes on with the other's grid from an instant on: the other one does all
 * instants before it, this one that instant and all after it.
 */
import type { Clock } from './clock.ts';

/** `missed`: how many instants passed unused just before this one. */
export type Tick = (missed: number) => void;

export interface Scheduled {
  cancel(): void;
}

interface Entry extends Scheduled {
  readonly tick: Tick;
  cancelled: boolean;
}

/** Callers of one period with the same instants: they move on together. */
interface Group {
  readonly periodMs: number;
  /** When they are due next, in milliseconds since the epoch of the grid. */
  dueMs: number;
  entries: Entry[];
}

/** A grid to go on with. */
export interface Grid {
  /** Added to the monotonic clock, gives the time of the grid in milliseconds since the epoch. */
  readonly anchorMs: number;
  /** The first instant that is not done by somebody else, in the time of the grid. */
  readonly fromMs: number;
}

/** Timers of Node keep whole milliseconds and may fire that much early. */
const TIMER_SLACK_MS = 1;

export class Schedule {
  readonly #clock: Clock;
  /** Added to the monotonic clock, gives the time of the grid in milliseconds since the epoch. */
  readonly anchorMs: number;
  readonly #fromMs: number;
  /** A binary heap, the earliest first. */
  readonly #groups: Group[] = [];
  #cancelTimer: (() => void) | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stopped = false;
  /** Instants from here on are not for this process. */
  #endMs = Number.POSITIVE_INFINITY;
  #onEnd = () => {};

  constructor(clock: Clock, grid?: Grid) {
    this.#clock = clock;
    this.anchorMs = grid?.anchorMs ?? Math.round(clock.wallMs() - clock.monotonicMs());
    this.#fromMs = grid?.fromMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Calls `tick` at each `phaseMs + k * periodMs` that lies in the future, until cancelled. */
  add(periodMs: number, phaseMs: number, tick: Tick): Scheduled {
    const entry: Entry = {
      tick,
      cancelled: false,
      cancel() {
        this.cancelled = true;
      },
    };
    const nowMs = this.#nowMs();
    const periods =
      nowMs < this.#fromMs
        ? Math.ceil((this.#fromMs - phaseMs) / periodMs)
        : Math.floor((nowMs - phaseMs) / periodMs) + 1;
    const dueMs = phaseMs + periods * periodMs;
    const group = this.#groups.find((one) => one.periodMs === periodMs && one.dueMs === dueMs);
    if (group) group.entries.push(entry);
    else pushHeap(this.#groups, { periodMs, dueMs, entries: [entry] });
    this.#arm();
    return entry;
  }

  /** Leaves all instants from `endMs` on, in the time of the grid, to somebody else. Resolves when all before are over. */
  endAt(endMs: number): Promise<void> {
    this.#endMs = endMs;
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      this.#arm();
    });
  }

  /** Cancels every caller and the timer. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#groups.length = 0;
  }

  #nowMs(): number {
    return this.#clock.monotonicMs() + this.anchorMs;
  }

  #arm(): void {
    const next = Math.min(this.#groups[0]?.dueMs ?? Number.POSITIVE_INFINITY, this.#endMs);
    if (this.#stopped || next >= this.#timerAtMs) return;
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
    const isOver = nowMs >= this.#endMs;
    for (let group = this.#groups[0]; group && group.dueMs <= nowMs; group = this.#groups[0]) {
      if (group.dueMs >= this.#endMs) break;
      popHeap(this.#groups);
      const lastMs = isOver ? this.#endMs - 1e-3 : nowMs;
      const missed = Math.floor((lastMs - group.dueMs) / group.periodMs);
      group.dueMs += (missed + 1) * group.periodMs;
      this.#call(group, missed);
      if (group.entries.length > 0 && !this.#stopped) pushHeap(this.#groups, group);
    }
    if (isOver) {
      this.stop();
      this.#onEnd();
    }
    this.#arm();
  }

  #call(group: Group, missed: number): void {
    let anyCancelled = false;
    for (const entry of group.entries) {
      if (!entry.cancelled) entry.tick(missed);
      // Also one that cancelled itself, or will be asked for no more.
      if (entry.cancelled) anyCancelled = true;
    }
    if (anyCancelled) group.entries = group.entries.filter(({ cancelled }) => !cancelled);
  }
}

function pushHeap(heap: Group[], group: Group): void {
  let index = heap.push(group) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as Group;
    if (above.dueMs <= group.dueMs) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = group;
}

function popHeap(heap: Group[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as Group).dueMs < (heap[child] as Group).dueMs) child++;
    if ((heap[child] as Group).dueMs >= last.dueMs) break;
    heap[index] = heap[child] as Group;
    index = child;
  }
  heap[index] = last;
}
