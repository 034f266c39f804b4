/** The life of a token: made on the command line, believed by a running `kw serve`, rotated, revoked. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readKeys } from '../../../src/lib/tokens/keyFile.ts';
import { generateKey } from '../../../src/lib/tokens/keys.ts';
import { signToken } from '../../../src/lib/tokens/sign.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { kwBeside, type Serve, startServe } from '../../support/serve.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const { folder, remove } = temporaryFolder();
const keysFile = join(folder, 'keys.json');
let db: TestDatabase;
let server: Serve;

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query(`
    UPDATE kw.settings SET value = '"lyon"' WHERE name = 'site';
    INSERT INTO kw.metrics VALUES (now(), 'node-1', 'power_watt', 42.5, '{}');
    SELECT kw.job_start(7, '{node-9}', 'alice');
  `);
  server = await startServe({ database: db.url, folder, settings: 'log_level: debug\n' });
});
afterAll(async () => {
  await server?.stop();
  await db?.drop();
  remove();
});

const kw = (...args: string[]) => kwBeside({ database: db.url, folder }, args);

interface Issued {
  readonly token: string;
  readonly id: string;
  readonly key: string;
}

async function create(...args: string[]): Promise<Issued> {
  const { stdout, stderr } = await kw('token', 'create', ...args, '--json');
  if (!stdout.startsWith('{')) throw new Error(stderr);
  return JSON.parse(stdout) as Issued;
}

async function read(token: string | undefined, headers: Record<string, string> = {}) {
  const authorization = token === undefined ? undefined : `Bearer ${token}`;
  const response = await fetch(`${server.url}/rpc/get_metrics?devices=node-1`, {
    headers: { ...(authorization === undefined ? {} : { authorization }), ...headers },
  });
  const body = (await response.json()) as { code?: string };
  return { status: response.status, code: body.code, challenge: response.headers.get('www-authenticate') };
}

async function push(token: string, device: string, metric: string) {
  const response = await fetch(`${server.url}/rpc/insert_metrics`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ device_id: device, metric_id: metric, value: 1 }),
  });
  await response.arrayBuffer();
  return response.status;
}

const OK = { status: 200, code: undefined, challenge: null };
const refusedWith = (code: string) => ({ status: 401, code, challenge: 'Bearer realm="kw"' });

/** Until it is refused; how many milliseconds that took. */
async function refusedAfterMs(token: string): Promise<number> {
  const begun = performance.now();
  while (performance.now() - begun < 10_000) {
    if ((await read(token)).status === 401) return performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return Number.POSITIVE_INFINITY;
}

/** The last of what a stream of rows says, once it has ended. */
async function streamEnd(token: string): Promise<string> {
  const response = await fetch(`${server.url}/stream?devices=node-1`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  expect(response.status).toBe(200);
  return (await response.text()).slice(-200);
}

describe('a token', () => {
  test('is printed once, alone on stdout, and is believed by a server that runs already', async () => {
    const { stdout, stderr, code } = await kw('token', 'create', '--user', 'alice', '--expires', '7d');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(stderr).toMatch(
      /made a key in .*keys\.json; kw serve reads it there\ntoken [0-9a-f-]{36} of alice \(kw_reader\)/,
    );
    // The server looks for new keys once a second.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await read(stdout.trim())).toEqual(OK);
    expect(await read(undefined)).toEqual(refusedWith('NOT_AUTHENTICATED'));
    const { rows } = await db.client.query('SELECT t::text AS text FROM kw.tokens t');
    expect(rows).toHaveLength(1);
    expect(rows[0].text).not.toContain(stdout.trim().split('.')[2]);
  });

  test('allows its devices and metrics, the nodes of running jobs, and nothing else', async () => {
    const { token } = await create(
      ...['--user', 'alice', '--role', 'writer', '--devices', 'node-1,rack2-*', '--metrics', 'alice_.*,own'],
    );
    expect(await push(token, 'node-1', 'alice_a')).toBe(200);
    expect(await push(token, 'rack2-17', 'own')).toBe(200);
    expect(await push(token, 'node-9', 'alice_a')).toBe(200);
    for (const [device, metric] of [
      ...[
        ['node-2', 'alice_a'],
        ['node-11', 'alice_a'],
        ['rack22', 'own'],
        ['node-1', 'bob_a'],
        ['node-1', 'owned'],
      ],
    ] as [string, string][]) {
      expect([device, metric, (await push(token, device, metric)) >= 400]).toEqual([device, metric, true]);
    }
    const reader = await create('--user', 'alice');
    expect(await push(reader.token, 'node-1', 'alice_a')).toBe(403);
  });

  test('that is revoked is refused by a running server within two seconds, and no other one', async () => {
    const [one, other] = [await create('--user', 'bob'), await create('--user', 'bob')];
    expect(await read(one.token)).toEqual(OK);
    const streams = [one, other].map(({ token }) => streamEnd(token));
    const { stdout } = await kw('token', 'revoke', one.id);
    expect(stdout).toBe(`revoked ${one.id} of bob\n`);
    expect(await refusedAfterMs(one.token)).toBeLessThan(2_000);
    expect(await read(one.token)).toEqual(refusedWith('TOKEN_REVOKED'));
    expect(await read(other.token)).toEqual(OK);
    await kw('token', 'revoke', '--user', 'bob');
    expect(await refusedAfterMs(other.token)).toBeLessThan(2_000);
    expect((await kw('token', 'revoke', one.id)).stderr).toBe(`${one.id} was revoked before\n`);
    expect((await kw('token', 'revoke', 'nobody')).stderr).toContain('no token "nobody" was issued here');
    const { tokens } = JSON.parse((await kw('token', 'list', '--all', '--user', 'bob', '--json')).stdout);
    expect(tokens.map((token: { id: string }) => token.id).sort()).toEqual([one.id, other.id].sort());
    expect(JSON.parse((await kw('token', 'list', '--user', 'bob', '--json')).stdout)).toEqual({ tokens: [] });
    // What they had open ends too.
    for (const end of await Promise.all(streams)) expect(end).toContain('event: end\n');
  });

  test('outlives a change of keys, also of their kind, until its key is removed', async () => {
    const old = await create('--user', 'carol');
    const rotated = await kw('token', 'key', 'rotate', '--algorithm', 'RS256', '--json');
    const fresh = await create('--user', 'carol');
    expect(fresh.key).toBe(JSON.parse(rotated.stdout).key);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect([await read(old.token), await read(fresh.token)]).toEqual([OK, OK]);
    const kept = await kw('token', 'key', 'remove', old.key);
    expect([kept.code, kept.stderr]).toEqual([
      1,
      expect.stringMatching(/tokens? of the key \w+ would end\n/),
    ]);
    const stream = streamEnd(old.token);
    await kw('token', 'key', 'remove', old.key, '--force');
    expect(await refusedAfterMs(old.token)).toBeLessThan(2_000);
    expect(await read(old.token)).toEqual(refusedWith('TOKEN_UNKNOWN_KEY'));
    expect(await read(fresh.token)).toEqual(OK);
    // What it had open ends too.
    expect(await stream).toContain('event: end\n');
  });

  test('that kw did not sign, or for another site, or that has ended, is refused', async () => {
    const [key] = readKeys(keysFile).slice(-1);
    if (key === undefined) throw new Error('no key');
    const iat = Math.floor(Date.now() / 1000);
    const claims = { sub: 'mallory', role: 'kw_admin', jti: 'x', iat, exp: iat + 600 } as const;
    expect(await read(signToken(claims, key))).toEqual(OK);
    expect(await read(signToken({ ...claims, site: 'nancy' }, key))).toEqual(refusedWith('TOKEN_OTHER_SITE'));
    expect(await read(signToken({ ...claims, exp: iat - 1 }, key))).toEqual(refusedWith('TOKEN_EXPIRED'));
    expect(await read(signToken({ ...claims, nbf: iat + 100 }, key))).toEqual(
      refusedWith('TOKEN_NOT_YET_VALID'),
    );
    expect(await read(signToken(claims, generateKey('HS256')))).toEqual(refusedWith('TOKEN_UNKNOWN_KEY'));
    const other = { ...generateKey(key.algorithm), kid: key.kid };
    expect(await read(signToken(claims, other))).toEqual(refusedWith('TOKEN_WRONG_SIGNATURE'));
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: key.kid })).toString('base64url');
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
    for (const forged of [
      `${none}.${payload}.`,
      `${none}.${payload}`,
      `${none}.${payload}.AA`,
      'x',
      '',
      '..',
      'null',
    ]) {
      expect([forged, (await read(forged)).status]).toEqual([forged, 401]);
    }
  });

  test('does not belong into a URL', async () => {
    const { token } = await create('--user', 'alice');
    for (const name of ['token', 'access_token', 'jwt', '%74oken', 'Access%5fToken']) {
      const response = await fetch(`${server.url}/rpc/get_metrics?devices=node-1&${name}=${token}`);
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
        400,
        'TOKEN_IN_URL',
      ]);
    }
    expect(server.log()).not.toContain(token);
  });

  test('stands in no log, and no key does', async () => {
    const { token } = await create('--user', 'dave', '--role', 'admin');
    expect(await read(token)).toEqual(OK);
    await read(`${token.slice(0, -3)}AAA`);
    const said = server.log() + execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' });
    expect(said).toContain('refused a request');
    expect(said).not.toContain(token.split('.')[1]);
    for (const jwk of JSON.parse(readFileSync(keysFile, 'utf8')).keys as { k?: string; d?: string }[]) {
      expect(said).not.toContain(jwk.k ?? jwk.d);
    }
  });

  test('that is revoked or for another site is refused by the database itself, for PostgREST', async () => {
    const { id } = await create('--user', 'erin');
    const asPostgrest = async (claims: object) => {
      await db.client.query(`BEGIN; SET SESSION AUTHORIZATION kw_api; SET LOCAL ROLE kw_reader`);
      await db.client.query(`SELECT set_config('request.jwt.claims', $1, true)`, [JSON.stringify(claims)]);
      try {
        await db.client.query('SELECT kw.check_token()');
        return 'ok';
      } catch (error) {
        const { code, message } = error as Error & { code: string };
        return `${code} ${message}`;
      } finally {
        await db.client.query('ROLLBACK');
        await db.client.query('RESET SESSION AUTHORIZATION');
      }
    };
    expect(await asPostgrest({ sub: 'erin', jti: id, site: 'lyon' })).toBe('ok');
    expect(await asPostgrest({ sub: 'erin', jti: id, site: 'nancy' })).toBe(
      'PT401 this token is for another site',
    );
    expect(await asPostgrest({})).toBe('ok');
    await kw('token', 'revoke', id);
    expect(await asPostgrest({ sub: 'erin', jti: id })).toBe('PT401 this token was revoked');
  });

  test('is for administrators to make', async () => {
    await db.client.query(`CREATE ROLE ${writer} LOGIN PASSWORD 'w' IN ROLE kw_writer`);
    onTestFinished(async () => void (await db.client.query(`DROP ROLE ${writer}`)));
    const url = new URL(db.url);
    url.username = writer;
    url.password = 'w';
    for (const args of [['list'], ['create', '--user', 'me'], ['revoke', '--user', 'alice']]) {
      const { code, stdout, stderr } = await kwBeside({ database: url.href, folder }, ['token', ...args]);
      expect([code, stdout, stderr]).toEqual([
        ...[
          1,
          '',
          'kw: only an administrator issues, lists and revokes tokens\n    use a database login that has the role kw_admin\n',
        ],
      ]);
    }
  });
  const writer = `kw_test_writer_${process.pid}`;
});

describe('kw serve', () => {
  const start = (settings: string, files: Record<string, string> = {}, mode = 0o600) => {
    const { folder: own, remove: removeOwn } = temporaryFolder();
    onTestFinished(removeOwn);
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(own, name), text);
      chmodSync(join(own, name), mode);
    }
    return startServe({ database: db.url, folder: own, settings });
  };

  test.each([
    ['empty', ''],
    ['of an example', 'your-256-bit-secret-change-me-please!'],
  ])('does not start with a secret that is %s, and does not show it', async (_, secret) => {
    const failure = await start('server: {jwt_secret: "${file:secret}"}\n', { secret }).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(failure).toContain('kw: server.jwt_secret is no secret: ');
    if (secret !== '') expect(failure).not.toContain(secret);
  });

  test('does not start with keys that others may read, or that are none', async () => {
    await expect(start('', { 'keys.json': '{"keys":[]}' }, 0o644)).rejects.toThrow(
      /others may read or change the keys/,
    );
    await expect(
      start('', { 'keys.json': '{"keys":[{"kid":"a","alg":"HS256","kty":"oct","k":""}]}' }),
    ).rejects.toThrow(/its secret has 0 bytes, and at least 32 are needed/);
  });
});
