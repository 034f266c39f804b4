/**
 * The feeds of a server: listeners of the same selection with the same rights share one, and there is a bound on both.
 */
import { KwError } from '../errors.ts';
import { LiveFeed, type LiveListener } from './feed.ts';
import type { LookAtWindow } from './rows.ts';

export interface HubOptions {
  /** Distinct selections: each costs one query a second. */
  readonly maxFeeds: number;
  /** Of them, those that one user may begin. */
  readonly maxFeedsEach: number;
  readonly maxListeners: number;
  readonly intervalMs?: number;
  /** Told of each look that failed. */
  readonly onError?: (error: unknown) => void;
}

export class LiveHub {
  readonly #options: HubOptions;
  readonly #feeds = new Map<string, LiveFeed>();
  /** Who began each feed. */
  readonly #begunBy = new WeakMap<LiveFeed, string>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** For self-metrics and tests. */
  get counts(): { readonly feeds: number; readonly listeners: number } {
    let listeners = 0;
    for (const feed of this.#feeds.values()) listeners += feed.listeners;
    return { feeds: this.#feeds.size, listeners };
  }

  /**
   * @param key says all that decides what is seen: the selection and the rights of the caller
   * @param holder who listens
   * @param makeLook called for the first listener of a key
   * @returns what ends it
   * @throws KwError LIVE_BUSY
   */
  listen(key: string, holder: string, makeLook: () => LookAtWindow, listener: LiveListener): () => void {
    const { maxListeners } = this.#options;
    if (this.counts.listeners >= maxListeners) throw busy(`${maxListeners} clients listen already`);
    const feed = this.#feeds.get(key) ?? this.#begin(key, holder, makeLook);
    const leave = feed.listen(listener);
    return () => {
      leave();
      if (feed.listeners === 0 && this.#feeds.get(key) === feed) this.#feeds.delete(key);
    };
  }

  #begin(key: string, holder: string, makeLook: () => LookAtWindow): LiveFeed {
    const { maxFeeds, maxFeedsEach } = this.#options;
    if (this.#feeds.size >= maxFeeds) throw busy(`${maxFeeds} selections are followed already`);
    const own = [...this.#feeds.values()].filter((feed) => this.#begunBy.get(feed) === holder).length;
    if (own >= maxFeedsEach) throw busy(`you follow ${own} selections already`);
    const feed = new LiveFeed(makeLook(), this.#options);
    this.#feeds.set(key, feed);
    this.#begunBy.set(feed, holder);
    return feed;
  }
}

function busy(reason: string): KwError {
  return new KwError(`too much is followed at once: ${reason}`, {
    code: 'LIVE_BUSY',
    hint: 'try again in a while, or use kw query',
  });
}
