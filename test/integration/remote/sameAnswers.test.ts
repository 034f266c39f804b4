/** Every command gives the same through `kw serve` as on the database: standard output, standard error, exit code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { type KwResult, runKw } from '../../support/kw.ts';
import { type KwServe, startKwServe } from '../../support/kwServe.ts';

const FROM = '2026-11-20T10:00:00Z';
const TO = '2026-11-20T10:05:00Z';
const TIME = ['--from', FROM, '--to', TO];
/** A login of the database, and the user of a token: the same person. */
const USER = `alice_${process.pid}`;

let db: TestDatabase;
let server: KwServe;
let remote: Record<string, string>;
let local: Record<string, string>;

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query(`CREATE ROLE ${USER} LOGIN PASSWORD 'secret' IN ROLE kw_reader, kw_writer`);
  local = { KW_DATABASE_URL: targetOf(db.target.label, { user: USER, password: 'secret' }).url };
  await fill();
  server = await startKwServe(db);
  remote = { KW_URL: server.url, KW_TOKEN: await server.token(USER, '--role', 'writer') };
});
afterAll(async () => {
  await server?.stop();
  await db?.client.query(`DROP OWNED BY ${USER}`);
  await db?.client.query(`DROP ROLE ${USER}`);
  await db?.drop();
});

/** Jobs, what a collector reads, and values of all kinds: aliases of two origins, texts, infinities, labels, late ends. */
async function fill(): Promise<void> {
  const { client } = db;
  const collector = '7d0f6c1e-0000-4000-8000-000000000001';
  await client.query("SELECT kw.ensure_storage('2026-11-20 00:00+00', '2026-11-20 23:00+00')");
  await client.query(
    `INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at, written_up_to, counters)
     VALUES ($1, 'east', 'h', '1', '2026-11-20 09:00+00', now(), '2026-11-20 10:04+00', '{}')`,
    [collector],
  );
  await client.query(
    `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, protocol, unit, seen_at)
     VALUES ($1, 'node-1', 'watts', '', 1000, false, 'snmp', 'W', now()),
            ($1, 'node-2', 'temp', '', 1000, true, 'ipmi', '°C', now()),
            ($1, 'pdu-1', 'outlet', 'node-1', 10000, false, 'snmp', 'W', now()),
            ($1, 'pdu-2', 'outlet', 'node-1', 10000, false, 'snmp', 'W', now())`,
    [collector],
  );
  await client.query(
    `INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped, comment)
     VALUES ('kw', 41, '41', $1, 'stopped', '2026-11-20 10:00+00', '2026-11-20 10:03+00', 'a "comment"'),
            ('kw', 42, '42', $1, 'running', now() - interval '1 hour', NULL, NULL),
            ('oar', 41, '41', 'bob', 'stopped', '2026-11-20 08:00+00', '2026-11-20 09:00+00', NULL)`,
    [USER],
  );
  await client.query(
    `INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
     VALUES ('kw', 41, 'node-1', '2026-11-20 10:00+00', '2026-11-20 10:03+00'),
            ('kw', 41, 'node-2', '2026-11-20 10:01+00', '2026-11-20 10:02+00'),
            ('kw', 42, 'node-1', now() - interval '1 hour', NULL),
            ('oar', 41, 'node-9', '2026-11-20 08:00+00', '2026-11-20 09:00+00')`,
  );
  await client.query(
    `INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
     SELECT '2026-11-20 10:00+00'::timestamptz + make_interval(secs => s + 0.123456), 'node-1', 'watts', s * 1.1, '{}'::jsonb
     FROM generate_series(0, 299) s WHERE s NOT BETWEEN 100 AND 140
     UNION ALL SELECT '2026-11-20 10:00+00'::timestamptz + make_interval(secs => s), 'node-2', 'bytes_total', s * 10 % 700, '{"if": "eth0"}'::jsonb
     FROM generate_series(0, 299) s
     UNION ALL SELECT '2026-11-20 10:00+00'::timestamptz + make_interval(secs => s), 'pdu-1', 'outlet', 100, '{"_device_alias": "node-1"}'::jsonb
     FROM generate_series(0, 290, 10) s
     UNION ALL SELECT '2026-11-20 10:00+00'::timestamptz + make_interval(secs => s + 0.5), 'pdu-2', 'outlet', 50, '{"_device_alias": "node-1"}'::jsonb
     FROM generate_series(0, 200, 10) s
     UNION ALL VALUES ('2026-11-20 10:00:01+00'::timestamptz, 'node-3', 'odd', 'Infinity'::float8, '{"a": "x,\\"y\\""}'::jsonb),
       ('2026-11-20 10:00:02+00', 'node-3', 'odd', '-Infinity', '{}'), ('2026-11-20 10:00:03+00', 'node-3', 'odd', -0.0, '{}'),
       ('2026-11-20 10:00:04+00', 'node-3', 'odd', 5e-324, '{}'),
       ('2026-11-20 10:00:05+00', 'node-3', 'state', 'NaN', '{"value_str": "on\\u001b[2J"}'),
       ('2026-11-20 10:00:06+00', 'node-3', 'state', 'NaN', '{"value_str": "off"}')`,
  );
}

/** As they come from both; equal but for the place of the server in the sentences about it. */
async function both(args: readonly string[], input?: string): Promise<{ here: KwResult; there: KwResult }> {
  const run = (env: Record<string, string>) =>
    runKw(args, { env: { ...env, TZ: 'Europe/Paris' }, ...(input === undefined ? {} : { input }) });
  const [here, there] = await Promise.all([run(local), run(remote)]);
  return { here, there };
}

describe('what is read is the same, byte for byte', () => {
  it.each<[number, string[]]>([
    [0, ['query', ...TIME]],
    [0, ['query', ...TIME, '--limit', '0', '--device', 'node-1']],
    [0, ['query', ...TIME, '--format', 'csv']],
    [0, ['query', ...TIME, '--format', 'json']],
    [0, ['query', ...TIME, '--format', 'ndjson', '--metric', 'w*', '--limit', '7']],
    [0, ['query', '--job', 'kw:41', '--format', 'csv']],
    [0, ['query', '--job', '42', '--device', 'node-2', '--format', 'csv']],
    [
      0,
      ['query', '--device', 'node-2', ...TIME, '--rate', '--every', '10s', '--agg', 'max', '--format', 'csv'],
    ],
    [0, ['query', '--device', 'node-1,node-2', ...TIME, '--wide', '--every', '1m']],
    [0, ['query', '--device', 'node-1,node-2', ...TIME, '--wide', '--format', 'json']],
    [0, ['query', ...TIME, '--summary', '--format', 'csv']],
    [0, ['query', ...TIME, '--label', 'if=eth0', '--limit', '3']],
    [0, ['query', '--device', 'nodd-1', ...TIME]],
    [
      0,
      [
        'query',
        '--from',
        '2026-11-20 11:00',
        '--to',
        '2026-11-20 11:01',
        '--device',
        'node-3',
        '--format',
        'csv',
      ],
    ],
    [0, ['export', 'csv', ...TIME, '--output', '-']],
    [1, ['query', '--job', '41']],
    [1, ['query', '--job', '999']],
    [1, ['query', '--job', 'current']],
    [1, ['query', '--from', 'yesterdax']],
    [2, ['query', ...TIME, '--label', 'nonsense']],
    [1, ['query', '--from', TO, '--to', FROM]],
    [0, ['metrics', '--job', 'kw:41']],
    [0, ['metrics', '--job', 'kw:41', '--json']],
    [0, ['metrics', '--available', '--json']],
    [0, ['job', 'list', '--all']],
    [0, ['job', 'list', '--all', '--limit', '1', '--json']],
    [0, ['job', 'show', '--job', 'kw:41']],
    [0, ['job', 'show', '--job', 'oar:41', '--json']],
    [1, ['job', 'show', '--job', '41', '--json']],
    [0, ['enabled', '--json']],
  ])('exit %i: %j', async (code, args) => {
    const { here, there } = await both(args);
    expect(here.code).toBe(code);
    expect(there).toEqual(here);
    expect(here.stdout + here.stderr).not.toBe('');
  });
});
