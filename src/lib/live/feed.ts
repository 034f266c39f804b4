/**
 * One selection, looked at once a second for as long as anybody listens; what is new goes to all listeners.
 *
 *   idle --first listener--> looking --every second: look, tell the news--> looking
 *                            looking --last listener left: its query is cancelled--> idle
 *
 * A look reads a trailing window of 10 s, so that rows that are stored late come too, and each row once. When looks
 * fail or take long the window reaches back to the last good one (up to a minute), so that nothing falls between two.
 */
import { pause } from '../pause.ts';
import type { LiveRow, Look, LookAtWindow } from './rows.ts';
import { SeenRows } from './seen.ts';

export interface LiveListener {
  /** New rows in order of time; never empty. The same object goes to all listeners. */
  rows(news: LiveNews): void;
  /** Something to know, as a sentence: rows are missing, the database is away. Told once until it is over. */
  warning(message: string): void;
}

/** Rows that came together. Bytes are made once for all listeners of one form. */
export class LiveNews {
  readonly rows: readonly LiveRow[];
  readonly #encoded = new Map<(rows: readonly LiveRow[]) => Buffer, Buffer>();

  constructor(rows: readonly LiveRow[]) {
    this.rows = rows;
  }

  encoded(encode: (rows: readonly LiveRow[]) => Buffer): Buffer {
    let bytes = this.#encoded.get(encode);
    if (bytes === undefined) {
      bytes = encode(this.rows);
      this.#encoded.set(encode, bytes);
    }
    return bytes;
  }
}

export interface FeedOptions {
  readonly intervalMs?: number;
  /** Told of each look that failed; listeners hear one sentence that says nothing of the reason. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const INTERVAL_MS = 1000;
const WINDOW_MS = 10_000;
const MAX_WINDOW_MS = 60_000;

const CUT = 'more rows come in than are read at once: some are left out; ask for fewer devices or metrics';

export class LiveFeed {
  readonly #look: LookAtWindow;
  readonly #intervalMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Set<LiveListener>();
  #seen = new SeenRows();
  #window: readonly LiveRow[] = [];
  #warning: string | undefined;
  #lastGoodMs: number | undefined;
  #stop: AbortController | undefined;

  constructor(look: LookAtWindow, { intervalMs = INTERVAL_MS, onError = () => {} }: FeedOptions = {}) {
    this.#look = look;
    this.#intervalMs = intervalMs;
    this.#onError = onError;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** The rows of the window come first, then what is new. @returns what ends it; safe to call again */
  listen(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    if (this.#stop === undefined) {
      this.#stop = new AbortController();
      void this.#run(this.#stop.signal);
    } else {
      if (this.#window.length > 0) listener.rows(new LiveNews(this.#window));
      if (this.#warning !== undefined) listener.warning(this.#warning);
    }
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#stop?.abort();
      this.#stop = undefined;
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#seen = new SeenRows();
    this.#window = [];
    this.#warning = undefined;
    this.#lastGoodMs = undefined;
    while (!signal.aborted) {
      const begunMs = performance.now();
      await this.#once(begunMs, signal);
      if (signal.aborted) return;
      // The next whole interval since the beginning, so that looks neither drift nor queue.
      const tookMs = performance.now() - begunMs;
      await pause(this.#intervalMs - (tookMs % this.#intervalMs), signal);
    }
  }

  async #once(begunMs: number, signal: AbortSignal): Promise<void> {
    const sinceMs = this.#lastGoodMs === undefined ? 0 : begunMs - this.#lastGoodMs - this.#intervalMs;
    let look: Look;
    try {
      const windowMs = Math.min(WINDOW_MS + Math.max(0, sinceMs), MAX_WINDOW_MS);
      look = await this.#look(windowMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#onError(error);
      this.#warn(AWAY);
      return;
    }
    if (signal.aborted) return;
    this.#lastGoodMs = begunMs;
    const fresh = this.#seen.news(look.rows);
    this.#window = look.rows;
    this.#warn(look.cut ? CUT : undefined);
    if (fresh.length === 0) return;
    const news = new LiveNews(fresh);
    for (const listener of [...this.#listeners]) listener.rows(news);
  }

  #warn(message: string | undefined): void {
    if (message === this.#warning) return;
    this.#warning = message;
    if (message === undefined) return;
    for (const listener of [...this.#listeners]) listener.warning(message);
  }
}

const AWAY = 'the database does not answer: rows of this time may be missing';
