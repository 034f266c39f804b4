/**
 * `kw serve` reads in slices and adds up in Node, api.get_metrics reads and adds up in SQL: both have the same rules, and
 * are held to the same answers on random selections of random values.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { callPostgrest } from '../../support/postgrest.ts';
import { random } from '../../support/random.ts';
import type { MetricsRow } from '../../support/readMetrics.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';

const SEED = 20_261_123;
const ROWS = 6_000;
const SELECTIONS = 100;
const DAY = '2026-11-20T';
const claims = { sub: 'alice', role: 'kw_reader' };

const next = random(SEED);
const pick = <T>(choices: readonly T[]): T => choices[next() % choices.length] as T;
const some = <T>(choices: readonly T[]): T[] => choices.filter(() => next() % 3 === 0);

const DEVICES = ['pdu-1', 'pdu-2', 'pdu-3', 'node-1', 'node-2', 'switch.main', '10.0.0.1'];
const ASKED = [...DEVICES, 'node-9', 'node-1.site.org', 'switch.other', 'nobody'];
const METRICS = ['watt', 'octets_total', 'state'];

function randomRow(): (string | number)[] {
  // Few instants and labels, so that origins meet.
  const second = next() % 900;
  const timestamp = new Date(
    Date.parse(`${DAY}10:00:00Z`) + second * 1000 + (next() % 3) * 250,
  ).toISOString();
  const metric = pick(METRICS);
  const labels: Record<string, unknown> = {};
  if (next() % 2 === 0) labels._device_alias = pick(['node-1', 'node-2', 'node-9', 'pdu-1']);
  if (next() % 3 === 0) labels.port = pick(['1', '2']);
  let value: number | string = (next() % 10_000) / 4;
  if (metric === 'state') {
    labels.value_str = pick(['on', 'off', '"quoted", and ünïcode']);
    value = 'NaN';
  } else if (next() % 20 === 0) {
    value = pick(['NaN', 'Infinity', '-Infinity']);
  }
  return [timestamp, pick(DEVICES), metric, value, JSON.stringify(labels)];
}

function randomSelection(): Record<string, string> {
  const query: Record<string, string> = {};
  const names = some(ASKED);
  if (names.length > 0) query[pick(['devices', 'nodes'])] = names.join(',');
  if (names.length === 0 || next() % 4 === 0) query.job_id = pick(['7', '8']);
  if (next() % 2 === 0) query.metrics = some(METRICS).join(',');
  const minute = () => `${DAY}10:${String(next() % 16).padStart(2, '0')}:${pick(['00', '30.25', '07'])}`;
  const times = [minute(), minute()].toSorted();
  if (next() % 4 !== 0) query.start_time = times[0] as string;
  if (next() % 4 !== 0 || query.start_time === undefined) query.end_time = times[1] as string;
  if (next() % 4 === 0) {
    query.as_rate = pick(['true', 'True', 'false']);
  }
  if (next() % 4 === 0) {
    query.summary = 'true';
  }
  if (next() % 4 === 0) query.nan = 'null';
  return query;
}

/** In an order of its own for rows of one instant, whose order nobody promises; values as far as sums are the same. */
function comparable(rows: readonly MetricsRow[]): string[] {
  return rows
    .map(({ timestamp, device_id, metric_id, value, labels }) => {
      const origins = labels._device_orig as string[] | undefined;
      const sorted = Object.fromEntries(Object.entries(labels).toSorted());
      if (origins !== undefined) sorted._device_orig = origins.toSorted();
      const number = value === null ? 'null' : value.toPrecision(9);
      return `${timestamp} ${device_id} ${metric_id} ${number} ${JSON.stringify(sorted)}`;
    })
    .toSorted();
}

describe.each(testFlavours)('get_metrics on %s', (flavour) => {
  let db: TestDatabase;
  let server: TestServer;
  let api: pg.Client;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    const rows = Array.from({ length: ROWS }, randomRow);
    await db.client.query("SELECT kw.ensure_storage('2026-11-20', '2026-11-21')");
    await db.client.query(
      `INSERT INTO kw.metrics SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::float8[], $5::jsonb[])`,
      [0, 1, 2, 3, 4].map((column) => rows.map((row) => row[column])),
    );
    await db.client.query(`
      INSERT INTO kw.jobs (source, job_id, name_id, owner, state) VALUES
        ('kw', 7, '7', 'alice', 'stopped'), ('kw', 8, '8', 'bob', 'stopped');
      INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time) VALUES
        ('kw', 7, 'node-1', '${DAY}10:02Z', '${DAY}10:09Z'), ('kw', 7, 'node-2', '${DAY}10:03Z', '${DAY}10:08Z'),
        ('kw', 8, 'switch.main', '${DAY}10:00Z', '${DAY}10:14Z');
    `);
    await maintain(db.client, flavour);
    server = await testServer(db);
    api = await openClient(db.target);
    await api.query("SET timezone = 'UTC'; SET SESSION AUTHORIZATION kw_api");
  });
  afterAll(async () => {
    await api?.end();
    await server?.close();
    await db?.drop();
  });

  async function compare(query: Record<string, string>): Promise<number> {
    const sql = await callPostgrest(api, { method: 'GET', function: 'get_metrics', query, claims });
    const response = await fetch(`${server.url}/rpc/get_metrics?${new URLSearchParams(query)}`, {
      headers: as('alice', 'kw_reader'),
    });
    const body = (await response.json()) as MetricsRow[];
    expect([response.status, query]).toEqual([sql.status, query]);
    if (response.status !== 200) return 0;
    const times = body.map(({ timestamp }) => timestamp.replace(/(:\d\d)\+/, '$1.0+'));
    expect(times).toEqual(times.toSorted());
    expect({ query, rows: comparable(body) }).toEqual({ query, rows: comparable(sql.body as MetricsRow[]) });
    return body.length;
  }

  test('gives what SQL gives', { timeout: 60_000 }, async () => {
    let rows = 0;
    for (let i = 0; i < SELECTIONS; i++) rows += await compare(randomSelection());
    // Or else nothing was compared.
    expect(rows).toBeGreaterThan(SELECTIONS * 50);
  });

  test('refuses what SQL refuses, with the same status', async () => {
    for (const query of [
      { metrics: 'watt' },
      { job_id: '99' },
      { devices: 'node-1', start_time: 'nonsense' },
      { devices: 'node-1', nan: 'what' },
      { devices: 'x'.repeat(300) },
    ]) {
      await compare(query as Record<string, string>);
    }
  });
});
