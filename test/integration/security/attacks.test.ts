/** Attacks on a real `kw serve`: nothing gets in, nothing falls over. */
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type Serve, startServe } from '../../support/serve.ts';

let db: TestDatabase;
let server: Serve;
let token: string;
/** Clients that were there from the beginning, and never end their headers. */
let slow: ReturnType<typeof talk>[];

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query(`INSERT INTO kw.metrics VALUES (now(), 'node-1', 'power_watt', 42.5, '{}')`);
  server = await startServe({
    database: db.url,
    settings: 'server: {limits: {user_requests: 1000000, at_once: 1000}}\n',
  });
  token = await server.token('alice', '--role', 'writer', '--devices', 'node-1');
  slow = sendSlowly();
});
afterAll(async () => {
  await server?.stop();
  await db?.drop();
});

const authorized = () => ({ authorization: `Bearer ${token}` });
const port = () => Number(new URL(server.url).port);

/** The server answers others as before. */
async function isWell(): Promise<void> {
  const response = await fetch(`${server.url}/rpc/get_metrics?devices=node-1&metrics=power_watt`, {
    headers: authorized(),
  });
  expect([response.status, ((await response.json()) as unknown[]).length]).toEqual([200, 1]);
}

/** What the database holds that no caller of these tests may change. */
async function state(): Promise<unknown> {
  const { rows } = await db.client.query(`
    SELECT (SELECT count(*)::int FROM kw.metrics WHERE metric_id = 'power_watt') AS metrics,
      (SELECT count(*)::int FROM pg_class) AS relations, (SELECT count(*)::int FROM pg_proc) AS functions,
      -- Tests beside this one make logins on the same server.
      (SELECT count(*)::int FROM pg_roles WHERE rolsuper OR pg_has_role('kw_api', oid, 'MEMBER')) AS roles,
      (SELECT count(*)::int FROM kw.promoted_metrics) AS promoted,
      (SELECT count(*)::int FROM kw.metrics WHERE device_id <> 'node-1') AS foreign_values,
      (SELECT md5(string_agg(s::text, ',' ORDER BY name)) FROM kw.settings s) AS settings`);
  return rows[0];
}

const INJECTIONS = [
  "'; DROP TABLE kw.metrics; --",
  "' OR '1'='1",
  "node-1') UNION SELECT now(), rolname, 'x', 1, '{}' FROM pg_roles --",
  "x' AND (SELECT pg_sleep(5)) IS NULL --",
  '$$; DELETE FROM kw.metrics; $$',
  '"; SET ROLE kw_admin; --',
  "\\'; COPY kw.metrics TO PROGRAM 'id'; --",
  "{node-1}'::text[]); RESET ROLE; --",
  "%' OR device_id LIKE '%",
  '\u0000\u0001\ud800',
  'E\\x27 OR 1=1',
  '../../../../etc/passwd',
  '${7*7}{{7*7}}<script>alert(1)</script>',
  // What every JavaScript object has.
  '__proto__',
  'constructor',
];

/** Answers that tell of the inside: SQL, stacks, files, names of tables. */
const INSIDE = /syntax error|at .*\.ts:|node_modules|SELECT |pg_|kw\.\w|root:x:|PostgreSQL/g;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

async function send(path: string, init: RequestInit = {}): Promise<Answer> {
  const begun = performance.now();
  const response = await fetch(`${server.url}${path}`, {
    ...init,
    headers: { ...authorized(), ...(init.headers as Record<string, string>) },
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, text: await response.text(), ms: performance.now() - begun };
}

/** An answer of an attack: refused, or nothing found; never a failure of the server and nothing from inside. */
function isHarmless({ status, text, ms }: Answer, what: string): void {
  expect([what, status < 500, ms < 4_000]).toEqual([what, true, true]);
  const said = (JSON.parse(text || '[]') as { message?: string }).message ?? '';
  // Messages repeat what was sent, so that the caller knows it again.
  const inside = [...said.matchAll(INSIDE)].map(([word]) => word).filter((word) => !what.includes(word));
  expect([what, inside]).toEqual([what, []]);
  expect([what, text.includes('power_watt') && text.includes('42.5')]).toEqual([what, false]);
}

describe('SQL', () => {
  const PARAMETERS: Record<string, string[]> = {
    '/rpc/get_metrics': [
      'job_id',
      'nodes',
      'devices',
      'metrics',
      'start_time',
      'end_time',
      'summary',
      'as_rate',
      'nan',
    ],
    '/rpc/available_metrics': ['at', 'params', 'devices', 'job_id'],
    '/sites/lyon/metrics': ['job_id', 'nodes', 'devices', 'metrics', 'start_time', 'end_time'],
    '/rpc/jobs': ['job_id', 'owner', 'all_states', 'max_jobs'],
    '/rpc/enable_metrics': ['metrics', 'job_id', 'nodes', 'devices', 'source', 'seconds'],
    '/rpc/disable_metrics': ['metrics', 'job_id', 'nodes', 'devices', 'source'],
    '/rpc/update_promoted_metrics': ['metrics'],
    '/kw/envelope': ['devices', 'metrics', 'from', 'to', 'pixels'],
    '/kw/choices/jobs': ['search'],
    '/kw/choices/devices': ['search'],
    '/kw/choices/metrics': ['devices', 'from', 'to'],
  };

  test('in every parameter, in the query and as JSON, does nothing', async () => {
    const before = await state();
    const headers = { 'content-type': 'application/json' };
    const attack = async (path: string, name: string, injection: string) => {
      const query = new URLSearchParams({ devices: 'nobody', [name]: injection });
      isHarmless(await send(`${path}?${query}`), `${path} ${name} ${injection}`);
      if (!path.startsWith('/rpc')) return;
      const body = JSON.stringify({ devices: ['nobody'], [name]: injection });
      isHarmless(await send(path, { method: 'POST', body, headers }), `POST ${path} ${name} ${injection}`);
    };
    for (const [path, names] of Object.entries(PARAMETERS)) {
      for (const name of names) {
        await Promise.all(INJECTIONS.map((injection) => attack(path, name, injection)));
      }
    }
    expect(await state()).toEqual(before);
  });

  test('in every field and label of what is pushed is stored as it is, or refused', async () => {
    const before = await state();
    const headers = { 'content-type': 'application/json' };
    for (const injection of INJECTIONS) {
      const row = { device_id: 'node-1', metric_id: 'own', value: 1, labels: {} as Record<string, unknown> };
      const rows = [
        ...[
          { ...row, device_id: injection },
          { ...row, metric_id: injection },
          { ...row, timestamp: injection },
        ],
        ...[
          { ...row, value: injection },
          { ...row, labels: { [injection]: injection } },
          { ...row, labels: injection },
        ],
        ...[
          { ...row, [injection]: 1 },
          { ...row, labels: { _device_alias: injection, _pushed_by: 'root' } },
        ],
      ];
      for (const one of rows) {
        isHarmless(
          await send('/rpc/insert_metrics', { method: 'POST', headers, body: JSON.stringify(one) }),
          JSON.stringify(one),
        );
      }
    }
    expect(await state()).toEqual(before);
    const { rows } = await db.client.query<{ labels: Record<string, string> }>(
      `SELECT labels FROM kw.metrics WHERE metric_id <> 'power_watt'`,
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(new Set(rows.map(({ labels }) => labels._pushed_by))).toEqual(new Set(['alice']));
    expect(rows.filter(({ labels }) => '_device_alias' in labels)).toEqual([]);
  });

  test('in every field of what the command line pushes is stored as it is, or refused', async () => {
    const before = await state();
    const headers = { 'content-type': 'application/json' };
    const columns = {
      devices: 'node-1',
      metrics: 'own',
      values: '1',
      timestampsUs: Date.now() * 1000,
      labels: {},
    };
    const names = [...Object.keys(columns), 'push', 'spool', 'part', 'segment', 'after', 'upto', 'whole'];
    const wrong: unknown[] = [
      ...[...INJECTIONS, null, true, -1, 1.5, 2 ** 60, 'x'.repeat(9_000), [], [[]], '0x10', '1.2.3'],
    ];
    for (const [path, id] of [
      ['/kw/push', () => ({ push: randomUUID(), part: 0, whole: false })],
      ['/kw/push-spooled', () => ({ spool: randomUUID(), segment: 1, after: 0, upto: 1 })],
    ] as const) {
      const attack = async (changed: object) => {
        const rows = Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, [value]]));
        const body = JSON.stringify({ ...id(), ...rows, ...changed });
        isHarmless(await send(path, { method: 'POST', headers, body }), `${path} ${body}`);
      };
      for (const bad of wrong) {
        const changes: object[] = names.flatMap((name) => [{ [name]: bad }, { [name]: [bad] }]);
        if (typeof bad === 'string') changes.push({ labels: [{ [bad]: bad, _pushed_by: 'root' }] });
        await Promise.all(changes.map(attack));
      }
    }
    expect(await state()).toEqual(before);
    const { rows } = await db.client.query(
      `SELECT DISTINCT labels ->> '_pushed_by' AS who, value FROM kw.metrics WHERE metric_id = 'own'`,
    );
    expect(rows).toEqual([{ who: 'alice', value: 1 }]);
    await isWell();
  });

  test('in headers does nothing', async () => {
    const before = await state();
    const names = [
      'accept',
      'accept-encoding',
      'user-agent',
      'x-forwarded-for',
      'x-remote-user',
      'role',
      'prefer',
    ];
    names.push(
      'accept-profile',
      'content-profile',
      'range',
      'if-none-match',
      'origin',
      'last-event-id',
      'kw-version',
    );
    for (const name of names) {
      for (const injection of INJECTIONS.filter((text) => /^[\x20-\x7e]*$/.test(text))) {
        const { status } = await send('/rpc/get_metrics?devices=nobody', { headers: { [name]: injection } });
        expect([name, injection, status < 500]).toEqual([name, injection, true]);
      }
    }
    expect(await state()).toEqual(before);
  });
});

describe('a path', () => {
  test.each([
    ...['/../../../etc/passwd', '/assets/../../../package.json', '/assets/..%2f..%2f..%2fpackage.json'],
    ...[
      '/assets/%2e%2e/%2e%2e/package.json',
      '/assets/....//....//package.json',
      '/assets/..\\..\\package.json',
    ],
    ...[
      '/assets/%5c..%5c..%5cpackage.json',
      '//etc/passwd',
      '/assets//etc/passwd',
      '/sites/../../etc/passwd/metrics',
    ],
    ...[
      '/assets/%00',
      '/assets/uPlot.js%00.html',
      '/.git/config',
      '/kw.yaml',
      '/keys.json',
      '/documentation/static/../../../package.json',
    ],
    ...['/docs/static/..%2f..%2f..%2fpackage.json', '/%', '/%c0%ae%c0%ae/', '/sites/%ff/metrics'],
  ])('that leads elsewhere finds nothing: %s', async (path) => {
    // fetch would tidy the path.
    const { status, text } = await raw(path);
    expect([400, 401, 403, 404]).toContain(status);
    expect(text).not.toMatch(/root:x:|"dependencies"|database_url|"kty"/);
  });
});

function raw(path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port: port(), path, headers: authorized() },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.setTimeout(5_000, () => request.destroy(new Error('no answer')));
    request.on('error', reject).end();
  });
}

/** Sends text and gives what comes back until the server closes, and when that was. */
function talk(text: string, { more, forMs }: { more?: (socket: Socket) => void; forMs: number }) {
  return new Promise<{ answer: string; closedAfterMs: number }>((resolve) => {
    const begun = performance.now();
    let answer = '';
    const socket = connect(port(), '127.0.0.1', () => {
      socket.write(text);
      more?.(socket);
    });
    const done = () => {
      clearTimeout(timer);
      resolve({ answer, closedAfterMs: performance.now() - begun });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      resolve({ answer, closedAfterMs: Number.POSITIVE_INFINITY });
    }, forMs);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', () => {}).on('close', done);
  });
}

describe('a body of 100 MB', () => {
  const chunk = Buffer.alloc(65_536, 'x');
  const TOTAL = 100e6;

  /** Writes until it is told to stop; how much was taken. */
  function flood(headers: string, frame: (bytes: Buffer) => Buffer) {
    let sent = 0;
    const result = talk(`POST /rpc/insert_metrics HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`, {
      forMs: 20_000,
      more(socket) {
        // As curl does: who is refused writes no further.
        let isAnswered = false;
        socket.once('data', () => {
          isAnswered = true;
        });
        const pour = () => {
          while (sent < TOTAL && !isAnswered && socket.writable) {
            sent += chunk.length;
            if (!socket.write(frame(chunk))) return void socket.once('drain', pour);
          }
        };
        pour();
      },
    });
    return result.then(({ answer, closedAfterMs }) => ({ answer, closedAfterMs, sent }));
  }

  const json = () => `Authorization: Bearer ${token}\r\nContent-Type: application/json`;

  test('whose length is told is refused before it is read, at no cost in memory', async () => {
    const before = server.memoryMb();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => flood(`${json()}\r\nContent-Length: ${TOTAL}`, (bytes) => bytes)),
    );
    for (const { answer, sent, closedAfterMs } of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      expect(sent).toBeLessThan(20e6);
      expect(closedAfterMs).toBeLessThan(10_000);
    }
    expect(server.memoryMb() - before).toBeLessThan(60);
    await isWell();
  });

  // How much the client writes until it sees the answer is the kernel's business: what comes meanwhile is dropped.
  test('in chunks is refused when it is too long, and no more of it is kept', async () => {
    const before = server.memoryMb();
    const framed = (bytes: Buffer) =>
      Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
    const { answer, closedAfterMs } = await flood(`${json()}\r\nTransfer-Encoding: chunked`, framed);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(closedAfterMs).toBeLessThan(10_000);
    expect(server.memoryMb() - before).toBeLessThan(150);
    await isWell();
  });

  test('that goes on for ever after the answer is cut off', async () => {
    const endless = await talk(
      `POST /rpc/insert_metrics HTTP/1.1\r\nHost: x\r\n${json()}\r\nContent-Length: 1000000000000\r\n\r\n`,
      {
        forMs: 10_000,
        more(socket) {
          const timer = setInterval(() => socket.writable && socket.write(chunk), 20);
          socket.once('close', () => clearInterval(timer));
        },
      },
    );
    expect(endless.answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(endless.closedAfterMs).toBeLessThan(5_000);
  });

  test('from nobody is refused too', async () => {
    const { answer } = await flood(
      `Content-Type: application/json\r\nContent-Length: ${TOTAL}`,
      (bytes) => bytes,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (401|413) /);
  });

  test('that is a bomb of compression, or of nesting, or no JSON, is refused', async () => {
    const headers = { 'content-type': 'application/json' };
    const nested = '['.repeat(200_000);
    for (const body of [
      nested,
      `${nested}${']'.repeat(200_000)}`,
      `{"a":${'{"a":'.repeat(50_000)}`,
      'no',
      '\u0000',
      '',
    ]) {
      const { status } = await send('/rpc/insert_metrics', { method: 'POST', body, headers });
      expect([body.slice(0, 5), status >= 400 && status < 500]).toEqual([body.slice(0, 5), true]);
    }
    for (const depth of [100, 20_000, 500_000]) {
      const labels = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
      const body = `{"device_id":"node-1","metric_id":"own","value":1,"labels":${labels}}`;
      for (const path of ['/rpc/insert_metrics', '/rpc/get_metrics', '/rpc/available_metrics', '/kw/query']) {
        const { status } = await send(path, { method: 'POST', body, headers });
        expect([path, depth, status >= 400 && status < 500]).toEqual([path, depth, true]);
      }
    }
    const zipped = await send('/rpc/insert_metrics', {
      ...{ method: 'POST', body: Buffer.from('H4sIAAAAAAAAA0tMBAC+s/bDAgAAAA==', 'base64') },
      headers: { ...headers, 'content-encoding': 'gzip' },
    });
    expect([400, 413, 415]).toContain(zipped.status);
    const proto =
      '{"device_id":"node-1","metric_id":"own","value":1,"__proto__":{"x":1},"constructor":{"prototype":{}}}';
    expect((await send('/rpc/insert_metrics', { method: 'POST', body: proto, headers })).status).toBeLessThan(
      500,
    );
    await isWell();
  });
});

function sendSlowly(): ReturnType<typeof talk>[] {
  return Array.from({ length: 50 }, () =>
    talk('GET /rpc/get_metrics?devices=node-1 HTTP/1.1\r\nHost: x\r\n', {
      forMs: 20_000,
      more(socket) {
        const timer = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), 500);
        socket.once('close', () => clearInterval(timer));
      },
    }),
  );
}

describe('clients that take their time', () => {
  test('with their headers are disconnected after some seconds; all other tests were served beside them', async () => {
    for (const { answer, closedAfterMs } of await Promise.all(slow)) {
      expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
      expect(closedAfterMs).toBeLessThan(15_000);
    }
    await isWell();
  }, 30_000);

  test.each([
    ['no HTTP', 'HELO example.org\r\n\r\n'],
    ['a huge header', `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`],
    ['very many headers', `GET / HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(20_000)}\r\n`],
    ['a huge path', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [
      'two lengths',
      'POST /rpc/insert_metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'lengths that differ',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc',
    ],
  ])('or say %s are told so and disconnected', async (_, text) => {
    const { answer, closedAfterMs } = await talk(text, { forMs: 5_000 });
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer).not.toMatch(INSIDE);
    expect(closedAfterMs).toBeLessThan(5_000);
  });
});

describe('1,000 connections', () => {
  test('at once, idle and asking, are served, and nothing of them stays', async () => {
    const before = server.memoryMb();
    const idle = await Promise.all(
      Array.from(
        { length: 700 },
        () =>
          new Promise<Socket>((resolve, reject) => {
            const socket = connect(port(), '127.0.0.1', () => resolve(socket));
            socket.on('error', reject);
          }),
      ),
    );
    const ask = `GET /rpc/get_metrics?devices=node-1&metrics=power_watt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
    const answers = await Promise.all(Array.from({ length: 300 }, () => talk(ask, { forMs: 30_000 })));
    const statuses = answers.map(({ answer }) => answer.slice(9, 12));
    // Those that found no connection to the database in time were told when to come again.
    expect(statuses.filter((status) => status !== '200' && status !== '503')).toEqual([]);
    expect(statuses.filter((status) => status === '200').length).toBeGreaterThan(150);
    for (const { answer } of answers) {
      if (answer.includes(' 503 ')) expect(answer.toLowerCase()).toContain('\r\nretry-after: ');
    }
    await isWell();
    expect(server.memoryMb() - before).toBeLessThan(150);
    for (const socket of idle) socket.destroy();
    await isWell();
  }, 60_000);
});

test('the server lived through it all, without a failure of its own', async () => {
  await isWell();
  expect(server.log()).not.toMatch(/the server failed to answer|ERROR|unhandled/i);
});
