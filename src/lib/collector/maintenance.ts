/**
 * Has the database look after its storage now and then (kw.maintain(): partitions ahead of time, the summary,
 * retention), on a connection of its own that lives only for that: it never holds up the writing.
 */
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import type { Logger } from '../logger.ts';
import { readSql } from '../packageRoot.ts';
import { destroyClient } from './databaseStore.ts';

const FIRST_AFTER_MS = 10_000;
const EVERY_MS = 60_000;
/** A run that takes longer is ended: the next one goes on. */
const AT_MOST_MS = 240_000;

export class Maintenance {
  readonly #database: DatabaseTarget;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;

  constructor(database: DatabaseTarget, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
  }

  start(): void {
    this.#schedule(FIRST_AFTER_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#cancel?.();
    await this.#running;
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#schedule(EVERY_MS);
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    }, delayMs);
  }

  async #run(): Promise<void> {
    try {
      const client = await openClient(this.#database, {
        applicationName: 'kw-collect-maintain',
        statementTimeoutMs: AT_MOST_MS,
      });
      const timer = setTimeout(() => destroyClient(client), AT_MOST_MS + 10_000);
      this.#cancel = () => destroyClient(client);
      try {
        await client.query(readSql('queries/collector_maintain'));
      } finally {
        clearTimeout(timer);
        this.#cancel = undefined;
        await client.end().catch(() => {});
      }
    } catch (error) {
      this.#logger.debug({ problem: (error as Error).message }, 'the storage was not maintained this time');
    }
  }
}
