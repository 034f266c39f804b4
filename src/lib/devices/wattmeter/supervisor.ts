/**
 * Keeps a source going.
 *
 *   running   bytes come. When it ends, or gives no frame for the time of a stall, it is over.
 *   waiting   over; started again after a delay, which doubles up to a minute each time, and begins at a second
 *             again once the source had frames for ten seconds
 *   closed    for good
 */
import type { Problem, SessionContext, StreamSink } from '../driver.ts';
import { openSource, type Source } from './source.ts';
import type { WattmeterUrl } from './url.ts';

export interface SupervisedEvents {
  /** A run begins: what follows has nothing to do with what came before. */
  onBegin(): void;
  onBytes(chunk: Buffer): void;
  /** A run is over: what was held back may go. */
  onOver(): void;
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
const HEALTHY_MS = 10_000;
/** Lines of a program's stderr that are told in that time; the rest is counted. */
const REMARKS = 10;
const REMARKS_MS = 10_000;

export class Supervisor {
  readonly #url: WattmeterUrl;
  readonly #sink: Pick<StreamSink, 'down' | 'remark'>;
  readonly #events: SupervisedEvents;
  readonly #trace: SessionContext['trace'];
  #source: Source | undefined;
  /** The end of a source that stalled. */
  #ending = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;
  #closed = false;
  #beganMs = 0;
  #lastFrameMs = 0;
  #hadFrames = false;
  #remarks = { sinceMs: Number.NEGATIVE_INFINITY, told: 0, hidden: 0 };

  constructor(
    url: WattmeterUrl,
    sink: Pick<StreamSink, 'down' | 'remark'>,
    events: SupervisedEvents,
    trace: SessionContext['trace'],
  ) {
    this.#url = url;
    this.#sink = sink;
    this.#events = events;
    this.#trace = trace;
  }

  start(): void {
    const { source } = this.#url;
    if (this.#closed || source.kind === 'stdin') return;
    this.#events.onBegin();
    this.#beganMs = performance.now();
    this.#lastFrameMs = this.#beganMs;
    this.#hadFrames = false;
    this.#watch();
    this.#source = openSource(
      source,
      {
        onBytes: (chunk) => this.#events.onBytes(chunk),
        onRemark: (line) => this.#remark(line),
        onEnd: (problem) => this.#over(problem ?? { kind: 'refused', message: 'it ended' }),
      },
      this.#trace,
    );
  }

  /** A good frame came. */
  alive(): void {
    this.#lastFrameMs = performance.now();
    this.#hadFrames = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#source?.close();
    await this.#ending;
  }

  /** Looks again when the present silence would be too long. */
  #watch(): void {
    const { stallMs } = this.#url;
    const leftMs = this.#lastFrameMs + stallMs - performance.now();
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#watch(), leftMs);
      return;
    }
    const source = this.#source;
    this.#over(
      { kind: 'timeout', message: `${this.#url.hostPort} gave no frame for ${stallMs / 1000} s` },
      source,
    );
  }

  #over(problem: Problem, stalled?: Source): void {
    clearTimeout(this.#timer);
    this.#source = undefined;
    this.#events.onOver();
    if (this.#closed) return;
    if (this.#hadFrames && this.#lastFrameMs - this.#beganMs >= HEALTHY_MS) this.#delayMs = FIRST_DELAY_MS;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(MAX_DELAY_MS, delayMs * 2);
    this.#sink.down({ ...problem, message: problem.message.slice(0, 300) });
    // One that stalls is ended first: two readers of one device would take each other's bytes.
    this.#ending = stalled?.close() ?? Promise.resolve();
    void this.#ending.then(() => {
      if (!this.#closed) this.#timer = setTimeout(() => this.start(), delayMs);
    });
  }

  #remark(line: string): void {
    const nowMs = performance.now();
    const remarks = this.#remarks;
    if (nowMs - remarks.sinceMs >= REMARKS_MS) {
      if (remarks.hidden > 0) this.#sink.remark(`and ${remarks.hidden} more lines on stderr`);
      this.#remarks = { sinceMs: nowMs, told: 1, hidden: 0 };
    } else if (remarks.told >= REMARKS) {
      remarks.hidden++;
      return;
    } else {
      remarks.told++;
    }
    this.#sink.remark(line);
  }
}
