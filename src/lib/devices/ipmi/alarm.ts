/**
 * When requests to BMCs are to be sent again or given up: one timer for all BMCs, since nearly all requests are
 * answered before. A timer a BMC wakes the process at every poll for nothing, which costs as much as some readings.
 */

/** Whoever waits for an answer. */
export interface Waiter {
  /** On performance.now(). */
  readonly dueMs: number;
  onDue(nowMs: number): void;
}

class Alarm {
  readonly #waiters = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  /** Not later than the earliest of the waiters. */
  #atMs = Number.POSITIVE_INFINITY;

  /** Has the waiter called once when it is due, unless it is removed before. To be told whenever its `dueMs` was set. */
  add(waiter: Waiter, nowMs: number): void {
    this.#waiters.add(waiter);
    if (waiter.dueMs < this.#atMs) this.#arm(waiter.dueMs, nowMs);
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Not what keeps the process running: the socket that waits for the answer does. */
  #arm(dueMs: number, nowMs: number): void {
    clearTimeout(this.#timer);
    this.#atMs = dueMs;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.ceil(dueMs - nowMs))).unref();
  }

  /** Node calls timers before it reads sockets: answers that wait there, when the process was held, come first. */
  #look(): void {
    setImmediate(() => this.#callDue());
  }

  #callDue(): void {
    this.#atMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    // Timers of Node may be early by a fraction of a millisecond.
    const due = [...this.#waiters].filter(({ dueMs }) => dueMs <= nowMs + 1);
    for (const waiter of due) if (this.#waiters.delete(waiter)) waiter.onDue(nowMs);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#waiters) nextMs = Math.min(nextMs, dueMs);
    if (nextMs < this.#atMs) this.#arm(nextMs, nowMs);
  }
}

/** The one of the process. */
export const alarm = new Alarm();
