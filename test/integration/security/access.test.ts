/** Who gets in without a token, how often, and by which encryption: the settings `server.proxy`, `limits` and `tls`. */
import { execFileSync } from 'node:child_process';
import { cpSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { type SecureVersion, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type Serve, startServe } from '../../support/serve.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await db.client.query(`
    INSERT INTO kw.metrics VALUES (now(), 'node-1', 'power_watt', 42.5, '{}');
    SELECT kw.job_start(7, '{node-9}', 'alice');
  `);
});
afterAll(() => db?.drop());

async function serve(settings: string, folder?: string): Promise<Serve> {
  const server = await startServe({ database: db.url, folder, settings });
  onTestFinished(() => server.stop());
  return server;
}

const READ = '/rpc/get_metrics?devices=node-1';

/** From one of the loopback's own addresses: to the server that is another machine. */
function from(address: string, server: Serve, headers: Record<string, string | string[]>, body?: object) {
  return new Promise<{ status: number; code: string | undefined }>((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const request = httpRequest(
      {
        ...{
          host: hostname,
          port,
          localAddress: address,
          path: body === undefined ? READ : '/rpc/insert_metrics',
        },
        ...{
          method: body === undefined ? 'GET' : 'POST',
          headers: { 'content-type': 'application/json', ...headers },
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const { code } = JSON.parse(text) as { code?: string };
          resolve({ status: response.statusCode ?? 0, code });
        });
      },
    );
    request.on('error', reject).end(body && JSON.stringify(body));
  });
}

describe('a proxy that names the user', () => {
  const SETTINGS = 'server: {proxy: {addresses: "127.0.0.2, 127.0.3.0/24", user_header: X-Remote-User}}\n';

  let server: Serve;
  beforeAll(async () => {
    server = await startServe({ database: db.url, settings: SETTINGS });
  });
  afterAll(async () => {
    await server?.stop();
  });

  test('is believed from its own addresses alone', async () => {
    const alice = { 'x-remote-user': 'alice' };
    expect(await from('127.0.0.2', server, alice)).toEqual({ status: 200, code: undefined });
    expect(await from('127.0.3.77', server, alice)).toEqual({ status: 200, code: undefined });
    const nobody = { status: 401, code: 'NOT_AUTHENTICATED' };
    expect(await from('127.0.0.1', server, alice)).toEqual(nobody);
    expect(await from('127.0.4.1', server, alice)).toEqual(nobody);
    const forwarded = {
      ...alice,
      'x-forwarded-for': '127.0.0.2',
      'x-real-ip': '127.0.0.2',
      forwarded: 'for=127.0.0.2',
    };
    expect(await from('127.0.0.1', server, forwarded)).toEqual(nobody);
    expect(await from('127.0.0.2', server, {})).toEqual(nobody);
  });

  test('gives the rights of that user, with or without the password that it has checked', async () => {
    const basic = { authorization: `Basic ${Buffer.from('alice:pw').toString('base64')}` };
    const own = { device_id: 'node-9', metric_id: 'mine', value: 1 };
    const alice = { ...basic, 'x-remote-user': 'alice' };
    expect((await from('127.0.0.2', server, alice, own)).status).toBe(200);
    expect(
      (await from('127.0.0.2', server, alice, { ...own, device_id: 'node-1' })).status,
    ).toBeGreaterThanOrEqual(400);
    expect((await from('127.0.0.2', server, { 'x-remote-user': 'bob' }, own)).status).toBeGreaterThanOrEqual(
      400,
    );
    expect(await from('127.0.0.1', server, basic)).toEqual({ status: 401, code: 'NO_PASSWORDS_HERE' });
    const { rows } = await db.client.query(`SELECT labels FROM kw.metrics WHERE metric_id = 'mine'`);
    expect(rows).toEqual([{ labels: { _pushed_by: 'alice' } }]);
  });

  test('does not let pages of other sites act with a password that the browser sends by itself', async () => {
    const own = { device_id: 'node-9', metric_id: 'from_page', value: 1 };
    const alice = (site: string) => ({ 'x-remote-user': 'alice', 'sec-fetch-site': site });
    for (const site of ['cross-site', 'same-site', 'x']) {
      expect(await from('127.0.0.2', server, alice(site), own)).toEqual({ status: 403, code: 'OTHER_PAGE' });
    }
    for (const site of ['same-origin', 'none']) {
      expect((await from('127.0.0.2', server, alice(site), own)).status).toBe(200);
    }
  });

  test('names one user, written plainly', async () => {
    for (const user of ["'; DROP TABLE kw.metrics; --", 'a b', 'a,b', 'x'.repeat(256), 'alice"', '../x']) {
      const { status } = await from('127.0.0.2', server, { 'x-remote-user': user });
      expect([user, status]).toEqual([user, 401]);
    }
    expect((await from('127.0.0.2', server, { 'x-remote-user': ['alice', 'root'] })).status).toBe(401);
  });
});

describe('a limit of requests', () => {
  test('holds for each user and, without one, for each address', async () => {
    const server = await serve('server: {limits: {user_requests: 5, anonymous_requests: 3}}\n');
    const token = async (user: string) => ({ authorization: `Bearer ${await server.token(user)}` });
    const [alice, bob] = [await token('alice'), await token('bob')];
    const statuses = async (count: number, address: string, headers: Record<string, string>) => {
      const all: number[] = [];
      for (let index = 0; index < count; index++) all.push((await from(address, server, headers)).status);
      return all;
    };
    expect(await statuses(7, '127.0.0.1', alice)).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(await statuses(1, '127.0.0.2', alice)).toEqual([429]);
    expect(await statuses(2, '127.0.0.1', bob)).toEqual([200, 200]);
    expect(await statuses(4, '127.0.0.1', {})).toEqual([401, 401, 401, 429]);
    // Who tries tokens is nobody yet.
    expect(await statuses(4, '127.0.0.5', { authorization: 'Bearer a.b.c' })).toEqual([401, 401, 401, 429]);

    const refused = await fetch(`${server.url}${READ}`, { headers: alice });
    expect(refused.status).toBe(429);
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(60);
    expect(await refused.json()).toEqual({
      message: 'more than 5 requests in a minute',
      code: 'TOO_MANY_REQUESTS',
      hint: `try again in ${wait} seconds; ask for more devices and a longer time with one request instead of many`,
    });
  });

  test('holds for what a user, or an address, has open at once', async () => {
    const server = await serve('server: {limits: {at_once: 2}}\n');
    await db.client.query(`UPDATE kw.settings SET value = 'true' WHERE name = 'anonymous_read'`);
    const stream = async () => {
      const gone = new AbortController();
      const response = await fetch(`${server.url}/stream?devices=node-1`, { signal: gone.signal });
      return { status: response.status, code: response.headers.get('retry-after'), gone };
    };
    const [first, second, third] = [await stream(), await stream(), await stream()];
    expect([first.status, second.status, third.status, third.code]).toEqual([200, 200, 429, '1']);
    expect((await from('127.0.0.2', server, {})).status).toBe(200);
    first.gone.abort();
    await expect.poll(async () => (await from('127.0.0.1', server, {})).status).toBe(200);
    second.gone.abort();
    await db.client.query(`UPDATE kw.settings SET value = 'false' WHERE name = 'anonymous_read'`);
  });

  test('of bytes in a body is told with what it is', async () => {
    const server = await serve('server: {limits: {body: 2kB}}\n');
    const response = await fetch(`${server.url}/rpc/insert_metrics`, {
      ...{
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(['x'.repeat(3000)]),
      },
    });
    expect(response.status).toBe(413);
    expect(Object.keys((await response.json()) as object)).toEqual(['message', 'code', 'hint']);
  });
});

test('without settings nobody is known without a token, and anonymous reading is a setting of the site', async () => {
  const server = await serve('');
  for (const name of ['x-remote-user', 'x-api-user-cn', 'remote-user', 'x-forwarded-user']) {
    expect((await from('127.0.0.2', server, { [name]: 'alice' })).status).toBe(401);
  }
  const status = async () => (await fetch(`${server.url}${READ}`)).status;
  expect(await status()).toBe(401);
  await db.client.query(`UPDATE kw.settings SET value = 'true' WHERE name = 'anonymous_read'`);
  expect(await status()).toBe(200);
  expect(
    (await from('127.0.0.1', server, {}, { device_id: 'node-1', metric_id: 'x', value: 1 })).status,
  ).toBe(401);
  // A token that does not hold is refused, and not taken for nobody.
  expect((await from('127.0.0.1', server, { authorization: 'Bearer x.y.z' })).status).toBe(401);
  await db.client.query(`UPDATE kw.settings SET value = 'false' WHERE name = 'anonymous_read'`);
  expect(await status()).toBe(401);

  server.signal('SIGHUP');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await status()).toBe(401);
});

describe('TLS', () => {
  const certificate = (folder: string, name: string) => {
    const file = (extension: string) => join(folder, `${name}.${extension}`);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...[
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          file('key'),
          '-out',
          file('crt'),
        ],
      ],
      { stdio: 'ignore' },
    );
  };

  function peerName(server: Serve, version?: SecureVersion): Promise<string> {
    return new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      // OpenSSL itself would not speak the old versions otherwise.
      const versions =
        version === undefined
          ? {}
          : { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' };
      const socket = tlsConnect(
        { host: '127.0.0.1', port: Number(port), rejectUnauthorized: false, ...versions },
        () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        },
      );
      socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
      socket.on('error', reject);
    });
  }

  async function until(server: Serve, name: string): Promise<string> {
    const deadline = Date.now() + 8_000;
    let seen = await peerName(server);
    while (seen !== name && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen = await peerName(server);
    }
    return seen;
  }

  test('takes a new certificate while it runs, keeps the old one when the new one is none, and is 1.2 or later', async () => {
    const { folder, remove } = temporaryFolder();
    onTestFinished(remove);
    for (const name of ['first', 'second', 'third']) certificate(folder, name);
    // As certbot does: links to the newest.
    const present = (name: string) => {
      for (const extension of ['crt', 'key']) {
        symlinkSync(join(folder, `${name}.${extension}`), join(folder, 'link'));
        renameSync(join(folder, 'link'), join(folder, `live.${extension}`));
      }
    };
    present('first');
    const server = await serve('server: {tls: {certificate: live.crt, key: live.key}}\n', folder);
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await peerName(server)).toBe('first');
    expect(await health(server)).toBe(200);
    await expect(fetch(server.url.replace('https', 'http'))).rejects.toThrow();

    present('second');
    expect(await until(server, 'second')).toBe('second');

    // Broken, and a key of another certificate: told, and nothing changes.
    cpSync(join(folder, 'first.key'), join(folder, 'second.key'));
    await expect.poll(() => server.log(), { timeout: 5_000 }).toContain('the certificate before stays');
    expect(await peerName(server)).toBe('second');
    writeFileSync(join(folder, 'second.crt'), 'no certificate');
    server.signal('SIGHUP');
    expect(await peerName(server)).toBe('second');

    present('third');
    server.signal('SIGHUP');
    expect(await until(server, 'third')).toBe('third');
    expect([await peerName(server, 'TLSv1.2'), await peerName(server, 'TLSv1.3')]).toEqual([
      'third',
      'third',
    ]);
    await expect(peerName(server, 'TLSv1.1')).rejects.toThrow();
    await expect(peerName(server, 'TLSv1')).rejects.toThrow();
    expect(await health(server)).toBe(200);
  });

  function health(server: Serve): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const request = httpsGet(`${server.url}/healthz`, { rejectUnauthorized: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      });
      request.on('error', reject);
    });
  }

  test('is not left out when its files cannot be read', async () => {
    await expect(serve('server: {tls: {certificate: no.crt, key: no.key}}\n')).rejects.toThrow(
      /kw: cannot read \S+no\.crt: no such file or directory\n {4}server\.tls in kw\.yaml names it/,
    );
  });
});
