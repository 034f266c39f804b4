/** What kw says about answers that are or may be incomplete, and `kw metrics`. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readSql } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/kw.ts';

const COLLECTOR = '00000000-0000-4000-8000-000000000001';

describe('completeness', () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  let day: string;

  beforeAll(async () => {
    db = await testDatabase();
    env = { KW_DATABASE_URL: db.url };
    day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await db.client.query('SELECT kw.ensure_storage($1::timestamptz, $1::timestamptz)', [`${day} 12:00Z`]);
    await db.client.query(
      "INSERT INTO kw.metrics SELECT $1::timestamptz + s * interval '1 s', 'node-1', 'power_watt', 100, '{}' FROM generate_series(0, 60) s",
      [`${day} 10:00Z`],
    );
    await db.client.query(
      "INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped) VALUES ('kw', 5, '5', 'a', 'x', $1, $2)",
      [`${day} 10:00Z`, `${day} 10:01Z`],
    );
    await db.client.query(
      "INSERT INTO kw.job_nodes SELECT 'kw', 5, node, $1, $2 FROM unnest(ARRAY['node-1', 'node-2', 'node-3']) node",
      [`${day} 10:00Z`, `${day} 10:01Z`],
    );
  });
  afterAll(() => db?.drop());

  beforeEach(async () => {
    await db.client.query('TRUNCATE kw.collectors, kw.past_runs, kw.metric_catalogue, kw.device_status');
  });

  async function collector(writtenUpTo: string | null, seenAt = 'now()') {
    await db.client.query(
      `INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at, written_up_to)
       VALUES ($1, 'c1', 'h', '1', now(), ${seenAt}, $2)`,
      [COLLECTOR, writtenUpTo],
    );
  }

  async function configured(
    device: string,
    metric: string,
    {
      optional = false,
      unit = 'W',
      alias = '',
      entry,
    }: { optional?: boolean; unit?: string; alias?: string; entry?: string } = {},
  ) {
    await db.client.query(
      `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, optional, protocol, unit, entry_name)
       VALUES ($1, $2, $3, $4, 1000, $5, $6, $7, $8)`,
      [COLLECTOR, device, metric, alias, optional, entry === undefined ? 'snmp' : 'prometheus', unit, entry],
    );
  }

  async function warnings(...args: string[]): Promise<string[]> {
    const { code, stderr } = await runKw(['query', '--format', 'csv', ...args], { env });
    expect(code).toBe(0);
    return stderr
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '');
  }

  it('warns when collectors have not written up to the end', async () => {
    await collector(`${day} 10:00:59.5Z`);
    await configured('node-1', 'power_watt');
    const lag = `warning: the collector c1 has written up to ${day}T10:00:59.500000+00:00: later values may be missing (--wait 30s waits for them)`;
    const bounds = ['--device', 'node-1', '--from', `${day}T10:00Z`];
    expect(await warnings(...bounds, '--to', `${day}T10:01Z`)).toEqual([lag]);
    expect(await warnings(...bounds, '--to', `${day}T10:00:59.5Z`)).toEqual([]);
    expect(await warnings(...bounds)).toEqual([lag]);
    // Collectors of other devices do not matter.
    await db.client.query("UPDATE kw.metric_catalogue SET device_id = 'elsewhere'");
    expect(await warnings(...bounds, '--to', `${day}T10:01Z`)).toEqual([]);
  });

  it('says up to when an answer up to the present is complete', async () => {
    const upTo = new Date(Date.now() - 1000).toISOString().replace('Z', '000+00:00');
    await collector(upTo);
    await configured('node-1', 'power_watt');
    const remark = `complete up to ${upTo}; what was read since is on its way (--wait 10s waits for it)`;
    expect(await warnings('--device', 'node-1', '--from', `${day}T10:00Z`)).toEqual([remark]);
    await db.client.query(
      "INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started) VALUES ('kw', 6, '6', 'a', 'x', $1)",
      [`${day} 10:00Z`],
    );
    await db.client.query("INSERT INTO kw.job_nodes VALUES ('kw', 6, 'node-1', $1)", [`${day} 10:00Z`]);
    expect(await warnings('--job', '6')).toEqual([remark]);
    expect(await warnings('--job', '6', '--to', `${day}T10:01Z`)).toEqual([]);
    await db.client.query('UPDATE kw.collectors SET written_up_to = now() + $1::interval', ['1 min']);
    expect(await warnings('--job', '6')).toEqual([]);
  });

  it('waits until it is written, at most as long as it is told', async () => {
    await collector(`${day} 10:00:30Z`);
    await configured('node-1', 'power_watt');
    const args = ['--device', 'node-1', '--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`, '--wait'];
    const begun = performance.now();
    expect(await warnings(...args, '1s')).toEqual([
      `warning: the collector c1 has written up to ${day}T10:00:30.000000+00:00: later values may be missing (waited for 1 s)`,
    ]);
    expect(performance.now() - begun).toBeGreaterThan(1000);
    const waiting = warnings(...args, '30s');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await db.client.query('UPDATE kw.collectors SET written_up_to = $1', [`${day} 10:01Z`]);
    expect(await waiting).toEqual([]);
  });

  it('names nodes of a job without rows, with the reason', async () => {
    await collector(`${day} 11:00Z`);
    for (const node of ['node-1', 'node-2']) await configured(node, 'power_watt');
    await db.client.query(
      `INSERT INTO kw.device_status (collector_id, device_id, protocol, up, last_up_at, last_error)
       VALUES ($1, 'node-2', 'snmp', false, $2, 'no answer within 1 s')`,
      [COLLECTOR, `${day} 09:00Z`],
    );
    expect(await warnings('--job', '5')).toEqual([
      `warning: no values of node-2: down since ${day}T09:00:00.000000+00:00 (no answer within 1 s)`,
      'warning: no values of node-3: no device or alias of this name is configured',
    ]);
    await db.client.query("UPDATE kw.collectors SET seen_at = '2026-01-01', stopped_at = '2026-01-01'");
    expect(await warnings('--job', '5')).toEqual([
      'warning: no values of node-2: its collector c1 is not running since 2026-01-01T00:00:00.000000+00:00',
      'warning: no values of node-3: no device or alias of this name is configured',
    ]);
  });

  it('says that a device never answered only where that is known', async () => {
    await collector(`${day} 11:00Z`);
    for (const metric of ['power_watt', 'temperature']) await configured('node-2', metric);
    const publish = (lastUpUs?: number) =>
      db.client.query(readSql('queries/collector_devices'), [
        COLLECTOR,
        JSON.stringify([
          { device: 'node-2', protocol: 'snmp', up: false, lastUpUs, polls: 1, missed: 0, lastError: 'no' },
        ]),
      ]);
    const bounds = ['--device', 'node-1,node-2', '--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`];
    await publish();
    expect(await warnings(...bounds)).toEqual([
      'warning: no values of node-2: it never answered in this time (no)',
    ]);
    expect(await warnings(...bounds, '--metric', 'power_watt')).toEqual([
      'warning: no values of node-2: it does not answer (no)',
    ]);
    await publish(Date.parse(`${day}T09:00Z`) * 1000);
    // Started again, the collector does not know of that any more.
    await publish();
    expect(await warnings(...bounds)).toEqual([
      `warning: no values of node-2: down since ${day}T09:00:00.000000+00:00 (no)`,
    ]);
  });

  it('names metrics without rows, and how to enable them', async () => {
    await collector(`${day} 11:00Z`);
    await configured('node-1', 'power_watt');
    await configured('node-1', 'temperature');
    await configured('node-1', 'fast_watt', { optional: true });
    const bounds = ['--device', 'node-1', '--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`];
    expect(await warnings(...bounds)).toEqual([
      'warning: no temperature of node-1: configured, but without values in this time',
      'warning: no fast_watt of node-1: it is optional and not enabled; kw enable fast_watt --device node-1',
    ]);
    expect(await warnings(...bounds, '--metric', 'fast_watt,power_watt')).toEqual([
      'warning: no fast_watt of node-1: it is optional and not enabled; kw enable fast_watt --device node-1',
    ]);
    expect(await warnings(...bounds, '--label', 'x=y')).toEqual([
      'warning: no power_watt, temperature of node-1: configured, but without values of these labels in this time',
      expect.stringMatching('no fast_watt of node-1'),
      expect.stringMatching('^no rows from '),
      `the last value of node-1, with whatever labels, before that end is of ${day}T10:01:00.000000+00:00: see kw metrics --device node-1`,
    ]);
    // A second says nothing about a metric that is read once a second.
    expect(
      await warnings('--device', 'node-1', '--from', `${day}T10:00Z`, '--to', `${day}T10:00:01Z`),
    ).toEqual([]);
  });

  it('names the times in which a device was silent, unless that is told already', async () => {
    await collector(`${day} 11:00Z`);
    await db.client.query('UPDATE kw.collectors SET started_at = $1', [`${day} 09:00Z`]);
    await configured('node-5', 'temperature');
    await configured('node-5', 'fast_watt', { optional: true });
    await db.client.query('UPDATE kw.metric_catalogue SET since = $1', [`${day} 10:00Z`]);
    await db.client.query(
      `INSERT INTO kw.metrics SELECT $1::timestamptz + s * interval '1 s', 'node-5', metric, 100, '{}'
       FROM generate_series(0, 120) s, unnest(ARRAY['temperature', 'fast_watt', 'pushed']) metric
       WHERE s NOT BETWEEN 21 AND 39 AND s < 100 AND s <> 50`,
      [`${day} 10:00Z`],
    );
    const hole = (from: string, to: string) =>
      `warning: no temperature of node-5 from ${day}T${from}.000000+00:00 to ${day}T${to}.000000+00:00`;
    const of = (from: string, to: string, ...args: string[]) =>
      warnings('--device', 'node-5', '--from', `${day}T${from}Z`, '--to', `${day}T${to}Z`, ...args);
    // Nothing before it was configured, and one missing reading is none.
    expect(await of('09:59', '10:02')).toEqual([hole('10:01:39', '10:02:00'), hole('10:00:20', '10:00:40')]);
    expect(await of('10:00:25', '10:01')).toEqual([hole('10:00:25', '10:00:40')]);
    expect(await of('10:00:40', '10:01:41')).toEqual([]);
    expect(await of('10:00', '10:02', '--metric', 'fast_watt,pushed')).toEqual([]);
    await db.client.query(
      `INSERT INTO kw.device_status (collector_id, device_id, protocol, up, last_up_at, last_error)
       VALUES ($1, 'node-5', 'snmp', false, $2, 'no answer')`,
      [COLLECTOR, `${day} 10:01:39Z`],
    );
    expect(await of('10:00:40', '10:02')).toEqual([
      `${hole('10:01:39', '10:02:00')}: down since ${day}T10:01:39.000000+00:00 (no answer)`,
    ]);
    // It was read at another period once.
    await db.client.query('UPDATE kw.metric_catalogue SET period_ms = 100');
    expect(await of('10:00:40', '10:01:42')).toEqual([]);
    // No collector ran: that is told, and enough.
    await db.client.query('UPDATE kw.metric_catalogue SET period_ms = 1000');
    await db.client.query('UPDATE kw.collectors SET started_at = $1', [`${day} 10:00:40Z`]);
    expect(await of('10:00', '10:01')).toEqual([
      `warning: no collector ran for node-5 from ${day}T10:00:00.000000+00:00 to ${day}T10:00:40.000000+00:00`,
    ]);
  });

  it('names the entry of an optional page, which gives its metrics when it is enabled', async () => {
    await collector(`${day} 11:00Z`);
    await configured('node-1', 'power_watt');
    const page = { optional: true, entry: 'prom_all_metrics' };
    for (const metric of ['prom_all_metrics', 'prom_load1', 'prom_load5'])
      await configured('node-1', metric, page);
    const bounds = ['--device', 'node-1', '--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`];
    const enable = 'kw enable prom_all_metrics --device node-1';
    expect(await warnings(...bounds)).toEqual([
      `warning: no prom_all_metrics of node-1: it is optional and not enabled; ${enable}`,
    ]);
    expect(await warnings(...bounds, '--metric', 'power_watt,prom_load1,prom_load5')).toEqual([
      `warning: no prom_load1, prom_load5 of node-1: they are optional and not enabled; ${enable}`,
    ]);
    const listed = async () => (await runKw(['metrics', '--metric', 'prom_load*'], { env })).stdout;
    expect(await listed()).toBe(
      [
        'metric      unit  period  read      enabled as        devices',
        'prom_load1  W        1 s  optional  prom_all_metrics  node-1',
        'prom_load5  W        1 s  optional  prom_all_metrics  node-1',
        '',
      ].join('\n'),
    );

    const one = await runKw(['enable', 'prom_load1', '--device', 'node-1'], { env });
    expect(one.stderr).toContain('no optional metric of node-1 matches "prom_load1"');
    expect(one.stderr).toContain('prom_all_metrics');
    const all = await runKw(['enable', 'prom_all_metrics', '--device', 'node-1'], { env });
    expect(all.stderr).toContain('enabled prom_all_metrics on node-1 until ');
    expect(await listed()).toMatch(/^prom_load1 +W +1 s +enabled +prom_all_metrics +node-1$/m);
    expect(await warnings(...bounds)).toEqual([
      'warning: no prom_all_metrics, prom_load1, prom_load5 of node-1: optional and enabled now, but without values in this time',
    ]);
    await db.client.query('TRUNCATE kw.promoted_metrics');
  });

  it('says why there is nothing, with near names, and exits 0', async () => {
    await collector(`${day} 11:00Z`);
    await configured('node-1', 'power_watt');
    const bounds = ['--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`];
    expect(await warnings('--device', 'nod-1', ...bounds)).toEqual([
      'warning: no values of nod-1: no device or alias of this name is configured',
      `no rows from ${day}T10:00:00.000000+00:00 to ${day}T10:01:00.000000+00:00`,
      'no device "nod-1" is configured: did you mean node-1?',
    ]);
    expect((await warnings('--device', 'node-1', '--metric', 'powerwatt', ...bounds)).at(-1)).toBe(
      'no metric "powerwatt" is configured: did you mean power_watt?',
    );
    expect(
      (await warnings('--device', 'node-1', '--from', `${day}T12:00Z`, '--to', `${day}T13:00Z`)).at(-1),
    ).toBe(
      `the last value of node-1 before that end is of ${day}T10:01:00.000000+00:00: see kw metrics --device node-1`,
    );
  });

  it('says when an origin of an alias is missing', async () => {
    await collector(`${day} 11:00Z`);
    await configured('pdu-1', 'watt', { alias: 'node-9' });
    await configured('pdu-2', 'watt', { alias: 'node-9' });
    await db.client.query(
      `INSERT INTO kw.metrics SELECT $1::timestamptz + s * interval '1 s', 'pdu-1', 'watt', 100, '{"_device_alias": "node-9"}' FROM generate_series(0, 9) s`,
      [`${day} 10:00Z`],
    );
    expect(await warnings('--device', 'node-9', '--from', `${day}T10:00Z`, '--to', `${day}T10:01Z`)).toEqual([
      'warning: node-9 watt: pdu-2 is missing in 8 of 8 values, which are the sum of the others (see _device_orig)',
    ]);
  });

  it('lists metrics with period, unit, last value and its age', async () => {
    await collector(`${day} 11:00Z`);
    await configured('node-1', 'power_watt');
    await configured('node-1', 'fast_watt', { optional: true });
    await configured('node-2', 'power_watt');
    await db.client.query(
      "INSERT INTO kw.metrics VALUES ($1, 'node-1', 'mine', 'NaN', '{\"value_str\": \"hello\"}')",
      [`${day} 10:00:50Z`],
    );
    expect((await runKw(['metrics', '--job', '5', '--metric', '*_watt'], { env })).stdout).toBe(
      [
        'device  metric      last value  unit  age  period  read',
        'node-1  fast_watt               W             1 s  optional',
        'node-1  power_watt         100  W     0 s     1 s  always',
        'node-2  power_watt              W             1 s  always',
        '',
      ].join('\n'),
    );
    const json = await runKw(['metrics', '--job', '5', '--device', 'node-1', '--metric', 'mine', '--json'], {
      env,
    });
    const unknown = { entry: null, origin: null, description: null, last_value: null };
    expect(JSON.parse(json.stdout)).toEqual({
      metrics: [
        {
          ...unknown,
          device_id: 'node-1',
          metric_id: 'mine',
          state: 'pushed',
          period_ms: null,
          protocol: null,
          unit: null,
          last_at: `${day}T10:00:50.000000+00:00`,
          last_text: 'hello',
        },
      ],
    });
    const available = await runKw(['metrics', '--available', '--json'], { env });
    expect(JSON.parse(available.stdout)).toEqual({
      metrics: [
        {
          ...unknown,
          device_id: 'node-1',
          metric_id: 'fast_watt',
          state: 'optional',
          period_ms: 1000,
          protocol: 'snmp',
          unit: 'W',
          last_at: null,
          last_text: null,
        },
      ],
    });
    await db.client.query(
      "INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at) VALUES ('node-1', 'fast.*', now() + interval '1 hour')",
    );
    expect(JSON.parse((await runKw(['metrics', '--enabled', '--json'], { env })).stdout)).toMatchObject({
      metrics: [{ metric_id: 'fast_watt', state: 'enabled' }],
    });
    expect((await runKw(['metrics'], { env })).stdout).toBe(
      [
        'metric      unit  period  read     devices',
        'fast_watt   W        1 s  enabled  node-1',
        'power_watt  W        1 s  always   node-1, node-2',
        '',
      ].join('\n'),
    );
    await db.client.query('TRUNCATE kw.promoted_metrics');
  });
});
