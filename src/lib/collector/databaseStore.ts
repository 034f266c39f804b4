/**
 * The batches' way into PostgreSQL: one connection, one transaction a batch, which also marks the batch in
 * kw.ledger, so that a batch whose COMMIT was in doubt is recognised when it is tried again.
 */
import type { Client } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { copyIn } from '../database/copyIn.ts';
import { COPY_HEADER, COPY_TRAILER, decodeRow, rowOffsets } from '../database/rowEncoder.ts';
import { readSql } from '../packageRoot.ts';
import type { Batch } from './batch.ts';
import { remedyFor } from './writeErrors.ts';
import type { BatchStore, RefusedRow, StoreConnection, StoreOutcome } from './writer.ts';

/** Who writes: a row of kw.collectors. */
export interface CollectorIdentity {
  /** UUID. */
  readonly id: string;
  /** Number of this run, never used again: batches are numbered within it. */
  readonly segment: number;
  readonly name: string;
  readonly host: string;
  readonly version: string;
  readonly startedAtUs: number;
  /** URL of the local endpoint, if there is one. */
  readonly endpoint: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * For the server: a connection whose other end is gone must not live on. Keepalive after 10 s of silence; and a
 * transaction in which the client says nothing for a minute is rolled back.
 */
const SESSION_SETTINGS = `
  SET synchronous_commit = on;
  SET idle_in_transaction_session_timeout = '60s';
  SET tcp_keepalives_idle = 10;
  SET tcp_keepalives_interval = 5;
  SET tcp_keepalives_count = 3;
`;

const DAY_MS = 86_400_000;

export class DatabaseStore implements BatchStore {
  readonly #target: DatabaseTarget;
  readonly #identity: CollectorIdentity;

  constructor(target: DatabaseTarget, identity: CollectorIdentity) {
    this.#target = target;
    this.#identity = identity;
  }

  async open(): Promise<StoreConnection> {
    const { id, name, host, version, startedAtUs, endpoint } = this.#identity;
    const applicationName = `kw-collect ${id}`;
    const client = await openClient(this.#target, { applicationName, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    const giveUp = setTimeout(() => destroyClient(client), CONNECT_TIMEOUT_MS);
    try {
      await client.query(SESSION_SETTINGS);
      await client.query(readSql('queries/collector_end_leftovers'), [applicationName]);
      const values = [id, name, host, version, startedAtUs, endpoint];
      await client.query(readSql('queries/collector_register'), values);
      return new DatabaseConnection(client, this.#identity);
    } catch (error) {
      destroyClient(client);
      throw error;
    } finally {
      clearTimeout(giveUp);
    }
  }
}

/** Drops the socket: `end` would wait for an answer. What waits for one is rejected. */
export function destroyClient(client: Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

class DatabaseConnection implements StoreConnection {
  readonly #client: Client;
  readonly #identity: CollectorIdentity;
  /** Days whose partitions exist, as days since 1970-01-01. */
  readonly #days = new Set<number>();
  readonly #claim = readSql('queries/collector_claim');
  readonly #copy = readSql('queries/collector_copy');
  readonly #written = readSql('queries/collector_written');
  readonly #storage = readSql('queries/collector_storage');

  constructor(client: Client, identity: CollectorIdentity) {
    this.#client = client;
    this.#identity = identity;
  }

  async store(batch: Batch, alive: () => void): Promise<StoreOutcome> {
    await this.#ensureStorage(batch.days);
    alive();
    const whole = await this.#transaction(batch, async () => {
      await copyIn(this.#client, this.#copy, [batch.copy]);
      return [];
    });
    if (whole) return whole;
    // Some row is to blame, or a partition that existed was dropped meanwhile.
    this.#days.clear();
    await this.#ensureStorage(batch.days);
    alive();
    const parts = await this.#transaction(batch, () => this.#copyGoodRows(batch, alive));
    if (!parts) throw new Error('the database refuses a batch and none of its rows');
    return parts;
  }

  async publish(horizonUs: number): Promise<void> {
    await this.#client.query(this.#written, [this.#identity.id, horizonUs]);
  }

  async close(): Promise<void> {
    await this.#client.query(readSql('queries/collector_stopped'), [this.#identity.id]);
    await this.#client.end();
  }

  destroy(): void {
    destroyClient(this.#client);
  }

  /** Undefined when the server found fault with the rows. */
  async #transaction(
    batch: Batch,
    write: () => Promise<readonly RefusedRow[]>,
  ): Promise<StoreOutcome | undefined> {
    const { id, segment } = this.#identity;
    await this.#client.query('BEGIN');
    const claimed = await this.#client.query(this.#claim, [id, segment, batch.sequence]);
    if (claimed.rowCount === 0) {
      await this.#client.query('ROLLBACK');
      return { already: true, refused: [] };
    }
    let refused: readonly RefusedRow[];
    try {
      refused = await write();
    } catch (error) {
      if (remedyFor(error) !== 'data') throw error;
      await this.#client.query('ROLLBACK');
      return undefined;
    }
    if (batch.lostBefore) {
      const { fromUs, toUs, rows } = batch.lostBefore;
      await this.#client.query(readSql('queries/collector_lost'), [id, fromUs, toUs, rows]);
    }
    await this.#client.query(this.#written, [id, batch.horizonUs]);
    await this.#client.query('COMMIT');
    return { already: false, refused };
  }

  /** Copies what the server takes, halving what it refuses until the rows to blame stand alone. */
  async #copyGoodRows(batch: Batch, alive: () => void): Promise<RefusedRow[]> {
    const offsets = rowOffsets(batch.copy);
    const refused: RefusedRow[] = [];
    const copyRange = async (first: number, end: number): Promise<void> => {
      const problem = await this.#tryRows(batch.copy.subarray(offsets[first], offsets[end]));
      alive();
      if (problem === undefined) return;
      if (end - first === 1) {
        refused.push({ sample: decodeRow(batch.copy, offsets[first] as number), problem });
        return;
      }
      const middle = (first + end) >> 1;
      await copyRange(first, middle);
      await copyRange(middle, end);
    };
    await copyRange(0, offsets.length - 1);
    return refused;
  }

  /** What the server says against these rows, or undefined when it took them. */
  async #tryRows(rows: Buffer): Promise<string | undefined> {
    await this.#client.query('SAVEPOINT rows');
    let problem: string | undefined;
    try {
      await copyIn(this.#client, this.#copy, [COPY_HEADER, rows, COPY_TRAILER]);
    } catch (error) {
      if (remedyFor(error) !== 'data') throw error;
      problem = (error as Error).message;
      await this.#client.query('ROLLBACK TO SAVEPOINT rows');
    }
    await this.#client.query('RELEASE SAVEPOINT rows');
    return problem;
  }

  async #ensureStorage(days: readonly number[]): Promise<void> {
    for (const day of days) {
      if (this.#days.has(day)) continue;
      const first = new Date(day * DAY_MS).toISOString();
      const last = new Date((day + 1) * DAY_MS - 1).toISOString();
      try {
        await this.#client.query(this.#storage, [first, last]);
      } catch (error) {
        // A day that may not be stored: its rows are refused one by one, and the others are stored.
        if (remedyFor(error) !== 'data') throw error;
      }
      this.#days.add(day);
    }
  }
}
