/**
 * The tokens that were revoked, and the name of the site, as the database has them: at most two seconds old. Asked for when
 * tokens arrive; an idle server asks nothing.
 */
import { readSql } from '../../packageRoot.ts';
import type { ClientPool } from '../clientPool.ts';

/** Older than that: looked up while requests go on with what is known. */
const FRESH_MS = 750;
/** Older than that: nothing is believed, requests wait for the look-up. */
const STALE_MS = 1_500;

export interface Revocations {
  readonly revoked: ReadonlySet<string>;
  readonly site: string | undefined;
}

export class RevocationList {
  readonly #pool: ClientPool;
  #known: Revocations = { revoked: new Set(), site: undefined };
  /** When the look-up began that gave `#known`. */
  #asOfMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(pool: ClientPool) {
    this.#pool = pool;
  }

  /** @throws what the pool and the database throw */
  async current(): Promise<Revocations> {
    const ageMs = performance.now() - this.#asOfMs;
    if (ageMs > FRESH_MS) {
      this.#running ??= this.#look().finally(() => {
        this.#running = undefined;
      });
      if (ageMs > STALE_MS) await this.#running;
      // Whoever needs the answer waits for it, and hears of its failure.
      else this.#running.catch(() => undefined);
    }
    return this.#known;
  }

  async #look(): Promise<void> {
    const begunMs = performance.now();
    const { rows } = await this.#pool.use((client) =>
      client.query<{ revoked: string[]; site: string | null }>(readSql('queries/token_revoked')),
    );
    this.#known = { revoked: new Set(rows[0]?.revoked), site: rows[0]?.site ?? undefined };
    this.#asOfMs = begunMs;
  }
}
