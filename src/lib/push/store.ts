/**
 * Where pushed rows go: a PushStore, which takes them batch by batch. The one of a database is here. All batches go
 * through kw.insert_samples(), which judges the rows again: it knows who asks, which metrics collectors read, and the
 * limits of this database.
 */
import type pg from 'pg';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { toColumns, toParameters } from './columns.ts';
import type { PushRow, Refusal } from './pushRow.ts';
import { checkLocks, dayOf } from './spans.ts';

export interface PushStore {
  /**
   * Stores a batch of few days, except the rows that are refused.
   * @throws StoredOrNot when the answer got lost
   */
  store(rows: readonly PushRow[]): Promise<Refusal[]>;
  /** From now on nothing is stored before `commit`. */
  begin(): Promise<void>;
  commit(): Promise<void>;
  /** Nothing since `begin` is stored. */
  rollback(): Promise<void>;
}

/** It is not known whether the rows are stored. */
export class StoredOrNot extends KwError {}

export class DatabaseStore implements PushStore {
  readonly #client: pg.Client;
  /** Into which a transaction that must be whole has written; undefined outside of one. */
  #days: Set<number> | undefined;

  constructor(client: pg.Client, { inTransaction = false } = {}) {
    this.#client = client;
    if (inTransaction) this.#days = new Set();
  }

  async store(rows: readonly PushRow[]): Promise<Refusal[]> {
    const refusals = await storeRows(this.#client, rows);
    if (this.#days !== undefined) {
      const before = this.#days.size;
      for (const row of rows) this.#days.add(dayOf(row));
      if (this.#days.size > before) await checkLocks(this.#client, this.#days.size);
    }
    return refusals;
  }

  async begin(): Promise<void> {
    await this.#client.query('BEGIN');
    this.#days = new Set();
  }

  async commit(): Promise<void> {
    await this.#client.query('COMMIT');
  }

  async rollback(): Promise<void> {
    await this.#client.query('ROLLBACK');
  }
}

/** The database's own reasons for the rows that it did not store; all others of the batch are stored. */
export async function storeRows(client: pg.Client, rows: readonly PushRow[]): Promise<Refusal[]> {
  if (rows.length === 0) return [];
  const { rows: refused } = await client.query<{ sample: number; reason: string }>(
    readSql('queries/push_insert'),
    toParameters(toColumns(rows)),
  );
  return refused.map(({ sample, reason }) => ({ line: rows[sample - 1]?.line ?? 0, reason }));
}
