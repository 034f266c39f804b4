/**
 * A target that speaks by itself: one stream with its channels. The counterpart of Target for protocols that are
 * not polled; the Fleet holds both.
 *
 *   bytes --> the driver's decoder --> readings --> Channel.add, one a series --> Column --> BatchBuilder --> Writer
 *                                         |
 *                                         +--> counters, state, problems (StreamSink)
 *
 * A channel says whether its metric is promoted; the driver looks at that with each reading. The flag is set when
 * promotions or the configuration change, so that no reading costs a look-up.
 */
import type { MetricEntry } from '../config/model.ts';
import type {
  Channel,
  Problem,
  SessionContext,
  Stream,
  StreamDriver,
  StreamRequest,
  StreamSink,
} from '../devices/driver.ts';
import type { Sample, Series } from '../sample.ts';
import type { OpenChannel } from './column.ts';
import type { PromotionSet } from './promotions.ts';
import { newCounters } from './targetCounters.ts';

export interface StreamSurroundings {
  readonly nowUs: () => number;
  /** A stream gives a series from now on, as a metric of this entry. */
  readonly openChannel: (series: Series, entry: MetricEntry, onClose: () => void) => OpenChannel;
  /** The series is not given any more. */
  readonly onChannelClosed: (series: Series, entry: MetricEntry) => void;
  /** Samples that came on no channel. */
  readonly onSamples: (target: StreamTarget, samples: readonly Sample[]) => void;
  /** That many readings are handed over; called after the counters were raised. */
  readonly onReadings: (target: StreamTarget, count: number) => void;
  /** Problems, or a change between up and down; `target.counters.up` is still the state before. */
  readonly onState: (target: StreamTarget, up: boolean, problems: readonly Problem[]) => void;
  readonly onRemark: (target: StreamTarget, text: string) => void;
}

/** A stream that was silent for longer than this holds nothing back that is on its way. */
const QUIET_US = 1_000_000;

/** Two seconds hold a whole one. */
const LISTEN_MS = 2_100;

export class StreamTarget {
  /** Scheme, endpoint and what else separates streams; may hold secrets, never printed. */
  readonly key: string;
  /** As of a polled target; `polls` are readings, `missed` readings that did not come. */
  readonly counters = newCounters();
  entries: readonly MetricEntry[] = [];
  /** Resolves when nothing will ever come again, or when the target was closed. */
  readonly ended: Promise<void>;

  readonly #surroundings: StreamSurroundings;
  readonly #stream: Stream;
  readonly #requests = new WeakMap<MetricEntry, StreamRequest>();
  readonly #entryOf = new WeakMap<StreamRequest, MetricEntry>();
  readonly #channels = new Map<OpenChannel, Series>();
  /** How many channels give a name: `device, newline, metric`, of devices and of aliases. */
  readonly #names = new Map<string, number>();
  #promotions: PromotionSet;
  #closing: Promise<void> | undefined;
  /** Everything that was held is handed over. */
  #isClosed = false;
  #end = () => {};
  #onFirstReading = () => {};

  constructor(
    key: string,
    driver: StreamDriver,
    entries: readonly MetricEntry[],
    context: SessionContext,
    promotions: PromotionSet,
    surroundings: StreamSurroundings,
  ) {
    this.key = key;
    this.entries = entries;
    this.#promotions = promotions;
    this.#surroundings = surroundings;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const first = entries[0] as MetricEntry;
    this.#stream = driver.openStream(first.deviceId, first.url, context, this.#sink());
  }

  get protocol(): string {
    return this.entries[0]?.url.scheme ?? '';
  }

  get hostPort(): string {
    return this.entries[0]?.url.hostPort ?? '';
  }

  get deviceIds(): string[] {
    return [...new Set(this.entries.map((entry) => entry.deviceId))];
  }

  /** Everything measured before this instant was handed over; undefined when nothing is on its way. */
  get pollingSinceUs(): number | undefined {
    if (this.#isClosed) return undefined;
    const { lastPollUs } = this.counters;
    const heldUs = this.#stream.heldSinceUs?.();
    if (lastPollUs === undefined || this.#surroundings.nowUs() - lastPollUs > QUIET_US) return heldUs;
    return Math.min(heldUs ?? lastPollUs, lastPollUs);
  }

  /** Sets what is configured on this endpoint. */
  configure(entries: readonly MetricEntry[]): void {
    this.entries = entries;
    this.#stream.configure(entries.map((entry) => this.#requestOf(entry)));
  }

  /** Switches every channel to what is promoted now. */
  promote(promotions: PromotionSet): void {
    this.#promotions = promotions;
    const nowUs = this.#surroundings.nowUs();
    for (const [channel, series] of this.#channels) {
      channel.promoted = promotions.promotes(series, nowUs);
    }
  }

  /** Whether a channel gives this metric of this device, or of a node that is its alias. */
  gives(deviceId: string, metricId: string): boolean {
    return this.#names.has(`${deviceId}\n${metricId}`);
  }

  /**
   * Listens for a while from the first reading on, long enough for the mean of a whole second. Resolves then, when
   * nothing will come any more, or when nothing came for `patienceMs`, which is told unless a problem was.
   */
  async readOnce(patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const read = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        if (this.counters.lastError === undefined) this.#tellSilence(patienceMs);
        resolve();
      }, patienceMs);
      this.#onFirstReading = () => {
        this.#onFirstReading = () => {};
        clearTimeout(timer);
        timer = setTimeout(resolve, LISTEN_MS);
      };
    });
    await Promise.race([read, this.ended]);
    clearTimeout(timer);
  }

  #tellSilence(silentMs: number): void {
    const [first, ...others] = this.entries.map(({ url }) => url.safeUrl);
    const more = others.length > 0 ? ` and ${others.length} more of ${this.hostPort}` : '';
    this.#surroundings.onRemark(this, `nothing came from ${first}${more} in ${silentMs / 1000} s`);
  }

  /** Ends the stream; what it holds is handed over. */
  stopPolling(): Promise<void> {
    this.#closing ??= this.#stream.close().finally(() => {
      this.#isClosed = true;
      this.#end();
    });
    return this.#closing;
  }

  finish(): Promise<void> {
    return this.stopPolling();
  }

  close(): Promise<void> {
    return this.stopPolling();
  }

  #sink(): StreamSink {
    const { counters } = this;
    return {
      channel: (request, series) => this.#open(request, series),
      samples: (_request, samples) => {
        counters.samples += samples.length;
        this.#surroundings.onSamples(this, samples);
      },
      readings: (count) => {
        const nowUs = this.#surroundings.nowUs();
        counters.polls += count;
        counters.lastPollUs = nowUs;
        counters.lastUpUs = nowUs;
        if (counters.up !== true) this.#state(true, []);
        this.#surroundings.onReadings(this, count);
        this.#onFirstReading();
      },
      down: (problem) => this.#state(false, [problem]),
      problems: (problems) => this.#state(counters.up ?? true, problems),
      missed: (count) => {
        counters.missed += count;
      },
      remark: (text) => this.#surroundings.onRemark(this, text),
      ended: () => this.#end(),
    };
  }

  #state(up: boolean, problems: readonly Problem[]): void {
    const { counters } = this;
    for (const { kind, message, count } of problems) {
      counters.errors[kind] = (counters.errors[kind] ?? 0) + (count ?? 1);
      counters.lastError = message;
    }
    if (!up) counters.lastPollUs = this.#surroundings.nowUs();
    this.#surroundings.onState(this, up, problems);
    counters.up = up;
  }

  #open(request: StreamRequest, series: Series): Channel {
    const entry = this.#entryOf.get(request);
    if (!entry) throw new Error('a channel for something that was never asked for');
    const { openChannel, onChannelClosed, nowUs } = this.#surroundings;
    const channel = openChannel(series, entry, () => {
      if (!this.#channels.delete(channel)) return;
      this.#count(series, -1);
      onChannelClosed(series, entry);
    });
    channel.promoted = this.#promotions.promotes(series, nowUs());
    this.#channels.set(channel, series);
    this.#count(series, 1);
    return channel;
  }

  #count(series: Series, change: 1 | -1): void {
    for (const name of namesOf(series)) {
      const count = (this.#names.get(name) ?? 0) + change;
      if (count > 0) this.#names.set(name, count);
      else this.#names.delete(name);
    }
  }

  #requestOf(entry: MetricEntry): StreamRequest {
    let request = this.#requests.get(entry);
    if (!request) {
      const { url, deviceId, name: metricId, labels, scaleFactor, optional, updateEveryMs } = entry;
      request = { url, deviceId, metricId, labels, scaleFactor, optional, updateEveryMs };
      this.#requests.set(entry, request);
      this.#entryOf.set(request, entry);
    }
    return request;
  }
}

function namesOf({ deviceId, metricId, labels }: Series): string[] {
  const alias = labels._device_alias;
  return [`${deviceId}\n${metricId}`, ...(alias === undefined ? [] : [`${alias}\n${metricId}`])];
}
