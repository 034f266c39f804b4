/** Every command gives the same through `kw serve` as on the database: standard output, standard error, exit code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, targetOf, testDatabase } from '../../support/database.ts';
import { type KwResult, runKw } from '../../support/kw.ts';
import { type Serve, startServe } from '../../support/serve.ts';

const FROM = '2026-11-20T10:00:00Z';
const TO = '2026-11-20T10:05:00Z';
const TIME = ['--from', FROM, '--to', TO];
/** A login of the database, and the user of a token: the same person. */
const USER = `alice_${process.pid}`;

let db: TestDatabase;
let server: Serve;
let remote: Record<string, string>;
let local: Record<string, string>;

beforeAll(async () => {
  db = await testDatabase();
  await db.client.query(`CREATE ROLE ${USER} LOGIN PASSWORD 'secret' IN ROLE kw_reader, kw_writer`);
  local = { KW_DATABASE_URL: targetOf(db.target.label, { user: USER, password: 'secret' }).url };
  await fill();
  server = await startServe({ database: db.url });
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
    [1, ['query', '--job', 'current']],
    [1, ['query', '--from', 'yesterdax']],
    [2, ['query', ...TIME, '--label', 'nonsense']],
    [1, ['query', '--from', TO, '--to', FROM]],
    [0, ['metrics', '--job', 'kw:41']],
    [0, ['metrics', '--job', 'kw:41', '--json']],
    [0, ['job', 'list', '--all']],
    [0, ['job', 'list', '--all', '--limit', '1', '--json']],
    [0, ['job', 'show', '--job', 'kw:41']],
    [0, ['job', 'show', '--job', 'oar:41', '--json']],
    [0, ['enabled', '--json']],
  ])('exit %i: %j', async (code, args) => {
    const { here, there } = await both(args);
    expect(here.code).toBe(code);
    expect(there).toEqual(here);
    expect(here.stdout + here.stderr).not.toBe('');
  });
});

describe('who does not say who they are', () => {
  const nobody = () => ({ KW_URL: server.url, TZ: 'Europe/Paris' });
  const setAnonymousRead = (read: boolean) =>
    db.client.query("UPDATE kw.settings SET value = $1 WHERE name = 'anonymous_read'", [String(read)]);

  it.each<string[]>([
    ['query', ...TIME, '--format', 'csv'],
    ['query', ...TIME, '--device', 'node-1', '--every', '1m'],
    ['query', ...TIME, '--summary', '--format', 'csv'],
    ['query', '--job', 'kw:41', '--format', 'json'],
    ['query', '--device', 'nodd-1', ...TIME],
    ['export', 'csv', ...TIME, '--output', '-'],
    ['metrics', '--job', 'kw:41'],
    ['metrics', '--json'],
    ['job', 'list', '--all'],
    ['job', 'show', '--job', 'oar:41', '--json'],
    ['enabled'],
  ])('reads as users do where the site lets anybody: %j', async (...args) => {
    await setAnonymousRead(true);
    const [known, unknown] = await Promise.all([
      runKw(args, { env: { ...remote, TZ: 'Europe/Paris' } }),
      runKw(args, { env: nobody() }),
    ]);
    expect(unknown).toEqual(known);
    expect(known.code).toBe(0);
    expect(known.stdout + known.stderr).not.toBe('');
  });

  it('changes nothing there, and elsewhere reads nothing', async () => {
    const refused = {
      code: 1,
      stdout: '',
      stderr:
        `kw: the server ${server.url} wants to know who you are\n` +
        '    set KW_TOKEN; who runs the server makes tokens with kw token create\n',
    };
    const writing = [
      ['push', 'my_metric', '1', '--device', 'node-1'],
      ['delete', 'my_metric', '--device', 'node-1', ...TIME],
      ['enable', 'temp', '--job', '42', '--force', '--timeout', '30s'],
      ['disable', '--all', '--timeout', '30s'],
      ['job', 'start', '--job', '79', '--nodes', 'node-1', '--timeout', '30s'],
      ['job', 'stop', '--job', '42', '--timeout', '30s'],
    ];
    await setAnonymousRead(true);
    for (const args of writing) expect(await runKw(args, { env: nobody() })).toEqual(refused);
    await setAnonymousRead(false);
    for (const args of [['query', ...TIME], ['metrics'], ['job', 'list'], ['enabled']])
      expect(await runKw(args, { env: nobody() })).toEqual(refused);
  });
});

describe('what is changed, and what is said of it, is the same', () => {
  const PUSHED =
    "SELECT device_id, metric_id, value, labels FROM kw.metrics WHERE metric_id LIKE 'my_%' ORDER BY 1, 2, 3";
  const JOB = 'SELECT source, owner, state, comment, stopped IS NULL AS runs FROM kw.jobs WHERE job_id = 77';
  const ENABLED = 'SELECT device_id, metric_id, job_id, owner FROM kw.promoted_metrics ORDER BY 1, 2';
  const rowsOf = async (sql: string) => (await db.client.query(sql)).rows;

  /** Without a terminal these give up after a second, which a busy machine may need. */
  const patient = (args: readonly string[]) =>
    /^(?:enable|disable|start|stop)$/.test(args[args[0] === 'job' ? 1 : 0] ?? '')
      ? [...args, '--timeout', '30s']
      : [...args];

  /** Runs them one after the other on the database, then through the server from the same state on. */
  async function twice(undo: string, sql: string, commands: readonly { args: string[]; input?: string }[]) {
    const results: unknown[] = [];
    for (const env of [local, remote]) {
      const said: unknown[] = [];
      for (const { args, input = '' } of commands) {
        said.push(await runKw(patient(args), { env, input }), await rowsOf(sql));
      }
      results.push(said);
      await db.client.query(undo);
    }
    expect(results[1]).toEqual(results[0]);
    return results[1] as [KwResult, unknown[]];
  }

  it('for pushes and deletes', async () => {
    const rows = [
      '{"metric_id": "my_a", "device_id": "node-1", "value": 1.5, "labels": {"run": 3, "_x": "y"}}',
      '{"metric_id": "my_b", "device_id": "node-1", "value": "NaN"}',
      '{"metric_id": "my_c", "device_id": "node-9", "value": 2}',
      '{"metric_id": "watts", "device_id": "node-1", "value": 2}',
      'nonsense',
      '{"metric_id": "my_d", "device_id": "node-1", "value": -0.0, "timestamp": 1}',
    ].join('\n');
    const [first] = await twice("DELETE FROM kw.metrics WHERE metric_id LIKE 'my_%'", PUSHED, [
      { args: ['push'], input: rows },
      { args: ['push', '--all-or-nothing', '--json'], input: rows },
      { args: ['push', 'my_e', '4e-324', '--device', 'node-1', '--all-or-nothing'] },
      { args: ['push', '--format', 'csv', '--json'], input: 'metric_id,value\nmy_f,1\n' },
      { args: ['delete', 'my_a,my_e', '--device', 'node-1', '--label', 'run=3'] },
      { args: ['delete', 'my_a,my_e', '--yes', '--json'] },
    ]);
    expect(first).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('stored 2 values, refused 4 lines'),
    });
  });

  it('for optional metrics', async () => {
    const [first] = await twice('DELETE FROM kw.promoted_metrics', ENABLED, [
      { args: ['enable', 'outl.*', '--job', '42', '--force'] },
      { args: ['enable', 'tmep', '--job', '42'] },
      { args: ['enable', 'te(mp', '--job', '42'] },
      { args: ['enable', 'watts', '--device', 'node-1', '--json'] },
      { args: ['enabled'] },
      { args: ['disable', 'temp', '--job', '42'] },
      { args: ['disable', '--all', '--json'] },
      { args: ['disable', '--device', 'node-1'] },
    ]);
    expect(first).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^enabled outl\.\* on node-1 until job 42 ends/),
    });
  });

  it('for jobs', async () => {
    await db.client.query("UPDATE kw.settings SET value = 'true' WHERE name = 'users_start_jobs'");
    const [first] = await twice('DELETE FROM kw.jobs WHERE job_id = 77', JOB, [
      {
        args: [
          'job',
          'start',
          '--job',
          '77',
          '--nodes',
          'node-[1-2].site.org',
          '--enable',
          'temp',
          '--enable',
          'nope',
        ],
      },
      { args: ['job', 'start', '--job', '77', '--nodes', 'node-1', '--comment', 'x', '--json'] },
      { args: ['job', 'stop', '--job', '77', '--nodes', 'node-2'] },
      { args: ['job', 'stop', '--job', '77'] },
      { args: ['job', 'stop', '--job', '77', '--json'] },
      { args: ['job', 'stop', '--job', '78'] },
    ]);
    expect(first).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('job 77 runs on node-[1-2].site.org\n'),
    });
  });

  it('for a job whose patterns the database refuses: it starts, and the others are enabled', async () => {
    const limit = (most: number) =>
      db.client.query("UPDATE kw.settings SET value = $1 WHERE name = 'promotions_per_device'", [
        String(most),
      ]);
    const before = await rowsOf("SELECT value FROM kw.settings WHERE name = 'promotions_per_device'");
    await db.client.query("UPDATE kw.settings SET value = 'true' WHERE name = 'users_start_jobs'");
    await limit(1);
    const start = ['job', 'start', '--job', '77', '--nodes', 'node-2'];
    const enable = ['temp', 'te.*', 'te(mp', 'temp'].flatMap((pattern) => ['--enable', pattern]);
    // Of users' jobs nobody obeys the comment.
    const monitor = ['--monitor', '--comment', 'monitor=te'];
    const undo = 'DELETE FROM kw.promoted_metrics; DELETE FROM kw.jobs WHERE job_id = 77';
    const state = `SELECT stopped IS NULL AS runs, device_id, metric_id
      FROM kw.jobs LEFT JOIN kw.promoted_metrics USING (source, job_id) WHERE job_id = 77`;
    const said: unknown[] = await twice(undo, state, [
      { args: [...start, ...monitor] },
      { args: [...start, ...enable] },
      { args: [...start, ...enable, ...monitor, '--json'] },
    ]);
    await limit(Number(before[0]?.value));
    expect(said.slice(0, 4)).toEqual([
      {
        code: 1,
        stdout: '',
        stderr: `job 77 runs on node-2
kw: "te" is not enabled: you are not allowed to (ask an administrator for the role that this needs)
`,
      },
      [{ runs: true, device_id: null, metric_id: null }],
      {
        code: 1,
        stdout: '',
        stderr: `job 77 runs on node-2 already
enabled temp on node-2 until job 77 ends
enabled temp on node-2 until job 77 ends
kw: "te.*" is not enabled: 1 patterns are enabled on node-2 already, and more are not allowed (disable some, or write one pattern for several metrics: kw enabled shows them)
kw: "te(mp" is not enabled: the pattern "te(mp" is not a regular expression that kw can match: missing closing ) "te(mp" (patterns are regular expressions of RE2, see https://github.com/google/re2/wiki/Syntax)
`,
      },
      [{ runs: true, device_id: 'node-2', metric_id: 'temp' }],
    ]);
  });
});
