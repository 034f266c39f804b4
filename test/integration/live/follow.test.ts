/** `kw query --follow` as a process, on the database and through a server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { endProcess } from '../../support/endProcess.ts';
import { runKw, startKw } from '../../support/kw.ts';
import { startServe } from '../../support/serve.ts';

let db: TestDatabase;
let env: Record<string, string>;

beforeAll(async () => {
  db = await testDatabase();
  env = { KW_DATABASE_URL: db.url };
});
afterAll(() => db?.drop());

/** A row of so many seconds ago. */
async function store(device: string, value: number, ageS = 0, labels = {}): Promise<void> {
  await db.client.query(
    "INSERT INTO kw.metrics SELECT now() - make_interval(secs => $1), $2, 'power_watt', $3, $4",
    [ageS, device, value, labels],
  );
}

function start(args: readonly string[], from: Record<string, string> = env) {
  const child = startKw(['query', ...args, '--follow'], { env: from });
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const exit = once(child, 'close') as Promise<[number | null, string | null]>;
  return { child, output, exit };
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 50 });

describe('kw query --follow', () => {
  test('prints rows as CSV as they are stored, late ones too, until Ctrl-C', async () => {
    await store('f-1', 1, 60);
    await store('f-1', 2, 4);
    const { child, output, exit } = start(['--device', 'f-1', '--format', 'csv']);
    try {
      const values = () =>
        output.stdout
          .split('\n')
          .slice(1, -1)
          .map((line) => line.split(',')[3]);
      await eventually(() => expect(values()).toEqual(['2']));
      await store('f-1', 4);
      await eventually(() => expect(values()).toEqual(['2', '4']));
      await store('f-1', 3, 5);
      await eventually(() => expect(values()).toEqual(['2', '4', '3']));
      expect(output.stdout.split('\n')[0]).toBe('timestamp,device_id,metric_id,value,labels');
      child.kill('SIGINT');
      expect(await exit).toEqual([130, null]);
      expect(output.stderr).toBe('');
    } finally {
      await endProcess(child);
    }
  });

  test('ends after --limit, and prints lines for people', async () => {
    const { child, output, exit } = start(['--device', 'f-2', '--limit', '2', '--tz', 'UTC']);
    try {
      await eventually(() => expect(output.stdout).toContain('time (UTC)'));
      await store('f-2', 1.5, 0, { mode: 'idle' });
      await store('f-2', 22);
      await store('f-2', 333);
      expect(await exit).toEqual([0, null]);
      const lines = output.stdout.split('\n');
      expect(lines).toHaveLength(4);
      expect(lines[1]).toMatch(
        /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {2}f-2 {11}power_watt {12} {7}1\.5 {2}mode=idle$/,
      );
      expect(lines[2]).toMatch(/ 22$/);
    } finally {
      await endProcess(child);
    }
  });

  test('ends when nobody reads any more, and its query with it', async () => {
    const dev = join(packageRoot(), 'bin', 'dev.js');
    const child = spawn(
      'sh',
      ['-c', `"$0" "${dev}" query --device f-3 --follow --format ndjson | head -n 1`, process.execPath],
      {
        env: { PATH: process.env.PATH ?? '', ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    const exit = once(child, 'close');
    const timer = setInterval(() => void store('f-3', 7).catch(() => undefined), 300);
    try {
      await exit;
    } finally {
      clearInterval(timer);
      await endProcess(child);
    }
    expect(JSON.parse(text)).toMatchObject({ device_id: 'f-3', value: 7, labels: {} });
    // The server hears of the end a moment later.
    await vi.waitFor(async () => {
      const { rows } = await db.client.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kw'",
      );
      expect(rows[0]?.n).toBe(0);
    });
  });

  test.each([
    [['--device', 'a', '--format', 'json'], '--format json has an end, and --follow has none'],
    [[], 'nothing is selected to be followed'],
    [['--device', 'a', '--from', '-1h'], '--from'],
    [['--job', '99'], 'nothing comes in any more: job 99 ran from'],
  ])('refuses %j', async (args, message) => {
    await db.client.query(
      `INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped)
       VALUES ('kw', 99, '99', 'a', 'x', now() - interval '2 h', now() - interval '1 h') ON CONFLICT DO NOTHING`,
    );
    await db.client.query(
      `INSERT INTO kw.job_nodes SELECT 'kw', 99, 'n', now() - interval '2 h', now() - interval '1 h'
       WHERE NOT EXISTS (SELECT FROM kw.job_nodes WHERE job_id = 99)`,
    );
    const { code, stdout, stderr } = await runKw(['query', ...args, '--follow'], { env });
    expect({ code: code !== 0, stdout }).toEqual({ code: true, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('comes through kw serve with a token, and tells when that is gone', async () => {
    const server = await startServe({ database: db.url });
    try {
      const refused = await runKw(['query', '--device', 'f-4', '--follow'], { env: { KW_URL: server.url } });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^kw: this needs a token/);
      const { child, output, exit } = start(['--device', 'f-4', '--format', 'csv'], {
        KW_URL: server.url,
        KW_TOKEN: await server.token('alice', '--role', 'reader'),
      });
      try {
        await eventually(() => expect(output.stdout).toContain('timestamp,'));
        await store('f-4', 5.5, 0, { a: 'b' });
        await eventually(() => expect(output.stdout).toMatch(/,f-4,power_watt,5\.5,"\{""a"":""b""\}"\n$/));
        await server.stop();
        await eventually(() =>
          expect(output.stderr).toMatch(/^warning: the connection to http.* is lost: trying again\n/),
        );
        child.kill('SIGTERM');
        expect(await exit).toEqual([143, null]);
      } finally {
        await endProcess(child);
      }
    } finally {
      await server.stop();
    }
  });
});
