/** What goes wrong between kw and `kw serve`: one sentence that says what to do, exit code 1, and never the token. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type HttpProxy, httpProxy } from '../../support/httpProxy.ts';
import { type KwResult, runKw, startKw } from '../../support/kw.ts';
import { makeCertificate } from '../../support/nodeExporter.ts';
import { type Serve, startServe } from '../../support/serve.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const TIME = ['--from', '2026-11-20T00:00:00Z', '--to', '2026-11-20T23:00:00Z'];
const ROWS = 100_000;

const { folder, remove } = temporaryFolder();
let db: TestDatabase;
let server: Serve;
let reader: string;
let writer: string;

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query("SELECT kw.ensure_storage('2026-11-20 00:00+00', '2026-11-20 23:00+00')");
  await db.client.query(
    `INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
     SELECT '2026-11-20 00:00+00'::timestamptz + make_interval(secs => s * 0.3), 'node-' || s % 10, 'watts', s, '{}'
     FROM generate_series(1, $1::int) s`,
    [ROWS],
  );
  server = await startServe({ database: db.url });
  [reader, writer] = await Promise.all([
    server.token('bob'),
    server.token('alice', '--role', 'writer', '--devices', 'node-1'),
  ]);
});
afterAll(async () => {
  await server?.stop();
  await db?.drop();
  remove();
});

const open: { close(): unknown }[] = [];
afterAll(() => Promise.all(open.map((one) => one.close())));

/** A program that is none of ours at this port. */
async function somebody<S extends Server>(made: S): Promise<string> {
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  open.push(made);
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}
const httpServer = (handle: RequestListener) => somebody(http.createServer(handle));

async function proxied(...args: Parameters<typeof httpProxy> extends [string, ...infer Rest] ? Rest : never) {
  const proxy = await httpProxy(server.url, ...args);
  open.push(proxy);
  return proxy;
}

const kw = (args: readonly string[], env: Record<string, string>, input?: string) =>
  runKw(args, { env, cwd: folder, ...(input === undefined ? {} : { input }) });
const failed = (stderr: string): KwResult => ({ code: 1, stdout: '', stderr });

describe('who asks', () => {
  it('must be known', async () => {
    expect(await kw(['enabled'], { KW_URL: server.url })).toEqual(
      failed(
        `kw: the server ${server.url} wants to know who you are\n` +
          '    set KW_TOKEN; who runs the server makes tokens with kw token create\n',
      ),
    );
  });

  it('shows a token of this server that holds', async () => {
    const [head, claims] = reader.split('.');
    const forged = `${head}.${claims}.${'A'.repeat(43)}`;
    const wrong = await kw(['query', ...TIME], { KW_URL: server.url, KW_TOKEN: forged });
    expect(wrong).toEqual(
      failed(
        `kw: the server ${server.url} refuses the token: this token is none of this server\n` +
          '    is it whole, and for this server?\n',
      ),
    );
    const short = await server.token('bob', '--expires', '1s');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const late = await kw(['query', ...TIME], { KW_URL: server.url, KW_TOKEN: short });
    expect(late).toEqual(
      failed(
        `kw: the server ${server.url} refuses the token: the token has expired\n` +
          '    an administrator makes another one with kw token create\n',
      ),
    );
    expect(await kw(['enabled'], { KW_URL: server.url, KW_TOKEN: `${reader}\nx` })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^kw: the token holds characters that no token has\n/),
    });
  });

  it('needs the role for it', async () => {
    const small = await kw(['push', 'm', '1', '--device', 'node-1'], {
      KW_URL: server.url,
      KW_TOKEN: reader,
    });
    expect(small).toEqual(
      failed(
        `kw: not allowed on ${server.url}: your token does not allow this\n` +
          '    ask an administrator for a token with the role that this needs\n',
      ),
    );
    const json = await kw(['enable', 'watts', '--device', 'node-1', '--json', '--timeout', '30s'], {
      KW_URL: server.url,
      KW_TOKEN: reader,
    });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'FORBIDDEN' } });
  });

  it('gives a token to nobody who can be overheard', async () => {
    expect(await kw(['enabled'], { KW_URL: 'http://192.0.2.1:9843', KW_TOKEN: reader })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'kw: http://192.0.2.1:9843/ is not encrypted: everybody on the way could read the token\n' +
        '    write https:// in KW_URL; where the network is trusted, set KW_INSECURE_HTTP=1\n',
    });
  });
});

describe('an answer', () => {
  it('that a dying server cut is told, and an export leaves no file', async () => {
    const mortal = await startServe({ database: db.url });
    const env = { KW_URL: mortal.url, KW_TOKEN: await mortal.token('bob') };
    // Nobody reads: rows of the answer wait everywhere on the way.
    const child = startKw(['query', ...TIME, '--format', 'csv'], { env });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const exporting = kw(['export', 'csv', ...TIME, '--output', 'cut.csv', '--wait', '0s'], env);
    await once(child.stdout as NodeJS.ReadableStream, 'readable');
    await mortal.kill();
    let bytes = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      bytes += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^kw: the answer of \S+ was cut off: only its first \d+ rows came\n {4}ask again;/,
    );
    expect(bytes.split('\n').length).toBeLessThan(ROWS);
    const { code: exportCode } = await exporting;
    expect(existsSync(join(folder, 'cut.csv'))).toBe(exportCode === 0);
  });

  it('is not taken for whole when a proxy ends it early', async () => {
    const proxy = await proxied();
    proxy.endAfterBytes = 60_000;
    const result = await kw(['export', 'csv', ...TIME, '--output', 'early.csv'], {
      KW_URL: proxy.url,
      KW_TOKEN: reader,
    });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/was cut off: only its first \d+ rows came/);
    expect(existsSync(join(folder, 'early.csv'))).toBe(false);
    proxy.endAfterBytes = 10;
    expect(await kw(['metrics'], { KW_URL: proxy.url, KW_TOKEN: reader })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/was cut off: it ended after 10 bytes/),
    });
  });

  it('comes through a proxy with TLS and a path, whose authority is named', async () => {
    const { certFile, keyFile } = makeCertificate(folder);
    const proxy = await proxied({
      prefix: '/site/api',
      tls: { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') },
    });
    const query = ['query', ...TIME, '--device', 'node-1', '--format', 'csv'];
    const direct = await kw(query, { KW_URL: server.url, KW_TOKEN: reader });
    expect(direct.stdout.split('\n')).toHaveLength(ROWS / 10 + 2);
    for (const url of [proxy.url, `${proxy.url}/`]) {
      expect(await kw(query, { KW_URL: url, KW_TOKEN: reader, KW_CA_FILE: certFile })).toEqual(direct);
    }
    expect(await kw(query, { KW_URL: proxy.url, KW_TOKEN: reader })).toEqual(
      failed(
        `kw: no TLS connection to ${proxy.url}: the certificate of the server is self-signed and not trusted\n` +
          '    name the authority that signed it: KW_CA_FILE=FILE, or ca_file in kw.yaml\n',
      ),
    );
    const elsewhere = proxy.url.replace('/site/api', '/api');
    expect(await kw(query, { KW_URL: elsewhere, KW_TOKEN: reader, KW_CA_FILE: certFile })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^kw: there is no kw serve at \S+ \(HTTP status 404\)\n {4}check KW_URL; /,
      ),
    });
    const plain = server.url.replace('http:', 'https:');
    expect(await kw(['enabled'], { KW_URL: plain, KW_TOKEN: reader })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the server does not speak TLS'),
    });
  });
});

describe('a server', () => {
  it('of another version is told from one that lacks something', async () => {
    const old = await httpServer((_, response) => {
      response.writeHead(404, { 'kw-version': '0.0.9', 'kw-protocol': '1' });
      response.end('{"message": "there is nothing", "code": "NO_SUCH_PATH", "hint": null}');
    });
    const other = await httpServer((_, response) => {
      response.writeHead(200, { 'kw-version': '9.0.0', 'kw-protocol': '2' }).end('{"result": []}');
    });
    for (const [url, version] of [
      [old, '0.0.9'],
      [other, '9.0.0'],
    ] as const) {
      expect(await kw(['enabled'], { KW_URL: url, KW_TOKEN: reader })).toEqual(
        failed(
          `kw: ${url} is kw ${version}, which does not understand kw 0.1.0\n` +
            '    use the version of kw that the server has, or have the server updated\n',
        ),
      );
    }
  });

  it('that is away, or sends elsewhere, is named', async () => {
    const away = await kw(['enabled'], { KW_URL: 'http://127.0.0.1:1', KW_TOKEN: reader });
    expect(away).toEqual(
      failed(
        'kw: the server http://127.0.0.1:1 cannot be reached: connect ECONNREFUSED 127.0.0.1:1\n' +
          '    check that kw serve runs there and that KW_URL names it\n',
      ),
    );
    const told: unknown[] = [];
    const thief = await httpServer((request, response) => {
      told.push(request.headers.authorization);
      response.end();
    });
    const moved = await httpServer((_, response) => {
      response.writeHead(308, { location: `${thief}/kw/enabled` }).end();
    });
    expect(await kw(['enabled'], { KW_URL: moved, KW_TOKEN: reader })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`redirects to ${thief}, and kw gives a token to one server only`),
    });
    expect(told).toEqual([]);
  });

  it('that is busy is asked again, and its time is told when that is long', async () => {
    let asked = 0;
    const busy = await httpServer((request, response) => {
      asked++;
      const headers = { 'kw-version': '0.1.0', 'kw-protocol': '1' };
      if (request.url === '/kw/metrics') {
        response.writeHead(429, { ...headers, 'retry-after': '40' });
        response.end('{"message": "more than 600 requests in a minute", "code": "TOO_MANY_REQUESTS"}');
      } else if (asked < 3) {
        response.writeHead(503, { ...headers, 'retry-after': '0' });
        response.end('{"message": "the database is away", "code": "DATABASE_AWAY"}');
      } else response.writeHead(200, headers).end('{"result": []}');
    });
    const env = { KW_URL: busy, KW_TOKEN: reader };
    expect(await kw(['enabled'], env)).toMatchObject({ code: 0, stderr: 'nothing is enabled\n' });
    expect(asked).toBe(3);
    expect(await kw(['metrics'], env)).toEqual(
      failed(`kw: too many requests to ${busy}: more than 600 requests in a minute\n    try again in 40 s\n`),
    );
    expect(asked).toBe(4);
  });

  it('that hangs holds a prolog up no longer than --timeout', async () => {
    const silent = await somebody(createServer(() => undefined));
    const begin = performance.now();
    const result = await kw(['enable', 'watts', '--job', '1', '--timeout', '2s'], {
      KW_URL: silent,
      KW_TOKEN: writer,
    });
    expect(performance.now() - begin).toBeLessThan(5000);
    expect(result).toEqual(
      failed(
        `kw: gave up after 2 s: the server ${silent} does not answer; it is not known whether anything was enabled\n` +
          '    see whether its server is there, or allow more time with --timeout\n',
      ),
    );
  });

  it('is no database: what needs one says so', async () => {
    for (const args of [['db', 'status'], ['status']]) {
      expect(await kw(args, { KW_URL: server.url, KW_TOKEN: writer })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('this command needs a database, and KW_URL names only a server'),
      });
    }
  });

  it('counts for less than a database named as strongly, and for more than one named less', async () => {
    const both = { KW_URL: 'http://127.0.0.1:1', KW_DATABASE_URL: db.url };
    expect(await kw(['job', 'list'], both)).toMatchObject({ code: 0 });
    const flag = await kw(['job', 'list', '--url', server.url], { ...both, KW_TOKEN: reader });
    expect(flag).toMatchObject({ code: 0 });
    expect(await kw(['job', 'list', '--url', server.url, '--database', db.url], both)).toMatchObject({
      code: 2,
    });
  });
});

describe('a push', () => {
  const stored = async (metric: string) => {
    const { rows } = await db.client.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM kw.metrics WHERE metric_id = $1',
      [metric],
    );
    return rows[0]?.count;
  };
  const lines = (metric: string, count: number) =>
    Array.from(
      { length: count },
      (_, index) =>
        `${JSON.stringify({ timestamp: 1_763_600_000 + index, device_id: 'node-1', metric_id: metric, value: index })}\n`,
    ).join('');
  const env = (proxy: HttpProxy) => ({ KW_URL: proxy.url, KW_TOKEN: writer });

  it('whose answer gets lost is stored once', async () => {
    const proxy = await proxied();
    let lost = 0;
    proxy.loses = () => lost++ % 2 === 0;
    expect(await kw(['push'], env(proxy), lines('once', 7_000))).toEqual({
      code: 0,
      stdout: '',
      stderr: 'stored 7,000 values\n',
    });
    expect(await stored('once')).toBe(7_000);
    expect(proxy.paths).toEqual(Array(4).fill('/kw/push'));
  });

  it('that is all or nothing is so, also when the answer to its end gets lost', async () => {
    const proxy = await proxied();
    let lost = 0;
    proxy.loses = () => lost++ % 2 === 0;
    const whole = ['push', '--all-or-nothing'];
    expect(await kw(whole, env(proxy), lines('whole', 7_000))).toMatchObject({ code: 0 });
    expect(await stored('whole')).toBe(7_000);
    proxy.loses = () => false;
    const bad = `${lines('whole', 6_000)}{"metric_id": "x", "device_id": "node-1", "value": "?"}\n`;
    expect(await kw(whole, env(proxy), bad)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('stored 0 values, refused 1 line, all or nothing was asked for'),
    });
    expect(await stored('whole')).toBe(7_000);
  });

  it('that loses its server says what is stored, and what nobody knows', async () => {
    const proxy = await proxied();
    proxy.loses = (path) => path === '/kw/push' && proxy.paths.length > 1;
    const result = await kw(['push'], env(proxy), lines('unsure', 12_000));
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /^kw: stopped after line 5000, 5000 values are stored, and it is not known whether what stands in lines 5001 to 10000 is: the server \S+ cannot be reached: /,
    );
    const gone = await kw(['push'], { KW_URL: 'http://127.0.0.1:1', KW_TOKEN: writer }, lines('unsure', 10));
    expect(gone.stderr).toMatch(/^kw: the server http:\/\/127\.0\.0\.1:1 cannot be reached: /);
  });

  it('that is all or nothing leaves nothing behind when its client dies', async () => {
    const child = startKw(['push', '--all-or-nothing', '--format', 'ndjson'], {
      env: { KW_URL: server.url, KW_TOKEN: writer },
    });
    child.stdin?.write(lines('dead', 6_000));
    const waiting = () =>
      db.client
        .query<{ count: number }>(
          "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'",
        )
        .then(({ rows }) => rows[0]?.count ?? 0);
    await waitUntil(async () => (await waiting()) > 0);
    child.kill('SIGINT');
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    expect({ code, said }).toEqual({ code: 130, said: 'kw: interrupted: nothing is stored\n' });
    // The server closes the connection of that transaction beside its answer.
    await waitUntil(async () => (await waiting()) === 0);
    expect(await stored('dead')).toBe(0);
  });
});
