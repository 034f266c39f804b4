/**
 * The interface between the collector and the protocols. A protocol is one folder beside this file that
 * exports one Driver, and one line in registry.ts. Drivers know nothing of schedules, batches or databases.
 *
 *   Driver --parseUrl--> DeviceUrl          once, when the configuration is read: no I/O
 *   Driver --open------> Session            one a device and endpoint, kept for as long as it is configured
 *   Session --plan-----> Poll               one a group of metrics that share a period; again when the group changes
 *   Poll --read--------> PollResult         once a period
 */
import type { Labels, Sample } from '../sample.ts';

/** A metric URL after parsing. Two URLs with the same `endpointKey` share one session of a device. */
export interface DeviceUrl {
  readonly scheme: string;
  /** Identity of the session: host, port, credentials and options. May hold secrets: never print it. */
  readonly endpointKey: string;
  /** The URL for people: secrets replaced by `***`. */
  readonly safeUrl: string;
  /** Host and port, for messages, such as `pdu-1:161` or `[::1]:161`. */
  readonly hostPort: string;
}

/** Where a URL is wrong, so that `kw config check` can point at the column. */
export class DeviceUrlError extends Error {
  /** Characters from the start of the URL text. */
  readonly offset: number;
  /** What to write instead, if that is known. */
  readonly hint: string | undefined;

  constructor(message: string, offset = 0, hint?: string) {
    super(message);
    this.name = 'DeviceUrlError';
    this.offset = offset;
    this.hint = hint;
  }
}

/** One configured metric, as a driver sees it. */
export interface MetricRequest<U extends DeviceUrl = DeviceUrl> {
  readonly url: U;
  readonly deviceId: string;
  /** The configured name. Protocols that read many metrics at once (prometheus) make their own. */
  readonly metricId: string;
  /** Labels from configuration; these may begin with `_`. */
  readonly labels: Labels;
  /** Numbers are multiplied by it; undefined is 1. */
  readonly scaleFactor: number | undefined;
}

/** Kinds of errors, counted apart in `kw status` and the self-metrics. */
export type ProblemKind =
  | 'timeout' // no answer in time
  | 'refused' // connection refused, host unreachable, name not found
  | 'auth' // wrong user, password, key or community, as far as the protocol tells
  | 'protocol' // an answer that is not what the protocol says
  | 'missing' // the device has no such metric (noSuchInstance, no such name)
  | 'value' // a value that cannot be read as the metric
  | 'limit' // more than kw accepts: page size, number of series, length of a label
  | 'dropped'; // a label or sample removed because it is not for the device to say (`_` labels, foreign names)

/** Something to count and to tell; never contains a secret. */
export interface Problem {
  readonly kind: ProblemKind;
  /** One sentence, at most 300 characters; text that came from a device is escaped and cut. */
  readonly message: string;
  /** The metric concerned, if it is only one. */
  readonly metricId?: string;
  /** How many times, when many of one kind are told as one. Default 1. */
  readonly count?: number;
}

export interface PollResult {
  /** True when the device answered at all, even if some metrics have problems. */
  readonly up: boolean;
  /**
   * Middle between request and answer of the attempt that was answered, in microseconds since the epoch.
   * All samples of one poll carry it unless the device gives its own times.
   */
  readonly timestampUs: number;
  readonly samples: readonly Sample[];
  readonly problems: readonly Problem[];
}

/** One line about a read for people, such as `{name: 'type', text: 'Counter64'}`. Never contains a secret. */
export interface Fact {
  readonly name: string;
  readonly text: string;
}

export interface Poll {
  /**
   * Reads once. Resolves within `timeoutMs` whatever the device does, retries included, and never rejects for
   * anything that a device or network can cause: that is in `problems`. Never called again before it resolved.
   */
  read(timeoutMs: number): Promise<PollResult>;
  /** What the last read did in the protocol's own terms, for `kw device probe`: address, type, what was resolved. */
  describe?(): readonly Fact[];
}

export interface Session<U extends DeviceUrl = DeviceUrl> {
  plan(metrics: readonly MetricRequest<U>[]): Poll;
  /** Ends sockets and timers; a read that is under way resolves with a problem. */
  close(): Promise<void>;
}

/** What a session may ask of its surroundings. Injected, so that tests can hold the clock. */
export interface SessionContext {
  /** Wall clock in microseconds since the epoch. */
  nowUs(): number;
  /**
   * Whether any collector is configured to read this metric of this device: names that a user's own series
   * (`kwollect_custom`) may not take.
   */
  isConfiguredMetric(deviceId: string, metricId: string): boolean;
}

export interface UrlContext {
  /** Replaces `${env:NAME}` and `${file:PATH}` in one component of a URL (user, password, key). Throws KwError. */
  resolveSecret(text: string): string;
  /** A named credential's fields (from `credentials:` in kw.yaml), resolved; undefined when the entry names none. */
  readonly credential?: Readonly<Record<string, string>> | undefined;
}

export interface Driver<U extends DeviceUrl = DeviceUrl> {
  /** URL schemes, without `://`. */
  readonly schemes: readonly string[];
  /** One line for `kw device probe --help` and messages: the form of the URL. */
  readonly urlForm: string;
  /** Whether a URL asks for a metric; left out by protocols whose entries give one metric each. */
  asksFor?(url: U, metricId: string): boolean;
  /** @throws DeviceUrlError */
  parseUrl(text: string, context: UrlContext): U;
  open(deviceId: string, url: U, context: SessionContext): Session<U>;
}
