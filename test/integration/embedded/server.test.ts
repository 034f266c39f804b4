import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  embeddedExists,
  embeddedStatus,
  startEmbedded,
  stopEmbedded,
} from '../../../src/lib/database/embedded/server.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kw-test-'));
  chmodSync(folder, 0o755);
});

afterEach(async () => {
  await stopEmbedded(folder);
  rmSync(folder, { recursive: true, force: true });
});

async function scalar(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

describe('the embedded server', () => {
  test('is made, adopted, stopped and started again with its rows', async () => {
    expect(embeddedExists(folder)).toBe(false);
    const first = await startEmbedded(folder, { durable: false });
    expect(first.adopted).toBe(false);
    expect(first.label).toBe(`embedded PostgreSQL in ${folder}/postgres`);
    await scalar(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');

    const second = await startEmbedded(folder);
    expect(second).toEqual({ ...first, adopted: true });

    expect(await stopEmbedded(folder)).toBe(true);
    expect(await stopEmbedded(folder)).toBe(false);
    expect(embeddedStatus(folder)).toMatchObject({ exists: true, running: false, pid: undefined });

    const third = await startEmbedded(folder);
    expect(third.adopted).toBe(false);
    expect(await scalar(third.url, 'SELECT n FROM kept')).toBe(42);
  });
});
