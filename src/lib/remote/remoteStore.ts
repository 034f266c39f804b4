/**
 * Pushed values to a `kw serve`, in requests of a few megabytes. Each has a number, and the server remembers those that it
 * stored: where a connection breaks before the answer, the same request is sent again and stored once.
 *
 *   partial          part 0, part 1, ...            each stored with its answer
 *   all or nothing   part 0, part 1, ..., commit    one transaction on the server, which ends without us when we are gone
 */
import { randomUUID } from 'node:crypto';
import { KwError } from '../errors.ts';
import { type PushColumns, toColumns } from '../push/columns.ts';
import type { PushRow, Refusal } from '../push/pushRow.ts';
import type { PartRefusal } from '../push/spooledPart.ts';
import { type PushStore, StoredOrNot } from '../push/store.ts';
import { callServer } from './callServer.ts';
import type { RemoteConnection } from './http.ts';
import { Unanswered } from './httpErrors.ts';

/** The body of `POST /kw/push`. */
export interface PushPart extends PushColumns {
  readonly push: string;
  /** From 0 on. */
  readonly part: number;
  /** Nothing is stored before the commit. */
  readonly whole: boolean;
}

export interface PushAnswer {
  readonly refusals: readonly PartRefusal[];
}

/** The body of `POST /kw/push-end`. */
export interface PushEnd {
  readonly push: string;
  readonly commit: boolean;
}

/** How long a server keeps a push that is whole or nothing without a word from its client. */
export const PUSH_IDLE_MS = 60_000;

export class RemoteStore implements PushStore {
  readonly #connection: RemoteConnection;
  readonly #push = randomUUID();
  #part = 0;
  #whole = false;
  #alive: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: RemoteConnection) {
    this.#connection = connection;
  }

  async store(rows: readonly PushRow[]): Promise<Refusal[]> {
    const { refusals } = await this.#send(rows);
    return refusals.map(([index, reason]) => ({ line: rows[index]?.line ?? 0, reason }));
  }

  async begin(): Promise<void> {
    this.#whole = true;
    await this.#send([]);
    // While its user types or measures, the server shall know that we are still there.
    this.#alive = setInterval(() => void this.#send([]).catch(() => undefined), PUSH_IDLE_MS / 4);
    this.#alive.unref();
  }

  commit(): Promise<void> {
    return this.#end(true);
  }

  rollback(): Promise<void> {
    return this.#end(false);
  }

  async #end(commit: boolean): Promise<void> {
    clearInterval(this.#alive);
    const body: PushEnd = { push: this.#push, commit };
    try {
      await callServer(this.#connection, { name: 'push-end', repeatable: true }, body);
    } catch (error) {
      if (!commit || !(error instanceof Unanswered)) throw error;
      throw new KwError(`it is not known whether the values are stored: ${error.message}`, {
        code: 'PUSH_UNSURE',
        hint: 'kw query shows whether they are there: all of them are, or none',
        cause: error,
      });
    }
  }

  #send(rows: readonly PushRow[]): Promise<PushAnswer> {
    const sending = this.#last.then(() => this.#sendNow(rows));
    this.#last = sending.catch(() => undefined);
    return sending;
  }

  async #sendNow(rows: readonly PushRow[]): Promise<PushAnswer> {
    const body: PushPart = {
      push: this.#push,
      part: this.#part++,
      whole: this.#whole,
      ...toColumns(rows),
    };
    try {
      return await callServer<PushPart, PushAnswer>(
        this.#connection,
        { name: 'push', repeatable: true },
        body,
      );
    } catch (error) {
      if (this.#whole || !(error instanceof Unanswered)) throw error;
      throw new StoredOrNot(error.message, { code: error.code, hint: error.hint, cause: error });
    }
  }
}
