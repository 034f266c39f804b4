/** The OpenAPI document says what the server answers. */
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

interface Described {
  readonly responses: Record<string, { content: Record<string, { schema: AnySchema }> }>;
}

let db: TestDatabase;
let server: TestServer;
let paths: Record<string, Record<string, Described>>;
const ALICE = as('alice', 'kw_writer');
const VALUE = { device_id: 'taurus-2', metric_id: 'alice_score', value: 1.5 };

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db);
  await db.client.query(`
    INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES ('kw', 7, '7', 'alice', 'running');
    INSERT INTO kw.job_nodes (source, job_id, node, start_time) VALUES ('kw', 7, 'taurus-2', now() - interval '1 hour');
    INSERT INTO kw.metrics
    VALUES (now() - interval '5 s', 'taurus-2', 'volt', 1, '{}'),
      (now() - interval '4 s', 'taurus-2', 'state', 'NaN', '{"value_str": "on"}');
    INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol, description, entry_name)
    VALUES
      (gen_random_uuid(), 'wattmetre1-port6', 'wattmetre_power_watt', 'taurus-2', 1000, false, 20, 'wattmetre', 'Power', NULL),
      (gen_random_uuid(), 'taurus-3', 'prom_node_load1', '', 15000, true, NULL, 'prometheus', NULL, 'prom_all_metrics');
  `);
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: typeof paths };
  paths = document.paths;
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

/** What a path answers, and whether the document says so. */
async function answerOf(
  path: string,
  request: string,
  body?: unknown,
  headers: Record<string, string> = ALICE,
) {
  const method = body === undefined ? 'get' : 'post';
  const response = await fetch(`${server.url}${request}`, {
    method,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status } = response;
  const responses = paths[path]?.[method]?.responses ?? {};
  const described = responses[status] ?? responses[`${String(status).slice(0, 1)}XX`];
  const type = response.headers.get('content-type')?.split(';')[0] ?? '';
  const text = await response.text();
  const json = type === 'application/json' ? JSON.parse(text) : text;
  const schema = described?.content[type]?.schema;
  if (schema === undefined) throw new Error(`${method} ${path}: ${status} ${type} is not in the document`);
  const validate = new Ajv2020({ strictTypes: false }).compile(schema);
  return { status, problems: validate(json) ? [] : validate.errors, json };
}

interface Asked {
  readonly path: string;
  readonly request: string;
  readonly body?: unknown;
}

const ANSWERS: readonly Asked[] = [
  { path: '/rpc/get_metrics', request: '/rpc/get_metrics?devices=taurus-2&metrics=volt,state' },
  { path: '/rpc/get_metrics', request: '/rpc/get_metrics', body: { devices: 'taurus-2' } },
  { path: '/rpc/available_metrics', request: '/rpc/available_metrics' },
  { path: '/rpc/jobs', request: '/rpc/jobs' },
  { path: '/rpc/insert_metrics', request: '/rpc/insert_metrics', body: VALUE },
  { path: '/rpc/enable_metrics', request: '/rpc/enable_metrics', body: { metrics: 'a.*', job_id: 7 } },
  {
    path: '/rpc/enable_metrics',
    request: '/rpc/enable_metrics',
    body: { metrics: 'b.*', devices: 'taurus-2', seconds: 60 },
  },
  { path: '/rpc/update_promoted_metrics', request: '/rpc/update_promoted_metrics', body: {} },
  { path: '/rpc/disable_metrics', request: '/rpc/disable_metrics', body: { job_id: 7 } },
  { path: '/kw/envelope', request: '/kw/envelope?devices=taurus-2&metrics=volt' },
  { path: '/sites', request: '/sites' },
  { path: '/stable/sites/{site}', request: '/stable/sites/lyon' },
  { path: '/sites/{site}/metrics', request: '/sites/lyon/metrics?nodes=taurus-2' },
  { path: '/sites/{site}/metrics', request: '/sites/lyon/metrics', body: [VALUE] },
  { path: '/sites/{site}/clusters', request: '/sites/lyon/clusters' },
  { path: '/sites/{site}/clusters/{cluster}', request: '/sites/lyon/clusters/taurus' },
  { path: '/healthz', request: '/healthz' },
  { path: '/metrics', request: '/metrics' },
];

test.each(ANSWERS)('$path answers as it is described: $request', async ({ path, request, body }) => {
  const { status, problems, json } = await answerOf(path, request, body);
  expect({ status, problems }, JSON.stringify(json)).toEqual({ status: 200, problems: [] });
});

test('events are described as such', () => {
  expect(Object.keys(paths['/stream']?.get?.responses['200']?.content ?? {})).toEqual(['text/event-stream']);
});

test('errors are described too', async () => {
  expect(await answerOf('/rpc/get_metrics', '/rpc/get_metrics?job_id=x')).toMatchObject({
    status: 400,
    problems: [],
  });
  expect(await answerOf('/rpc/insert_metrics', '/rpc/insert_metrics', VALUE, {})).toMatchObject({
    status: 401,
    problems: [],
  });
});

test('every path that is listed says what it answers', () => {
  const silent = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { responses }]) => responses['200']?.content === undefined || !responses['4XX'])
      .map(([method]) => `${method} ${path}`),
  );
  expect(silent).toEqual([]);
});
