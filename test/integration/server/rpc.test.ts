/** The functions of the API beside get_metrics, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

let db: TestDatabase;
let server: TestServer;
const ALICE = as('alice', 'kw_writer');

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db, { timeZone: 'Europe/Paris' });
  await db.client.query(`
    INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES
      ('kw', 7, '7', 'alice', 'running'), ('kw', 8, '8', 'bob', 'running');
    INSERT INTO kw.job_nodes (source, job_id, node, start_time) VALUES
      ('kw', 7, 'taurus-2', now() - interval '1 hour'), ('kw', 7, 'taurus-10', now() - interval '1 hour'),
      ('kw', 8, 'taurus-3', now() - interval '1 hour');
    INSERT INTO kw.metrics
    SELECT now() - interval '5 s', d, m, 1, '{}'
    FROM unnest(ARRAY['switch-1', 'taurus-10', 'taurus-2']) d, unnest(ARRAY['volt', 'amp']) m;
  `);
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

async function ask(path: string, headers: Record<string, string>, body?: unknown) {
  const response = await fetch(`${server.url}${path}`, {
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text), headers: response.headers };
}

describe('available_metrics', () => {
  test("has devices and metrics of the minute before, in Kwollect's order", async () => {
    const { status, body } = await ask('/rpc/available_metrics', ALICE, {});
    expect(status).toBe(200);
    expect(body.map((row: Record<string, string>) => `${row.device_id} ${row.metric_id}`)).toEqual([
      ...[
        'switch-1 amp',
        'switch-1 volt',
        'taurus-2 amp',
        'taurus-2 volt',
        'taurus-10 amp',
        'taurus-10 volt',
      ],
    ]);
    const job = await ask(
      `/rpc/available_metrics?params=${encodeURIComponent('{"devices":["taurus-2"]}')}`,
      ALICE,
    );
    expect(job.body).toHaveLength(2);
    expect((await ask('/rpc/available_metrics', ALICE, { at: '2020-12-31T22:59:59' })).body).toEqual([]);
    expect(await ask('/rpc/available_metrics', ALICE, { params: { job_id: 99 } })).toMatchObject({
      status: 404,
      body: { code: 'NO_SUCH_JOB', message: 'there is no job 99' },
    });
    expect((await ask('/rpc/available_metrics', ALICE, { params: [1] })).body).toEqual({
      message: 'params is no JSON object',
      code: 'BAD_PARAMETER',
      hint: 'write {"devices": ["taurus-1"]} or {"job_id": 1234}',
    });
  });
});

describe('insert_metrics', () => {
  const value = { device_id: 'taurus-2', metric_id: 'alice_score', value: 1.5 };

  test('takes one object; a time without an offset is local to the site, none is now', async () => {
    const local = new Date(Date.now() - 600_000).toLocaleString('sv-SE', { timeZone: 'Europe/Paris' });
    const { status, body } = await ask('/rpc/insert_metrics', ALICE, { ...value, timestamp: local });
    expect([status, body]).toEqual([
      200,
      [
        {
          ...value,
          timestamp: expect.stringMatching(/\+00:00$/),
          labels: { _pushed_by: 'alice' },
        },
      ],
    ]);
    expect(Math.abs(Date.parse(body[0].timestamp) - (Date.now() - 600_000))).toBeLessThan(5_000);
    const now = await ask('/rpc/insert_metrics', ALICE, [value]);
    expect(Math.abs(Date.parse(now.body[0].timestamp) - Date.now())).toBeLessThan(5_000);
  });

  test('says what a body lacks that is not sent as JSON, is none, or is empty', async () => {
    const send = async (body: string, headers: Record<string, string>) => {
      const request = { method: 'POST', body, headers: { ...ALICE, ...headers } };
      return JSON.parse(await (await fetch(`${server.url}/rpc/insert_metrics`, request)).text());
    };
    const json = { 'content-type': 'application/json' };
    expect(await send('a=1', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject({
      message: 'the request does not say that its body is JSON',
      hint: expect.stringContaining("-H 'Content-Type: application/json'"),
    });
    expect(await send('{"a"', json)).toMatchObject({
      message: 'the body is no JSON',
      hint: expect.any(String),
    });
    expect((await send('', json)).message).toBe('the body is empty, and the header says that it is JSON');
  });

  test('refuses a bad row with its index and the reason, and then stores nothing', async () => {
    const count = async () =>
      (await db.client.query("SELECT count(*)::int AS n FROM kw.metrics WHERE metric_id = 'alice_more'"))
        .rows[0].n;
    const rows = [
      { ...value, metric_id: 'alice_more' },
      { ...value, metric_id: 'alice_more', value: 'high' },
      { ...value, metric_id: 'alice_more', device_id: 'taurus-3' },
      { ...value, metric_id: 'alice_more', timestamp: 1609452000000 },
      { ...value, metric_id: 'alice_more', unit: 'W' },
      17,
    ];
    const { status, body } = await ask('/rpc/insert_metrics', ALICE, rows);
    expect(status).toBe(400);
    expect(body).toMatchObject({
      message:
        'row 1 of 6 cannot be stored: the value is no number; a text goes into the label value_str, and 3 more; nothing was stored',
      code: 'ROWS_REFUSED',
      refused_count: 4,
    });
    expect(body.refused.map(({ index }: { index: number }) => index)).toEqual([1, 3, 4, 5]);
    // What only the database can know.
    expect((await ask('/rpc/insert_metrics', ALICE, [rows[0], rows[2]])).body).toMatchObject({
      refused: [
        {
          index: 1,
          reason: 'no device of yours: neither one of your token nor a node of a job of yours that runs now',
        },
      ],
    });
    expect(await count()).toBe(0);
    const partial = await ask('/rpc/insert_metrics?partial=true', ALICE, rows);
    expect([partial.status, partial.body.length, partial.headers.get('kw-refused')]).toEqual([200, 1, '5']);
    expect(await count()).toBe(1);
  });

  test('tells who may not push at all from who did not say who they are', async () => {
    expect((await ask('/rpc/insert_metrics', as('carl', 'kw_reader'), value)).status).toBe(403);
    const nobody = await ask('/rpc/insert_metrics', {}, value);
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Bearer'),
    ]);
  });
});

describe('optional metrics', () => {
  test('are enabled for a job or devices of its user, and disabled', async () => {
    const { status, body } = await ask('/rpc/enable_metrics', ALICE, { metrics: 'wattmetre.*', job_id: 7 });
    expect(status).toBe(200);
    expect(body.map((row: Record<string, unknown>) => [row.device_id, row.metric_id, row.job_id])).toEqual([
      ['taurus-10', 'wattmetre.*', 7],
      ['taurus-2', 'wattmetre.*', 7],
    ]);
    const device = await ask('/rpc/enable_metrics', ALICE, {
      metrics: 'prom_.*',
      devices: 'taurus-2',
      seconds: 60,
    });
    expect(device.body).toHaveLength(1);
    expect((await ask('/rpc/disable_metrics', ALICE, { job_id: 7 })).body).toBe(2);
    expect((await ask('/rpc/disable_metrics', ALICE, {})).body).toBe(1);
  });

  test('are not enabled on nodes of others, nor by a pattern that nobody can read', async () => {
    const foreign = await ask('/rpc/enable_metrics', ALICE, { metrics: 'x', devices: 'taurus-3' });
    expect([foreign.status, foreign.body.message]).toEqual([
      403,
      'not a node of a job of yours now: taurus-3',
    ]);
    const bad = await ask('/rpc/enable_metrics', ALICE, { metrics: '(', devices: 'taurus-2' });
    expect([bad.status, bad.body.code]).toEqual([400, 'BAD_PATTERN']);
    expect(await ask('/rpc/enable_metrics', ALICE, { metrics: 'x', job_id: 99 })).toMatchObject({
      status: 404,
      body: { code: 'NO_SUCH_JOB', message: 'job 99 of source kw does not run' },
    });
  });

  test('are asked of the schedulers by update_promoted_metrics', async () => {
    await ask('/rpc/enable_metrics', ALICE, { metrics: 'bmc_.*', devices: 'taurus-2' });
    const { status, body } = await ask('/rpc/update_promoted_metrics', ALICE, {});
    expect([status, body]).toEqual([200, [{ device_id: 'taurus-2', metric_id: 'bmc_.*' }]]);
  });
});

describe('jobs', () => {
  test('are listed with their nodes', async () => {
    const { body } = await ask('/rpc/jobs?owner=alice', ALICE);
    expect(body).toEqual([
      {
        job_id: 7,
        source: 'kw',
        name_id: '7',
        owner: 'alice',
        state: 'running',
        start_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*\+00:00$/),
        stop_time: null,
        nodes: ['taurus-10', 'taurus-2'],
      },
    ]);
  });
});

describe('the document', () => {
  test('names every path of the API, and the page shows it', async () => {
    const { body } = await ask('/openapi.json', {});
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([
        ...['/rpc/get_metrics', '/rpc/available_metrics', '/rpc/insert_metrics', '/rpc/enable_metrics'],
        ...['/sites/{site}/metrics', '/stable/sites/{site}/metrics', '/healthz', '/metrics'],
      ]),
    );
    expect(body.paths['/rpc/get_metrics'].get.parameters.map(({ name }: { name: string }) => name)).toEqual([
      ...['job_id', 'nodes', 'devices', 'metrics', 'start_time', 'end_time', 'summary', 'as_rate', 'nan'],
    ]);
    const page = await fetch(`${server.url}/docs/`);
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ]);
    await page.text();
    const script = await fetch(`${server.url}/docs/static/swagger-ui-bundle.js`);
    expect(script.status).toBe(200);
    // The server waits for who does not read.
    await script.body?.cancel();
  });

  test('is what an unknown path points at', async () => {
    expect((await ask('/rpc/get_metric', ALICE)).body).toEqual({
      message: 'there is nothing at "/rpc/get_metric"',
      code: 'NO_SUCH_PATH',
      hint: 'GET /openapi.json lists what there is',
    });
  });
});

test('the page offers devices that are only pushed, of which no collector knows', async () => {
  const token = as('dora', 'kw_writer', { devices: ['dora-*'] });
  const offered = async (headers: Record<string, string>) =>
    (await ask('/kw/choices/devices?search=dora', headers)).body;
  expect(await offered(ALICE)).toEqual({ devices: [], more: false });
  const rows = ['dora-box', 'taurus-dora', 'dora-fan', 'dora-box'].map((device_id) => ({
    ...{ device_id, metric_id: 'dora_score', value: 1 },
  }));
  const { status } = await ask('/rpc/insert_metrics?partial=true', token, rows);
  expect(status).toBe(200);
  // Not the one that was refused.
  expect(await offered(ALICE)).toEqual({ devices: ['dora-box', 'dora-fan'], more: false });
  await db.client.query("UPDATE kw.settings SET value = '\"own_jobs\"' WHERE name = 'read_scope'");
  expect(await offered(as('carl', 'kw_reader'))).toEqual({ devices: [], more: false });
  expect((await offered(as('root', 'kw_admin'))).devices).toHaveLength(2);
});
