/**
 * A bounded set of database connections that requests borrow. A request waits a moment for one that comes free;
 * when none does, it is told to come again (503), so that a flood of requests queues in nobody's memory.
 */
import type { Client } from 'pg';
import { HttpProblem } from './problem.ts';

export interface PoolOptions {
  readonly size: number;
  /** How long a request waits for a connection. */
  readonly waitMs: number;
  /** A connection that nobody used for so long is ended. */
  readonly idleMs: number;
}

interface Waiter {
  readonly take: (client: Client | Error) => void;
}

const RETRY_AFTER_S = 2;

export class ClientPool {
  readonly #open: () => Promise<Client>;
  readonly #options: PoolOptions;
  readonly #idle: { readonly client: Client; readonly timer: NodeJS.Timeout }[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #broken = new WeakSet<Client>();
  /** Open or opening, lent or idle. */
  #count = 0;
  #ended = false;
  #onEmpty: (() => void) | undefined;

  /** `open` gives a connection that is ready for requests. */
  constructor(open: () => Promise<Client>, options: PoolOptions) {
    this.#open = open;
    this.#options = options;
  }

  /** For self-metrics. */
  get counts(): { readonly open: number; readonly idle: number; readonly waiting: number } {
    return { open: this.#count, idle: this.#idle.length, waiting: this.#waiters.length };
  }

  /**
   * Lends a connection for as long as `use` takes.
   * @throws HttpProblem 503 when none comes free in time; what opening one throws
   */
  async use<T>(use: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.acquire();
    try {
      return await use(client);
    } finally {
      this.release(client);
    }
  }

  async acquire(): Promise<Client> {
    if (this.#ended) throw closing();
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      clearTimeout(idle.timer);
      return idle.client;
    }
    if (this.#count < this.#options.size) return await this.#openOne();
    return await new Promise<Client>((resolve, reject) => {
      const waiter: Waiter = {
        take: (given) => {
          clearTimeout(timer);
          if (given instanceof Error) reject(given);
          else resolve(given);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(busy());
      }, this.#options.waitMs);
      this.#waiters.push(waiter);
    });
  }

  /** `reuse` false: its state is not known, so that it is ended. */
  release(client: Client, { reuse = true } = {}): void {
    if (!reuse || this.#ended || this.#broken.has(client)) {
      this.#drop(client);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.take(client);
      return;
    }
    const timer = setTimeout(() => {
      this.#idle.splice(
        this.#idle.findIndex((one) => one.client === client),
        1,
      );
      this.#drop(client);
    }, this.#options.idleMs).unref();
    this.#idle.push({ client, timer });
  }

  /** Ends the idle connections now and the others when they come back; resolves when all are gone. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const waiter of this.#waiters.splice(0)) waiter.take(closing());
    for (const { client, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      this.#drop(client);
    }
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  async #openOne(): Promise<Client> {
    this.#count++;
    try {
      const client = await this.#open();
      const onLost = () => {
        this.#broken.add(client);
        const at = this.#idle.findIndex((one) => one.client === client);
        if (at < 0) return;
        clearTimeout(this.#idle.splice(at, 1)[0]?.timer);
        this.#drop(client);
      };
      client.on('error', onLost);
      client.on('end', onLost);
      return client;
    } catch (error) {
      this.#left();
      throw error;
    }
  }

  #drop(client: Client): void {
    client.end().then(
      () => this.#left(),
      () => this.#left(),
    );
  }

  /** One is gone: a waiter may have another. */
  #left(): void {
    this.#count--;
    const waiter = this.#ended ? undefined : this.#waiters.shift();
    if (waiter !== undefined) {
      this.#openOne().then(waiter.take, waiter.take);
      return;
    }
    if (this.#count === 0) this.#onEmpty?.();
  }
}

function busy(): HttpProblem {
  return new HttpProblem(503, 'BUSY', 'all connections to the database are in use', {
    hint: 'try again in some seconds',
    retryAfterS: RETRY_AFTER_S,
  });
}

function closing(): HttpProblem {
  return new HttpProblem(503, 'CLOSING', 'the server is going down', {
    hint: 'try again in some seconds',
    retryAfterS: RETRY_AFTER_S,
  });
}
