/**
 * Templates of one session: `{{ prefix == text }}` stands for the index of the row whose value is `text`.
 * One walk of a prefix resolves all templates on it. A column is in one of these states:
 *
 *   stale ----walk----> fresh           at first, when a new text is asked for, when the agent restarted, when
 *                                       an instance is gone, and REFRESH_MS after the last walk (rows may be
 *                                       renumbered or renamed without a word, and Kwollect walks as often)
 *   stale --(failed)--> stale           tried again after a back-off
 *   fresh, text not found: as stale, after a back-off
 *
 * While a column is walked again its old indexes stay in use, except after a restart, when they may point at
 * the wrong rows.
 */
import type { Failure, SnmpClient } from './client.ts';
import type { OidTemplate } from './url.ts';
import { walk } from './walk.ts';

const REFRESH_MS = 300_000;
const BACKOFF_MS = 5_000;
const BACKOFF_MAX_MS = 300_000;
/** Instances of one poll that are gone together count as once. */
const SAME_MOMENT_MS = 500;

interface Column {
  /** Wanted texts and the index of the row that has each, once found. */
  readonly indexes: Map<string, string | undefined>;
  /** When to walk next, on performance.now(). */
  dueMs: number;
  /** After a walk that failed or did not find everything. */
  backoffMs: number;
  /** When an index was last found to be of no use, and how long to wait when that happens again. */
  uselessAtMs: number;
  uselessBackoffMs: number;
  failure: Failure | undefined;
  walking: Promise<void> | undefined;
  isWalked: boolean;
}

export class Templates {
  /** Counts changes of any index: plans made before one must be made again. */
  generation = 0;
  /** Walks done, for tests and self-metrics. */
  walks = 0;
  readonly #client: SnmpClient;
  readonly #columns = new Map<string, Column>();

  constructor(client: SnmpClient) {
    this.#client = client;
  }

  want(template: OidTemplate): void {
    let column = this.#columns.get(template.prefix);
    if (!column) {
      column = {
        indexes: new Map(),
        dueMs: 0,
        backoffMs: BACKOFF_MS,
        uselessAtMs: Number.NEGATIVE_INFINITY,
        uselessBackoffMs: 0,
        failure: undefined,
        walking: undefined,
        isWalked: false,
      };
      this.#columns.set(template.prefix, column);
    }
    if (column.indexes.has(template.text)) return;
    column.indexes.set(template.text, undefined);
    column.dueMs = 0;
  }

  /** The index that the template stands for, or undefined while it is not known. */
  indexOf(template: OidTemplate): string | undefined {
    return this.#columns.get(template.prefix)?.indexes.get(template.text);
  }

  /** Why a template has no index. */
  failureOf(template: OidTemplate): Failure {
    const column = this.#columns.get(template.prefix);
    if (column?.failure) return column.failure;
    const what = `{{ ${template.prefix} == ${template.text} }}`;
    if (!column?.isWalked) return { kind: 'missing', message: `${what} is not resolved yet` };
    return { kind: 'missing', message: `${what}: no row has this value` };
  }

  /**
   * Walks what is due and resolves when that is done, or at `deadlineMs`; walks go on in the background then.
   * Undefined when there is nothing to wait for, which is the case at nearly every poll.
   */
  refresh(deadlineMs: number): Promise<void> | undefined {
    const nowMs = performance.now();
    let first: Promise<void>[] | undefined;
    for (const [prefix, column] of this.#columns) {
      if (column.walking || column.dueMs > nowMs) continue;
      const hadAll = ![...column.indexes.values()].includes(undefined);
      column.walking = this.#walk(prefix, column);
      // A routine refresh need not be waited for: the old indexes serve.
      if (!hadAll) {
        first ??= [];
        first.push(column.walking);
      }
    }
    if (!first) return undefined;
    return withDeadline(Promise.all(first), deadlineMs);
  }

  /** The agent restarted: no index is to be trusted. */
  forget(): void {
    for (const column of this.#columns.values()) {
      for (const text of column.indexes.keys()) column.indexes.set(text, undefined);
      column.isWalked = false;
      this.#again(column);
    }
    this.generation++;
  }

  /** The instance that the template led to is gone. */
  gone(template: OidTemplate): void {
    const column = this.#columns.get(template.prefix);
    if (!column || column.indexes.get(template.text) === undefined) return;
    column.indexes.set(template.text, undefined);
    this.generation++;
    this.#again(column);
  }

  /**
   * Walks again: at once the first time, after a growing back-off when it happens again and again (a row
   * whose value is never there, an agent that restarts all the time).
   */
  #again(column: Column): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - column.uselessAtMs;
    if (sinceMs < SAME_MOMENT_MS) return;
    if (sinceMs > 2 * column.uselessBackoffMs) column.uselessBackoffMs = 0;
    column.uselessAtMs = nowMs;
    column.dueMs = nowMs + column.uselessBackoffMs;
    column.uselessBackoffMs = Math.min(Math.max(column.uselessBackoffMs * 2, BACKOFF_MS), BACKOFF_MAX_MS);
  }

  async #walk(prefix: string, column: Column): Promise<void> {
    this.walks++;
    const found = new Map<string, string>();
    const failure = await walk(this.#client, prefix, (index, text) => {
      // Several rows of one text: the last one, as in Kwollect.
      const wanted = column.indexes.has(text) ? text : text.trim();
      if (column.indexes.has(wanted)) found.set(wanted, index);
    });
    column.walking = undefined;
    column.failure = failure;
    const nowMs = performance.now();
    if (failure) {
      column.dueMs = nowMs + column.backoffMs;
      column.backoffMs = Math.min(column.backoffMs * 2, BACKOFF_MAX_MS);
      return;
    }
    column.isWalked = true;
    let isComplete = true;
    for (const [text, before] of column.indexes) {
      const index = found.get(text);
      if (index !== before) this.generation++;
      column.indexes.set(text, index);
      if (index === undefined) isComplete = false;
    }
    column.dueMs = nowMs + (isComplete ? REFRESH_MS : column.backoffMs);
    column.backoffMs = isComplete ? BACKOFF_MS : Math.min(column.backoffMs * 2, BACKOFF_MAX_MS);
  }
}

/** Resolves with the promise or at the deadline, whichever comes first. */
async function withDeadline(promise: Promise<unknown>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()));
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
