/**
 * `kw push --spool`: values go to the disk first, and from there to the database, so that they outlive both its outage
 * and this process.
 *
 *   input -> rows -> SpooledPush.store() = on the disk -> sender, beside -> database
 *
 * States of the sending side:
 *   sending   what waits is sent as it comes; nothing waits: it sleeps until something is put in
 *   away      the last attempt failed: it is tried again after 1 s, 2 s, ... up to 30 s, or at the end of the input
 *
 * The end of the input ends it once nothing waits, or at the first attempt that fails with everything put in.
 */
import { randomUUID } from 'node:crypto';
import { KwError } from '../errors.ts';
import type { PushRow, Refusal } from './pushRow.ts';
import type { SpoolSink } from './spooledPart.ts';
import { type HeldSpool, SpoolFolders } from './spoolFolder.ts';
import { toRecord } from './spoolRecord.ts';
import { SpoolSender } from './spoolSender.ts';
import type { PushStore } from './store.ts';

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

export interface SpoolUse {
  readonly dataFolder: string;
  /** Bytes that may wait; undefined is 1 GiB or half of what is free. */
  readonly maxBytes?: number | undefined;
  /** For which database or server, without secrets: values go to no other. */
  readonly target: string;
  /** @throws KwError when there is no way now */
  readonly connect: () => Promise<SpoolSink>;
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
  /** After each part: rows that are stored so far. */
  readonly onStored?: ((stored: number) => void) | undefined;
  /** Once an outage, and when it is over: undefined. */
  readonly onAway?: ((error: KwError | undefined) => void) | undefined;
  /** Something about the spool that its user should know. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** What became of everything that was in the spool. */
export interface SpoolOutcome {
  readonly stored: number;
  /** Rows that wait, as far as this process had them. */
  readonly waiting: number;
  /** Refused by the database, and set aside. */
  readonly refused: number;
  /** In which of them there is a refused.ndjson of now. */
  readonly setAsideIn: readonly string[];
  /** Why something waits. */
  readonly away: KwError | undefined;
}

export class SpooledPush implements PushStore {
  readonly #use: SpoolUse;
  readonly #run = randomUUID();
  readonly #folders: SpoolFolders;
  readonly #held: HeldSpool;
  readonly #sender: SpoolSender;
  readonly #maxBytes: number;
  readonly #setAsideIn = new Set<string>();
  readonly #stop = new AbortController();
  #bytesBeside: number;
  #stored = 0;
  #refused = 0;
  #waitingElsewhere = 0;
  #puts = 0;
  #ended = false;
  #away: KwError | undefined;
  #wake: () => void = () => {};
  #sink: SpoolSink | undefined;
  readonly #sending: Promise<void>;

  private constructor(
    use: SpoolUse,
    folders: SpoolFolders,
    held: HeldSpool,
    bytesBeside: number,
    maxBytes: number,
  ) {
    this.#use = use;
    this.#folders = folders;
    this.#held = held;
    this.#bytesBeside = bytesBeside;
    this.#maxBytes = maxBytes;
    this.#sender = this.#senderOf(held);
    this.#sending = this.#send();
    this.#sending.catch(() => undefined);
  }

  /** Sending begins at once with what waits already. @throws KwError PUSH_SPOOL_FOLDER, SPOOL_DISK */
  static async begin(use: SpoolUse): Promise<SpooledPush> {
    const folders = new SpoolFolders(use.dataFolder, {
      onDamaged: ({ segment, rows }) =>
        use.onNote?.(`the spool is damaged: ${rows ?? 'some'} values of segment ${segment} cannot be read`),
      onSetAside: (file) => use.onNote?.(`the spool holds a file that is none of its own: ${file}`),
    });
    const held = await folders.take(use.target);
    const beside = folders.bytesBeside(held.folder);
    const maxBytes = use.maxBytes ?? (await folders.defaultMaxBytes(beside + held.spool.bytes));
    const others = folders.otherTargets(use.target);
    if (others.length > 0)
      use.onNote?.(
        `values for ${others.join(', ')} wait in the spool too; they are sent when that is the target`,
      );
    return new SpooledPush(use, folders, held, beside, maxBytes);
  }

  /** Resolves when the rows are on the disk. @throws KwError PUSH_SPOOL_FULL, SPOOL_DISK */
  async store(rows: readonly PushRow[]): Promise<Refusal[]> {
    const record = toRecord(this.#run, rows);
    while (this.#held.spool.bytes + this.#bytesBeside + record.payload.length > this.#maxBytes) {
      if (this.#away !== undefined || this.#sender.waiting === 0) throw this.#full();
      // The input is faster than the database.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.#held.spool.append(record);
    this.#puts++;
    this.#wake();
    return [];
  }

  begin(): Promise<void> {
    return Promise.reject(new Error('a spool stores no push as a whole'));
  }

  commit(): Promise<void> {
    return this.begin();
  }

  rollback(): Promise<void> {
    return this.begin();
  }

  /** No more values come. @param withinMs how long what waits may take to be sent; undefined: as it takes */
  async end(withinMs?: number): Promise<SpoolOutcome> {
    this.#ended = true;
    this.#wake();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs);
    });
    try {
      await Promise.race([this.#sending, late]);
    } finally {
      clearTimeout(timer);
      this.#stop.abort();
      await this.#sink?.close();
      await this.#held.release();
    }
    return {
      stored: this.#stored,
      refused: this.#refused,
      waiting: this.#sender.waiting + this.#waitingElsewhere,
      setAsideIn: [...this.#setAsideIn],
      away: this.#away,
    };
  }

  async #send(): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    while (!this.#stop.signal.aborted) {
      if (this.#sender.waiting === 0 && !this.#ended) {
        await this.#sleep();
        continue;
      }
      const puts = this.#puts;
      const stored = this.#stored;
      try {
        await this.#sendAll();
        this.#tell(undefined);
        waitMs = FIRST_WAIT_MS;
        if (this.#ended && this.#sender.waiting === 0) return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        await this.#sink?.close();
        this.#sink = undefined;
        if (!(error instanceof KwError)) throw error;
        this.#tell(error);
        if (this.#stored > stored) waitMs = FIRST_WAIT_MS;
        else if (this.#ended && puts === this.#puts) return;
        await this.#sleep(waitMs);
        waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      }
    }
  }

  /** Own values first, in their order; then, at the end, what other processes left behind. */
  async #sendAll(): Promise<void> {
    if (this.#sender.waiting > 0) await this.#sender.drain(await this.#connected(), this.#stop.signal);
    if (!this.#ended) return;
    this.#waitingElsewhere = 0;
    for await (const held of this.#folders.others(this.#use.target)) {
      const sender = this.#senderOf(held);
      try {
        await sender.drain(await this.#connected(), this.#stop.signal);
      } finally {
        this.#waitingElsewhere += sender.waiting;
        await held.release();
      }
    }
    this.#bytesBeside = this.#folders.bytesBeside(this.#held.folder);
  }

  async #connected(): Promise<SpoolSink> {
    this.#sink ??= await this.#use.connect();
    return this.#sink;
  }

  #senderOf(held: HeldSpool): SpoolSender {
    const listeners = {
      onStored: (rows: number) => {
        this.#stored += rows;
        this.#use.onStored?.(this.#stored);
      },
      onRefusal: (refusal: Refusal) => {
        this.#refused++;
        this.#setAsideIn.add(held.folder);
        this.#use.onRefusal?.(refusal);
      },
    };
    return new SpoolSender(held, listeners, this.#run);
  }

  #tell(away: KwError | undefined): void {
    if ((this.#away === undefined) !== (away === undefined)) this.#use.onAway?.(away);
    this.#away = away;
  }

  /** Until something is put in, the input ends, or the time is up. */
  #sleep(ms?: number): Promise<void> {
    const puts = this.#puts;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      // While the database is away, values that come do not make it come back.
      this.#wake = () => {
        if (this.#ended || (ms === undefined && this.#puts > puts)) done();
      };
      if (ms !== undefined) timer = setTimeout(done, ms);
      if (this.#ended && ms === undefined) done();
    });
  }

  #full(): KwError {
    const mb = (this.#maxBytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 });
    const why = this.#away === undefined ? '' : `: ${this.#away.message}`;
    return new KwError(`the spool of values that wait is full (${mb} MB)${why}`, {
      code: 'PUSH_SPOOL_FULL',
      hint: 'kw push --spool or kw spool drain sends what waits; push_spool.max_bytes in kw.yaml sets another bound',
    });
  }
}

/** Sends what waits, and puts nothing in. */
export async function drainSpool(use: SpoolUse): Promise<SpoolOutcome> {
  const push = await SpooledPush.begin(use);
  return await push.end();
}
