/** What a prolog waits for at most: servers that hang, never accept, are not there. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

const TIMEOUT_MS = 1500;
/** Starting node on a busy machine is not counted from inside. */
const SLACK_MS = 1500;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const COMMANDS = [
  ['enable', 'x', '--job', '1'],
  ['disable', '--all'],
  ['job', 'start', '--job', '1', '--nodes', 'n1'],
  ['job', 'stop', '--job', '1'],
];

async function timed(url: string, args: readonly string[] = COMMANDS[0] ?? []) {
  const startedMs = performance.now();
  const result = await runKw([...args, '--timeout', `${TIMEOUT_MS}ms`], { env: { KW_DATABASE_URL: url } });
  return { ...result, elapsedMs: performance.now() - startedMs };
}

async function listen(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `postgres://u:p@127.0.0.1:${(server.address() as AddressInfo).port}/d?sslmode=disable`;
}

describe('a prolog does not wait', () => {
  it.each(COMMANDS)('%s %s: for a server that accepts and says nothing', async (...args) => {
    const url = await listen(() => {});
    const { code, stderr, elapsedMs } = await timed(url, args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kw: (gave up after 1\.5 s: |the database .* cannot be reached: )/);
    expect(elapsedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });

  it('for a server that sends bytes for ever', async () => {
    const url = await listen((socket) => {
      const timer = setInterval(() => socket.write(Buffer.from('N\0\0\0\x08\0\0\0\0')), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const { code, elapsedMs } = await timed(url);
    expect(code).toBe(1);
    expect(elapsedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });

  it('for an address where packets vanish', async () => {
    // A stopped process with a full backlog answers no SYN.
    const script =
      "const s=require('net').createServer();s.listen({port:0,host:'127.0.0.1',backlog:1},()=>console.log(s.address().port))";
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => child.kill('SIGKILL'));
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    child.kill('SIGSTOP');
    for (let filler = 0; filler < 4; filler++) {
      const socket = new Socket().on('error', () => {}).connect(port, '127.0.0.1');
      cleanups.push(() => socket.destroy());
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { code, stderr, elapsedMs } = await timed(`postgres://u:p@127.0.0.1:${port}/d`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kw: /);
    expect(elapsedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });

  it('for a name server that does not answer', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kw-getent-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'getent'), '#!/bin/sh\nexec sleep 8\n', { mode: 0o755 });
    const startedMs = performance.now();
    const { code, stderr } = await runKw(['enable', 'x', '--job', '1', '--timeout', `${TIMEOUT_MS}ms`], {
      env: { KW_DATABASE_URL: 'postgres://u:p@db.example/d', PATH: `${folder}:${process.env.PATH}` },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kw: /);
    expect(performance.now() - startedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });

  it('for a lock in the database, and the database gives up too', async () => {
    const db = await testDatabase();
    cleanups.push(() => db.drop());
    await db.client.query('BEGIN');
    await db.client.query('LOCK kw.promoted_metrics');
    const { code, elapsedMs } = await timed(db.url, ['enable', 'x', '--device', 'n1']);
    expect(code).toBe(1);
    expect(elapsedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await db.client.query('COMMIT');
    expect((await db.client.query('SELECT FROM kw.promoted_metrics')).rowCount).toBe(0);
  });

  it('for a server that is not there, and gives up after a second unless told', async () => {
    const startedMs = performance.now();
    const { code, stderr } = await runKw(['enable', 'x', '--job', '1'], {
      env: { KW_DATABASE_URL: 'postgres://u:p@127.0.0.1:1/d' },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kw: the database .* cannot be reached: /);
    expect(performance.now() - startedMs).toBeLessThan(1000 + SLACK_MS);
    const hanging = await listen(() => {});
    const silent = await runKw(['enable', 'x', '--job', '1'], { env: { KW_DATABASE_URL: hanging } });
    expect(silent.stderr).toMatch(/^kw: (gave up after 1 s|the database)/);
  });

  describe('for a file system that hangs', () => {
    /** A home with files that block whoever opens them, as a dead server of NFS does. */
    function homeWith(yaml: string | undefined, ...fifos: string[]): { home: string; paths: string[] } {
      const home = mkdtempSync(join(tmpdir(), 'kw-hang-'));
      mkdirSync(join(home, '.postgresql'));
      if (yaml !== undefined) writeFileSync(join(home, 'kw.yaml'), yaml);
      const paths = fifos.map((name) => join(home, name));
      for (const path of paths) execFileSync('mkfifo', ['-m', '600', path]);
      cleanups.push(() => {
        // What was left behind sees the end of the file.
        for (const path of paths) {
          try {
            closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
          } catch {
            // Nobody waits there.
          }
        }
        rmSync(home, { recursive: true });
      });
      return { home, paths };
    }

    it.each([
      ['kw.yaml', undefined, 'kw.yaml'],
      ['a secret of kw.yaml', `database_url: postgres://u:\${file:secret}@127.0.0.1:1/d\n`, 'secret'],
      ['a certificate', 'database_url: postgres://u:p@127.0.0.1:1/d?sslrootcert=HOME/ca\n', 'ca'],
      ['the certificate of the home', 'database_url: postgres://u:p@127.0.0.1:1/d\n', '.postgresql/root.crt'],
      ['the file of passwords', 'database_url: postgres://u@127.0.0.1:1/d?sslmode=disable\n', '.pgpass'],
    ])('%s', async (_, yaml, fifo) => {
      const { home, paths } = homeWith(yaml, fifo);
      if (yaml?.includes('HOME')) writeFileSync(join(home, 'kw.yaml'), yaml.replace('HOME', home));
      for (const [words = '', ...args] of fifo === 'kw.yaml' ? COMMANDS : COMMANDS.slice(0, 1)) {
        const startedMs = performance.now();
        const { code, stdout, stderr } = await runKw([words, ...args, '--timeout', `${TIMEOUT_MS}ms`], {
          env: { HOME: home },
          cwd: home,
        });
        expect(performance.now() - startedMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(
          /^kw: gave up after 1\.5 s: the file system of .* does not answer; it is not known /,
        );
        expect(stderr).toContain(paths[0]);
      }
    });

    it('unless nothing of it is needed', async () => {
      const { home } = homeWith(
        'database_url: postgres://u:p@127.0.0.1:1/d?sslmode=disable\n',
        '.postgresql/root.crt',
        '.pgpass',
      );
      const { code, stderr } = await runKw(['enable', 'x', '--job', '1'], { env: { HOME: home }, cwd: home });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^kw: the database .* cannot be reached: /);
    });
  });

  it('for a database that nobody named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kw-none-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const { code, stderr } = await runKw(['enable', 'x', '--job', '1'], {
      env: { KW_DATA_DIR: folder, HOME: folder },
      cwd: folder,
    });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'kw: no database: set KW_URL or KW_DATABASE_URL, or run kw db start\n',
    });
  });

  it('for an embedded server that is stopped, and does not start it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kw-stopped-'));
    const env = { KW_DATA_DIR: folder, HOME: folder };
    cleanups.push(async () => {
      await runKw(['db', 'stop'], { env, cwd: folder });
      rmSync(folder, { recursive: true });
    });
    expect((await runKw(['db', 'start'], { env, cwd: folder })).code).toBe(0);
    expect((await runKw(['db', 'stop'], { env, cwd: folder })).code).toBe(0);
    expect(await runKw(['enable', 'x', '--job', '1'], { env, cwd: folder })).toEqual({
      stdout: '',
      stderr:
        'kw: the embedded database is not running\n    start it with kw db start, or set KW_DATABASE_URL\n',
      code: 1,
    });
  });
});
