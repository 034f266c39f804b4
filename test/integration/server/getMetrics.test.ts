/** `/rpc/get_metrics` over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

let db: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db);
  await db.client.query(`
    SELECT kw.ensure_storage('2026-11-20', '2026-11-21');
    INSERT INTO kw.metrics VALUES
      ('2026-11-20 10:00:00.123456Z', 'node-1', 'power_watt', 42.5, '{"port": "1"}'),
      ('2026-11-20 10:00:01Z', 'node-1', 'power_watt', 43, '{}'),
      ('2026-11-20 10:00:01Z', 'node-2', 'power_watt', 44, '{}');
  `);
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

async function get(path: string, headers: Record<string, string> = as('alice', 'kw_reader')) {
  const response = await fetch(`${server.url}${path}`, { headers });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

describe('get_metrics', () => {
  test('answers a JSON array in order of time', async () => {
    const { status, type, text } = await get(
      '/rpc/get_metrics?devices=node-1&start_time=2026-11-20T10:00&end_time=2026-11-20T10:01',
    );
    expect(status).toBe(200);
    expect(type).toBe('application/json; charset=utf-8');
    expect(text).toBe(
      '[\n{"timestamp":"2026-11-20T10:00:00.123456+00:00","device_id":"node-1","metric_id":"power_watt","value":42.5,"labels":{"port":"1"}},\n' +
        '{"timestamp":"2026-11-20T10:00:01+00:00","device_id":"node-1","metric_id":"power_watt","value":43,"labels":{}}\n]\n',
    );
  });

  test('refuses a request that selects nothing', async () => {
    const { status, text } = await get('/rpc/get_metrics?metrics=power_watt');
    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({
      message: "Missing 'devices', 'nodes' or 'job_id' argument",
      code: 'NO_SELECTION',
      hint: 'write devices=taurus-1 or job_id=1234',
    });
  });

  test('says that it is well', async () => {
    const { status, text } = await get('/healthz');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({ status: 'ok', version: '0.0.0-test' });
  });

  test('shows what the caller may see', async () => {
    const both =
      '/rpc/get_metrics?devices=node-1,node-2&start_time=2026-11-20T10:00&end_time=2026-11-20T10:01';
    const devices = async (headers?: Record<string, string>) => {
      const { status, text } = await get(both, headers);
      if (status !== 200) return status;
      return (JSON.parse(text) as { device_id: string }[]).map(({ device_id }) => device_id);
    };
    const set = (name: string, value: string) =>
      db.client.query('UPDATE kw.settings SET value = $2 WHERE name = $1', [name, value]);
    expect(await devices({})).toBe(401);
    await set('anonymous_read', 'true');
    expect(await devices({})).toEqual(['node-1', 'node-1', 'node-2']);
    await set('anonymous_read', 'false');

    await db.client.query(`
      INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES ('kw', 5, '5', 'alice', 'stopped');
      INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
      VALUES ('kw', 5, 'node-2', '2026-11-20T10:00Z', '2026-11-20T10:30Z')`);
    await set('read_scope', '"own_jobs"');
    expect(await devices()).toEqual(['node-2']);
    expect(await devices(as('bob', 'kw_reader'))).toEqual([]);
    expect((await get('/rpc/get_metrics?job_id=5', as('bob', 'kw_reader'))).status).toBe(404);
    await set('read_scope', '"all"');
    expect(await devices(as('bob', 'kw_reader'))).toEqual(['node-1', 'node-1', 'node-2']);
  });
});
