/** The functions of the schema api, called as PostgREST calls them: Kwollect's rules, and who may do what. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { callPostgrest, type PostgrestAnswer } from '../../support/postgrest.ts';
import type { MetricsRow } from '../../support/readMetrics.ts';

describe.each(testFlavours)('schema api on %s', (flavour) => {
  let db: TestDatabase;
  /** Logged in as the API's own login. */
  let api: pg.Client;
  const reader = { sub: 'alice', role: 'kw_reader' };
  const alice = { sub: 'alice', role: 'kw_writer' };
  const bob = { sub: 'bob', role: 'kw_writer' };

  const get = (name: string, query: Record<string, string> = {}, claims: object | undefined = reader) =>
    callPostgrest(api, { method: 'GET', function: name, query, claims: claims as Record<string, unknown> });
  const post = (name: string, body: unknown, claims: object | undefined = alice) =>
    callPostgrest(api, {
      method: 'POST',
      function: name,
      body: JSON.stringify(body),
      claims: claims as Record<string, unknown>,
    });
  const rows = async (query: Record<string, string>): Promise<string[]> => {
    const { status, body } = await get('get_metrics', query);
    expect({ status, body }).toMatchObject({ status: 200 });
    return (body as MetricsRow[]).map(
      (row) =>
        `${row.timestamp.slice(11)} ${row.device_id} ${row.metric_id} ${row.value} ${JSON.stringify(row.labels)}`,
    );
  };
  const message = ({ status, body }: PostgrestAnswer) => `${status} ${(body as { message: string }).message}`;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    api = await openClient(db.target);
    await api.query("SET timezone = 'UTC'; SET SESSION AUTHORIZATION kw_api");
    await db.client.query(`
      SELECT kw.ensure_storage('2026-11-01', '2026-11-01');
      INSERT INTO kw.metrics VALUES
        ('2026-11-01 10:00:00.123456+00', 'node-1', 'bmc_temp', 40, '{}'),
        ('2026-11-01 10:01:00+00', 'node-1', 'bmc_temp', 'NaN', '{}'),
        ('2026-11-01 10:02:00+00', 'node-1', 'bmc_state', 'NaN', '{"value_str": "on"}'),
        ('2026-11-01 10:03:00+00', 'node-1', 'bmc_temp', 'Infinity', '{}'),
        ('2026-11-01 10:00:00+00', 'pdu-1-port-1', 'watt', 100, '{"_device_alias": "node-1"}'),
        ('2026-11-01 10:00:00+00', 'pdu-2-port-1', 'watt', 50, '{"_device_alias": "node-1"}'),
        ('2026-11-01 10:01:00+00', 'pdu-1-port-1', 'watt', 101, '{"_device_alias": "node-1"}'),
        ('2026-11-01 10:00:00+00', 'switch.main', 'octets_total', 1000, '{"interface": "eth1"}'),
        ('2026-11-01 10:01:00+00', 'switch.main', 'octets_total', 1600, '{"interface": "eth1"}'),
        ('2026-11-01 10:01:00+00', 'switch.main', 'octets_total', 1700, '{"interface": "eth1"}'),
        ('2026-11-01 10:02:00+00', 'switch.main', 'octets_total', 120, '{"interface": "eth1"}'),
        ('2026-11-01 10:03:00+00', 'switch.main', 'octets_total', 'NaN', '{"interface": "eth1"}'),
        ('2026-11-01 10:04:00+00', 'switch.main', 'octets_total', 240, '{"interface": "eth1"}'),
        ('2026-11-01 10:00:00+00', '10.0.0.1', 'temp', 1, '{}');
      SELECT kw.job_start(7, '{node-1,node-2}', 'carol', started => '2026-11-01 10:00:00+00');
      SELECT kw.job_stop(7, stopped => '2026-11-01 10:01:00+00')`);
    await maintain(db.client, flavour);
  });
  afterAll(async () => {
    await api.end();
    await db.drop();
  });

  describe('get_metrics', () => {
    const at10 = { start_time: '2026-11-01T10:00:00Z', end_time: '2026-11-01T10:05:00Z' };

    test('shows a device its own values and, under its alias, the sum of those of the same time', async () => {
      expect(await rows({ devices: 'node-1', ...at10 })).toEqual([
        '10:00:00+00:00 node-1 watt 150 {"_device_orig":["pdu-1-port-1","pdu-2-port-1"]}',
        '10:00:00.123456+00:00 node-1 bmc_temp 40 {}',
        '10:01:00+00:00 node-1 watt 101 {"_device_orig":["pdu-1-port-1"]}',
      ]);
      expect(await rows({ nodes: 'pdu-2-port-1', devices: '', ...at10 })).toEqual([
        '10:00:00+00:00 pdu-2-port-1 watt 50 {}',
      ]);
    });

    test('leaves out what is no number, but shows texts to who names their metric, and all with nan=null', async () => {
      expect(await rows({ devices: 'node-1', metrics: 'bmc_state,bmc_temp', ...at10 })).toEqual([
        '10:00:00.123456+00:00 node-1 bmc_temp 40 {}',
        '10:02:00+00:00 node-1 bmc_state null {"value_str":"on"}',
      ]);
      expect(await rows({ devices: 'node-1', metrics: 'bmc_temp', nan: 'null', ...at10 })).toEqual([
        '10:00:00.123456+00:00 node-1 bmc_temp 40 {}',
        '10:01:00+00:00 node-1 bmc_temp null {}',
        '10:03:00+00:00 node-1 bmc_temp null {}',
      ]);
      expect(message(await get('get_metrics', { devices: 'n', nan: 'x' }))).toBe("400 nan: there is no 'x'");
    });

    test('a job gives nodes and times that are not given; given ones take their place', async () => {
      expect(await rows({ job_id: '7' })).toEqual([
        '10:00:00+00:00 node-1 watt 150 {"_device_orig":["pdu-1-port-1","pdu-2-port-1"]}',
        '10:00:00.123456+00:00 node-1 bmc_temp 40 {}',
        '10:01:00+00:00 node-1 watt 101 {"_device_orig":["pdu-1-port-1"]}',
      ]);
      expect(await rows({ job_id: '7', devices: '10.0.0.1' })).toEqual(['10:00:00+00:00 10.0.0.1 temp 1 {}']);
      expect(await rows({ job_id: '7', metrics: 'bmc_state', end_time: at10.end_time })).toHaveLength(1);
      expect(message(await get('get_metrics', { job_id: '8' }))).toBe('404 there is no job 8');
      expect(message(await get('get_metrics', { start_time: '0' }))).toBe(
        "400 Missing 'devices', 'nodes' or 'job_id' argument",
      );
    });

    test('one missing bound lies 5 minutes beside the other; bounds are included; without any it is now', async () => {
      const temp = { devices: '10.0.0.1' };
      expect(await rows({ ...temp, start_time: '2026-11-01T09:55:00Z' })).toHaveLength(1);
      expect(await rows({ ...temp, start_time: '2026-11-01T09:54:59.999999Z' })).toHaveLength(0);
      expect(await rows({ ...temp, end_time: '2026-11-01T10:05:00Z' })).toHaveLength(1);
      expect(await rows({ ...temp, end_time: '2026-11-01T10:05:00.000001Z' })).toHaveLength(0);
      expect(await rows(temp)).toHaveLength(0);
      await db.client.query(
        "INSERT INTO kw.metrics VALUES (now() - interval '299 s', '10.0.0.1', 'temp', 2, '{}')",
      );
      expect(await rows(temp)).toHaveLength(1);
    });

    test('times are ISO with or without offset and seconds, or epoch seconds; a lost plus is found again', async () => {
      for (const start_time of [
        '2026-11-01T10:00Z',
        '2026-11-01T11:00:00+01:00',
        '2026-11-01T11:00:00 01:00',
        '2026-11-01 10:00',
        '1793527200',
        '1793527200.0',
        '1.7935272e+09',
        '1.7935272e 09',
      ])
        expect(await rows({ devices: '10.0.0.1', start_time }), start_time).toHaveLength(1);
      for (const [start_time, problem] of [
        ['yesterdayish', "start_time: 'yesterdayish' is no time"],
        ["'; DROP TABLE kw.metrics; --", "start_time: '''; DROP TABLE kw.metrics; --' is no time"],
      ] as const)
        expect(message(await get('get_metrics', { devices: 'x', start_time }))).toBe(`400 ${problem}`);
    });

    test('a local time that exists twice or never is refused with both readings', async () => {
      await api.query("SET timezone = 'Europe/Paris'");
      expect(
        (await get('get_metrics', { devices: 'x', start_time: '2026-10-25T02:30:00' })).body,
      ).toMatchObject({
        message: 'start_time: the local time 2026-10-25T02:30:00 exists twice',
        hint: 'write 2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z',
      });
      expect(
        (await get('get_metrics', { devices: 'x', start_time: '2026-03-29T02:30:00' })).body,
      ).toMatchObject({
        message: 'start_time: the local time 2026-03-29T02:30:00 exists never',
        hint: 'write 2026-03-29T00:30:00Z or 2026-03-29T01:30:00Z',
      });
      expect((await get('get_metrics', { devices: 'x', start_time: '2026-10-25T03:30:00' })).status).toBe(
        200,
      );
      await api.query("SET timezone = 'UTC'");
    });

    test('names are cut at their first dot, but not IP addresses and devices of exactly that name', async () => {
      expect(await rows({ devices: 'pdu-2-port-1.lyon.grid5000.fr', ...at10 })).toHaveLength(1);
      expect(await rows({ devices: 'switch.main', ...at10 })).toHaveLength(5);
      expect(await rows({ devices: 'switch.main', start_time: '0', end_time: '60' })).toHaveLength(0);
      expect(await rows({ devices: '10.0.0.1', ...at10 })).toHaveLength(1);
    });

    test('as_rate is the change per second; a fall is a reset', async () => {
      expect(await rows({ devices: 'switch.main', as_rate: 'True', ...at10 })).toEqual([
        expect.stringMatching(
          /^10:01:00\+00:00 switch.main octets_total (10|11.666666666666666) \{"interface":"eth1"\}$/,
        ),
        '10:02:00+00:00 switch.main octets_total 2 {"interface":"eth1"}',
        '10:04:00+00:00 switch.main octets_total 1 {"interface":"eth1"}',
      ]);
    });

    test('summary is of 5 minutes, from the one that a time lies in', async () => {
      const summary = await rows({
        devices: 'node-1,switch.main',
        summary: 'true',
        start_time: '2026-11-01T10:01:00Z',
        end_time: '2026-11-01T10:05:00Z',
      });
      expect(summary.toSorted()).toEqual([
        '10:00:00+00:00 node-1 bmc_temp 40 {}',
        '10:00:00+00:00 node-1 watt 150.5 {"_device_orig":["pdu-1-port-1","pdu-2-port-1"]}',
        '10:00:00+00:00 switch.main octets_total 240 {"interface":"eth1"}',
      ]);
    });

    test('says the same to a POST, whose arguments come out of a JSON object', async () => {
      const { body } = await post(
        'get_metrics',
        {
          job_id: 7,
          metrics: 'watt',
          summary: false,
          start_time: 1793527200,
          end_time: '2026-11-01T10:00:30Z',
        },
        reader,
      );
      expect((body as MetricsRow[]).map(({ value }) => value)).toEqual([150]);
    });

    test('values are bound: SQL in any argument is a name that nobody has', async () => {
      const attack = "x'; DROP TABLE kw.metrics; --";
      for (const name of ['devices', 'nodes', 'metrics']) {
        expect((await get('get_metrics', { devices: 'y', [name]: attack })).body).toEqual([]);
      }
      expect((await db.client.query('SELECT count(*)::int > 0 AS there FROM kw.metrics')).rows).toEqual([
        { there: true },
      ]);
    });
  });

  test('available_metrics lists what devices had in the minute before, nodes first, by number', async () => {
    await db.client.query(`
      INSERT INTO kw.metrics SELECT '2026-11-01 12:00:30+00', d, m, 1, l::jsonb FROM (VALUES
        ('taurus-10', 'b', '{}'), ('taurus-10', 'a', '{}'), ('taurus-9', 'a', '{}'), ('nova-1', 'a', '{}'),
        ('sw-port-1', 'a', '{}'), ('sw-port-2', 'a', '{}'), ('wattmetre1-port3', 'watt', '{"_device_alias": "nova-1"}')
      ) AS s (d, m, l)`);
    const list = async (query: Record<string, string>) =>
      ((await get('available_metrics', query)).body as MetricsRow[]).map(
        (row) => `${row.device_id} ${row.metric_id}`,
      );
    expect(await list({ at: '2026-11-01T12:01:00Z' })).toEqual([
      'nova-1 a',
      'nova-1 watt',
      'taurus-9 a',
      'taurus-10 a',
      'taurus-10 b',
      'sw-port-1 a',
      'sw-port-2 a',
      'wattmetre1-port3 watt',
    ]);
    expect(
      await list({ at: '2026-11-01T12:01:00Z', params: '{"devices": ["taurus-9.site.fr", "nova-1"]}' }),
    ).toEqual(['nova-1 a', 'nova-1 watt', 'taurus-9 a']);
    expect(await list({ at: '2026-11-01T12:00:30Z' })).toEqual([]);
    expect(await list({ at: '2026-11-01T13:00:00Z', params: '{"job_id": 7}' })).toEqual(['node-1 bmc_temp']);
    expect(await list({})).not.toContain('nova-1 a');
    expect(message(await get('available_metrics', { params: '{"devices": "x"}' }))).toBe(
      '400 Cannot parse params->devices, should be JSON array',
    );
  });

  describe('writing', () => {
    beforeEach(async () => {
      await db.client.query(`
        DELETE FROM kw.jobs WHERE job_id <> 7;
        DELETE FROM kw.promoted_metrics; DELETE FROM kw.metric_catalogue;
        DELETE FROM kw.metrics WHERE labels ? '_pushed_by'; TRUNCATE kw.pushed_label_sets;
        SELECT kw.job_start(1, '{node-1,node-2}', 'alice'), kw.job_start(2, '{node-3}', 'bob')`);
    });
    const stored = async () =>
      (
        await db.client.query(
          "SELECT device_id, labels FROM kw.metrics WHERE labels ? '_pushed_by' ORDER BY 1",
        )
      ).rows;
    const foreign =
      'no device of yours: neither one of your token nor a node of a job of yours that runs now';

    test('insert_metrics stores one object or all of an array, and answers the rows', async () => {
      const one = await post('insert_metrics', {
        device_id: 'node-1',
        metric_id: 'mine',
        value: 42,
        timestamp: 1793527200.5,
        labels: { run: 3, _device_alias: 'node-3' },
      });
      expect(one).toEqual({
        status: 200,
        body: [
          {
            timestamp: '2026-11-01T10:00:00.5+00:00',
            device_id: 'node-1',
            metric_id: 'mine',
            value: 42,
            labels: { run: '3', _pushed_by: 'alice' },
          },
        ],
      });
      const many = await post('insert_metrics', [
        { device_id: 'node-1', metric_id: 'mine', value: '1e3' },
        { device_id: 'node-2', metric_id: 'mine', labels: { value_str: 'on' } },
      ]);
      expect(many.status).toBe(200);
      expect(await stored()).toEqual([
        { device_id: 'node-1', labels: { run: '3', _pushed_by: 'alice' } },
        { device_id: 'node-1', labels: { _pushed_by: 'alice' } },
        { device_id: 'node-2', labels: { value_str: 'on', _pushed_by: 'alice' } },
      ]);
    });

    test('one bad row keeps all out, and is named', async () => {
      const good = { device_id: 'node-1', metric_id: 'mine', value: 1 };
      for (const [bad, reason] of [
        [{ ...good, device_id: 'node-3' }, foreign],
        [{ ...good, value: 'x' }, 'the value is no number; a text goes into the label value_str'],
        [{ ...good, value: null }, 'there is no value'],
        [{ ...good, timestamp: 'x' }, "timestamp: 'x' is no time"],
        [
          { ...good, timestamp: 1793527200000 },
          'the timestamp lies too far in the future (milliseconds instead of seconds?)',
        ],
        [{ ...good, labels: [] }, 'labels is no JSON object'],
        [
          { ...good, more: 1 },
          'there is no column more: columns are timestamp, device_id, metric_id, value, labels',
        ],
        [{ metric_id: 'mine', value: 1 }, 'device_id is no text'],
        [7, 'it is no JSON object'],
      ] as const)
        expect(message(await post('insert_metrics', [good, bad]))).toBe(
          `400 row 1 of 2 cannot be stored: ${reason}; nothing was stored`,
        );
      expect(await stored()).toEqual([]);
    });

    test('a token names devices and metrics, in full or by their beginning; it is no regular expression', async () => {
      const token = { ...alice, devices: ['pdu-1', 'rack-7-*'], metrics: ['alice_.*', 'exact', '(a+)+$'] };
      const push = async (device_id: string, metric_id: string) =>
        message(await post('insert_metrics', { device_id, metric_id, value: 1 }, token));
      for (const [device, metric] of [
        ['pdu-1', 'alice_watt'],
        ['rack-7-pdu', 'exact'],
        ['node-1', 'exact'],
        ['node-1', '(a+)+$'],
      ] as const)
        expect(await push(device, metric), `${device} ${metric}`).toBe('200 undefined');
      const notAllowed =
        '400 row 0 of 1 cannot be stored: your token does not allow this metric; nothing was stored';
      for (const metric of ['exactly', 'bob_watt', 'aaaa', 'Alice_'])
        expect(await push('pdu-1', metric)).toBe(notAllowed);
      for (const device of ['pdu-2', 'rack-8-pdu', 'node-3'])
        expect(await push(device, 'exact')).toBe(
          `400 row 0 of 1 cannot be stored: ${foreign}; nothing was stored`,
        );
      for (const metrics of ['alice_.*', {}, 7, []])
        expect(
          message(
            await post(
              'insert_metrics',
              { device_id: 'node-1', metric_id: 'alice_', value: 1 },
              { ...alice, metrics },
            ),
          ),
        ).toBe(notAllowed);
    });

    test('who may not write, and nobody, cannot; a token without a name is nobody', async () => {
      const row = { device_id: 'node-1', metric_id: 'mine', value: 1 };
      expect((await post('insert_metrics', row, reader)).status).toBe(403);
      expect(
        (await callPostgrest(api, { method: 'POST', function: 'insert_metrics', body: JSON.stringify(row) }))
          .status,
      ).toBe(401);
      expect(message(await post('insert_metrics', row, { role: 'kw_writer' }))).toBe(
        '403 nobody said who you are',
      );
      expect(
        message(
          await post('enable_metrics', { metrics: 'x', devices: 'node-1' }, { role: 'kw_writer', sub: '' }),
        ),
      ).toBe('403 nobody said who you are');
    });

    test('enabling reaches the nodes of running jobs of the caller only', async () => {
      expect(await post('enable_metrics', { metrics: 'watt.*', job_id: 1 })).toEqual({
        status: 200,
        body: ['node-1', 'node-2'].map((device_id) => ({
          device_id,
          metric_id: 'watt.*',
          job_id: 1,
          source: 'kw',
          expires_at: null,
        })),
      });
      expect(
        (await post('enable_metrics', { metrics: 'x', nodes: 'node-1.lyon.fr', seconds: 60 })).body,
      ).toMatchObject([{ device_id: 'node-1', metric_id: 'x', job_id: null }]);
      expect(message(await post('enable_metrics', { metrics: 'x', job_id: 2 }))).toBe(
        '403 job 2 belongs to another user',
      );
      expect(message(await post('enable_metrics', { metrics: 'x', devices: 'node-3' }))).toBe(
        '403 not a node of a job of yours now: node-3',
      );
      expect(
        message(await post('enable_metrics', { metrics: 'x', job_id: 7 }, { ...alice, sub: 'carol' })),
      ).toBe('404 job 7 of source kw does not run');
      expect(message(await post('enable_metrics', { metrics: 'x', job_id: 99 }))).toBe(
        '404 job 99 of source kw does not run',
      );
      expect((await post('disable_metrics', { metrics: 'watt.*', job_id: 1 }, bob)).body).toBe(0);
      expect((await post('disable_metrics', { metrics: 'watt.*', job_id: 1 })).body).toBe(2);
      expect((await post('update_promoted_metrics', {})).body).toEqual([
        { device_id: 'node-1', metric_id: 'x' },
      ]);
      expect((await post('disable_metrics', {})).body).toBe(1);
      expect((await post('update_promoted_metrics', {}, reader)).status).toBe(403);
    });
  });

  test('jobs lists those that run, or one, or all', async () => {
    const list = async (query: Record<string, string>) =>
      ((await get('jobs', query)).body as { job_id: number; owner: string; nodes: string[] }[]).map(
        (job) => `${job.job_id} ${job.owner} ${job.nodes.join()}`,
      );
    expect(await list({})).toEqual(['2 bob node-3', '1 alice node-1,node-2']);
    expect(await list({ all_states: 'true' })).toHaveLength(3);
    expect(await list({ job_id: '7' })).toEqual(['7 carol node-1,node-2']);
    expect(await list({ all_states: 'true', owner: 'carol', max_jobs: '1' })).toHaveLength(1);
    expect(await list({ job_id: '99' })).toEqual([]);
  });

  describe('who sees what', () => {
    test('nobody sees anything, unless the site lets anonymous callers read', async () => {
      const anonymous = async () => {
        const found: number[] = [];
        for (const [name, query] of [
          ['get_metrics', { job_id: '7' }],
          ['get_metrics', { job_id: '99' }],
          ['available_metrics', {}],
          ['jobs', {}],
        ] as const)
          found.push((await callPostgrest(api, { method: 'GET', function: name, query })).status);
        return found;
      };
      expect(await anonymous()).toEqual([401, 401, 401, 401]);
      await api.query('SET ROLE kw_anon');
      for (const list of ['kw.listed_jobs(true, NULL, 10)', 'kw.job_nodetimes(7)'])
        expect((await api.query(`SELECT FROM ${list}`)).rows).toEqual([]);
      await api.query('RESET ROLE');
      await db.client.query("UPDATE kw.settings SET value = 'true' WHERE name = 'anonymous_read'");
      expect(await anonymous()).toEqual([200, 404, 200, 200]);
      await db.client.query("UPDATE kw.settings SET value = 'false' WHERE name = 'anonymous_read'");
      expect(await anonymous()).toEqual([401, 401, 401, 401]);
    });

    test('with own_jobs a caller sees the nodes of its own jobs, an admin all', async () => {
      await db.client.query("UPDATE kw.settings SET value = '\"own_jobs\"' WHERE name = 'read_scope'");
      const see = async (sub: string, role = 'kw_reader') => {
        const claims = { sub, role };
        const at = {
          devices: 'node-1,10.0.0.1,pdu-1-port-1',
          start_time: '2026-11-01T10:00:00Z',
          end_time: '2026-11-01T10:05:00Z',
        };
        const { body } = await get('get_metrics', at, claims);
        const jobs = (await get('jobs', { all_states: 'true' }, claims)).body as { job_id: number }[];
        return [(body as MetricsRow[]).length, jobs.map(({ job_id }) => job_id)];
      };
      expect(await see('carol')).toEqual([5, [7]]);
      expect(await see('carol', 'kw_writer')).toEqual([5, [7]]);
      expect(await see('bob')).toEqual([0, [2]]);
      expect(await see('root', 'kw_admin')).toEqual([6, [2, 1, 7]]);
      expect(message(await get('get_metrics', { job_id: '7' }, { sub: 'bob', role: 'kw_reader' }))).toBe(
        '404 there is no job 7',
      );
      await db.client.query("UPDATE kw.settings SET value = '\"all\"' WHERE name = 'read_scope'");
    });

    test('every function of api runs as its caller, with a search path of its own, and is closed to PUBLIC', async () => {
      const { rows: found } = await db.client.query(`
        SELECT p.oid::regprocedure::text AS name FROM pg_proc p
        WHERE p.pronamespace = 'api'::regnamespace AND (p.prosecdef
          OR NOT coalesce(p.proconfig::text LIKE '%search_path=pg_catalog, pg_temp%', false)
          OR has_function_privilege('public', p.oid, 'EXECUTE') OR p.proowner <> 'kw_owner'::regrole)`);
      expect(found).toEqual([]);
    });
  });
});
