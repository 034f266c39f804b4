import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  embeddedExists,
  embeddedStatus,
  startEmbedded,
  stopEmbedded,
} from '../../../src/lib/database/embedded/server.ts';
import { runAsOrdinaryUser } from '../../support/asUser.ts';
import { runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const RUN_JS = join(import.meta.dirname, '../../../bin/run.js');

let folder: string;
let removeFolder: () => void;
let sleeper: ChildProcess | undefined;

beforeEach(() => {
  ({ folder, remove: removeFolder } = temporaryFolder());
});

afterEach(async () => {
  sleeper?.kill();
  sleeper = undefined;
  await stopEmbedded(folder);
  removeFolder();
});

const asIs = { migrate: false };
const fast = { durable: false, migrate: false };

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

async function killHard(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error('no server runs');
  process.kill(pid, 'SIGKILL');
  for (let i = 0; i < 500 && embeddedStatus(folder).running; i++) await new Promise((r) => setTimeout(r, 10));
}

describe('the embedded server', () => {
  test('is made, adopted, stopped and started again with its rows', async () => {
    expect(embeddedExists(folder)).toBe(false);
    const first = await startEmbedded(folder, fast);
    expect(first.adopted).toBe(false);
    expect(first.label).toBe(`embedded PostgreSQL in ${folder}/postgres`);
    await scalar(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');

    expect(await startEmbedded(folder, asIs)).toEqual({ ...first, adopted: true });

    expect(await stopEmbedded(folder)).toBe(true);
    expect(await stopEmbedded(folder)).toBe(false);
    expect(embeddedStatus(folder)).toMatchObject({ exists: true, running: false, pid: undefined });

    const third = await startEmbedded(folder, asIs);
    expect(third).toEqual(first);
    expect(await scalar(third.url, 'SELECT n FROM kept')).toBe(42);
  });

  test('is durable, UTF-8, in UTC, without TCP, and keeps its secrets to its owner', async () => {
    const { url } = await startEmbedded(folder, asIs);
    const settings = [
      'fsync',
      'synchronous_commit',
      'server_encoding',
      'TimeZone',
      'listen_addresses',
      'jit',
    ];
    const found = await Promise.all(settings.map((name) => scalar(url, `SELECT current_setting('${name}')`)));
    expect(found).toEqual(['on', 'on', 'UTF8', 'UTC', '', 'off']);
    const modeOf = (path: string) => (statSync(join(folder, 'postgres', path)).mode & 0o777).toString(8);
    expect([modeOf('data'), modeOf('run'), modeOf('data/kw-credentials.json')]).toEqual([
      '700',
      '700',
      '600',
    ]);
    await expect(scalar(url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(
      'password authentication failed for user "postgres"',
    );
  });

  test('comes back after a crash with what was committed', async () => {
    const { url } = await startEmbedded(folder, asIs);
    await scalar(url, 'CREATE TABLE kept AS SELECT 42 AS n');
    await killHard(embeddedStatus(folder).pid);
    expect(existsSync(join(folder, 'postgres/data/postmaster.pid'))).toBe(true);
    const again = await startEmbedded(folder, asIs);
    expect(again.adopted).toBe(false);
    expect(await scalar(again.url, 'SELECT n FROM kept')).toBe(42);
  });

  test('is not fooled when the process number of a crashed server belongs to another process', async () => {
    await startEmbedded(folder, fast);
    const pidFile = join(folder, 'postgres/data/postmaster.pid');
    const text = readFileSync(pidFile, 'utf8');
    await stopEmbedded(folder);
    const owner = statSync(join(folder, 'postgres/data'));
    sleeper = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {});
    writeFileSync(pidFile, text.replace(/^\d+/, String(sleeper.pid)));
    expect(embeddedStatus(folder).running).toBe(false);
    expect(await stopEmbedded(folder)).toBe(false);
    expect((await startEmbedded(folder, asIs)).adopted).toBe(false);
    expect(sleeper.exitCode).toBe(null);
  });

  test('is made once when several ask at the same time', async () => {
    const servers = await Promise.all(Array.from({ length: 4 }, () => startEmbedded(folder, fast)));
    expect(servers.filter((server) => !server.adopted)).toHaveLength(1);
    expect(new Set(servers.map((server) => server.url)).size).toBe(1);
  });

  test('starts although a process died while it held the lock', async () => {
    await startEmbedded(folder, fast);
    await stopEmbedded(folder);
    // Above the largest process number of Linux.
    writeFileSync(join(folder, 'postgres/lock'), '4194999');
    expect((await startEmbedded(folder, asIs)).adopted).toBe(false);
  });

  test('refuses a data folder of another major version, and says what to do', async () => {
    await startEmbedded(folder, fast);
    await stopEmbedded(folder);
    writeFileSync(join(folder, 'postgres/data/PG_VERSION'), '17\n');
    await expect(startEmbedded(folder, asIs)).rejects.toMatchObject({
      code: 'EMBEDDED_VERSION',
      message: 'the embedded database was made by PostgreSQL 17, and this kw brings PostgreSQL 18',
      hint:
        'start it with the kw that made it and run `kw db move --to URL`, ' +
        `or move ${folder}/postgres/data away to begin anew`,
    });
  });

  test('passes on what PostgreSQL says when it cannot start', async () => {
    await startEmbedded(folder, fast);
    await stopEmbedded(folder);
    writeFileSync(join(folder, 'postgres/data/postgresql.conf'), 'shared_buffers = much\n');
    await expect(startEmbedded(folder, asIs)).rejects.toMatchObject({
      code: 'EMBEDDED_START',
      message: expect.stringContaining('invalid value for parameter "shared_buffers": "much"'),
      hint: `see ${folder}/postgres/log`,
    });
  });

  test('works below a path that is too long for a socket', async () => {
    const long = join(folder, 'x'.repeat(60), 'y'.repeat(60));
    const { url } = await startEmbedded(long, fast);
    const socketFolder = decodeURIComponent(new URL(url).hostname);
    try {
      expect(socketFolder).toMatch(/^\/tmp\/kw-/);
      expect(await scalar(url, 'SELECT 1')).toBe(1);
    } finally {
      await stopEmbedded(long);
    }
    expect(existsSync(socketFolder)).toBe(false);
  });

  test('works below a path with blanks and letters beyond ASCII', async () => {
    const odd = join(folder, `it's my dossier é, 50%; #1`);
    const { url } = await startEmbedded(odd, fast);
    try {
      expect(await scalar(url, 'SELECT 1')).toBe(1);
    } finally {
      await stopEmbedded(odd);
    }
  });

  test.runIf(process.getuid?.() === 0)('of another user is left to that user', async () => {
    await runKw(['--version']); // builds what an ordinary user could not write
    chmodSync(folder, 0o755);
    for (const [name, mode, foreign] of [
      ['open', 0o755, 'open/postgres'],
      ['shut', 0o700, 'shut'],
    ] as const) {
      const data = join(folder, name);
      mkdirSync(join(data, 'postgres'), { recursive: true });
      chmodSync(data, mode);
      const { stderr, code } = await runAsOrdinaryUser(process.execPath, [RUN_JS, 'db', 'start'], {
        cwd: '/',
        env: { KW_DATA_DIR: data },
      });
      expect(
        stderr,
      ).toBe(`kw: the folder of the embedded database belongs to another user: ${join(folder, foreign)}
    set KW_DATABASE_URL to a database that you may use, or KW_DATA_DIR to a folder of your own
`);
      expect(code).toBe(1);
    }
  });

  test('refuses a path that PostgreSQL would hand to a shell', async () => {
    const evil = join(folder, '$(touch evil)');
    await expect(startEmbedded(evil)).rejects.toMatchObject({
      code: 'EMBEDDED_FOLDER',
      message: 'the embedded database cannot live below a path with quotes, $, ` or backslashes',
    });
    expect(existsSync(evil)).toBe(false);
  });
});
