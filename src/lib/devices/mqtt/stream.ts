/**
 * The messages of one broker, as series.
 *
 *   message --> entries whose filter fits the topic --> value --> Outlet, one a series
 *     not promoted: the last value of each `update_every`, with the time at which it came
 *     promoted: every message
 *
 * The time of a value is that of its arrival. What a broker has retained for new subscribers is left out: it may be years
 * old. When nothing comes there is no row.
 */
import { append } from '../../append.ts';
import { labelsProblem } from '../../limits.ts';
import type { Labels, Sample } from '../../sample.ts';
import type { Channel, Fact, SessionContext, Stream, StreamRequest, StreamSink } from '../driver.ts';
import { deviceText } from '../naming.ts';
import { follow } from '../shared/pointer.ts';
import { type Scalar, scalarOf } from '../shared/scalar.ts';
import { quote, Tally } from '../shared/tally.ts';
import { Broker } from './broker.ts';
import { fits, hasWildcard } from './topic.ts';
import type { MqttUrl } from './url.ts';

type Request = StreamRequest<MqttUrl>;

/** Topics of an entry with wildcards: a topic is somebody else's to invent. */
const MAX_SERIES = 10_000;
const MAX_TEXT = 200;
const TELL_EVERY_MS = 1_000;

/** One series of one entry. */
interface Outlet {
  readonly channel: Channel;
  /** Undefined for a value that is a text, which goes as a sample of its own. */
  pending: { readonly timestampUs: number; readonly scalar: Scalar } | undefined;
  readonly labels: Labels;
}

/** One entry: its outlets by topic, and the timer that gives their last values. */
class Listener {
  readonly request: Request;
  readonly #sink: StreamSink;
  readonly #outlets = new Map<string, Outlet>();
  readonly #timer: NodeJS.Timeout;

  constructor(request: Request, sink: StreamSink) {
    this.request = request;
    this.#sink = sink;
    this.#timer = setInterval(() => this.flush(), request.updateEveryMs);
  }

  /** Takes one value. Returns why it cannot be stored. */
  take(topic: string, scalar: Scalar, timestampUs: number): string | undefined {
    const outlet = this.#outlets.get(topic) ?? this.#open(topic);
    if (typeof outlet === 'string') return outlet;
    if (outlet.channel.promoted) {
      this.#give(outlet);
      outlet.pending = { timestampUs, scalar };
      this.#give(outlet);
    } else if (!this.request.optional) outlet.pending = { timestampUs, scalar };
    return undefined;
  }

  /** The earliest time of a value that is held back. */
  get heldSinceUs(): number | undefined {
    let since: number | undefined;
    for (const { pending } of this.#outlets.values())
      if (pending !== undefined && (since === undefined || pending.timestampUs < since))
        since = pending.timestampUs;
    return since;
  }

  flush(): void {
    for (const outlet of this.#outlets.values()) this.#give(outlet);
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
    for (const { channel } of this.#outlets.values()) channel.close();
  }

  #open(topic: string): Outlet | string {
    const { url, deviceId, metricId, labels: own } = this.request;
    if (this.#outlets.size >= MAX_SERIES) return `more than ${MAX_SERIES} topics fit ${quote(url.filter)}`;
    const labels = hasWildcard(url.filter) ? { topic: deviceText(topic, MAX_TEXT), ...own } : own;
    const problem = labelsProblem(labels);
    if (problem !== undefined) return problem;
    const outlet = {
      channel: this.#sink.channel(this.request, { deviceId, metricId, labels }),
      pending: undefined,
      labels,
    };
    this.#outlets.set(topic, outlet);
    return outlet;
  }

  #give(outlet: Outlet): void {
    const { pending, channel, labels } = outlet;
    if (pending === undefined) return;
    outlet.pending = undefined;
    const { timestampUs, scalar } = pending;
    const { deviceId, metricId, scaleFactor } = this.request;
    if (scalar.kind === 'number') channel.add(timestampUs, scalar.number * (scaleFactor ?? 1));
    if (scalar.kind !== 'text') return;
    const series = {
      deviceId,
      metricId,
      labels: { value_str: deviceText(scalar.text, MAX_TEXT), ...labels },
    };
    const sample: Sample = { series, timestampUs, value: Number.NaN };
    this.#sink.samples(this.request, [sample]);
  }
}

export class MqttStream implements Stream<MqttUrl> {
  readonly #url: MqttUrl;
  readonly #context: SessionContext;
  readonly #sink: StreamSink;
  readonly #broker: Broker;
  readonly #listeners = new Map<Request, Listener>();
  /** Listeners of one topic, and those with wildcards. */
  readonly #byTopic = new Map<string, Listener[]>();
  #patterns: Listener[] = [];
  #wasDown = false;
  #messages = 0;
  #tally = new Tally();
  #tellTimer: NodeJS.Timeout | undefined;

  constructor(url: MqttUrl, context: SessionContext, sink: StreamSink) {
    this.#url = url;
    this.#context = context;
    this.#sink = sink;
    this.#broker = new Broker(url, context, {
      onMessage: (topic, payload, isRetained) => this.#message(topic, payload, isRetained),
      onConnected: () => {
        // The broker is there again, though nobody may have anything to say.
        if (this.#wasDown) sink.readings(0);
        this.#wasDown = false;
      },
      onDown: (problem) => {
        this.#wasDown = true;
        sink.down(problem);
      },
      onProblem: (problem) => sink.problems([problem]),
    });
  }

  configure(requests: readonly Request[]): void {
    for (const [request, listener] of this.#listeners) {
      if (requests.includes(request)) continue;
      listener.close();
      this.#listeners.delete(request);
    }
    for (const request of requests)
      if (!this.#listeners.has(request)) this.#listeners.set(request, new Listener(request, this.#sink));
    this.#byTopic.clear();
    this.#patterns = [];
    const filters = new Map<string, 0 | 1>();
    for (const listener of this.#listeners.values()) {
      const { filter, qos } = listener.request.url;
      filters.set(filter, filters.get(filter) === 1 ? 1 : qos);
      if (hasWildcard(filter)) this.#patterns.push(listener);
      else append(this.#byTopic, filter, listener);
    }
    this.#broker.subscribe(filters);
  }

  heldSinceUs(): number | undefined {
    let since: number | undefined;
    for (const { heldSinceUs } of this.#listeners.values())
      if (heldSinceUs !== undefined && (since === undefined || heldSinceUs < since)) since = heldSinceUs;
    return since;
  }

  describe(): readonly Fact[] {
    return [{ name: 'messages', text: String(this.#messages) }];
  }

  async close(): Promise<void> {
    await this.#broker.close();
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
    this.#tell();
  }

  #message(topic: string, payload: Buffer, isRetained: boolean): void {
    if (isRetained) {
      this.#context.trace?.({ step: 'read', text: `${quote(topic)}: retained by the broker, left out` });
      return;
    }
    const timestampUs = this.#context.nowUs();
    let document: unknown;
    let isParsed = false;
    let count = 0;
    for (const listener of this.#listenersOf(topic)) {
      const { path } = listener.request.url;
      if (payload.length > this.#url.maxBytes) {
        this.#count('limit', 'size', `${quote(topic)}: a message of ${payload.length} bytes (see max_bytes)`);
        return;
      }
      const text = payload.toString('utf8').replace(/\0+$/, '');
      if (path !== undefined && !isParsed) {
        document = parse(text);
        isParsed = true;
      }
      count += this.#take(listener, topic, path === undefined ? text : document, timestampUs);
    }
    this.#messages++;
    if (count > 0) this.#sink.readings(1);
  }

  /** @param content the text of the message, or what it says as JSON */
  #take(listener: Listener, topic: string, content: unknown, timestampUs: number): 0 | 1 {
    const { url, metricId } = listener.request;
    const { path } = url;
    // Counted by entry, not by topic: topics are somebody else's to invent.
    const fault = (kind: 'value' | 'missing' | 'limit', text: string) =>
      this.#count(kind, `${metricId} ${kind} ${text.replace(/".*"/, '')}`, text);
    if (content === NO_JSON) return fault('value', `${quote(topic)}: the message is no JSON`);
    if (path === undefined && /^\s*[[{]/.test(String(content)))
      return fault('value', `${quote(topic)}: the message is JSON: say which value (path=$.a.b)`);
    const pointed = path === undefined ? { value: content } : follow(content, path);
    const scalar = scalarOf(pointed?.value);
    const where = path === undefined ? quote(topic) : `${quote(topic)} at ${path.join('.')}`;
    if (scalar.kind === 'none') return fault('missing', `${where}: no reading`);
    if (scalar.kind === 'bad') return fault('value', `${where} ${scalar.reason}`);
    const problem = listener.take(topic, scalar, timestampUs);
    return problem === undefined ? 1 : fault('limit', problem);
  }

  *#listenersOf(topic: string): Generator<Listener> {
    yield* this.#byTopic.get(topic) ?? [];
    for (const listener of this.#patterns) if (fits(listener.request.url.filter, topic)) yield listener;
  }

  #count(kind: Parameters<Tally['add']>[0], reason: string, message: string): 0 {
    this.#tally.add(kind, reason, () => message);
    this.#tellTimer ??= setTimeout(() => this.#tell(), TELL_EVERY_MS);
    return 0;
  }

  #tell(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    const problems = this.#tally.problems();
    this.#tally = new Tally();
    if (problems.length > 0) this.#sink.problems(problems);
  }
}

const NO_JSON = Symbol('no JSON');

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return NO_JSON;
  }
}
