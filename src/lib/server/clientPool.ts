/**
 * A bounded set of database connections that requests borrow, in turn by user (fairLines.ts): one user holds half of them
 * at most, and one connection is kept for the server's own questions. A request waits a while for a connection; when
 * none comes free, it is told to come again, so that a flood of requests queues in nobody's memory.
 *
 * A request is never told that the database is away while another connection to it works: opening one takes long, or is
 * refused, where the database is merely busy. It waits for what comes first, a new connection or one given back.
 */
import type { Client } from 'pg';
import { FairLines, type Holder } from './fairLines.ts';
import { HttpProblem } from './problem.ts';

export interface PoolOptions {
  readonly size: number;
  /** How long a request waits for a connection. */
  readonly waitMs: number;
  /** A connection that nobody used for so long is ended. */
  readonly idleMs: number;
}

interface Waiter {
  readonly holder: Holder;
  readonly take: (client: Client) => void;
  readonly fail: (error: unknown) => void;
  /** Why no connection could be opened while it waited. */
  failure?: unknown;
}

const RETRY_AFTER_S = 2;
/** Of fewer connections none can be kept free. */
const SMALL_POOL = 4;

export class ClientPool {
  readonly #open: () => Promise<Client>;
  readonly #options: PoolOptions;
  readonly #idle: { readonly client: Client; readonly timer: NodeJS.Timeout }[] = [];
  readonly #lines: FairLines<Waiter>;
  readonly #holders = new WeakMap<Client, Holder>();
  readonly #broken = new WeakSet<Client>();
  /** Open or opening, lent or idle. */
  #count = 0;
  #opening = 0;
  #ended = false;
  #onEmpty: (() => void) | undefined;

  /** `open` gives a connection that is ready for requests. */
  constructor(open: () => Promise<Client>, options: PoolOptions) {
    const { size } = options;
    this.#open = open;
    this.#options = options;
    this.#lines = new FairLines({
      places: size,
      each: Math.max(1, Math.floor(size / 2)),
      kept: size < SMALL_POOL ? 0 : 1,
    });
  }

  /** For self-metrics. */
  get counts(): { readonly open: number; readonly idle: number; readonly waiting: number } {
    return { open: this.#count, idle: this.#idle.length, waiting: this.#lines.waiting };
  }

  /**
   * Lends a connection to the server itself for as long as `use` takes.
   * @throws HttpProblem 503 when none comes free in time; what opening one throws
   */
  async use<T>(use: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.acquire(undefined);
    try {
      return await use(client);
    } finally {
      this.release(client);
    }
  }

  /**
   * @throws HttpProblem 503 when none comes free in time, 429 when the holder's own requests have all that one may have;
   *   what opening one throws
   */
  acquire(holder: Holder): Promise<Client> {
    if (this.#ended) return Promise.reject(closing());
    return new Promise<Client>((resolve, reject) => {
      const waiter: Waiter = {
        holder,
        take: (client) => {
          clearTimeout(timer);
          this.#holders.set(client, holder);
          resolve(client);
        },
        fail: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        this.#lines.leave(holder, waiter);
        reject(this.#lines.isAtBound(holder) ? yourOwn() : (waiter.failure ?? busy()));
      }, this.#options.waitMs);
      this.#lines.join(holder, waiter);
      this.#serve();
    });
  }

  /** `reuse` false: its state is not known, so that it is ended. */
  release(client: Client, { reuse = true } = {}): void {
    this.#lines.giveBack(this.#holders.get(client));
    if (!reuse || this.#ended || this.#broken.has(client)) this.#drop(client);
    else this.#keep(client);
    this.#serve();
  }

  /** Ends the idle connections now and the others when they come back; resolves when all are gone. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const waiter of this.#lines.clear()) waiter.fail(closing());
    for (const { client, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      this.#drop(client);
    }
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Gives idle connections to who is next, and opens another one for who then still waits. */
  #serve(): void {
    while (!this.#ended && this.#lines.peek() !== undefined) {
      const idle = this.#idle.pop();
      if (idle === undefined) {
        if (this.#count < this.#options.size && this.#opening < this.#lines.waiting) void this.#openOne();
        return;
      }
      clearTimeout(idle.timer);
      this.#lines.next()?.take(idle.client);
    }
  }

  #keep(client: Client): void {
    const timer = setTimeout(() => {
      this.#idle.splice(
        this.#idle.findIndex((one) => one.client === client),
        1,
      );
      this.#drop(client);
    }, this.#options.idleMs).unref();
    this.#idle.push({ client, timer });
  }

  async #openOne(): Promise<void> {
    this.#count++;
    this.#opening++;
    try {
      const client = await this.#open();
      this.#opening--;
      this.#watch(client);
      if (this.#ended) this.#drop(client);
      else this.#keep(client);
      this.#serve();
    } catch (error) {
      this.#opening--;
      this.#count--;
      this.#failed(error);
      this.#checkEmpty();
    }
  }

  /** Where another connection works, who waits may get that one; else who is next hears why there is none. */
  #failed(error: unknown): void {
    const waiter = this.#lines.peek();
    if (waiter === undefined) return;
    if (this.#count > this.#opening) {
      waiter.failure = error;
      return;
    }
    this.#lines.leave(waiter.holder, waiter);
    waiter.fail(error);
    this.#serve();
  }

  #watch(client: Client): void {
    const onLost = () => {
      this.#broken.add(client);
      const at = this.#idle.findIndex((one) => one.client === client);
      if (at < 0) return;
      clearTimeout(this.#idle.splice(at, 1)[0]?.timer);
      this.#drop(client);
    };
    client.on('error', onLost);
    client.on('end', onLost);
  }

  #drop(client: Client): void {
    const gone = () => {
      this.#count--;
      this.#serve();
      this.#checkEmpty();
    };
    client.end().then(gone, gone);
  }

  #checkEmpty(): void {
    if (this.#count === 0) this.#onEmpty?.();
  }
}

function busy(): HttpProblem {
  return new HttpProblem(503, 'BUSY', 'all connections to the database are in use', {
    hint: 'try again in some seconds',
    retryAfterS: RETRY_AFTER_S,
  });
}

function yourOwn(): HttpProblem {
  return new HttpProblem(
    429,
    'TOO_MANY_AT_ONCE',
    'your other requests have all the connections that one user may have',
    {
      hint: 'send the next one when another has its answer',
      retryAfterS: RETRY_AFTER_S,
    },
  );
}

function closing(): HttpProblem {
  return new HttpProblem(503, 'CLOSING', 'the server is going down', {
    hint: 'try again in some seconds',
    retryAfterS: RETRY_AFTER_S,
  });
}
