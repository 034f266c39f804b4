/**
 * A target: one endpoint of the network with its session, and the loops that read it, one a period.
 *
 * Polls of one target never overlap. A loop that is due while another one is read waits for it, at most one poll a
 * loop, the shortest period first; a loop that is due again while it still waits or runs has missed an interval.
 */
import type { MetricEntry } from '../config/model.ts';
import type { MetricRequest, PollResult, Session } from '../devices/driver.ts';
import { type Loop, pollTimeoutMs } from './loop.ts';
import { phaseMs } from './phase.ts';
import type { Schedule } from './schedule.ts';
import { newCounters } from './targetCounters.ts';

/** What a reading outside of every schedule has instead of a period: the bound of its time-out. */
const AT_ONCE_MS = 10_000;

export interface TargetSurroundings {
  readonly schedule: Pick<Schedule, 'add'>;
  readonly phaseGridMs: number;
  readonly monotonicMs: () => number;
  readonly nowUs: () => number;
  /** Takes the result of each poll, after the target counted it. */
  readonly onResult: (target: Target, loop: Loop, result: PollResult) => void;
  /** A driver broke its promise never to reject: a defect of kw, told and survived. */
  readonly onDefect: (target: Target, error: unknown) => void;
}

export class Target {
  /** Scheme, endpoint and what else separates sessions; may hold secrets, never printed. */
  readonly key: string;
  readonly counters = newCounters();
  /** Everything that is configured on this endpoint, read or not. */
  entries: readonly MetricEntry[] = [];

  readonly #surroundings: TargetSurroundings;
  readonly #session: Session;
  readonly #requests = new WeakMap<MetricEntry, MetricRequest>();
  readonly #loops = new Map<number, Loop>();
  readonly #waiting: Loop[] = [];
  #current: Loop | undefined;
  #startedMs = 0;
  #startedUs = 0;
  #whenIdle: (() => void)[] = [];
  #closed = false;

  constructor(key: string, session: Session, surroundings: TargetSurroundings) {
    this.key = key;
    this.#session = session;
    this.#surroundings = surroundings;
  }

  get protocol(): string {
    return this.entries[0]?.url.scheme ?? '';
  }

  /** Host and port, for people. */
  get hostPort(): string {
    return this.entries[0]?.url.hostPort ?? '';
  }

  get deviceIds(): string[] {
    return [...new Set(this.entries.map((entry) => entry.deviceId))];
  }

  /** When the poll under way began, in microseconds since the epoch. */
  get pollingSinceUs(): number | undefined {
    return this.#current && !this.#closed ? this.#startedUs : undefined;
  }

  get loops(): Iterable<Loop> {
    return this.#loops.values();
  }

  /**
   * Sets what is read and how often. Loops whose metrics did not change are left alone; a loop that goes on keeps
   * its instants. `atOnce`: entries that were just promoted, to be read now and not only at their next instant.
   */
  read(periods: ReadonlyMap<number, readonly MetricEntry[]>, atOnce: readonly MetricEntry[] = []): void {
    for (const [periodMs, loop] of this.#loops) {
      if (periods.has(periodMs)) continue;
      loop.scheduled?.cancel();
      this.#loops.delete(periodMs);
      const waiting = this.#waiting.indexOf(loop);
      if (waiting >= 0) this.#waiting.splice(waiting, 1);
    }
    for (const [periodMs, entries] of periods) {
      const loop = this.#loops.get(periodMs);
      if (loop && sameMembers(loop.entries, entries)) continue;
      const poll = this.#plan(entries);
      const timeoutMs = pollTimeoutMs(entries, periodMs);
      if (loop) {
        Object.assign(loop, { entries, poll, timeoutMs });
      } else {
        this.#addLoop({ periodMs, entries, poll, timeoutMs, scheduled: undefined });
      }
    }
    if (atOnce.length > 0) {
      const timeoutMs = pollTimeoutMs(atOnce, AT_ONCE_MS);
      this.#request({
        periodMs: AT_ONCE_MS,
        entries: atOnce,
        poll: this.#plan(atOnce),
        timeoutMs,
        scheduled: undefined,
      });
    }
  }

  /** Reads every loop once, now, in turn; resolves when all are read. */
  async readOnce(): Promise<void> {
    for (const loop of this.#loops.values()) this.#request(loop);
    await this.#idle();
  }

  /** Stops the schedule; a poll that is under way goes on. Resolves when none is. */
  async stopPolling(): Promise<void> {
    for (const loop of this.#loops.values()) loop.scheduled?.cancel();
    this.#waiting.length = 0;
    await this.#idle();
  }

  /** Ends the session when all that was due is read. */
  async finish(): Promise<void> {
    for (const loop of this.#loops.values()) loop.scheduled?.cancel();
    await this.#idle();
    await this.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const loop of this.#loops.values()) loop.scheduled?.cancel();
    this.#loops.clear();
    this.#waiting.length = 0;
    await this.#session.close();
  }

  #plan(entries: readonly MetricEntry[]) {
    return this.#session.plan(entries.map((entry) => this.#requestOf(entry)));
  }

  /** One object an entry for as long as it is configured: a driver may remember things by it. */
  #requestOf(entry: MetricEntry): MetricRequest {
    let request = this.#requests.get(entry);
    if (!request) {
      const { url, deviceId, name: metricId, labels, scaleFactor } = entry;
      request = { url, deviceId, metricId, labels, scaleFactor };
      this.#requests.set(entry, request);
    }
    return request;
  }

  #addLoop(loop: Loop): void {
    const { schedule, phaseGridMs } = this.#surroundings;
    this.#loops.set(loop.periodMs, loop);
    // The phase hangs on what an administrator sees, not on the password.
    const phase = phaseMs(`${this.protocol} ${this.hostPort}`, loop.periodMs, phaseGridMs);
    loop.scheduled = schedule.add(loop.periodMs, phase, (missed) => {
      this.counters.missed += missed;
      this.#request(loop);
    });
  }

  #request(loop: Loop): void {
    if (this.#closed) return;
    if (loop === this.#current || this.#waiting.includes(loop)) {
      this.counters.missed++;
    } else if (this.#current) {
      this.#waiting.push(loop);
      this.#waiting.sort((a, b) => a.periodMs - b.periodMs);
    } else {
      this.#begin(loop);
    }
  }

  #idle(): Promise<void> {
    return this.#current ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  /** Starts a poll. Written with callbacks: of a poll of one value every promise is a noticeable part. */
  #begin(loop: Loop): void {
    const { monotonicMs, nowUs } = this.#surroundings;
    this.#current = loop;
    this.#startedMs = monotonicMs();
    this.#startedUs = nowUs();
    try {
      loop.poll.read(loop.timeoutMs).then(this.#onResult, this.#onDefect);
    } catch (error) {
      this.#onDefect(error);
    }
  }

  readonly #onResult = (result: PollResult): void => {
    const { counters } = this;
    try {
      if (this.#closed) return;
      counters.polls++;
      counters.samples += result.samples.length;
      counters.pollMs = this.#surroundings.monotonicMs() - this.#startedMs;
      counters.lastPollUs = this.#startedUs;
      if (result.up) counters.lastUpUs = result.timestampUs;
      for (const { kind, message, count } of result.problems) {
        counters.errors[kind] = (counters.errors[kind] ?? 0) + (count ?? 1);
        counters.lastError = message;
      }
      this.#surroundings.onResult(this, this.#current as Loop, result);
      counters.up = result.up;
    } catch (error) {
      this.#surroundings.onDefect(this, error);
    } finally {
      this.#next();
    }
  };

  readonly #onDefect = (error: unknown): void => {
    this.#surroundings.onDefect(this, error);
    this.#next();
  };

  #next(): void {
    this.#current = undefined;
    const waiting = this.#waiting.shift();
    if (waiting) {
      this.#begin(waiting);
      return;
    }
    if (this.#whenIdle.length > 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

function sameMembers(a: readonly MetricEntry[], b: readonly MetricEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}
