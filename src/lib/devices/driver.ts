/**
 * The interface between the collector and the protocols. A protocol is one folder beside this file that
 * exports its drivers, and a line for each in registry.ts. Drivers know nothing of schedules, batches or databases.
 *
 * A polled device is asked at the instants of a schedule:
 *
 *   Driver --parseUrl--> DeviceUrl          once, when the configuration is read: no I/O
 *   Driver --open------> Session            one a device and endpoint, kept for as long as it is configured
 *   Session --plan-----> Poll               one a group of metrics that share a period; again when the group changes
 *   Poll --read--------> PollResult         once a period
 *
 * A stream speaks when it has something to say (a wattmeter, a message broker):
 *
 *   StreamDriver --parseUrl----> DeviceUrl  as above
 *   StreamDriver --openStream--> Stream     one an endpoint; connects, and again when the connection is lost
 *   Stream <-----configure------            which metrics are wanted; again when the configuration changes
 *   Stream --sink.channel------> Channel    one for each series that the stream gives
 *   Stream --channel.add-------> (a value)  as they come
 *
 * Beside these ways, for people who set a device up:
 *
 *   Driver --parseDeviceUrl--> DeviceUrl    a URL that may lack its last part, such as snmp://public@pdu-1
 *   Driver --discover--------> Discovery    what the device offers, as entries of a metric file
 */
import type { Labels, Sample, Series } from '../sample.ts';

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

  /** @param options the cause, of a reference that could not be resolved */
  constructor(message: string, offset = 0, hint?: string, options?: ErrorOptions) {
    super(message, options);
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
  | 'gap' // readings that a stream should have given
  | 'clock' // the device's clock was set, or its times do not rise
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
  /**
   * Told at each step on the way to a value, for `kw device probe --verbose`; undefined everywhere else, so a
   * driver calls it as `context.trace?.(...)`. The times are taken by who listens.
   */
  trace?(step: TraceStep): void;
  /** kw's own folder, where a driver may keep what it learned of a device; undefined: nowhere. */
  readonly dataFolder?: string | undefined;
}

/** One step on the way to a value, told when it is done or has failed. */
export interface TraceStep {
  /**
   * resolve: names to addresses. open: sockets, TLS, sessions. authenticate: who we are, and what the device
   * thinks of it. read: requests and their answers. close: the end of a session.
   */
  readonly step: 'resolve' | 'open' | 'authenticate' | 'read' | 'close';
  /** What happened, as half a sentence: `pdu-1 is 192.0.2.7`. Never a secret; text of a device is escaped and cut. */
  readonly text: string;
}

export interface UrlContext {
  /** Replaces `${env:NAME}` and `${file:PATH}` in one component of a URL (user, password, key). Throws KwError. */
  resolveSecret(text: string): string;
  /** A named credential's fields (from `credentials:` in kw.yaml), resolved; undefined when the entry names none. */
  readonly credential?: Readonly<Record<string, string>> | undefined;
}

export interface DiscoverOptions {
  /** Only this kind of device or table, by the name that the protocol's page gives it; undefined: all that fit. */
  readonly profile?: string | undefined;
  /** With what a driver leaves out by itself: interfaces that are down, sensors without a reading. */
  readonly all?: boolean | undefined;
  /** Longest time in all. */
  readonly timeoutMs: number;
  /** Half a sentence on what is being read, for a terminal; called as often as a driver likes. */
  onProgress?(text: string): void;
  /** Aborted when the user gives up: a driver ends its sessions and resolves soon with what it has. */
  readonly signal?: AbortSignal | undefined;
}

/** A kind of device or table that a driver knows how to read whole. */
export interface DiscoveryProfile {
  /** For `--profile`, such as `apc-rpdu2`. */
  readonly name: string;
  /** For people: `APC rPDU2 (PowerNet-MIB): outlets, phases, banks`. */
  readonly title: string;
}

/** One metric that a device offers: all that an entry of a metric file says of it. */
export interface Finding {
  /** Name after Prometheus's rules; see naming.ts. */
  readonly metricId: string;
  /**
   * The URL to write. Made with naming.ts' `writableSecret`: references stay as the user wrote them, a secret
   * that was typed becomes a reference. When the user named a credential, without user and password.
   */
  readonly url: string;
  readonly unit?: string | undefined;
  readonly description?: string | undefined;
  /** What tells this metric from others of its name on the same device, and names that people gave. */
  readonly labels: Labels;
  /**
   * The part of the device that something else hangs on (an outlet), if a user may want it as a device of its own:
   * `outlet-7`, the labels that it makes needless, and the name that people gave to what hangs there.
   */
  readonly part?: FindingPart | undefined;
  readonly periodMs: number;
  /** Not collected until a job asks for it. */
  readonly optional?: boolean | undefined;
  readonly scaleFactor?: number | undefined;
  /** As just read, after scaling; text as the device says it. */
  readonly value?: number | string | undefined;
  /** Order in the file: 0 power, 1 energy, 2 temperature, 3 other sensors, 4 traffic, 9 the rest. */
  readonly rank: number;
}

export interface FindingPart {
  readonly id: string;
  readonly labels: readonly string[];
  readonly alias: string | undefined;
}

export interface Discovery {
  /** Names of the profiles that fitted, in the order of the file. */
  readonly profiles: readonly string[];
  /** In the order of the device; the writer sorts by rank and keeps that order within one. */
  readonly findings: readonly Finding[];
  readonly problems: readonly Problem[];
  /** What the device says of itself, for the head of the file: `{name: 'sysDescr', text: ...}`. */
  readonly about?: readonly Fact[] | undefined;
}

/** What a polled driver and a stream have in common. */
interface DriverBase<U extends DeviceUrl> {
  /** URL schemes, without `://`. */
  readonly schemes: readonly string[];
  /** One line for `kw device probe --help` and messages: the form of the URL. */
  readonly urlForm: string;
  /** Whether a URL asks for a metric; left out by protocols whose entries give one metric each. */
  asksFor?(url: U, metricId: string): boolean;
  /** Whether what a URL names hangs on this machine, so that no collector elsewhere could read it. */
  isLocal?(url: U): boolean;
  /** @throws DeviceUrlError */
  parseUrl(text: string, context: UrlContext): U;
  /**
   * As parseUrl, for `kw device discover`: what names the metric may be missing, and is ignored if it is there.
   * Left out by protocols whose URLs always name a whole device, and by those that cannot discover.
   * @throws DeviceUrlError
   */
  parseDeviceUrl?(text: string, context: UrlContext): U;
  /** What `--profile` may name; left out where a device says by itself what it has. */
  readonly profiles?: readonly DiscoveryProfile[];
  /**
   * Asks a device what it offers. Bounded in time and answers whatever the device says. Never rejects for
   * anything that a device or network can cause, nor when `options.signal` ends it: that is in `problems`.
   */
  discover?(deviceId: string, url: U, context: SessionContext, options: DiscoverOptions): Promise<Discovery>;
}

/** A protocol whose devices are asked. */
export interface Driver<U extends DeviceUrl = DeviceUrl> extends DriverBase<U> {
  /**
   * At least so many milliseconds lie between the instants at which devices are read; undefined: as configured. For
   * devices that are asked many times in a read: the more of them are read at once, the more answers a wake-up finds.
   */
  readonly phaseGridMs?: number;
  open(deviceId: string, url: U, context: SessionContext): Session<U>;
}

/** A protocol whose devices speak by themselves. */
export interface StreamDriver<U extends DeviceUrl = DeviceUrl> extends DriverBase<U> {
  /** `update_every` and `optional_update_every` where an entry is silent. */
  readonly defaultPeriodsMs?: { readonly usual: number; readonly promoted?: number };
  /** Begins to connect and returns at once. What fails then goes to the sink; the stream tries again by itself. */
  openStream(deviceId: string, url: U, context: SessionContext, sink: StreamSink): Stream<U>;
}

export type AnyDriver = Driver | StreamDriver;

export function isStreamDriver(driver: AnyDriver): driver is StreamDriver {
  return 'openStream' in driver;
}

/** One configured metric, as a stream sees it: the same object for as long as the entry says the same. */
export interface StreamRequest<U extends DeviceUrl = DeviceUrl> extends MetricRequest<U> {
  /** Stored only while promoted. */
  readonly optional: boolean;
  /** What `update_every` means to a stream is for its protocol to say: a wattmeter gives the mean of that time. */
  readonly updateEveryMs: number;
}

export interface Stream<U extends DeviceUrl = DeviceUrl> {
  /** What is wanted of this endpoint now, by difference to the last call: what stays keeps its channels. */
  configure(requests: readonly StreamRequest<U>[]): void;
  /**
   * The earliest instant of which a reading is held back (the second whose mean is being gathered), in microseconds
   * since the epoch on this machine's clock; undefined when nothing is.
   */
  heldSinceUs?(): number | undefined;
  /** What the stream knows in the protocol's own terms, for `kw device probe`. */
  describe?(): readonly Fact[];
  /** Hands over what it holds, then ends sockets, processes and timers. The sink is not used after that. */
  close(): Promise<void>;
}

/** Where a series of a stream goes. One object for as long as the series is given. */
export interface Channel {
  /**
   * Whether the metric is enabled by somebody now. Looked at with each reading, so that a promotion takes effect
   * from the very next one on.
   */
  readonly promoted: boolean;
  /**
   * Takes one value.
   * @param timestampUs microseconds since the epoch, an integer
   */
  add(timestampUs: number, value: number): void;
  /** The series is not given any more. */
  close(): void;
}

/** What a stream tells its surroundings. Implemented by the collector, by a dry run and by `kw device probe`. */
export interface StreamSink {
  /**
   * Opens the channel of a series, which from then on is in the catalogue as a metric of this entry. The series
   * may have another device than the entry (a port of a wattmeter), and more labels. At most one at a time for a
   * device, metric and labels.
   */
  channel(request: StreamRequest, series: Series): Channel;
  /** Samples of series that are too seldom or too many for channels (text values). Copied out: arrays may be used again. */
  samples(request: StreamRequest, samples: readonly Sample[]): void;
  /** That many readings (frames, messages) came: the endpoint is up. Once a chunk is enough. */
  readings(count: number): void;
  /** The endpoint is not there (any more): refused, ended, stalled. The stream goes on trying. */
  down(problem: Problem): void;
  /** Things to count and to tell while it is up. */
  problems(problems: readonly Problem[]): void;
  /** Readings that should have come and did not, as far as the protocol tells. */
  missed(count: number): void;
  /** A line for the log that is no problem by itself, such as what a reader program says on stderr. */
  remark(text: string): void;
  /** Nothing will ever come again: the end of standard input. */
  ended(): void;
}
