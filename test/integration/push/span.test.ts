/** Values that reach over years: few days a transaction, and a clear end for one that must be whole. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { type PushOptions, pushStream } from '../../../src/lib/push/push.ts';
import { DatabaseStore } from '../../../src/lib/push/store.ts';
import { nowUs } from '../../../src/lib/time.ts';
import { onlyOn, type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('on %s', (flavour) => {
  let db: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    client = await openClient(db.target);
  });
  afterAll(async () => {
    await client.end();
    await db.drop();
  });

  async function* days(count: number, offset = 0): AsyncGenerator<Buffer> {
    const start = Math.floor(nowUs() / 1e6) - 9 * 365 * 86_400;
    const lines = Array.from({ length: count }, (_, day) => `${start + (offset + day) * 86_400},${day}`);
    yield Buffer.from(`timestamp,value\n${lines.join('\n')}\n`);
  }

  const push = (source: AsyncIterable<Buffer>, options: Partial<PushOptions> = {}) =>
    pushStream(new DatabaseStore(client), source, {
      defaults: { timestampUs: nowUs(), deviceId: 'd', metricId: 'm', labels: {} },
      ...options,
    });
  const stored = async () => (await db.client.query('SELECT count(*)::int AS n FROM kw.metrics')).rows[0].n;

  /** Runs with `query` in place of the client's own. */
  async function withQuery<T>(
    query: (run: pg.Client['query'], text: string, values?: unknown[]) => Promise<unknown>,
    work: () => Promise<T>,
  ): Promise<T> {
    const run = client.query.bind(client) as pg.Client['query'];
    Object.assign(client, { query: (text: string, values?: unknown[]) => query(run, text, values) });
    try {
      return await work();
    } finally {
      Object.assign(client, { query: run });
    }
  }

  it('stores them, and no transaction holds more locks than those of a few days', async () => {
    let mostLocks = 0;
    const counting = async (run: pg.Client['query'], text: string, values?: unknown[]) => {
      await run('BEGIN');
      const result = await run(text, values);
      const { rows } = await run('SELECT count(*)::int AS held FROM pg_locks WHERE pid = pg_backend_pid()');
      mostLocks = Math.max(mostLocks, rows[0].held);
      await run('COMMIT');
      return result;
    };
    expect(await withQuery(counting, () => push(days(150)))).toMatchObject({ stored: 150, refused: 0 });
    expect(await stored()).toBe(150);
    expect(mostLocks).toBeLessThan(16 * 20);
  });

  it('stores them as a whole when asked, while there is room for the locks', async () => {
    expect(await push(days(40, 200), { allOrNothing: true })).toMatchObject({ stored: 40 });
    expect(await stored()).toBe(190);
  });

  it('ends a transaction before it takes the locks of everybody, and stores nothing', async () => {
    const small = async (run: pg.Client['query'], text: string, values?: unknown[]) => {
      const result = await run(text, values);
      if (text.includes('AS room')) Object.assign(result.rows[0], { room: 2000 });
      return result;
    };
    await expect(withQuery(small, () => push(days(300, 400), { allOrNothing: true }))).rejects.toMatchObject({
      code: 'PUSH_TOO_WIDE',
      message: expect.stringMatching(
        /^values of \d+ days and more are too many for one transaction: it took \d+ of the 2000 locks of the server$/,
      ),
    });
    await client.query('ROLLBACK');
    expect(await stored()).toBe(190);
  });

  onlyOn(
    'plain',
    flavour,
    it,
  )?.('finds the partitions whatever way the planner takes', async () => {
    await client.query('BEGIN');
    // As it plans for thousands of partitions: the condition on the day meets every relation.
    await client.query('SET LOCAL enable_nestloop = off; SET LOCAL enable_indexscan = off');
    const { rows } = await client.query(
      "SELECT count(*)::int AS n FROM kw.metrics_partitions WHERE day < now() - interval '1 year'",
    );
    await client.query('ROLLBACK');
    expect(rows[0].n).toBe(190);
  });
});
