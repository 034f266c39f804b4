/** Every statement of the dashboards, as Grafana would send it, by a login that may only read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import {
  dashboardFiles,
  expandQuery,
  type GrafanaContext,
  type GrafanaQuery,
  queriesOf,
  readDashboard,
} from '../../support/grafana.ts';

const queries = dashboardFiles.flatMap((file) => queriesOf(readDashboard(file)));

function queryOf(of: string): GrafanaQuery {
  const found = queries.find((query) => query.of === of);
  if (!found) throw new Error(`no ${of}: ${queries.map((query) => query.of).join('; ')}`);
  return found;
}

const HOUR_MS = 3_600_000;

describe.each(testFlavours)('the dashboards on %s', (flavour) => {
  let db: TestDatabase;
  let grafana: pg.Client;
  /** A full hour, two hours ago: the data end there. */
  const end = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS);
  const ago = (ms: number) => new Date(end.getTime() - ms);

  const context = (options: Partial<GrafanaContext> = {}): GrafanaContext => ({
    from: ago(HOUR_MS),
    to: end,
    intervalMs: 60_000,
    ...options,
    variables: {
      job: '',
      device: ['node-1'],
      metric: ['power_watt'],
      show: ['mean'],
      detail: 'auto',
      ...options.variables,
    },
  });

  async function run(query: GrafanaQuery, options: Partial<GrafanaContext> = {}) {
    return grafana.query(expandQuery(query.sql, context(options)));
  }

  /** Rows of a chart as `HH:MM:SS series value`. */
  async function chart(of: string, options: Partial<GrafanaContext> = {}) {
    const { rows } = await run(queryOf(of), options);
    return rows.map(
      ({ time, metric, value }) =>
        `${new Date(time).toISOString().slice(11, 19)} ${metric} ${Number(value.toFixed(6))}`,
    );
  }

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    const { client } = db;
    await client.query('SELECT kw.ensure_storage($1, now())', [ago(40 * HOUR_MS)]);
    await client.query("SELECT set_config('test.end', $1, false)", [end]);
    await client.query(readFileSync(join(import.meta.dirname, '../../fixtures/grafana.sql'), 'utf8'));
    await maintain(client, flavour);
    await client.query('ANALYZE');
    grafana = await openClient(db.target);
    await grafana.query('SET SESSION AUTHORIZATION kw_reader');
  });
  afterAll(async () => {
    await grafana?.end();
    await db?.drop();
  });

  it.each(queries)('$of has the columns that Grafana needs, and rows', async (query) => {
    const at = {
      variables: { job: 'kw/7', metric: query.of.startsWith('kw-cluster') ? 'power_watt' : ['power_watt'] },
    };
    const time = query.of.startsWith('kw-cluster, bargauge') ? { from: ago(0), to: new Date() } : {};
    const { fields, rows } = await run(query, { ...time, ...at });
    const types = Object.fromEntries(fields.map(({ name, dataTypeID }) => [name, dataTypeID]));
    if (query.format === 'time_series') {
      // timestamptz, text, and a number.
      expect(Object.keys(types)).toEqual(['time', 'metric', 'value']);
      expect(types).toMatchObject({ time: 1184, metric: 25 });
      expect([20, 23, 701]).toContain(types.value);
      const times = rows.map((row) => Date.parse(row.time));
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
    if (query.kind === 'annotation') expect(Object.keys(types)).toEqual(['time', 'timeend', 'text', 'tags']);
    if (query.kind === 'variable')
      expect([['__value', '__text'], ['device'], ['metric_id']]).toContainEqual(Object.keys(types));
    expect(rows).not.toEqual([]);
  });

  const DEVICES = 'kw-devices, timeseries $metric';
  const JOB = 'kw-job, timeseries $metric';
  const minutes = (n: number) => n * 60_000;
  /** `HH:MM` so many minutes before the end. */
  const clock = (n: number) => ago(minutes(n)).toISOString().slice(11, 16);

  it('draw the mean of what falls on a pixel, and its least and greatest value where they are asked for', async () => {
    const range = { from: ago(minutes(34)), to: ago(minutes(26)), intervalMs: minutes(5) };
    expect(await chart(DEVICES, range)).toEqual([
      `${clock(35)}:00 node-1 power_watt 100`,
      `${clock(30)}:00 node-1 power_watt 180`,
    ]);
    expect((await chart(DEVICES, { ...range, variables: { show: ['min', 'max'] } })).sort()).toEqual(
      [
        `${clock(30)}:00 node-1 power_watt max 500`,
        `${clock(30)}:00 node-1 power_watt min 100`,
        `${clock(35)}:00 node-1 power_watt max 100`,
        `${clock(35)}:00 node-1 power_watt min 100`,
      ].sort(),
    );
  });

  it('draw counters as values per second, over a reset too', async () => {
    const range = { from: ago(minutes(3)), to: ago(minutes(-2)) };
    // 120 a minute; at the full hour the counter begins at 0 again.
    expect(await chart(DEVICES, { ...range, variables: { metric: ['network_bytes_total'] } })).toEqual([
      `${clock(2)}:00 node-1 network_bytes_total {device=eth0} 2`,
      `${clock(1)}:00 node-1 network_bytes_total {device=eth0} 2`,
      `${clock(0)}:00 node-1 network_bytes_total {device=eth0} 0`,
    ]);
  });

  it('draw counters from the summary at the same rate', async () => {
    const range = { from: ago(26 * HOUR_MS), to: end, intervalMs: minutes(30) };
    const lines = await chart(DEVICES, { ...range, variables: { metric: ['network_bytes_total'] } });
    // Of a counter that is reset every half hour: what it counted since, 29 of 30 minutes, less what the summary cannot see.
    expect(lines.length).toBeGreaterThan(45);
    for (const line of lines.slice(1, -1)) expect(Number(line.split(' ').at(-1))).toBeCloseTo(1.93, 1);
  });

  it('take the summary beyond 12 hours, raw values up to there, or what the variable says', async () => {
    const read = async (options: Partial<GrafanaContext>) => {
      const { rows } = await grafana.query(
        `EXPLAIN (VERBOSE) ${expandQuery(queryOf(DEVICES).sql, context(options))}`,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };
    const long = { from: ago(13 * HOUR_MS), to: end };
    const short = { from: ago(12 * HOUR_MS), to: end };
    const isRaw = (plan: string) => !/summary_stored|_materialized_hypertable|_hyper_(?!1_)/.test(plan);
    expect(isRaw(await read(short))).toBe(true);
    expect(isRaw(await read(long))).toBe(false);
    expect(isRaw(await read({ ...long, variables: { detail: 'raw' } }))).toBe(true);
    expect(isRaw(await read({ ...short, variables: { detail: 'summary' } }))).toBe(false);
  });

  it('keep a peak that the summary has', async () => {
    const range = { from: ago(26 * HOUR_MS), to: end, intervalMs: HOUR_MS, variables: { show: ['max'] } };
    const lines = await chart(DEVICES, range);
    expect(lines.filter((line) => line.endsWith(' 500'))).toEqual([
      `${clock(60)}:00 node-1 power_watt max 500`,
    ]);
    expect(lines.length).toBeGreaterThan(25);
  });

  it('add up the supplies of a node, and leave out a moment in which one was silent', async () => {
    const range = {
      from: ago(minutes(43)),
      to: ago(minutes(37)),
      // Narrower than the period: then a bucket is as wide as the period, or one supply would always be missing.
      intervalMs: 1000,
      variables: { metric: ['pdu_outlet_power_watt'] },
    };
    expect(await chart(DEVICES, range)).toEqual(
      [43, 42, 41, 39, 38].map((n) => `${clock(n)}:00 node-1 pdu_outlet_power_watt {outlet=3} 150`),
    );
    const ofOne = await chart(DEVICES, { ...range, variables: { ...range.variables, device: ['pdu-1'] } });
    expect(ofOne[0]).toBe(`${clock(43)}:20 pdu-1 pdu_outlet_power_watt {outlet=3} 50`);
  });

  it('show a job while it had its nodes, and not the job of another scheduler', async () => {
    const of = async (job: string) => {
      const lines = await chart(JOB, { variables: { job, device: ['node-1', 'node-2'] } });
      return [lines.length, lines[0], lines.at(-1)];
    };
    const node1 = [31, `${clock(50)}:00 node-1 power_watt 100`, `${clock(20)}:00 node-1 power_watt 100`];
    expect(await of('kw/7')).toEqual(node1);
    const node2 = await of('slurm/7');
    expect(node2).toEqual([
      31,
      `${clock(30)}:00 node-2 power_watt 510`,
      `${clock(0)}:00 node-2 power_watt 110`,
    ]);
    expect((await of('7'))[0]).toBe(62);
    expect(await of('kw/8')).toEqual([0, undefined, undefined]);
    expect(await of('seven')).toEqual([0, undefined, undefined]);
  });

  it('offer jobs, devices and metrics', async () => {
    const offered = async (of: string, variables: GrafanaContext['variables'] = {}) =>
      (await run(queryOf(of), { variables })).rows.map((row) => Object.values(row).join(' = '));
    expect(await offered('kw-devices, variable job')).toEqual([
      ' = none',
      'slurm/7 = 7_1 bob running (slurm)',
      'kw/7 = 7 alice (kw)',
    ]);
    expect(await offered('kw-devices, variable device')).toEqual(['node-1', 'node-2', 'pdu-1', 'pdu-2']);
    expect(await offered('kw-job, variable device', { job: 'kw/7' })).toEqual(['node-1']);
    expect(await offered('kw-devices, variable metric')).toEqual([
      'my_progress',
      'network_bytes_total',
      'pdu_outlet_power_watt',
      'power_watt',
    ]);
    expect(await offered('kw-devices, variable metric', { device: ['pdu-2'] })).toEqual([
      'pdu_outlet_power_watt',
    ]);
    expect((await offered('kw-cluster, variable metric'))[2]).toBe('network_bytes_total');
  });

  it('add up the site, and tell its last values by node', async () => {
    const lines = await chart('kw-cluster, timeseries $metric, all devices', {
      from: ago(26 * HOUR_MS),
      variables: { metric: 'power_watt' },
    });
    expect(lines.length).toBeGreaterThan(300);
    expect(lines).toContain(`${clock(120)}:00 power_watt 210`);
    const now = await run(queryOf('kw-cluster, bargauge $metric now'), {
      to: new Date(),
      variables: { metric: 'power_watt' },
    });
    expect(now.rows.map(({ device, value }) => [device, value])).toEqual([
      ['node-2', 200],
      ['node-1', 100],
    ]);
    const aliased = await run(queryOf('kw-cluster, bargauge $metric now'), {
      variables: { metric: 'pdu_outlet_power_watt' },
    });
    expect(aliased.rows).toMatchObject([{ device: 'node-1', value: 150 }]);
  });

  it('tell when collectors ran', async () => {
    expect(await chart('kw-collectors, state-timeline when they ran')).toEqual([
      expect.stringContaining(`${clock(60)}:00 c`),
      expect.stringContaining(`${clock(60)}:00 c`),
      `${clock(50)}:00 c2 1`,
      `${clock(20)}:00 c2 0`,
    ]);
  });

  it.each(queries.filter(({ sql }) => sql.includes('kw.metrics_visible')))(
    '$of reads the chunks of its time alone',
    async (query) => {
      await grafana.query('SET enable_seqscan = off');
      const { rows } = await grafana.query(
        `EXPLAIN ${expandQuery(
          query.sql,
          context({
            from: ago(HOUR_MS),
            variables: {
              job: 'kw/7',
              metric: query.of.startsWith('kw-cluster') ? 'power_watt' : ['power_watt'],
            },
          }),
        )}`,
      );
      await grafana.query('RESET enable_seqscan');
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      const chunks = new Set(
        [...plan.matchAll(/ on (_hyper_1_\d+_chunk|metrics_p\d+)/g)].map(([, chunk]) => chunk),
      );
      expect(chunks.size).toBeGreaterThan(0);
      expect(chunks.size).toBeLessThanOrEqual(2);
      // An index finds the devices: nothing is read through, which the planner would do in a part of a few rows only.
      expect(plan).not.toMatch(/Seq Scan on (_hyper_1_|metrics_p)/);
    },
  );

  it('finds a metric over all devices by an index of the summary', async () => {
    const { sql } = queryOf('kw-cluster, timeseries $metric, all devices');
    const explain = `EXPLAIN ${expandQuery(sql, context({ from: ago(26 * HOUR_MS), variables: { metric: 'power_watt' } }))}`;
    await grafana.query('SET enable_seqscan = off');
    const { rows } = await grafana.query(explain);
    await grafana.query('RESET enable_seqscan');
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(
      /(?:using|Index Scan on) \S*summary\S*_metric_bucket/,
    );
  });

  describe('where users see their own jobs only', () => {
    let alice: pg.Client;
    const asAlice = async (of: string, options: Partial<GrafanaContext> = {}) =>
      (await alice.query(expandQuery(queryOf(of).sql, context(options)))).rows;

    beforeAll(async () => {
      await db.client.query("UPDATE kw.settings SET value = '\"own_jobs\"' WHERE name = 'read_scope'");
      alice = await openClient(db.target);
      // A login of that name in the cluster would belong to other tests too.
      await db.client.query(`CREATE ROLE ${login} LOGIN IN ROLE kw_reader`);
      await db.client.query('UPDATE kw.jobs SET owner = $1 WHERE source = $2', [login, 'kw']);
      await alice.query(`SET SESSION AUTHORIZATION ${login}`);
    });
    afterAll(async () => {
      await alice?.end();
      await db.client.query(`DROP ROLE IF EXISTS ${login}`);
      await db.client.query("UPDATE kw.settings SET value = '\"all\"' WHERE name = 'read_scope'");
    });
    const login = `kw_grafana_${process.pid}_${flavour}`;

    it.each(queries)('$of runs by the rights of a user', async ({ of }) => {
      const metric = of.startsWith('kw-cluster') ? 'power_watt' : ['power_watt'];
      expect(Array.isArray(await asAlice(of, { variables: { job: 'kw/7', metric } }))).toBe(true);
    });

    it('a user sees the own job, its nodes and its time', async () => {
      const nodes = { device: ['node-1', 'node-2'] };
      expect(await asAlice(JOB, { variables: { ...nodes, job: 'kw/7' } })).toHaveLength(31);
      expect(await asAlice(JOB, { variables: { ...nodes, job: 'slurm/7' } })).toEqual([]);
      expect(await asAlice(DEVICES, { variables: nodes })).toHaveLength(31);
      expect((await asAlice('kw-job, variable job')).map((row) => row.__value)).toEqual(['kw/7']);
    });

    it('a program of the site sees everything', async () => {
      await db.client.query(`GRANT kw_service TO ${login}`);
      expect(await asAlice(DEVICES, { variables: { device: ['node-1', 'node-2'] } })).toHaveLength(122);
    });
  });

  describe('with hostile values', () => {
    const hostile = [
      "'; DROP TABLE kw.metrics; --",
      "x') OR true --",
      "\\'; SELECT pg_sleep(10); --",
      '\\',
      '${device:raw}',
      '$$; SELECT 1; $$',
      "'||(SELECT current_user)||'",
    ];

    it.each(queries.filter(({ sql }) => sql.includes(':sqlstring')))(
      '$of takes them as names',
      async (query) => {
        for (const value of hostile) {
          const { rows } = await run(query, {
            variables: {
              job: value,
              device: [value],
              metric: query.of.startsWith('kw-cluster') ? value : [value],
              show: [value],
              detail: value,
            },
          });
          expect(Array.isArray(rows)).toBe(true);
          expect(rows).toEqual([]);
        }
      },
    );

    it('finds a device that is called so', async () => {
      const [name = ''] = hostile;
      await db.client.query("INSERT INTO kw.metrics VALUES ($1, $2, 'power_watt', 1, '{}')", [
        ago(minutes(5)),
        name,
      ]);
      expect(await chart(DEVICES, { variables: { device: [name] } })).toEqual([
        `${clock(5)}:00 ${name} power_watt 1`,
      ]);
    });

    // Grafana expands macros by the text alone, inside of a literal too, and puts quotes there. What comes out is never a statement.
    it.each(['$__timeFrom()', '$__timeFilter(x)', '$__timeTo() || pg_sleep(10) ||'])(
      'refuses %s, of which Grafana itself breaks the literal',
      async (value) => {
        await expect(run(queryOf(DEVICES), { variables: { device: [value] } })).rejects.toMatchObject({
          code: '42601',
        });
      },
    );

    it('has a login that cannot write', async () => {
      await expect(grafana.query('DELETE FROM kw.metrics')).rejects.toMatchObject({ code: '42501' });
    });
  });
});
