/**
 * The batches' way into PostgreSQL: one connection, one transaction a batch, which also marks the batch in
 * kw.ledger, so that a batch whose COMMIT was in doubt is recognised when it is tried again.
 */
import type { Client, QueryResult } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { copyIn } from '../database/copyIn.ts';
import { bindLiterals } from '../database/literals.ts';
import { COPY_HEADER, COPY_TRAILER, decodeRow, rowOffsets } from '../database/rowEncoder.ts';
import { readSql } from '../packageRoot.ts';
import type { Place } from '../spool/model.ts';
import type { Batch } from './batch.ts';
import { type BatchGuard, everyRow } from './batchGuard.ts';
import { type Loss, WHOLE_SEGMENT } from './losses.ts';
import type { OrderlyEnds } from './orderlyEnds.ts';
import type { BatchStore, LedgerState, Outcome, RefusedRow, StoreConnection, Work } from './store.ts';
import { remedyFor } from './writeErrors.ts';

/** Who writes: a row of kw.collectors. */
export interface CollectorIdentity {
  /** UUID. */
  readonly id: string;
  /** Number of this run, never used again: without a spool its batches are numbered within it. */
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
/** How often a batch is admitted again because the collectors changed meanwhile. */
const ADMISSIONS = 5;
const NO_ROWS = Buffer.concat([COPY_HEADER, COPY_TRAILER]);

export interface DatabaseStoreOptions {
  /** What a collector left behind is stored in its name; it does not run. */
  readonly isDrain?: boolean | undefined;
  readonly guard?: BatchGuard | undefined;
  /** Of earlier runs, to be told. */
  readonly ends?: OrderlyEnds | undefined;
  /** Keeps rows that the server refuses, before the rest of their batch is committed. */
  readonly setAside?: ((refused: readonly RefusedRow[]) => Promise<void>) | undefined;
}

type Stored = Omit<Outcome, 'othersRows'>;

export class DatabaseStore implements BatchStore {
  readonly #target: DatabaseTarget;
  readonly #identity: CollectorIdentity;
  readonly #options: DatabaseStoreOptions;

  constructor(target: DatabaseTarget, identity: CollectorIdentity, options: DatabaseStoreOptions = {}) {
    this.#target = target;
    this.#identity = identity;
    this.#options = options;
  }

  async open(): Promise<StoreConnection> {
    const { id, name, host, version, startedAtUs, endpoint } = this.#identity;
    const { isDrain = false } = this.#options;
    const applicationName = `${isDrain ? 'kw-drain' : 'kw-collect'} ${id}`;
    const client = await openClient(this.#target, { applicationName, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    const giveUp = setTimeout(() => destroyClient(client), CONNECT_TIMEOUT_MS);
    try {
      await client.query(SESSION_SETTINGS);
      await client.query(readSql('queries/collector_end_leftovers'), [applicationName]);
      if (isDrain) {
        await client.query(readSql('queries/collector_known'), [id, name, host, version]);
      } else {
        const values = [id, name, host, version, startedAtUs, endpoint];
        await client.query(readSql('queries/collector_register'), values);
      }
      await tellEnds(client, id, this.#options.ends);
      const { rows } = await client.query(readSql('queries/collector_ledger'), [id]);
      const { floor, segments } = rows[0] as { floor: number | null; segments: Place[] };
      const ledger = { floor: floor ?? undefined, places: segments };
      return new DatabaseConnection(client, this.#identity, ledger, this.#options);
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

async function tellEnds(client: Client, id: string, ends: OrderlyEnds | undefined): Promise<void> {
  for (const end of ends?.untold ?? []) {
    const { rows } = await client.query(readSql('queries/collector_ended'), [id, end.runUs, end.endUs]);
    if (rows[0]?.runs > 0) ends?.told(end);
  }
}

class DatabaseConnection implements StoreConnection {
  readonly ledger: LedgerState;
  lost: Error | undefined;
  readonly #client: Client;
  readonly #id: string;
  readonly #runUs: number;
  readonly #options: DatabaseStoreOptions;
  /** Days whose partitions exist, as days since 1970-01-01. */
  readonly #days = new Set<number>();
  readonly #claim = readSql('queries/collector_claim');
  readonly #copy = readSql('queries/collector_copy');
  readonly #written = readSql('queries/collector_written');
  readonly #storage = readSql('queries/collector_storage');

  constructor(
    client: Client,
    { id, startedAtUs }: CollectorIdentity,
    ledger: LedgerState,
    options: DatabaseStoreOptions,
  ) {
    this.#client = client;
    client.once('error', (error) => {
      this.lost = error;
    });
    this.#id = id;
    this.#runUs = startedAtUs;
    this.ledger = ledger;
    this.#options = options;
  }

  async store(work: Work, alive: () => void): Promise<Outcome> {
    const guard = this.#options.guard ?? everyRow;
    for (let attempt = 0; attempt < ADMISSIONS; attempt++) {
      // Before the batches are: then an epoch that comes meanwhile is noticed.
      const epoch = guard.expectedEpoch;
      const admitted: Batch[] = [];
      let othersRows = 0;
      for (const batch of work.batches) {
        const own = await guard.admit(batch);
        othersRows += batch.rows - (own?.rows ?? 0);
        // Its place is claimed all the same: it is done with.
        admitted.push(own ?? { ...batch, rows: 0, copy: NO_ROWS, days: [] });
      }
      alive();
      const outcome = await this.#storeAdmitted({ ...work, batches: admitted }, epoch, alive);
      if (outcome !== 'newer epoch') return { ...outcome, othersRows };
    }
    throw new Error('the collectors change faster than a batch can be stored');
  }

  async publish(horizonUs: number): Promise<void> {
    await this.#client.query(this.#writtenUpTo(horizonUs));
  }

  async close(): Promise<void> {
    if (!this.#options.isDrain) await this.#client.query(readSql('queries/collector_stopped'), [this.#id]);
    // A run that never had a database is known only now that what it read is stored.
    await tellEnds(this.#client, this.#id, this.#options.ends);
    await this.#client.end();
  }

  destroy(): void {
    destroyClient(this.#client);
  }

  async #storeAdmitted(
    work: Work,
    epoch: number | undefined,
    alive: () => void,
  ): Promise<Stored | 'newer epoch'> {
    const days = new Set(work.batches.flatMap((batch) => batch.days));
    await this.#ensureStorage(days);
    alive();
    const whole = await this.#transaction(work, epoch, async (batches) => {
      await copyIn(this.#client, this.#copy, copyStream(batches));
      return [];
    });
    if (whole !== 'refused') return whole;
    // Some row is to blame, or a partition that existed was dropped meanwhile.
    this.#days.clear();
    await this.#ensureStorage(days);
    alive();
    const parts = await this.#transaction(work, epoch, async (batches) => {
      const refused: RefusedRow[] = [];
      for (const batch of batches) await this.#copyGoodRows(batch, refused, alive);
      if (refused.length > 0) await this.#options.setAside?.(refused);
      return refused;
    });
    if (parts === 'refused') throw new Error('the database refuses a batch and none of its rows');
    return parts;
  }

  /**
   * One transaction: what is lost is told, the places are claimed, the rows copied, the horizon moved.
   * `refused` when the server found fault with the rows; then nothing of it took place.
   */
  async #transaction(
    { batches, losses, horizonUs, floor }: Work,
    epoch: number | undefined,
    write: (batches: readonly Batch[]) => Promise<readonly RefusedRow[]>,
  ): Promise<Stored | 'refused' | 'newer epoch'> {
    if (losses.length > 0) await this.#client.query('BEGIN');
    for (const loss of losses) await this.#tell(loss);
    const { fresh, isHeld } = await this.#claimBatches(batches, epoch, losses.length > 0 ? [] : ['BEGIN']);
    if (!isHeld) {
      await this.#client.query('ROLLBACK');
      return 'newer epoch';
    }
    let refused: readonly RefusedRow[] = [];
    const withRows = fresh.filter(({ rows }) => rows > 0);
    if (withRows.length > 0) {
      try {
        refused = await write(withRows);
      } catch (error) {
        if (remedyFor(error) !== 'data') throw error;
        await this.#client.query('ROLLBACK');
        return 'refused';
      }
    }
    const runUs = batches[0]?.runUs;
    const closing = ['COMMIT'];
    if (horizonUs === undefined && this.#options.isDrain) {
      // It says nothing of a collector that it lives.
    } else if (runUs === this.#runUs || horizonUs === undefined) {
      closing.unshift(this.#writtenUpTo(horizonUs));
    } else {
      const values = [this.#id, runUs, horizonUs];
      await this.#client.query(readSql('queries/collector_written_past'), values);
    }
    if (floor !== undefined) {
      await this.#client.query(readSql('queries/collector_floor'), [this.#id, floor]);
    }
    await this.#client.query(closing.join(';\n'));
    return { alreadyRows: rowsOf(batches) - rowsOf(fresh), refused };
  }

  /**
   * Marks the batches as stored, and holds the epoch of their admission if there is one. Sent with what goes before, as
   * one question: each one wakes both sides.
   * @returns those that were not stored yet
   */
  async #claimBatches(
    batches: readonly Batch[],
    epoch: number | undefined,
    before: readonly string[],
  ): Promise<{ fresh: readonly Batch[]; isHeld: boolean }> {
    const first = (batches[0] as Batch).place;
    const last = (batches.at(-1) as Batch).place;
    const guard = this.#options.guard ?? everyRow;
    const claim = this.#claimOf(first.segment, first.offset, last.offset);
    const hold = epoch === undefined ? [] : [guard.holdStatement];
    const results = await this.#ask([...before, claim, ...hold]);
    const isClaimed = results[before.length]?.rowCount === 1;
    const held = Number(results[before.length + 1]?.rows[0]?.epoch);
    if (epoch !== undefined && !(await guard.isHeld(this.#client, held, epoch)))
      return { fresh: [], isHeld: false };
    return { fresh: isClaimed ? batches : await this.#claimFresh(batches), isHeld: true };
  }

  /** Of batches the first of which was stored by an earlier attempt: marks and returns the others. */
  async #claimFresh(batches: readonly Batch[]): Promise<readonly Batch[]> {
    const first = (batches[0] as Batch).place;
    const last = (batches.at(-1) as Batch).place;
    const { rows } = await this.#client.query(readSql('queries/collector_stored'), [this.#id, first.segment]);
    const stored = Number(rows[0]?.stored ?? WHOLE_SEGMENT);
    const fresh = batches.filter(({ place }) => place.offset > stored);
    const next = fresh[0]?.place;
    if (next && !(await this.#isClaimed(next.segment, next.offset, last.offset))) {
      throw new Error('the ledger moves while its row is locked');
    }
    return fresh;
  }

  async #tell({ place, fromUs, toUs, rows, reason }: Loss): Promise<void> {
    // Told before, by a COMMIT whose answer was lost or by an earlier run.
    if (!(await this.#isClaimed(place.segment, place.offset, place.offset))) return;
    const values = [this.#id, fromUs, toUs, rows, reason];
    await this.#client.query(readSql('queries/collector_lost'), values);
  }

  async #isClaimed(segment: number, first: number, last: number): Promise<boolean> {
    const { rowCount } = await this.#client.query(this.#claimOf(segment, first, last));
    return rowCount === 1;
  }

  #claimOf(segment: number, first: number, last: number): string {
    return bindLiterals(this.#claim, { collector: this.#id, segment, first, last });
  }

  #writtenUpTo(horizonUs: number | undefined): string {
    return bindLiterals(this.#written, { collector: this.#id, horizon: horizonUs ?? null });
  }

  /** Several statements in one message; a result each. */
  async #ask(statements: readonly string[]): Promise<QueryResult[]> {
    const results: unknown = await this.#client.query(statements.join(';\n'));
    return (Array.isArray(results) ? results : [results]) as QueryResult[];
  }

  /** Copies what the server takes, halving what it refuses until the rows to blame stand alone. */
  async #copyGoodRows({ copy, place }: Batch, refused: RefusedRow[], alive: () => void): Promise<void> {
    const offsets = rowOffsets(copy);
    const copyRange = async (first: number, end: number): Promise<void> => {
      const problem = await this.#tryRows(copy.subarray(offsets[first], offsets[end]));
      alive();
      if (problem === undefined) return;
      if (end - first === 1) {
        refused.push({ sample: decodeRow(copy, offsets[first] as number), problem, place });
        return;
      }
      const middle = (first + end) >> 1;
      await copyRange(first, middle);
      await copyRange(middle, end);
    };
    await copyRange(0, offsets.length - 1);
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

  async #ensureStorage(days: Iterable<number>): Promise<void> {
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

/** The rows of all batches as one stream. */
function copyStream(batches: readonly Batch[]): Uint8Array[] {
  const [only] = batches;
  if (only && batches.length === 1) return [only.copy];
  const rows = batches.map(({ copy }) => copy.subarray(COPY_HEADER.length, -COPY_TRAILER.length));
  return [COPY_HEADER, ...rows, COPY_TRAILER];
}

function rowsOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { rows }) => sum + rows, 0);
}
