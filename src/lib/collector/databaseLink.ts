/**
 * The collector's second connection: what it hears from the database (promotions) and tells it (catalogue, states,
 * counters). Nothing here is needed to collect: while the database is away the last promotions stay, and what is to
 * be told is told later. It never blocks the writer, which has a connection of its own.
 *
 *   away --connected--> linked      LISTEN, then everything once
 *   linked --each tick--> linked    what is due: notified promotions at once, the others at their interval
 *   linked --error or silence--> away, and again after RETRY_MS
 */
import type { Client } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { readSql } from '../packageRoot.ts';
import { destroyClient } from './databaseStore.ts';
import type { SyncedSource } from './jobSync.ts';
import type { Promotion } from './promotions.ts';

/** What is told, and what is heard. */
export interface LinkContent {
  readonly collectorId: string;
  /** Called when the promotions in force were read and are not the same as before. */
  onPromotions(promotions: Promotion[]): void;
  /** Called when the schedulers to be asked were read and are not the same as before. */
  onSources(sources: SyncedSource[]): void;
  /** A scheduler says that a job begins or ends. */
  onJobs(): void;
  onProblem(problem: string): void;
  /** Tells through this client what is due; called on each tick, and `first` after each connect. */
  publish(client: Client, first: boolean): Promise<void>;
  /** Renews the lease of a collector that shares its devices; called on each tick, and `first` after each connect. */
  beat?(client: Client, first: boolean): Promise<void>;
  /** Who shares the devices changed. */
  onEpoch?(): void;
}

const TICK_MS = 500;
const RETRY_MS = 1_000;
/** How often promotions are read although nobody notified: a notification is lost with its connection. */
const PROMOTIONS_EVERY_MS = 5_000;
/** A server that says nothing for that long is left, and tried again. */
const SILENCE_MS = 10_000;
/** For telling the last counters, at the end. */
const STOP_PATIENCE_MS = 1_000;
/** A lease does not last that long without a beat; then a new connection is worth more than patience. */
const BEAT_SILENCE_MS = 3_000;

export class DatabaseLink {
  readonly #target: DatabaseTarget;
  readonly #content: LinkContent;
  #client: Client | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;
  #promotionsDueAtMs = 0;
  #finished: Promise<void> | undefined;
  #problem: string | undefined;
  /** What was read last, to compare. */
  #promotions: string | undefined;
  #sources = '[]';
  #hasHeard = () => {};
  /** Resolves when promotions were read for the first time. */
  readonly heard = new Promise<void>((resolve) => {
    this.#hasHeard = resolve;
  });

  constructor(target: DatabaseTarget, content: LinkContent) {
    this.#target = target;
    this.#content = content;
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** What is due is done now. */
  wake(): void {
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    const client = this.#client;
    const giveUp = setTimeout(() => client && destroyClient(client), STOP_PATIENCE_MS);
    await this.#finished;
    clearTimeout(giveUp);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#linked();
        this.#problem = undefined;
      } catch (error) {
        const problem = (error as Error).message;
        if (!this.#stopped && problem !== this.#problem) this.#content.onProblem(problem);
        this.#problem = problem;
      }
      await this.#sleep(RETRY_MS);
    }
  }

  async #linked(): Promise<void> {
    const client = await openClient(this.#target, {
      applicationName: `kw-collect-link ${this.#content.collectorId}`,
      connectTimeoutMs: SILENCE_MS / 2,
    });
    this.#client = client;
    let lost: Error | undefined;
    client.on('error', (error) => {
      lost = error;
      this.#wake?.();
    });
    client.on('end', () => {
      lost ??= new Error('the connection ended');
      this.#wake?.();
    });
    client.on('notification', ({ channel, payload }) => {
      if (channel === 'kw_jobs' && payload !== 'sources') {
        this.#content.onJobs();
        return;
      }
      if (channel === 'kw_shards') this.#content.onEpoch?.();
      else this.#promotionsDueAtMs = 0;
      this.#wake?.();
    });
    try {
      await unlessSilent(client, client.query('LISTEN kw_promotions; LISTEN kw_jobs; LISTEN kw_shards'));
      this.#promotionsDueAtMs = 0;
      for (let first = true; !this.#stopped; first = false) {
        if (lost) throw lost;
        if (this.#content.beat)
          await unlessSilent(client, this.#content.beat(client, first), BEAT_SILENCE_MS);
        if (performance.now() >= this.#promotionsDueAtMs) {
          this.#promotionsDueAtMs = performance.now() + PROMOTIONS_EVERY_MS;
          await unlessSilent(client, this.#readPromotions(client));
          await unlessSilent(client, this.#readSources(client));
          this.#problem = undefined;
        }
        await unlessSilent(client, this.#content.publish(client, first));
        if (this.#promotionsDueAtMs > 0) await this.#sleep(TICK_MS);
      }
      if (!lost) await unlessSilent(client, this.#content.publish(client, false));
    } finally {
      this.#client = undefined;
      await unlessSilent(client, client.end(), 500).catch(() => {});
    }
  }

  async #readPromotions(client: Client): Promise<void> {
    const { rows } = await client.query<{ device_id: string; pattern: string; expires_us: string | null }>(
      readSql('queries/collector_promotions'),
    );
    this.#hasHeard();
    const text = JSON.stringify(rows);
    if (text === this.#promotions) return;
    this.#promotions = text;
    this.#content.onPromotions(
      rows.map((row) => ({
        deviceId: row.device_id,
        pattern: row.pattern,
        expiresAtUs: row.expires_us === null ? undefined : Number(row.expires_us),
      })),
    );
  }

  async #readSources(client: Client): Promise<void> {
    const { rows } = await client.query<SyncedSource>(readSql('queries/collector_sources'));
    const text = JSON.stringify(rows);
    if (text === this.#sources) return;
    this.#sources = text;
    this.#content.onSources(rows);
  }

  #sleep(delayMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Drops the connection when work on it is not done in time, so that its promise is rejected. */
async function unlessSilent<T>(client: Client, work: Promise<T>, silenceMs = SILENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the database did not answer for ${silenceMs / 1000} s`));
      destroyClient(client);
    }, silenceMs);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}
