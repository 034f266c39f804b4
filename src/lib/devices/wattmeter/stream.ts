/**
 * One wattmeter: how its frames flow.
 *
 *   source (source.ts, kept going by supervisor.ts)
 *     --> bytes --> FrameDecoder (lines.ts) --> frame: time and one number a column
 *     --> this file: gaps, late frames, steps of the clock
 *     --> Recorder, one an entry (recorder.ts): the mean of the second | every frame while promoted
 *     --> Channel of each port --> column of a batch --> encoded rows, grouped by device --> writer
 */
import type { Readable } from 'node:stream';
import type { Fact, SessionContext, Stream, StreamRequest, StreamSink } from '../driver.ts';
import { Tally } from '../shared/tally.ts';
import { FrameDecoder, type Layout, type LineFault } from './lines.ts';
import { type Mapping, readMapping, watchMapping } from './mapping.ts';
import { GAP_SHARE, Recorder } from './recorder.ts';
import { openInput, type Source } from './source.ts';
import { Spacing } from './spacing.ts';
import { Supervisor } from './supervisor.ts';
import type { WattmeterUrl } from './url.ts';

/** Problems are told together, this often at most. */
const TELL_EVERY_MS = 1_000;
/** Back by less than this, a frame is late; by more, the clock was set. */
const LATE_US = 1_000_000;
/** So much nearer to the future than ever before: the clock was set forward, and no frames are missing. */
const LEAP_US = 2_000_000;
/** Frames within this distance of the present are live; others are played back, and nothing can be told of time. */
const LIVE_US = 60_000_000;

const FAULT_WORDS: Readonly<Record<LineFault, string>> = {
  'bad frame': 'the wattmeter calls a frame bad',
  'no frame': 'a line is no frame',
  'other columns': 'a line has another number of values than the one before, and was left out',
  'too long': 'a line is too long',
  partial: 'the last line has no end',
};

export class WattmeterStream implements Stream<WattmeterUrl> {
  readonly #url: WattmeterUrl;
  readonly #context: SessionContext;
  readonly #sink: StreamSink;
  readonly #recorders = new Map<StreamRequest<WattmeterUrl>, Recorder>();
  readonly #supervisor: Supervisor;
  readonly #ready: Promise<void>;
  #input: Source | undefined;
  #mapping: Mapping = new Map();
  #unwatch = () => {};
  #closed = false;

  #decoder = this.#newDecoder();
  #layout: Layout | undefined;
  readonly #spacing = new Spacing();
  /** Time of the latest frame; NaN when there is none to compare with. */
  #lastUs = Number.NaN;
  /** How far the wattmeter's clock is ahead of this machine's, at most. */
  #offsetUs = Number.NEGATIVE_INFINITY;
  #cameUs = 0;
  /** Good frames of the chunk that is being read. */
  #frames = 0;
  #total = 0;

  #tally = new Tally();
  #hasProblems = false;
  #toldMs = Number.NEGATIVE_INFINITY;
  #tellTimer: NodeJS.Timeout | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  /** @param input for a URL whose source is standard input */
  constructor(url: WattmeterUrl, context: SessionContext, sink: StreamSink, input?: Readable) {
    this.#url = url;
    this.#context = context;
    this.#sink = sink;
    const events = {
      onBegin: () => {
        this.#decoder = this.#newDecoder();
      },
      onBytes: (chunk: Buffer) => this.#take(chunk),
      onOver: () => this.#over(),
    };
    this.#supervisor = new Supervisor(url, sink, events, context.trace);
    this.#ready = this.#begin(input);
  }

  configure(requests: readonly StreamRequest<WattmeterUrl>[]): void {
    for (const [request, recorder] of this.#recorders) {
      if (requests.includes(request)) continue;
      recorder.close();
      this.#recorders.delete(request);
    }
    for (const request of requests) {
      if (this.#recorders.has(request)) continue;
      const recorder = new Recorder({
        request,
        sink: this.#sink,
        nodeOf: (device) => this.#mapping.get(device),
        mappedDevices: () => this.#mapping.keys(),
      });
      this.#recorders.set(request, recorder);
      if (this.#layout) this.#use(recorder, request, this.#layout);
    }
  }

  heldSinceUs(): number | undefined {
    let since: number | undefined;
    for (const { heldSinceUs } of this.#recorders.values()) {
      if (heldSinceUs !== undefined && (since === undefined || heldSinceUs < since)) since = heldSinceUs;
    }
    return since;
  }

  describe(): readonly Fact[] {
    const facts: Fact[] = [];
    if (this.#layout) {
      const { version, power } = this.#layout;
      facts.push({ name: 'lines', text: `v${version}, ${power.length} ports` });
    }
    const usualUs = this.#spacing.usualUs;
    if (Number.isFinite(usualUs)) {
      facts.push({ name: 'frames', text: `${Math.round(1e7 / usualUs) / 10} a second` });
    }
    if (this.#url.mapping !== undefined) {
      facts.push({ name: 'mapping', text: `${this.#url.mapping}, ${this.#mapping.size} ports` });
    }
    return facts;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#stallTimer);
    this.#unwatch();
    await this.#ready;
    await this.#supervisor.close();
    await this.#input?.close();
    for (const recorder of this.#recorders.values()) recorder.close();
    this.#tell();
  }

  /** Nothing is read before it is known which node is where. */
  async #begin(input: Readable | undefined): Promise<void> {
    const { mapping } = this.#url;
    if (mapping !== undefined) {
      await this.#map(mapping);
      if (!this.#closed) this.#unwatch = watchMapping(mapping, () => void this.#map(mapping));
    }
    if (this.#closed) return;
    if (input === undefined) {
      this.#supervisor.start();
      return;
    }
    this.#watchInput();
    this.#input = openInput(input, {
      onBytes: (chunk) => this.#take(chunk),
      onRemark: () => {},
      onEnd: (problem) => {
        clearTimeout(this.#stallTimer);
        this.#over();
        this.#tell();
        if (problem) this.#sink.down(problem);
        this.#sink.ended();
      },
    });
  }

  /** Standard input cannot be started again: its silence is only told. */
  #watchInput(): void {
    const { stallMs } = this.#url;
    clearTimeout(this.#stallTimer);
    this.#stallTimer = setTimeout(() => {
      this.#sink.down({ kind: 'timeout', message: `standard input gave no frame for ${stallMs / 1000} s` });
    }, stallMs);
  }

  async #map(path: string): Promise<void> {
    let mapping: Mapping;
    try {
      mapping = await readMapping(path);
    } catch (error) {
      // The old one stays.
      this.#count('value', (error as Error).message, () => (error as Error).message);
      return;
    }
    if (this.#closed) return;
    this.#mapping = mapping;
    for (const recorder of this.#recorders.values()) recorder.remap();
    this.#context.trace?.({ step: 'resolve', text: `${path} names ${mapping.size} ports` });
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder({
      onLayout: (layout) => this.#lay(layout),
      onFrame: (timestampUs, values) => this.#frame(timestampUs, values),
      onFault: (fault, text) => this.#count('protocol', fault, () => `${FAULT_WORDS[fault]}: ${text()}`),
    });
  }

  #take(chunk: Buffer): void {
    if (this.#closed) return;
    this.#frames = 0;
    this.#cameUs = this.#context.nowUs();
    this.#decoder.push(chunk);
    if (this.#frames === 0) return;
    this.#supervisor.alive();
    if (this.#input) this.#stallTimer?.refresh();
    if (this.#total === 0) this.#traceFirst();
    this.#total += this.#frames;
    this.#sink.readings(this.#frames);
  }

  #traceFirst(): void {
    const { version, power } = this.#layout as Layout;
    this.#context.trace?.({ step: 'read', text: `frames of v${version} with ${power.length} ports` });
  }

  #lay(layout: Layout): void {
    const before = this.#layout?.power.length;
    const ports = layout.power.length;
    if (before !== undefined && before !== ports) {
      this.#count('protocol', 'ports', () => `the wattmeter has ${ports} ports now, before it had ${before}`);
    }
    this.#layout = layout;
    for (const [request, recorder] of this.#recorders) this.#use(recorder, request, layout);
  }

  #use(recorder: Recorder, { url, metricId }: StreamRequest<WattmeterUrl>, layout: Layout): void {
    recorder.use(layout);
    if (layout[url.quantity].length > 0) return;
    this.#count(
      'missing',
      metricId,
      () => `lines of v${layout.version} have no ${url.quantity} (${metricId})`,
    );
  }

  #frame(timestampUs: number, values: Float64Array): void {
    const stepUs = timestampUs - this.#lastUs;
    const late = stepUs < 0;
    if (stepUs > GAP_SHARE * this.#spacing.usualUs) this.#gap(stepUs, timestampUs);
    else if (late && -stepUs >= LATE_US) this.#setBack(-stepUs);
    const isLate = timestampUs < this.#lastUs;
    if (isLate)
      this.#count('clock', 'late', () => `a frame is ${-stepUs / 1000} ms older than the one before it`);
    const { usualUs } = this.#spacing;
    for (const recorder of this.#recorders.values()) {
      recorder.frame(timestampUs, values, isLate, this.#cameUs, usualUs);
    }
    this.#frames++;
    if (isLate) return;
    this.#spacing.add(timestampUs - this.#lastUs);
    this.#lastUs = timestampUs;
    // Frames may have waited for this machine, which only makes them older.
    this.#offsetUs = Math.max(this.#offsetUs, timestampUs - this.#cameUs);
  }

  /** Frames are missing, or the wattmeter's clock was set forward. */
  #gap(stepUs: number, timestampUs: number): void {
    const aheadUs = timestampUs - this.#cameUs - this.#offsetUs;
    if (Math.abs(this.#offsetUs) < LIVE_US && aheadUs > LEAP_US) {
      this.#interrupt();
      this.#count('clock', 'leap', () => `its clock went ${seconds(aheadUs)} forward`);
      return;
    }
    const missing = Math.max(1, Math.round(stepUs / this.#spacing.usualUs) - 1);
    this.#sink.missed(missing);
    this.#count(
      'gap',
      'gap',
      () => `frames are missing: none for ${seconds(stepUs)} before ${isoTime(timestampUs)}`,
      missing,
    );
  }

  #setBack(byUs: number): void {
    this.#interrupt();
    this.#count('clock', 'back', () => `its clock went ${seconds(byUs)} back`);
  }

  /** A run of the source is over. */
  #over(): void {
    this.#decoder.end();
    this.#interrupt();
    this.#spacing.forget();
  }

  #interrupt(): void {
    for (const recorder of this.#recorders.values()) recorder.interrupt();
    this.#lastUs = Number.NaN;
    this.#offsetUs = Number.NEGATIVE_INFINITY;
  }

  #count(kind: Parameters<Tally['add']>[0], reason: string, example: () => string, count = 1): void {
    this.#tally.add(kind, reason, example, count);
    if (this.#hasProblems) return;
    this.#hasProblems = true;
    const waitMs = Math.max(0, this.#toldMs + TELL_EVERY_MS - performance.now());
    this.#tellTimer = setTimeout(() => this.#tell(), waitMs);
  }

  #tell(): void {
    clearTimeout(this.#tellTimer);
    if (!this.#hasProblems) return;
    this.#hasProblems = false;
    this.#toldMs = performance.now();
    const problems = this.#tally.problems();
    this.#tally = new Tally();
    this.#sink.problems(problems);
  }
}

function seconds(us: number): string {
  return `${Math.round(us / 1000) / 1000} s`;
}

function isoTime(us: number): string {
  return new Date(us / 1000).toISOString();
}
