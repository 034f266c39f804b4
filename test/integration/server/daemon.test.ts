/** `kw serve` as a process: starts, says that it is ready, ends cleanly, and refuses to start with a sentence. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

let db: TestDatabase;
const { folder, remove } = temporaryFolder();

beforeAll(async () => {
  db = await testDatabase();
});
afterAll(async () => {
  await db?.drop();
  remove();
});

function start(env: Record<string, string> = {}): { child: ChildProcess; log: () => string } {
  const child = spawn(
    process.execPath,
    [join(packageRoot(), 'bin', 'dev.js'), 'serve', '--listen', '0', '--json'],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, KW_DATA_DIR: folder, KW_DATABASE_URL: db.url, ...env },
      timeout: 60_000,
      killSignal: 'SIGKILL',
    },
  );
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  return { child, log: () => log };
}

async function ready(child: ChildProcess): Promise<string> {
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return (JSON.parse(line.toString()) as { url: string }).url;
}

const ended = (child: ChildProcess) => once(child, 'exit') as Promise<[number | null, string | null]>;

describe('kw serve', () => {
  test('listens on the loopback interface, tells systemd, answers, and ends at SIGTERM', async () => {
    // systemd-notify(1) of our own, since Node cannot speak to the socket.
    const told = join(folder, 'told');
    const notify = join(folder, 'systemd-notify');
    writeFileSync(notify, `#!/bin/sh\necho "$@" >> ${told}\n`);
    chmodSync(notify, 0o755);
    const { child, log } = start({ PATH: `${folder}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/none' });
    const url = await ready(child);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: 'ok', version: expect.any(String) },
    ]);
    const page = await (await fetch(`${url}/metrics`)).text();
    expect(page).toContain('kw_serve_requests_total{method="GET",route="/healthz",status="200"} 1');
    const exit = ended(child);
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    const pid = `MAINPID=${child.pid}`;
    await expect.poll(() => readFileSync(told, 'utf8')).toBe(`${pid} READY=1\n${pid} STOPPING=1\n`);
    const messages = log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    expect(messages.at(-1)).toBe('stopped');
  });

  test.each([
    [{ KW_DATABASE_URL: 'postgres://127.0.0.1:1/kw' }, 'cannot be reached'],
    [{ KW_DATABASE_URL: 'mysql://x' }, 'kw: the database URL does not begin with postgres://'],
    [{ KW_DATABASE_URL: '' }, 'kw: no database: set KW_'],
  ])('refuses to start with %j', async (env, words) => {
    const { code, stderr } = await runKw(['serve', '--listen', '0'], {
      env: { HOME: folder, KW_DATA_DIR: join(folder, 'none'), ...env },
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(stderr).toContain(words);
  });

  test('refuses to start on a port that is taken, for a database without a schema, and as a wrong login', async () => {
    const env = { HOME: folder, KW_DATA_DIR: folder, KW_DATABASE_URL: db.url };
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const busy = await runKw(['serve', '--listen', `127.0.0.1:${port}`], { env, cwd: folder });
    taken.close();
    expect([busy.code, busy.stderr]).toEqual([
      1,
      expect.stringContaining(
        `kw: cannot listen on 127.0.0.1 port ${port}: another program listens there\n` +
          '    name another address with --listen, or as server.listen in kw.yaml\n',
      ),
    ]);

    const empty = await testDatabase({ empty: true });
    const bare = await runKw(['serve'], { env: { ...env, KW_DATABASE_URL: empty.url }, cwd: folder });
    await empty.drop();
    expect([bare.code, bare.stderr]).toEqual([
      1,
      'kw: the database has no schema of kw yet\n    run kw db migrate\n',
    ]);

    const login = { user: `kw_test_serve_${process.pid}`, password: 'secret' };
    await db.client.query(`CREATE ROLE ${login.user} LOGIN PASSWORD 'secret' IN ROLE kw_reader`);
    try {
      const name = new URL(db.url).pathname.slice(1);
      const wrong = await runKw(['serve'], {
        env: { ...env, KW_DATABASE_URL: targetOf(name, login).url },
        cwd: folder,
      });
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        expect.stringContaining(
          `kw: kw serve cannot log in as ${login.user}: the database believes nobody but kw_api who its callers are`,
        ),
      ]);
    } finally {
      await db.client.query(`DROP ROLE ${login.user}`);
    }
  });
});
