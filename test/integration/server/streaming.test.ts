/** Large answers: whole or visibly broken, for clients that read slowly, go away, or are too many. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { Zstd } from '@hpcc-js/wasm-zstd';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

const ROWS = 50_000;
const ALL = '/rpc/get_metrics?devices=big&start_time=2026-11-20T00:00Z&end_time=2026-11-20T03:00Z';
const FEW = '/rpc/get_metrics?devices=big&start_time=2026-11-20T00:00Z&end_time=2026-11-20T00:00:01Z';
const ALICE = as('alice', 'kw_reader');
const BOB = as('bob', 'kw_reader');

let db: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db, { server: { bigReads: 1, connections: 4, statementTimeoutMs: 2_000 } });
  await db.client.query(`
    SELECT kw.ensure_storage('2026-11-20', '2026-11-21');
    INSERT INTO kw.metrics SELECT '2026-11-20 00:00Z'::timestamptz + i * interval '100 ms', 'big', 'watt', i, '{}'
    FROM generate_series(0, ${ROWS - 1}) i`);
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

/** A response whose body nobody reads yet. */
async function open(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const request = httpGet(`${server.url}${path}`, { headers: { ...ALICE, ...headers }, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sha = (bytes: Buffer | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** How many statements of the server run now. */
async function running(): Promise<number> {
  const { rows } = await db.client.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kw-serve' AND state <> 'idle'",
  );
  return rows[0].n;
}

async function msUntilIdle(): Promise<number> {
  const begunMs = performance.now();
  while ((await running()) > 0) {
    if (performance.now() - begunMs > 10_000) throw new Error('the query goes on');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - begunMs;
}

/** Nobody can read metrics while `use` runs. */
async function whileLocked(use: () => Promise<void>): Promise<void> {
  const holder: Client = await openClient(db.target);
  try {
    await holder.query('BEGIN; LOCK TABLE kw.metrics IN ACCESS EXCLUSIVE MODE');
    await use();
  } finally {
    await holder.end();
  }
}

describe('a large answer', () => {
  test('is the same plain, as gzip and as zstd', async () => {
    const plain = await bodyOf(await open(ALL));
    expect(JSON.parse(plain.toString())).toHaveLength(ROWS);
    const gzip = await open(ALL, { 'accept-encoding': 'gzip' });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    const packed = await bodyOf(gzip);
    expect(packed.length).toBeLessThan(plain.length / 10);
    expect(sha(gunzipSync(packed))).toBe(sha(plain));
    const zstd = await open(ALL, { 'accept-encoding': 'zstd, gzip' });
    expect(zstd.headers['content-encoding']).toBe('zstd');
    expect(zstd.headers.vary).toBe('Accept, Accept-Encoding');
    expect(sha(await unzstd(await bodyOf(zstd)))).toBe(sha(plain));
  });

  test('has a line for each row as CSV and as NDJSON', async () => {
    const csv = (await bodyOf(await open(ALL, { accept: 'text/csv' }))).toString().split('\n');
    expect(csv.slice(0, 2)).toEqual([
      'timestamp,device_id,metric_id,value,labels',
      '2026-11-20T00:00:00+00:00,big,watt,0,{}',
    ]);
    expect(csv).toHaveLength(ROWS + 2);
    const ndjson = await open(ALL, { accept: 'application/x-ndjson' });
    expect(ndjson.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    const lines = (await bodyOf(ndjson)).toString().trimEnd().split('\n');
    expect(lines).toHaveLength(ROWS);
    expect(JSON.parse(lines[ROWS - 1] ?? '')).toEqual({
      timestamp: '2026-11-20T01:23:19.9+00:00',
      device_id: 'big',
      metric_id: 'watt',
      value: ROWS - 1,
      labels: {},
    });
  });

  test('waits for a client that reads slowly, and ends in the database when the client goes away', async () => {
    const response = await open(ALL);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await running()).toBe(1);
    response.destroy();
    expect(await msUntilIdle()).toBeLessThan(1000);
  });

  test('is broken off, not short, when the database fails in its middle', async () => {
    const response = await open(ALL);
    await db.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kw-serve'",
    );
    await expect(bodyOf(response)).rejects.toThrow('aborted');
    // And the next one is whole again.
    expect(JSON.parse((await bodyOf(await open(FEW))).toString())).toHaveLength(11);
  });

  test('is asked to come again when there are too many, and small ones are not', async () => {
    const slow = await open(ALL);
    const small = await open(FEW);
    expect(small.statusCode).toBe(200);
    small.destroy();
    const refused = await open(ALL);
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toBe('5');
    expect(JSON.parse((await bodyOf(refused)).toString())).toEqual({
      message: '1 large answers are being sent already',
      code: 'TOO_MANY_BIG_READS',
      hint: 'try again in some seconds, or ask for summary=true, less time or fewer devices',
    });
    slow.destroy();
    expect(await msUntilIdle()).toBeLessThan(1000);
    const whole = await open(ALL);
    expect(JSON.parse((await bodyOf(whole)).toString())).toHaveLength(ROWS);
  });
});

describe('a query that waits', () => {
  test('is cancelled in the database when the client goes away before the first byte', async () => {
    await whileLocked(async () => {
      const request = httpGet(`${server.url}${ALL}`, { headers: ALICE, agent: false });
      request.on('error', () => {});
      while ((await running()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      request.destroy();
      // The holder of the lock is of another name.
      expect(await msUntilIdle()).toBeLessThan(1000);
    });
  });

  test('is ended by the statement timeout, with a sentence that says what to change', async () => {
    await whileLocked(async () => {
      const response = await open(FEW);
      expect(response.statusCode).toBe(422);
      expect(JSON.parse((await bodyOf(response)).toString())).toEqual({
        message: 'the request took too long and was ended: too much data',
        code: 'TIMEOUT',
        hint: 'ask for less time, fewer devices or metrics, or for summary=true',
      });
    });
  });

  test('leaves other users a 503 when all connections wait, and its own a 429', async () => {
    await whileLocked(async () => {
      const waiting = [open(FEW), open(FEW), open(FEW, BOB)];
      while ((await running()) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
      const [own, other] = await Promise.all([open(FEW), open(FEW, as('carol', 'kw_reader'))]);
      expect([own.statusCode, own.headers['retry-after']]).toEqual([429, '2']);
      expect(JSON.parse((await bodyOf(own)).toString()).code).toBe('TOO_MANY_AT_ONCE');
      expect([other.statusCode, other.headers['retry-after']]).toEqual([503, '2']);
      expect(JSON.parse((await bodyOf(other)).toString()).code).toBe('BUSY');
      // The server itself can still ask.
      expect((await open('/healthz')).statusCode).toBe(200);
      for (const response of await Promise.all(waiting)) response.destroy();
    });
  });

  test('of one user, many at once, does not keep others waiting', async () => {
    await whileLocked(async () => {
      const waiting = Array.from({ length: 40 }, () => open(FEW));
      while ((await running()) < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      const begunMs = performance.now();
      const answered = await open('/rpc/jobs', BOB);
      expect(answered.statusCode).toBe(200);
      expect(performance.now() - begunMs).toBeLessThan(500);
      expect(await running()).toBe(2);
      for (const response of await Promise.all(waiting)) response.destroy();
    });
  });
});

/** Frame by frame: the library reads the first of a stream only. */
async function unzstd(bytes: Buffer): Promise<Buffer> {
  const zstd = await Zstd.load();
  const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    // A frame may hold the magic number by chance: then the piece cannot be read, and goes on to the next one.
    for (let end = at; ; ) {
      const next = bytes.indexOf(magic, end + 4);
      end = next < 0 ? bytes.length : next;
      try {
        pieces.push(Buffer.from(zstd.decompress(bytes.subarray(at, end))));
        at = end;
        break;
      } catch (error) {
        if (end === bytes.length) throw error;
      }
    }
  }
  return Buffer.concat(pieces);
}
