/**
 * Has the database ask the schedulers whose jobs it reads (kw job source add) what runs now, so that what jobs ask
 * for is enabled and ended within a second or two. Nothing here is needed to collect: a source that is away leaves
 * promotions as they are. Each source has a connection of its own, which a hanging one holds up alone.
 *
 *   idle --a second passed, or NOTIFY kw_jobs--> asking     kw.try_source(), which notes how the source is
 *   asking --answer--> idle                                 sooner or later, by how long that took
 *   asking --1.5 s--> asking                                noted as an attempt: readers ask it no more
 *   asking --10 s--> idle                                   the connection is dropped, the source noted as slow
 *
 * All collectors do this; the one that comes first does it for the others.
 */
import type { Client } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import type { Logger } from '../logger.ts';
import { readSql } from '../packageRoot.ts';
import { destroyClient } from './databaseStore.ts';

/** A scheduler to be asked. */
export interface SyncedSource {
  readonly name: string;
  readonly kind: string;
}

/** OAR is asked for its running jobs by an index; what a site's own view costs nobody knows. */
const EVERY_MS: Readonly<Record<string, number>> = { oar: 1_000, view: 5_000 };
/** A source is busy with kw for this share of the time at most. */
const BUSY_SHARE = 0.1;
const AFTER_FAILURE_MS = 2_000;
const SUSPICIOUS_MS = 1_500;
/** A server that takes connections and says nothing is noted then, by the statement itself. */
const STATEMENT_MS = 5_000;
const GIVE_UP_MS = 10_000;
const NOTE_TIMEOUT_MS = 2_000;

export class JobSync {
  readonly #database: DatabaseTarget;
  readonly #logger: Logger;
  readonly #workers = new Map<string, SourceWorker>();
  #stopped = false;

  constructor(database: DatabaseTarget, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
  }

  /** These are the sources now. */
  configure(sources: readonly SyncedSource[]): void {
    if (this.#stopped) return;
    const wanted = new Map(sources.map((source) => [source.name, source]));
    for (const [name, worker] of this.#workers) {
      if (wanted.has(name)) continue;
      this.#workers.delete(name);
      void worker.stop();
    }
    for (const [name, source] of wanted) {
      if (this.#workers.has(name)) continue;
      const worker = new SourceWorker(this.#database, this.#logger, source);
      this.#workers.set(name, worker);
      worker.start();
    }
  }

  /** A scheduler says that a job begins or ends: all are asked at once. */
  notified(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }
}

class SourceWorker {
  readonly #database: DatabaseTarget;
  readonly #logger: Logger;
  readonly #source: SyncedSource;
  #client: Client | undefined;
  #finished: Promise<void> | undefined;
  #stopped = false;
  /** Somebody said that jobs changed since it was asked last. */
  #woken = false;
  #wake: (() => void) | undefined;
  #state = 'ok';

  constructor(database: DatabaseTarget, logger: Logger, source: SyncedSource) {
    this.#database = database;
    this.#logger = logger;
    this.#source = source;
  }

  start(): void {
    this.#finished = this.#run();
  }

  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    const client = this.#client;
    const giveUp = setTimeout(() => client && destroyClient(client), 500);
    await this.#finished;
    clearTimeout(giveUp);
  }

  async #run(): Promise<void> {
    const everyMs = EVERY_MS[this.#source.kind] ?? 5_000;
    while (!this.#stopped) {
      const startedMs = performance.now();
      const asked = this.#woken;
      this.#woken = false;
      let state: string | undefined;
      try {
        state = await this.#ask(asked);
      } catch (error) {
        this.#logger.debug(
          { source: this.#source.name, problem: (error as Error).message },
          'jobs are not read',
        );
        this.#drop();
      }
      const tookMs = performance.now() - startedMs;
      const pauseMs = Math.max(everyMs - tookMs, tookMs / BUSY_SHARE);
      await this.#sleep(state === 'ok' ? pauseMs : Math.max(AFTER_FAILURE_MS, tookMs));
    }
    await this.#client?.end().catch(() => {});
  }

  /** @param urgent whatever others saw a moment ago */
  async #ask(urgent: boolean): Promise<string | undefined> {
    const { name } = this.#source;
    this.#client ??= await openClient(this.#database, {
      applicationName: `kw-collect-jobs ${name}`,
      connectTimeoutMs: 5_000,
      statementTimeoutMs: STATEMENT_MS,
    });
    const client = this.#client;
    const startedMs = Date.now();
    const suspicion = setTimeout(() => {
      void this.#note('queries/source_attempted', [name, startedMs / 1000]);
    }, SUSPICIOUS_MS);
    const giveUp = setTimeout(() => {
      destroyClient(client);
      void this.#note('queries/source_failed', [name, `it did not answer for ${GIVE_UP_MS / 1000} s`]);
    }, GIVE_UP_MS);
    try {
      const { rows } = await client.query<{ state: string | null; last_error: string | null }>(
        readSql('queries/source_try'),
        [name, urgent ? null : '700 ms'],
      );
      this.#tell(rows[0]?.state ?? 'ok', rows[0]?.last_error ?? '');
      return rows[0]?.state ?? undefined;
    } finally {
      clearTimeout(suspicion);
      clearTimeout(giveUp);
    }
  }

  #tell(state: string, problem: string): void {
    const { name } = this.#source;
    if (state === this.#state) return;
    if (state === 'ok') this.#logger.info({ source: name }, 'the jobs of a source can be read again');
    else this.#logger.warn({ source: name, state, problem }, 'the jobs of a source cannot be read');
    this.#state = state;
  }

  /** On a connection of its own: the other one waits. */
  async #note(statement: string, values: unknown[]): Promise<void> {
    try {
      const client = await openClient(this.#database, {
        applicationName: 'kw-collect-jobs-note',
        connectTimeoutMs: NOTE_TIMEOUT_MS,
        statementTimeoutMs: NOTE_TIMEOUT_MS,
      });
      try {
        await client.query(readSql(statement), values);
      } finally {
        await client.end().catch(() => {});
      }
    } catch (error) {
      this.#logger.debug({ problem: (error as Error).message }, 'the state of a source is not noted');
    }
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client) destroyClient(client);
  }

  #sleep(delayMs: number): Promise<void> {
    if (this.#stopped || this.#woken) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
