/** What requests get from the pool of connections, and when: with connections that a test makes. */
import { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { ClientPool } from '../../../src/lib/server/clientPool.ts';

class FakeClient extends EventEmitter {
  ended = false;
  async end(): Promise<void> {
    this.ended = true;
  }
}

/** A server whose connections are made, or refused, when the test says so. */
function fakeServer() {
  const waiting: { resolve: (client: Client) => void; reject: (error: unknown) => void }[] = [];
  return {
    open: () => new Promise<Client>((resolve, reject) => void waiting.push({ resolve, reject })),
    opening: () => waiting.length,
    accept: () => waiting.shift()?.resolve(new FakeClient() as unknown as Client),
    refuse: () => waiting.shift()?.reject(new Error('refused')),
  };
}

/** By a new connection. */
function lend(server: ReturnType<typeof fakeServer>, pool: ClientPool, holder: string): Promise<Client> {
  const lent = pool.acquire(holder);
  server.accept();
  return lent;
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 2));

describe('a pool of connections', () => {
  it('gives who waits for a new connection one that comes back earlier', async () => {
    const server = fakeServer();
    const pool = new ClientPool(server.open, { size: 8, waitMs: 1_000, idleMs: 1_000 });
    const client = await lend(server, pool, 'alice');
    const second = pool.acquire('bob');
    expect(server.opening()).toBe(1);
    pool.release(client);
    expect(await second).toBe(client);
  });

  it('lets requests wait when no further connection can be opened while others work', async () => {
    const server = fakeServer();
    const pool = new ClientPool(server.open, { size: 8, waitMs: 1_000, idleMs: 1_000 });
    const client = await lend(server, pool, 'alice');
    const second = pool.acquire('bob');
    server.refuse();
    await soon();
    pool.release(client);
    expect(await second).toBe(client);
  });

  it('tells the reason at the end of the wait, and at once when there is no other connection', async () => {
    const server = fakeServer();
    const pool = new ClientPool(server.open, { size: 8, waitMs: 30, idleMs: 1_000 });
    const alone = [pool.acquire('alice'), pool.acquire('bob')];
    server.refuse();
    server.refuse();
    expect(await Promise.allSettled(alone)).toMatchObject(
      Array(2).fill({ status: 'rejected', reason: { message: 'refused' } }),
    );
    await lend(server, pool, 'alice');
    const waits = pool.acquire('bob');
    server.refuse();
    await expect(waits).rejects.toThrow('refused');
    expect(pool.counts).toEqual({ open: 1, idle: 0, waiting: 0 });
  });

  it('is half for one user at most, and says so', async () => {
    const server = fakeServer();
    const pool = new ClientPool(server.open, { size: 6, waitMs: 30, idleMs: 1_000 });
    const many = Array.from({ length: 5 }, () => pool.acquire('alice'));
    while (server.opening() > 0) server.accept();
    const settled = await Promise.allSettled(many);
    expect(settled.map(({ status }) => status)).toEqual([
      ...Array(3).fill('fulfilled'),
      ...Array(2).fill('rejected'),
    ]);
    expect(settled[4]).toMatchObject({ reason: { status: 429, code: 'TOO_MANY_AT_ONCE', retryAfterS: 2 } });
    expect(await lend(server, pool, 'bob')).toBeInstanceOf(FakeClient);
  });

  it('ends what is idle, what comes back and what was being opened', async () => {
    const server = fakeServer();
    const pool = new ClientPool(server.open, { size: 6, waitMs: 1_000, idleMs: 1_000 });
    const client = await lend(server, pool, 'alice');
    const second = pool.acquire('bob');
    const ended = pool.end();
    await expect(second).rejects.toThrow('the server is going down');
    pool.release(client);
    server.accept();
    await ended;
    expect((client as unknown as FakeClient).ended).toBe(true);
    expect(pool.counts).toEqual({ open: 0, idle: 0, waiting: 0 });
  });
});
