/** `GET /stream` of a real server on a real database. */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { EventParser, type ServerEvent } from '../../../src/lib/live/eventParser.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

let db: TestDatabase;
let server: TestServer;
const open: AbortController[] = [];
const headers = as('alice', 'kw_reader');

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db);
});
afterEach(() => {
  for (const stop of open.splice(0)) stop.abort();
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

interface Follower {
  readonly status: number;
  readonly type: string | null;
  readonly events: ServerEvent[];
  /** `device value` of the rows that came, in the order in which they came. */
  rows(): string[];
  stop(): void;
}

async function follow(query: string, caller = headers): Promise<Follower> {
  const stop = new AbortController();
  open.push(stop);
  const response = await fetch(`${server.url}/stream?${query}`, { headers: caller, signal: stop.signal });
  const parser = new EventParser();
  const events: ServerEvent[] = [];
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      events.push(...parser.push(decoder.decode(chunk as Uint8Array, { stream: true })));
    }
  };
  void read().catch(() => undefined);
  const rows = () =>
    events
      .filter(({ event }) => event === 'message')
      .flatMap(({ data }) => data.split('\n'))
      .map((line) => JSON.parse(line) as { device_id: string; value: number })
      .map(({ device_id, value }) => `${device_id} ${value}`);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    events,
    rows,
    stop: () => stop.abort(),
  };
}

/** A row of so many seconds ago. */
function store(device: string, value: number, ageS: number, labels = {}, metric = 'power') {
  return db.client.query('INSERT INTO kw.metrics SELECT now() - make_interval(secs => $1), $2, $3, $4, $5', [
    ageS,
    device,
    metric,
    value,
    labels,
  ]);
}

const settle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('the stream', () => {
  test('tells each row of the last ten seconds once, late ones too, and the alias', async () => {
    await store('s-1', 1, 60);
    await store('s-1', 2, 3, { _device_alias: 'node-s' });
    const one = await follow('devices=s-1,node-s&metrics=pow*');
    expect([one.status, one.type]).toEqual([200, 'text/event-stream; charset=utf-8']);
    await vi.waitFor(() => expect(one.rows()).toEqual(['s-1 2', 'node-s 2']), { timeout: 3000 });
    await store('s-1', 4, 0);
    await store('s-1', 5, 0, {}, 'temperature');
    await vi.waitFor(() => expect(one.rows().slice(2)).toEqual(['s-1 4']), { timeout: 3000 });
    await store('s-1', 3, 6);
    await vi.waitFor(() => expect(one.rows().slice(3)).toEqual(['s-1 3']), { timeout: 3000 });
    await settle(1500);
    expect(one.events.filter(({ event }) => event !== 'message')).toEqual([]);
    expect(one.rows()).toEqual(['s-1 2', 'node-s 2', 's-1 4', 's-1 3']);
    expect(JSON.parse(one.events[0]?.data.split('\n')[1] ?? '')).toMatchObject({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/),
      metric_id: 'power',
      labels: { _device_orig: ['s-1'] },
    });
  });

  test('costs one query a second for all who follow the same, and none when they are gone', async () => {
    const acquire = vi.spyOn(server.pool, 'acquire');
    const followers: Follower[] = [];
    for (let i = 0; i < 6; i++) followers.push(await follow('devices=s-2'));
    const begun = acquire.mock.calls.length;
    await settle(2100);
    const looks = acquire.mock.calls.length - begun;
    expect(looks).toBeGreaterThanOrEqual(1);
    expect(looks).toBeLessThanOrEqual(3);
    await store('s-2', 7, 0);
    await vi.waitFor(() => expect(followers.map((one) => one.rows())).toEqual(Array(6).fill(['s-2 7'])), {
      timeout: 3000,
    });
    for (const one of followers) one.stop();
    await settle(300);
    const ended = acquire.mock.calls.length;
    await settle(1500);
    expect(acquire.mock.calls.length).toBe(ended);
    acquire.mockRestore();
  });

  test('shows two callers who follow the same what each of them may see', async () => {
    await db.client.query(`
      UPDATE kw.settings SET value = '"own_jobs"' WHERE name = 'read_scope';
      SELECT kw.job_start(71, '{r-1}', 'alice');
      SELECT kw.job_start(72, '{r-2}', 'bob');
    `);
    try {
      const alice = await follow('devices=r-1,r-2');
      const bob = await follow('devices=r-1,r-2', as('bob', 'kw_reader'));
      await settle(100);
      await store('r-1', 1, 0);
      await store('r-2', 2, 0);
      await vi.waitFor(() => expect([alice.rows(), bob.rows()]).toEqual([['r-1 1'], ['r-2 2']]), {
        timeout: 3000,
      });
      await settle(1200);
      expect([alice.rows(), bob.rows()]).toEqual([['r-1 1'], ['r-2 2']]);
    } finally {
      await db.client.query(`UPDATE kw.settings SET value = '"all"' WHERE name = 'read_scope'`);
    }
  });

  test('refuses a caller who may see nothing, before it promises rows', async () => {
    const response = await fetch(`${server.url}/stream?devices=s-1`);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      401,
      'NOT_AUTHENTICATED',
    ]);
  });

  test('refuses what selects nothing, and names that cannot be', async () => {
    for (const [query, code] of [
      ['metrics=power', 'NO_SELECTION'],
      ['devices=a%00b', 'BAD_NAME'],
      ['devices=a&metric=power', 'UNKNOWN_PARAMETER'],
    ]) {
      const response = await fetch(`${server.url}/stream?${query}`, { headers });
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, code]);
    }
  });

  test('lets a client go that does not read', async () => {
    await db.client.query(
      `INSERT INTO kw.metrics SELECT now(), 's-big', 'm' || g, 1, jsonb_build_object('x', repeat('y', 900))
       FROM generate_series(1, 20000) g`,
    );
    const { port } = new URL(server.url);
    const served = new Promise<Socket>((resolve) => server.app.server.once('connection', resolve));
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    const [[name, value] = []] = Object.entries(headers);
    const head = `${name}: ${value}`;
    socket.write(`GET /stream?devices=s-big HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`);
    socket.pause();
    const gone = served.then((one) => new Promise((resolve) => one.once('close', resolve)));
    const writing = setInterval(() => void store('s-big', 1, 0).catch(() => undefined), 300);
    try {
      await gone;
    } finally {
      clearInterval(writing);
      socket.destroy();
    }
  });
});
