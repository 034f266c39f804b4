/**
 * Pushes one value or a stream of them. Bad lines cost only themselves; what is good is stored batch by batch, or,
 * all or nothing, in one transaction that is undone if there was a single bad line.
 *
 *   bytes -> lines -> rows and refusals -> batch -> parts of few days -> PushStore -> refusals
 *
 * One batch is on its way while the next is read. A batch that does not fill up is sent after a second, so that
 * `measure | kw push` shows its values soon.
 */
import { KwError } from '../errors.ts';
import { guessFormat, type PushFormat, rowReader } from './formats.ts';
import { type Line, MAX_LINE_BYTES, readLines } from './lines.ts';
import { isRefusal, type PushDefaults, type PushRow, type Refusal } from './pushRow.ts';
import type { RowReader } from './rowReader.ts';
import { splitByDays } from './spans.ts';
import { type PushStore, StoredOrNot } from './store.ts';

const BATCH_ROWS = 5_000;
const BATCH_BYTES = 4 * 1024 * 1024;
const FLUSH_INTERVAL_MS = 1_000;
/** Refusals that a report lists; the others are counted. */
export const MAX_LISTED = 1_000;

export interface PushReport {
  /** Rows stored. */
  readonly stored: number;
  /** Lines refused. */
  readonly refused: number;
  /** The first of them. */
  readonly refusals: readonly Refusal[];
  /** Labels that were left out because they begin with `_`. */
  readonly removedLabels: number;
  /** With --spool: rows that wait on the disk. */
  readonly spooled?: number | undefined;
}

export interface PushOptions {
  readonly defaults: PushDefaults;
  readonly timeZone?: string | undefined;
  /** Undefined: guessed from the name and the first line. */
  readonly format?: PushFormat | undefined;
  readonly fileName?: string | undefined;
  readonly allOrNothing?: boolean | undefined;
  /** Its abortion, with the name of a signal as the reason, ends the reading; whole lines before it are stored. */
  readonly interrupt?: AbortSignal | undefined;
  /** What the store does with rows, for messages: they are `stored` unless told. */
  readonly done?: 'kept' | undefined;
  /** Called for each refusal, as soon as it is known: not always in the order of the lines. */
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
  /** Called after each batch. */
  readonly onProgress?: ((lines: number, stored: number) => void) | undefined;
}

/** Pushes everything that the source gives. */
export async function pushStream(
  store: PushStore,
  source: AsyncIterable<Buffer>,
  options: PushOptions,
): Promise<PushReport> {
  const run = new PushRun(store, options);
  return await run.finish(async () => {
    let reader: RowReader | undefined;
    for await (const lines of readLines(untilInterrupted(source, options.interrupt))) {
      for (const line of lines) {
        if (reader === undefined) {
          const text = line.bytes.toString('utf8');
          if (text.trim() === '') continue;
          refuseCompressed(line.bytes);
          const format = options.format ?? guessFormat(options.fileName, text);
          reader = rowReader(format, { defaults: options.defaults, timeZone: options.timeZone });
        }
        await run.line(line, reader);
      }
    }
    for (const row of reader?.end() ?? []) await run.add(row);
  });
}

/** What `kw export` writes to a name in .gz: by its first two bytes (RFC 1952, section 2.3.1). */
function refuseCompressed(bytes: Uint8Array): void {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return;
  throw new KwError('the input is compressed', { code: 'PUSH_FORMAT', hint: 'write zcat FILE | kw push' });
}

/** Fails at the interrupt instead of ending, so that nobody takes the piece of a line before it for a line. */
async function* untilInterrupted(
  source: AsyncIterable<Buffer>,
  interrupt: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  if (interrupt === undefined) {
    yield* source;
    return;
  }
  const interrupted = new Promise<never>((_, reject) => {
    const stop = () => reject(new Interrupted());
    if (interrupt.aborted) stop();
    else interrupt.addEventListener('abort', stop, { once: true });
  });
  interrupted.catch(() => undefined);
  const chunks = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([chunks.next(), interrupted]);
    if (next.done) return;
    yield next.value;
  }
}

class Interrupted extends Error {}

/** Pushes a single row. */
export async function pushRow(
  store: PushStore,
  row: PushRow | Refusal,
  options: PushOptions,
): Promise<PushReport> {
  const run = new PushRun(store, options);
  return await run.finish(() => run.add(row));
}

/** The report of an empty input. */
export async function pushNothing(store: PushStore, options: PushOptions): Promise<PushReport> {
  return await new PushRun(store, options).finish(async () => {});
}

class PushRun {
  readonly #store: PushStore;
  readonly #options: PushOptions;
  readonly #refusals: Refusal[] = [];
  #batch: PushRow[] = [];
  #batchBytes = 0;
  #inFlight: Promise<void> = Promise.resolve();
  #failure: unknown;
  #lines = 0;
  #sentUpTo = 0;
  #stored = 0;
  #refused = 0;
  #removedLabels = 0;

  constructor(store: PushStore, options: PushOptions) {
    this.#store = store;
    this.#options = options;
  }

  async line(line: Line, reader: RowReader): Promise<void> {
    this.#lines = line.number;
    if (line.tooLong) {
      this.#refuse({ line: line.number, reason: `the line is longer than ${MAX_LINE_BYTES} bytes` });
      return;
    }
    for (const row of reader.read(line)) await this.add(row);
  }

  async add(row: PushRow | Refusal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (isRefusal(row)) {
      this.#refuse(row);
      return;
    }
    this.#removedLabels += row.removedLabels;
    this.#batch.push(row);
    this.#batchBytes += mostBytes(row);
    if (this.#batch.length >= BATCH_ROWS || this.#batchBytes >= BATCH_BYTES) await this.#flush();
  }

  /** Runs the reading, stores the rest, and decides about the transaction. */
  async finish(read: () => Promise<void>): Promise<PushReport> {
    const { allOrNothing } = this.#options;
    if (allOrNothing) await this.#store.begin();
    const timer = setInterval(() => void this.#flush().catch(() => {}), FLUSH_INTERVAL_MS);
    try {
      const interrupted = await read().then(() => false, ignoreInterrupt);
      await this.#flush();
      await this.#inFlight;
      if (this.#failure !== undefined) throw this.#failure;
      if (interrupted) {
        if (allOrNothing) await this.#store.rollback();
        throw this.#interrupted();
      }
      if (allOrNothing) {
        if (this.#refused > 0) {
          await this.#store.rollback();
          this.#stored = 0;
        } else {
          await this.#store.commit();
        }
      }
    } finally {
      clearInterval(timer);
      await this.#inFlight;
    }
    return {
      stored: this.#stored,
      refused: this.#refused,
      refusals: this.#refusals.toSorted((a, b) => a.line - b.line),
      removedLabels: this.#removedLabels,
    };
  }

  /** Sends the batch once the one before it is done; waits for that only, not for this. */
  async #flush(): Promise<void> {
    const rows = this.#batch;
    if (rows.length === 0) return;
    this.#batch = [];
    this.#batchBytes = 0;
    const before = this.#inFlight;
    this.#inFlight = before.then(() => this.#storeBatch(rows));
    await before;
  }

  async #storeBatch(rows: readonly PushRow[]): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      for (const part of splitByDays(rows)) {
        const refusals = await this.#store.store(part);
        this.#stored += part.length - refusals.length;
        this.#sentUpTo = part.at(-1)?.line ?? this.#sentUpTo;
        for (const refusal of refusals) this.#refuse(refusal);
        this.#options.onProgress?.(this.#lines, this.#stored);
      }
    } catch (error) {
      this.#failure = this.#options.allOrNothing ? error : this.#partly(error, rows.at(-1)?.line ?? 0);
    }
  }

  /** An outage in the middle: what is stored stays, and the user must know where to go on. */
  #partly(error: unknown, lastLine: number): unknown {
    const said = error instanceof Error ? error.message : String(error);
    if (error instanceof StoredOrNot) {
      const before = this.#sentUpTo === 0 ? '' : `stopped after line ${this.#sentUpTo}, `;
      const first = this.#sentUpTo + 1;
      const which = lastLine <= first ? 'the value' : `what stands in lines ${first} to ${lastLine}`;
      return new KwError(`${before}${this.#soFar}, and it is not known whether ${which} is: ${said}`, {
        code: 'PUSH_UNSURE',
        hint: 'kw query shows what is there; kw delete takes values back, to push them again',
        cause: error,
      });
    }
    if (this.#stored === 0) return error;
    return new KwError(`stopped after line ${this.#sentUpTo}, ${this.#soFar}: ${said}`, {
      code: 'PUSH_STOPPED',
      hint: `push again from line ${this.#sentUpTo + 1} on`,
      cause: error,
    });
  }

  #interrupted(): KwError {
    const { allOrNothing, interrupt } = this.#options;
    const exit = interrupt?.reason === 'SIGTERM' ? 143 : 130;
    if (allOrNothing) return new KwError('interrupted: nothing is stored', { code: 'PUSH_STOPPED', exit });
    return new KwError(`interrupted after line ${this.#sentUpTo}, ${this.#soFar}`, {
      code: 'PUSH_STOPPED',
      exit,
      hint: `push again from line ${this.#sentUpTo + 1} on`,
    });
  }

  get #soFar(): string {
    const done = this.#options.done ?? 'stored';
    return this.#stored === 1 ? `1 value is ${done}` : `${this.#stored} values are ${done}`;
  }

  #refuse(refusal: Refusal): void {
    this.#refused++;
    if (this.#refusals.length < MAX_LISTED) this.#refusals.push(refusal);
    this.#options.onRefusal?.(refusal);
  }
}

/** Whether the reading was interrupted; other errors go on. */
function ignoreInterrupt(error: unknown): true {
  if (error instanceof Interrupted) return true;
  throw error;
}

/** What the values of a row may take in JSON, where a control character takes six bytes. */
function mostBytes({ deviceId, metricId, labels }: PushRow): number {
  return 100 + 6 * (deviceId.length + metricId.length) + 3 * JSON.stringify(labels).length;
}
