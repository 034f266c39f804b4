/**
 * Clients that exist and must go on working. Their requests are rebuilt from their sources, which each part names; curl,
 * and the HTTP libraries of Python, are the real ones.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import type { MetricsRow } from '../../support/readMetrics.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';

const run = promisify(execFile);
const READER = as('alice', 'kw_reader');
const WRITER = as('alice', 'kw_writer');

let db: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  db = await testDatabase();
  server = await testServer(db, { server: { statementTimeoutMs: 1_000 } });
  // The devices and jobs of Kwollect's own tests, and some of Grid'5000.
  await db.client.query(`
    SELECT kw.ensure_storage('2020-12-31', '2021-01-01');
    SELECT kw.ensure_storage('2025-07-21', '2025-07-22');
    INSERT INTO kw.metrics
    SELECT t, 'device-' || d, 'metric-' || m, extract(epoch FROM t), '{}'
    FROM generate_series('2020-12-31T21:30Z'::timestamptz, '2020-12-31T23:30Z', '10 s') t,
      generate_series(1, 3) d, generate_series(1, 2) m;
    INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES
      ('kw', 1, '1', 'alice', 'stopped'), ('kw', 3, '3', 'alice', 'running');
    INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time) VALUES
      ('kw', 1, 'device-1', '2020-12-31T22:00Z', '2020-12-31T23:00Z'),
      ('kw', 1, 'device-2', '2020-12-31T22:00Z', '2020-12-31T23:00Z'),
      ('kw', 3, 'local', now() - interval '1 hour', NULL);
    INSERT INTO kw.metrics VALUES
      (now() - interval '1 s', 'local', 'snmp_dumb', 1, '{}'),
      ('2025-07-21T14:15:31Z', 'wattmetre1-port6', 'wattmetre_power_watt', 131.7, '{"_device_alias": "taurus-7"}'),
      ('2025-07-21T14:15:32.003778Z', 'wattmetre1-port6', 'wattmetre_power_watt', 131, '{"_device_alias": "taurus-7"}'),
      ('2025-07-21T14:15:32Z', 'wattmetre1-port6', 'wattmetre_power_watt', 'NaN', '{"_device_alias": "taurus-7"}'),
      ('2025-07-21T14:15:33Z', 'taurus-7', 'bmc_state', 'NaN', '{"value_str": "on"}'),
      ('2025-07-21T14:15:33Z', 'taurus-7', 'bmc_node_power_watt', 98, '{}');
    INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol, description, entry_name)
    VALUES
      (gen_random_uuid(), 'wattmetre1-port6', 'wattmetre_power_watt', 'taurus-7', 1000, false, 20, 'wattmetre', 'Power of the node', NULL),
      (gen_random_uuid(), 'taurus-7', 'prom_all_metrics', '', 15000, true, NULL, 'prometheus', NULL, NULL),
      (gen_random_uuid(), 'taurus-7', 'prom_node_load1', '', 15000, true, NULL, 'prometheus', NULL, 'prom_all_metrics'),
      (gen_random_uuid(), 'taurus-8', 'bmc_node_power_watt', '', 5000, false, NULL, 'ipmisensor', 'Power by the BMC', NULL),
      (gen_random_uuid(), 'taurus-7', 'bmc_node_power_watt', '', 5000, false, NULL, 'ipmisensor', 'Power by the BMC', NULL);
  `);
});
afterAll(async () => {
  await server?.close();
  await db?.drop();
});

async function rows(path: string): Promise<MetricsRow[]> {
  const response = await fetch(`${server.url}${path}`, { headers: READER });
  expect(response.status, path).toBe(200);
  return (await response.json()) as MetricsRow[];
}

/**
 * Kwollect's own tests of its API (tests/test_api.py of Kwollect: `requests.get(".../rpc/get_metrics", params=...)`),
 * with its times, in a site that lives in UTC.
 */
describe("Kwollect's own tests", () => {
  const metrics = (parameters: Record<string, string>) =>
    rows(`/rpc/get_metrics?${new URLSearchParams(parameters)}`);

  test('metrics of the last minutes', async () => {
    expect(await metrics({ devices: 'local' })).toHaveLength(1);
  });

  test('metrics_start: 5 minutes from there', async () => {
    const found = await metrics({ devices: 'device-1', start_time: '2020-12-31T23:00:00' });
    expect(found).toHaveLength(2 * 31);
    expect(
      found.every((row) => row.timestamp.includes('2020-12-31T23:0') && row.device_id === 'device-1'),
    ).toBe(true);
  });

  test('metrics_end: 5 minutes up to there', async () => {
    const found = await metrics({ devices: 'device-1', end_time: '2020-12-31T23:19:59' });
    expect(found).toHaveLength(2 * 30);
    expect(found.every((row) => row.timestamp.includes('2020-12-31T23:1'))).toBe(true);
  });

  test('metrics_devices and metrics_metric', async () => {
    const start = { start_time: '2020-12-31T22:59:59' };
    const both = await metrics({ devices: 'device-1,device-2', ...start });
    expect(both).toHaveLength(2 * (await metrics({ devices: 'device-1', ...start })).length);
    const one = await metrics({ devices: 'device-1', metrics: 'metric-1', ...start });
    expect(new Set(one.map((row) => row.metric_id))).toEqual(new Set(['metric-1']));
  });

  test('metrics_job: its nodes and times, bounds included', async () => {
    const found = await metrics({ job_id: '1' });
    expect(new Set(found.map((row) => row.device_id))).toEqual(new Set(['device-1', 'device-2']));
    expect(found[0]?.timestamp).toBe('2020-12-31T22:00:00+00:00');
    expect(found.at(-1)?.timestamp).toBe('2020-12-31T23:00:00+00:00');
    const one = await metrics({ job_id: '1', devices: 'device-1', metrics: 'metric-1' });
    expect(one).toHaveLength(361);
  });

  test('metrics_job_start and metrics_job_end: given bounds instead of those of the job', async () => {
    const start = { job_id: '1', start_time: '2020-12-31T22:29:59.999' };
    expect((await metrics(start))[0]?.timestamp).toBe('2020-12-31T22:30:00+00:00');
    const found = await metrics({ ...start, end_time: '2020-12-31T22:40:00.0001' });
    expect(found[0]?.timestamp).toBe('2020-12-31T22:30:00+00:00');
    expect(found.at(-1)?.timestamp).toBe('2020-12-31T22:40:00+00:00');
  });

  test('metrics_job_notfinished', async () => {
    expect((await metrics({ job_id: '3' })).map((row) => row.metric_id)).toEqual(['snmp_dumb']);
    expect(await metrics({ job_id: '3', end_time: '2020-12-31T23:59:59' })).toEqual([]);
  });
});

/** Alumet, plugins/kwollect-input: lib.rs (build_kwollect_url), kwollect.rs (MeasureKwollect), source.rs (parse_timestamp). */
describe('Alumet, reading', () => {
  /** What serde takes for MeasureKwollect: each field, of its type, with nothing null. */
  function parse(measure: Record<string, unknown>): void {
    expect(Object.keys(measure).toSorted()).toEqual([
      'device_id',
      'labels',
      'metric_id',
      'timestamp',
      'value',
    ]);
    expect(measure.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?[+-]\d\d:\d\d$/);
    expect(typeof measure.value).toBe('number');
    expect(typeof measure.device_id).toBe('string');
    expect(Object.prototype.toString.call(measure.labels)).toBe('[object Object]');
  }

  test('takes every row of an array: a strict parser loses all of them for one', async () => {
    // `start.timestamp()`: whole epoch seconds.
    const found = await rows(
      '/stable/sites/lyon/metrics?nodes=taurus-7&metrics=wattmetre_power_watt,bmc_node_power_watt&start_time=1753107300&end_time=1753107600',
    );
    expect(found).toHaveLength(3);
    for (const row of found) parse(row as unknown as Record<string, unknown>);
    expect(found[0]).toEqual({
      timestamp: '2025-07-21T14:15:31+00:00',
      device_id: 'taurus-7',
      metric_id: 'wattmetre_power_watt',
      value: 131.7,
      labels: { _device_orig: ['wattmetre1-port6'] },
    });
  });

  test('sees no row without a number unless it names a metric of texts', async () => {
    const time = 'nodes=taurus-7&start_time=1753107300&end_time=1753107600';
    const all = await rows(`/stable/sites/lyon/metrics?${time}`);
    expect(all.map((row) => row.metric_id).toSorted()).toEqual([
      'bmc_node_power_watt',
      'wattmetre_power_watt',
      'wattmetre_power_watt',
    ]);
    expect(await rows(`/stable/sites/lyon/metrics?${time}&metrics=bmc_state`)).toEqual([
      {
        timestamp: '2025-07-21T14:15:33+00:00',
        device_id: 'taurus-7',
        metric_id: 'bmc_state',
        value: null,
        labels: { value_str: 'on' },
      },
    ]);
    const everything = `/stable/sites/lyon/metrics?${time}&nan=null`;
    const values = (await rows(everything)).map(({ value }) => value);
    expect(values).toHaveLength(5);
    const read = async (accept: string) =>
      (await (await fetch(`${server.url}${everything}`, { headers: { ...READER, accept } })).text())
        .trimEnd()
        .split('\n');
    const lines = await read('application/x-ndjson');
    expect(lines.map((line) => JSON.parse(line).value)).toEqual(values);
    // As PostgREST writes NULL.
    const fields = (await read('text/csv')).slice(1).map((line) => line.split(',')[3]);
    expect(fields).toEqual(values.map((value) => (value === null ? '' : String(value))));
    expect(fields.filter((field) => field === '')).toHaveLength(2);
  });
});

/** Alumet, plugins/kwollect-output: output.rs (write; any status but 200 is an error), kwollect.rs (Measure). */
describe('Alumet, pushing', () => {
  test('posts an array with epoch floats and labels of any kind, and wants status 200', async () => {
    await db.client.query(
      "INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES ('kw', 9, '9', 'alice', 'running')",
    );
    await db.client.query(
      "INSERT INTO kw.job_nodes (source, job_id, node, start_time) VALUES ('kw', 9, 'mars', now() - interval '1 min')",
    );
    const seconds = Math.floor(Date.now() / 1000) - 5;
    const measures = [
      {
        timestamp: seconds + 0.25,
        metric_id: 'rapl_consumed_energy_J',
        device_id: 'mars',
        value: 19.5,
        labels: {
          ressource_kind: 'cpu_package',
          ressource_id: '0',
          consumer_kind: 'local_machine',
          consumer_id: '',
          domain: 'package',
          score: 4.5,
          count: 6,
          total: true,
        },
      },
      { timestamp: seconds, metric_id: 'mem_total_B', device_id: 'mars', value: 12, labels: {} },
    ];
    const response = await fetch(`${server.url}/stable/sites/grenoble/metrics`, {
      method: 'POST',
      headers: { ...WRITER, 'content-type': 'application/json' },
      body: JSON.stringify(measures),
    });
    expect([response.status, ((await response.json()) as MetricsRow[]).length]).toEqual([200, 2]);
    const { rows: stored } = await db.client.query(
      "SELECT extract(epoch FROM timestamp)::float8 AS at, metric_id, value, labels FROM kw.metrics WHERE device_id = 'mars' ORDER BY timestamp DESC",
    );
    expect(stored[0]).toEqual({
      at: seconds + 0.25,
      metric_id: 'rapl_consumed_energy_J',
      value: 19.5,
      labels: {
        ressource_kind: 'cpu_package',
        ressource_id: '0',
        consumer_kind: 'local_machine',
        consumer_id: '',
        domain: 'package',
        score: '4.5',
        count: '6',
        total: 'true',
        _pushed_by: 'alice',
      },
    });
    expect(stored).toHaveLength(2);
  });
});

async function hasRequests(): Promise<boolean> {
  return await run('python3', ['-c', 'import requests, urllib3']).then(
    () => true,
    () => false,
  );
}

const noPython = skipUnless('python3 with requests', await hasRequests());

describe.skipIf(noPython)('EnOSlib through python-grid5000', () => {
  async function enoslib(...parameters: string[]) {
    const { stdout } = await run(
      'python3',
      [
        join(import.meta.dirname, '../../support/grid5000Client.py'),
        `${server.url}/stable`,
        JSON.stringify(READER),
        ...parameters,
      ],
      { timeout: 30_000 },
    );
    return JSON.parse(stdout);
  }

  test('reads the site, the rows of its nodes, and what is to be had', async () => {
    // time.time(): epoch floats.
    const found = await enoslib('lyon', 'taurus-7,taurus-8', '1753107300.1234567', '1753107600.7654321');
    expect(found.uid).toBe('lyon');
    expect(found.rows).toHaveLength(3);
    expect(found.available).toEqual({
      'taurus-7': expect.arrayContaining([
        ['wattmetre_power_watt', 1000, 20],
        ['bmc_node_power_watt', 5000, 0],
        ['prom_node_load1', 0, 15000],
      ]),
      'taurus-8': expect.arrayContaining([['bmc_node_power_watt', 5000, 0]]),
    });
    expect(found.available['taurus-8'].map(([name]: string[]) => name)).not.toContain('wattmetre_power_watt');
  });

  test('is told why a request is refused, once: it would send a 500, 502 or 504 five times more', async () => {
    expect(await enoslib('lyon', 'taurus-7', '1753107300000', '1753107600000')).toEqual({
      error: expect.stringContaining(
        '400: start_time: "1753107300000.0" is too far in the future: milliseconds?',
      ),
    });
    const begunMs = performance.now();
    await db.client.query('BEGIN; LOCK TABLE kw.metrics IN ACCESS EXCLUSIVE MODE');
    try {
      expect(await enoslib('lyon', 'taurus-7', '1753107300', '1753107600')).toEqual({
        error: '422: the request took too long and was ended: too much data',
      });
    } finally {
      await db.client.query('ROLLBACK');
    }
    // The statement timeout is a second.
    expect(performance.now() - begunMs).toBeLessThan(5_000);
  });
});

const noCurl = skipUnless('curl', hasProgram('curl'));

/** As in the documentation of Grid'5000 and of Kwollect. */
describe.skipIf(noCurl)('curl', () => {
  async function curl(...parameters: string[]): Promise<string> {
    const header = Object.entries(WRITER).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    const { stdout } = await run('curl', ['-s', '--max-time', '20', ...header, ...parameters]);
    return stdout;
  }

  test('reads, with empty parameters and a plus that nobody escaped', async () => {
    const found = JSON.parse(
      await curl(
        `${server.url}/rpc/get_metrics?job_id=&&devices=device-1,,&metrics=metric-1&start_time=2020-12-31T23:00:00+01:00&end_time=2020-12-31T23:00:20+01:00&summary=False`,
      ),
    );
    expect(found.map(({ timestamp }: MetricsRow) => timestamp)).toEqual([
      '2020-12-31T22:00:00+00:00',
      '2020-12-31T22:00:10+00:00',
      '2020-12-31T22:00:20+00:00',
    ]);
  });

  test('takes CSV, compressed, and errors with their status', async () => {
    const url = `${server.url}/rpc/get_metrics?devices=device-1&metrics=metric-1&start_time=2020-12-31T22:00Z&end_time=2020-12-31T22:00:10Z`;
    expect(await curl('--compressed', '-H', 'Accept: text/csv', url)).toBe(
      'timestamp,device_id,metric_id,value,labels\n' +
        '2020-12-31T22:00:00+00:00,device-1,metric-1,1609452000,{}\n' +
        '2020-12-31T22:00:10+00:00,device-1,metric-1,1609452010,{}\n',
    );
    expect(
      await curl('-o', '/dev/null', '-w', '%{http_code}', `${server.url}/rpc/get_metrics?device=x`),
    ).toBe('400');
  });

  test('posts parameters as JSON', async () => {
    const body = JSON.stringify({
      devices: ['device-1'],
      metrics: 'metric-1',
      start_time: 1609452000,
      end_time: '2020-12-31 22:00:00',
    });
    const found = await curl(
      '-H',
      'Content-Type: application/json',
      '-d',
      body,
      `${server.url}/rpc/get_metrics`,
    );
    expect(JSON.parse(found)).toHaveLength(1);
  });

  test('pushes the example of the README of Kwollect', async () => {
    const time = new Date(Date.now() - 60_000).toISOString().slice(0, 19).replace('T', ' ');
    const value = { timestamp: time, device_id: 'mars', metric_id: 'example_metric', value: 42 };
    const answer = await curl(
      '-H',
      'content-type: application/json',
      '-d',
      JSON.stringify(value),
      `${server.url}/rpc/insert_metrics`,
    );
    expect(JSON.parse(answer)).toEqual([
      { ...value, timestamp: `${time.replace(' ', 'T')}+00:00`, labels: { _pushed_by: 'alice' } },
    ]);
  });
});
