import { createServer, type Server } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { migrate } from '../../../src/lib/database/migrate.ts';
import { resolveDatabase, withClient } from '../../../src/lib/database/resolve.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

describe('a connection', () => {
  let db: TestDatabase;
  let mute: Server;
  const MUTE_PORT = 26010;

  beforeAll(async () => {
    db = await testDatabase();
    mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(MUTE_PORT, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    mute.close();
    await db.drop();
  });

  const open = (url: string, connectTimeoutMs = 3000) =>
    openClient({ url, label: 'the label', embedded: false }, { connectTimeoutMs });
  const changed = (change: (url: URL) => void): string => {
    const url = new URL(db.url);
    change(url);
    return url.href;
  };

  test('that is refused, a wrong password, an unknown database: each its own sentence, none with the password', async () => {
    const cases = [
      ['postgres://u:hunter2@127.0.0.1:1/db', 'DATABASE_AWAY'],
      ['postgres://u:hunter2@host.invalid/db', 'DATABASE_AWAY'],
      [
        changed((url) => {
          url.password = 'hunter2';
        }),
        'DATABASE_AUTH',
      ],
      [
        changed((url) => {
          url.pathname = '/nonesuch';
        }),
        'DATABASE_UNKNOWN',
      ],
    ] as const;
    for (const [url, code] of cases) {
      const error = await open(url).catch((thrown) => thrown);
      expect(error).toMatchObject({ name: 'KwError', code });
      expect(`${error.message} ${error.hint}`).not.toContain('hunter2');
    }
  });

  test('to a server that never answers ends in time', async () => {
    const started = Date.now();
    await expect(open(`postgres://u:hunter2@127.0.0.1:${MUTE_PORT}/db`, 500)).rejects.toMatchObject({
      code: 'DATABASE_AWAY',
    });
    expect(Date.now() - started).toBeLessThan(1500);
  });

  test('gives int8 as a number where that is exact, and times as text in UTC to the microsecond', async () => {
    const { rows } = await db.client.query(
      "SELECT 9007199254740991::int8 AS exact, 9007199254740993::int8 AS large, '2026-11-22 11:00:00.123456+01'::timestamptz AS at",
    );
    expect(rows).toEqual([
      { exact: 9007199254740991, large: '9007199254740993', at: '2026-11-22 10:00:00.123456+00' },
    ]);
  });

  test('errors of statements are sentences, and the connection is ended', async () => {
    const settings = { databaseUrl: db.url, dataFolder: '/nonexistent' };
    await expect(
      withClient(settings, (client) => client.query('SELECT * FROM kw.nonesuch')),
    ).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      hint: 'run kw db migrate',
    });
    await expect(
      withClient(settings, (client) => client.query('SELECT pg_sleep(10)'), { statementTimeoutMs: 100 }),
    ).rejects.toMatchObject({ code: 'DATABASE_TIMEOUT' });
  });

  test('that breaks in the middle is told as a database that is away, in a migration too', async () => {
    const settings = { databaseUrl: db.url, dataFolder: '/nonexistent' };
    const cut = async (client: pg.Client) => {
      await db.client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1', [
        (await client.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid,
      ]);
    };
    const away = {
      code: 'DATABASE_AWAY',
      message: expect.stringMatching(/^the database .* cannot be reached: /),
    };
    await expect(
      withClient(settings, async (client) => {
        await cut(client);
        await client.query('SELECT 1').catch(() => {});
        // What pg says of a connection that it knows to be broken has neither code nor system call.
        await client.query('SELECT 1');
      }),
    ).rejects.toMatchObject(away);
    const migrateCutAt = (place: RegExp) =>
      withClient(settings, (client) =>
        migrate({
          query: async (text, values) => {
            if (place.test(text)) await cut(client);
            return client.query(text, values);
          },
        }),
      );
    await expect(migrateCutAt(/pg_advisory_lock/)).rejects.toMatchObject(away);
    await expect(migrateCutAt(/CREATE ROLE/)).rejects.toMatchObject(away);
  });

  test('without any database says how to get one', async () => {
    await expect(resolveDatabase({ dataFolder: '/nonexistent' })).rejects.toMatchObject({
      code: 'NO_DATABASE',
      message: 'no database: set KW_URL or KW_DATABASE_URL, or run kw db start',
    });
  });

  test('where KW_URL is set, nothing goes into a private embedded database instead', async () => {
    await expect(
      resolveDatabase({ dataFolder: '/nonexistent', url: 'https://kw.example.org' }),
    ).rejects.toMatchObject({ code: 'NEEDS_DATABASE' });
    const both = { dataFolder: '/nonexistent', url: 'https://kw.example.org', databaseUrl: db.url };
    expect(await resolveDatabase(both)).toMatchObject({ url: db.url });
  });

  test('NUL cannot be stored, and only that statement fails', async () => {
    await expect(
      db.client.query(
        "SELECT kw.insert_samples(ARRAY[now()], ARRAY[$1], '{m}', '{1}', ARRAY['{}']::jsonb[])",
        ['a\0b'],
      ),
    ).rejects.toMatchObject({ code: '22021' });
    expect((await db.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});
