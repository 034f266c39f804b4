/**
 * Pushes that are stored at once or not at all, and come in several requests. Each is a transaction that waits for the
 * next one, on a connection of its own; it is rolled back when its client says nothing for a while.
 *
 *   part 0 --> open --part 1--> open ... --commit--> committed, and remembered (kw.push_parts)
 *                    `--rollback, silence, failure--> gone
 */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { toRows } from '../push/columns.ts';
import { DatabaseStore } from '../push/store.ts';
import { PUSH_IDLE_MS, type PushAnswer, type PushPart } from '../remote/remoteStore.ts';
import type { HeldCaller, ServerContext } from './context.ts';
import { HttpProblem } from './problem.ts';
import { refusalsOf } from './pushPart.ts';

/** Stands for the whole push in kw.push_parts. */
const WHOLE = -1;
const RETRY_AFTER_S = 5;

type Step = (store: DatabaseStore, client: Client) => Promise<void>;

export class OpenPushes {
  readonly #context: ServerContext;
  readonly #pushes = new Map<string, OpenPush>();
  /** Each holds a connection: others shall have some too. */
  readonly #most: number;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#most = Math.max(1, Math.floor(context.settings.server.connections / 4));
  }

  /** @throws HttpProblem 503 when too many are open, 409 for one that is not known */
  async part(held: HeldCaller, part: PushPart): Promise<PushAnswer> {
    const key = keyOf(held, part.push);
    let open = this.#pushes.get(key);
    if (open === undefined) {
      if (part.part > 0) throw unknown();
      if (this.#pushes.size >= this.#most) {
        throw new HttpProblem(
          503,
          'TOO_MANY_PUSHES',
          `${this.#most} pushes are being stored at once already`,
          {
            hint: 'try again in some seconds, or push without --all-or-nothing',
            retryAfterS: RETRY_AFTER_S,
          },
        );
      }
      open = new OpenPush(this.#context, held, () => this.#pushes.delete(key));
      this.#pushes.set(key, open);
    }
    return await open.part(part);
  }

  /** Committing what was committed is no error. @throws HttpProblem 409 for one that is not known */
  async end(held: HeldCaller, push: string, commit: boolean): Promise<void> {
    const open = this.#pushes.get(keyOf(held, push));
    if (open !== undefined) return await open.end(push, commit);
    if (!commit) return;
    const { signal } = new AbortController();
    const done = await this.#context.asCaller(held, signal, (client) => takePart(client, push, WHOLE));
    if (done === null) throw unknown();
  }

  /** Rolls all of them back. */
  close(): void {
    for (const open of this.#pushes.values()) open.abort();
  }
}

class OpenPush {
  readonly #gone = new AbortController();
  readonly #done: Promise<void>;
  readonly #steps: { run: Step; reject: (error: unknown) => void }[] = [];
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #last: { part: number; answer: Promise<PushAnswer> } | undefined;

  constructor(context: ServerContext, held: HeldCaller, onEnd: () => void) {
    this.#done = context
      .asCaller(held, this.#gone.signal, (client) => this.#run(client))
      .finally(() => {
        this.#ended = true;
        clearTimeout(this.#timer);
        onEnd();
      });
    this.#done.catch((error: unknown) => {
      for (const { reject } of this.#steps.splice(0)) reject(error);
    });
    this.#waitForClient();
  }

  part(part: PushPart): Promise<PushAnswer> {
    // The same one again: its answer got lost.
    if (this.#last?.part === part.part) return this.#last.answer;
    const answer = this.#step(async (store) => {
      const rows = toRows(part);
      return { refusals: refusalsOf(await store.store(rows)) };
    });
    this.#last = { part: part.part, answer };
    return answer;
  }

  async end(push: string, commit: boolean): Promise<void> {
    if (!commit) {
      this.abort();
      await this.#done.catch(() => undefined);
      return;
    }
    await this.#step(async (_store, client) => {
      await takePart(client, push, WHOLE);
      await client.query(readSql('queries/push_part_answer'), [push, WHOLE, '{}']);
      this.#ended = true;
    });
    await this.#done;
  }

  abort(): void {
    this.#gone.abort();
    this.#wake?.();
  }

  #step<T>(run: (store: DatabaseStore, client: Client) => Promise<T>): Promise<T> {
    if (this.#ended || this.#gone.signal.aborted) return Promise.reject(unknown());
    this.#waitForClient();
    return new Promise<T>((resolve, reject) => {
      this.#steps.push({
        run: async (store, client) => {
          try {
            resolve(await run(store, client));
          } catch (error) {
            reject(error);
            throw error;
          }
        },
        reject,
      });
      this.#wake?.();
    });
  }

  /** Inside of the transaction: one step after the other until the commit. */
  async #run(client: Client): Promise<void> {
    const store = new DatabaseStore(client, { inTransaction: true });
    while (!this.#ended) {
      if (this.#gone.signal.aborted) throw unknown();
      const step = this.#steps.shift();
      if (step !== undefined) {
        await step.run(store, client);
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #waitForClient(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.abort(), PUSH_IDLE_MS);
    this.#timer.unref();
  }
}

/** Null: it is ours now. Else what it was answered when it was stored. */
export async function takePart(client: Client, push: string, part: number): Promise<PushAnswer | null> {
  const { rows } = await client.query<{ answer: PushAnswer | null }>(readSql('queries/push_part_take'), [
    push,
    part,
  ]);
  return rows[0]?.answer ?? null;
}

function unknown(): HttpProblem {
  return new HttpProblem(
    409,
    'PUSH_LOST',
    'the server does not know this push any more: nothing of it is stored',
    {
      hint: 'push again; it was restarted, or heard nothing for a minute',
    },
  );
}

function keyOf({ caller: { user, claims } }: HeldCaller, push: string): string {
  return JSON.stringify([user, claims, push]);
}
