/** The gaps that collectors leave in an answer are told, and nothing that is no gap. */

import { Parser } from '@oclif/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bindLiterals } from '../../../src/lib/database/literals.ts';
import { databaseAnswer } from '../../../src/lib/metrics/answer.ts';
import { readRequest, selectionFlags, valueFlags } from '../../../src/lib/metrics/flags.ts';
import { readSql } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/kw.ts';

const C1 = '00000000-0000-4000-8000-000000000001';
const C2 = '00000000-0000-4000-8000-000000000002';

interface Entry {
  device: string;
  metric?: string;
  alias?: string;
  optional?: boolean;
  since?: string;
}

describe('gaps', () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  let day: string;

  beforeAll(async () => {
    db = await testDatabase();
    env = { KW_DATABASE_URL: db.url };
    day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await db.client.query('SELECT kw.ensure_storage($1::timestamptz, $1::timestamptz)', [`${day} 12:00Z`]);
    // Both devices have values all the time: what is told does not come from the rows.
    await db.client.query(
      `INSERT INTO kw.metrics SELECT $1::timestamptz + s * interval '10 s', device, metric, 100, '{}'
       FROM generate_series(0, 720) s, unnest(ARRAY['node-1', 'node-2']) device, unnest(ARRAY['power_watt', 'temperature']) metric`,
      [`${day} 10:00Z`],
    );
  });
  afterAll(() => db?.drop());

  beforeEach(async () => {
    await db.client.query(
      'TRUNCATE kw.collectors, kw.past_runs, kw.collector_losses, kw.metric_catalogue, kw.metric_catalogue_past, kw.device_status',
    );
  });

  /** Starts a run as a collector does. Times are of that day. */
  async function start(id: string, at: string, name = id === C1 ? 'c1' : 'c2') {
    const us = Date.parse(`${day}T${at}Z`) * 1000;
    await db.client.query(readSql('queries/collector_register'), [id, name, 'h', '1', us, null]);
  }

  async function wrote(id: string, upTo: string) {
    const values = { collector: id, horizon: Date.parse(`${day}T${upTo}Z`) * 1000 };
    await db.client.query(bindLiterals(readSql('queries/collector_written'), values));
  }

  async function stop(id: string, at: string) {
    await wrote(id, at);
    await db.client.query(readSql('queries/collector_stopped'), [id]);
  }

  /** Dies: nothing is heard of it any more. */
  async function die(id: string, upTo: string) {
    await wrote(id, upTo);
    await db.client.query(
      "UPDATE kw.collectors SET seen_at = seen_at - interval '2 minutes' WHERE collector_id = $1",
      [id],
    );
  }

  /** As a collector tells what it is configured to read, since a time of that day. */
  async function configure(id: string, since: string, ...entries: Entry[]) {
    const us = Date.parse(`${day}T${since}Z`) * 1000;
    const rows = entries.map(({ device, metric = 'power_watt', alias = '', optional = false }) => ({
      deviceId: device,
      metricId: metric,
      alias,
      periodMs: 1000,
      optional,
      optionalPeriodMs: null,
      protocol: 'snmp',
      unit: null,
      description: null,
      entryName: metric,
    }));
    await db.client.query('BEGIN');
    await db.client.query(readSql('queries/collector_catalogue'), [id, JSON.stringify(rows), us]);
    await db.client.query(readSql('queries/collector_catalogue_prune'), [id, us]);
    await db.client.query('COMMIT');
  }

  const at = (time: string) => `${day}T${time}.000000+00:00`;

  async function warnings(from: string, to: string, ...args: string[]): Promise<string[]> {
    const { flags } = await Parser.parse(['--from', `${day}T${from}Z`, '--to', `${day}T${to}Z`, ...args], {
      flags: { ...selectionFlags, ...valueFlags },
    });
    const request = await readRequest(flags, 'UTC');
    const { warnings } = await databaseAnswer(db.client)(request, { limit: undefined, units: false }, () => ({
      row() {},
      end() {},
    }));
    return warnings.map((warning) => `warning: ${warning}`);
  }
  const ofNode1 = (from: string, to: string, ...args: string[]) =>
    warnings(from, to, '--device', 'node-1', ...args);

  it('names the time in which a collector was stopped, although it runs again', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' }, { device: 'node-2' });
    await stop(C1, '10:30:00');
    const gap = (to: string) =>
      `warning: no collector ran for node-1 from ${at('10:30:00')} to ${at(to)} (c1 was stopped)`;
    expect(await ofNode1('10:10', '10:40')).toEqual([gap('10:40:00')]);
    await start(C1, '10:50:00');
    await configure(C1, '10:50:00', { device: 'node-1' }, { device: 'node-2' });
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:10', '11:00')).toEqual([gap('10:50:00')]);
    expect(await ofNode1('10:00', '10:30')).toEqual([]);
    expect(await ofNode1('10:50', '11:00')).toEqual([]);
    // In the gap, with rows that somebody pushed; and for all devices.
    expect(await ofNode1('10:35', '10:40')).toEqual([
      `warning: no collector ran for node-1 from ${at('10:35:00')} to ${at('10:40:00')} (c1 was stopped)`,
    ]);
    expect(await warnings('10:10', '11:00')).toEqual([gap('10:50:00').replace('node-1', 'node-1, node-2')]);
    // A collector connects again and again in one run.
    await start(C1, '10:50:00');
    expect((await db.client.query('SELECT count(*)::int AS n FROM kw.past_runs')).rows).toEqual([{ n: 1 }]);
  });

  it('names the time after a crash, and collectors by the name they have now', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' });
    await die(C1, '10:30:00');
    expect(await ofNode1('10:10', '10:40')).toEqual([
      `warning: no collector ran for node-1 from ${at('10:30:00')} to ${at('10:40:00')} (c1 ended without a word)`,
    ]);
    await start(C1, '10:31:00', 'renamed');
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:10', '11:00')).toEqual([
      `warning: no collector ran for node-1 from ${at('10:30:00')} to ${at('10:31:00')} (renamed ended without a word)`,
    ]);
  });

  it('says once that there is nothing at all, for whatever reason', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-3' });
    await stop(C1, '10:05:00');
    expect(await warnings('10:10', '10:40', '--device', 'node-3')).toEqual([
      expect.stringMatching(/^warning: no values of node-3: its collector c1 is not running since \S+$/),
    ]);
  });

  it('counts many gaps instead of naming them', async () => {
    for (const minute of [10, 20, 30, 40]) {
      await start(C1, `10:${minute}:00`);
      if (minute === 10) await configure(C1, '10:10:00', { device: 'node-1' });
      await stop(C1, `10:${minute + 9}:30`);
    }
    await start(C1, '10:50:00');
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:05', '11:00')).toEqual([
      `warning: no collector ran for node-1 in 4 times between ${at('10:19:30')} and ${at('10:50:00')}, 120.0 s in all (c1 was stopped)`,
    ]);
    expect(await ofNode1('10:15', '10:35')).toEqual([
      `warning: no collector ran for node-1 from ${at('10:19:30')} to ${at('10:20:00')} and from ${at('10:29:30')} to ${at('10:30:00')} (c1 was stopped)`,
    ]);
  });

  it('judges collectors of different devices and metrics by what each was to read', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' }, { device: 'node-2' });
    await start(C2, '10:00:00');
    await configure(C2, '10:00:00', { device: 'node-1', metric: 'temperature' });
    await wrote(C1, '12:00:00');
    await stop(C2, '10:30:00');
    const gap = `warning: no collector ran for temperature of node-1 from ${at('10:30:00')} to ${at('11:00:00')} (c2 was stopped)`;
    expect(await warnings('10:10', '11:00')).toEqual([gap]);
    expect(await ofNode1('10:10', '11:00')).toEqual([gap]);
    expect(await ofNode1('10:10', '11:00', '--metric', 'power*')).toEqual([]);
    expect(await ofNode1('10:10', '11:00', '--metric', 'temp*')).toEqual([
      gap.replace('temperature of node-1', 'node-1'),
    ]);
    expect(await warnings('10:10', '11:00', '--device', 'node-2')).toEqual([]);
  });

  it('says nothing where another collector went on, in either order', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' });
    await start(C2, '10:20:00');
    await configure(C2, '10:20:00', { device: 'node-1' });
    await stop(C1, '10:30:00');
    await wrote(C2, '12:00:00');
    expect(await ofNode1('10:00', '11:00')).toEqual([]);
    // A device that was moved: the first collector reads it no more.
    await start(C1, '10:40:00');
    await configure(C1, '10:40:00', { device: 'node-2' });
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:00', '11:00')).toEqual([]);
    await configure(C2, '10:50:00', { device: 'node-2' });
    expect(await ofNode1('10:00', '10:50')).toEqual([]);
    // Nobody has been configured to read it since: that is no gap.
    expect(await ofNode1('10:00', '11:00')).toEqual([]);
  });

  it('remembers the gaps of devices that are configured no more, or elsewhere', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' }, { device: 'node-2' });
    await stop(C1, '10:10:00');
    await start(C1, '10:20:00');
    await configure(C1, '10:30:00', { device: 'node-2' });
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:00', '11:00')).toEqual([
      `warning: no collector ran for node-1 from ${at('10:10:00')} to ${at('10:20:00')} (c1 was stopped)`,
    ]);
  });

  it('claims nothing of times before it was configured, or known', async () => {
    await start(C1, '10:20:00');
    await configure(C1, '10:20:00', { device: 'node-1' });
    await wrote(C1, '12:00:00');
    expect(await ofNode1('10:00', '11:00')).toEqual([]);
    // Runs that ended before were dropped.
    await db.client.query("UPDATE kw.metric_catalogue SET since = '2020-01-01'");
    await db.client.query(
      `UPDATE kw.settings SET value = to_jsonb($1::timestamptz) WHERE name = 'runs_dropped_before'`,
      [`${day} 10:25Z`],
    );
    try {
      expect(await ofNode1('10:00', '11:00')).toEqual([]);
    } finally {
      await db.client.query(
        `UPDATE kw.settings SET value = '"-infinity"' WHERE name = 'runs_dropped_before'`,
      );
    }
  });

  it('leaves out optional metrics that had no values, and follows aliases', async () => {
    await start(C1, '10:00:00');
    await configure(
      C1,
      '10:00:00',
      { device: 'node-1', metric: 'fast_watt', optional: true },
      { device: 'node-1', metric: 'temperature', optional: true },
      { device: 'pdu-1', alias: 'node-2' },
    );
    await stop(C1, '10:30:00');
    await start(C1, '10:31:00');
    await wrote(C1, '12:00:00');
    const gap = (who: string) =>
      `warning: no collector ran for ${who} from ${at('10:30:00')} to ${at('10:31:00')} (c1 was stopped)`;
    const told = await ofNode1('10:00', '11:00');
    expect(told.filter((line) => line.includes('no collector'))).toEqual([gap('node-1')]);
    expect(await warnings('10:00', '11:00', '--device', 'node-2')).toEqual([gap('node-2')]);
  });

  it('tells what was lost, to those whom it concerns', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' });
    await start(C2, '10:00:00');
    await configure(C2, '10:00:00', { device: 'node-2' });
    for (const id of [C1, C2]) await wrote(id, '12:00:00');
    const us = (time: string) => Date.parse(`${day}T${time}Z`) * 1000;
    const lost = (from: string, to: string, samples: number) =>
      db.client.query(readSql('queries/collector_lost'), [C1, us(from), us(to), samples, 'memory']);
    await lost('10:30:00', '10:31:00', 100);
    await lost('10:31:01', '10:31:30', 20);
    await lost('10:40:00', '10:40:10', 3);
    const line = (samples: number, from: string, to: string) =>
      `warning: ${samples} values of the collector c1 were lost between ${at(from)} and ${at(to)}: the database was away for longer than the buffer holds`;
    const expected = [line(120, '10:30:00', '10:31:30'), line(3, '10:40:00', '10:40:10')];
    expect(await ofNode1('10:00', '11:00')).toEqual(expected);
    expect(await warnings('10:00', '11:00')).toEqual(expected);
    expect(await ofNode1('10:32', '10:40')).toEqual(expected.slice(1));
    expect(await ofNode1('10:32', '10:39')).toEqual([]);
    expect(await warnings('10:00', '11:00', '--device', 'node-2')).toEqual([]);
    expect(await ofNode1('10:00', '11:00', '--metric', 'temperature')).toEqual([]);
  });

  it('tells why values were lost', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' });
    await wrote(C1, '12:00:00');
    const us = (time: string) => Date.parse(`${day}T${time}Z`) * 1000;
    const reasons = {
      memory: '5 values X: the database was away for longer than the buffer holds',
      full: '5 values X: the database was away for longer than the spool holds',
      old: '5 values X: they waited for the database for longer than spool.max_age',
      damaged: 'at least 5 values X: records of its spool are damaged',
    };
    for (const reason of Object.keys(reasons)) {
      const values = [C1, us('10:30:00'), us('10:30:05'), 5, reason];
      await db.client.query(readSql('queries/collector_lost'), values);
    }
    const what = `of the collector c1 were lost between ${at('10:30:00')} and ${at('10:30:05')}`;
    const expected = Object.values(reasons).map((line) => `warning: ${line.replace('X', what)}`);
    expect((await ofNode1('10:00', '11:00')).sort()).toEqual(expected.sort());
  });

  it('tells the gaps of a job in kw job show and kw export too', async () => {
    await start(C1, '10:00:00');
    await configure(C1, '10:00:00', { device: 'node-1' });
    await stop(C1, '10:30:00');
    await start(C1, '10:31:00');
    await wrote(C1, '12:00:00');
    await runKw(['job', 'start', '--job', '7', '--nodes', 'node-1', '--at', `${day}T10:10Z`], { env });
    await runKw(['job', 'stop', '--job', '7', '--at', `${day}T11:00Z`], { env });
    const gap = `warning: no collector ran for node-1 from ${at('10:30:00')} to ${at('10:31:00')} (c1 was stopped)\n`;
    const shown = await runKw(['job', 'show', '--job', '7', '--json'], { env });
    expect(JSON.parse(shown.stdout)).toMatchObject({ job_id: 7, gaps: [gap.slice('warning: '.length, -1)] });
    expect(await runKw(['job', 'show', '--job', '7'], { env })).toMatchObject({ code: 0, stderr: gap });
    const exported = await runKw(['export', 'ndjson', '--job', '7', '-o', '-'], { env });
    expect(exported).toMatchObject({ code: 0, stderr: gap });
  });

  it('tells a table that is cut all of it too', async () => {
    await start(C1, '10:00:00');
    const entries = [{ device: 'node-1' }, { device: 'node-2' }, { device: 'node-3' }];
    await configure(C1, '10:00:00', ...entries, { device: 'node-1', metric: 'absent_watt' });
    await stop(C1, '10:30:00');
    await start(C1, '10:31:00');
    await wrote(C1, '10:59:00');
    const { stderr, stdout } = await runKw(
      [
        'query',
        '--device',
        'node-1,node-2,node-3,node-4',
        '--from',
        `${day}T10:00Z`,
        '--to',
        `${day}T11:00Z`,
        '--limit',
        '1',
      ],
      { env },
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr.trimEnd().split('\n')).toEqual([
      'the first row; --limit 0 shows all, --format csv is for programs',
      `warning: the collector c1 has written up to ${at('10:59:00')}: later values may be missing (--wait 30s waits for them)`,
      `warning: no collector ran for node-1, node-2, node-3 from ${at('10:30:00')} to ${at('10:31:00')} (c1 was stopped)`,
      'warning: no values of node-3: configured, but without values in this time',
      'warning: no values of node-4: no device or alias of this name is configured',
      'warning: no absent_watt of node-1: configured, but without values in this time',
    ]);
  });

  it('drops what is older than what may be asked for', async () => {
    await start(C1, '10:00:00');
    await stop(C1, '10:30:00');
    await start(C1, '10:31:00');
    await db.client.query(
      "INSERT INTO kw.past_runs SELECT collector_id, now() - interval '11 years', now() - interval '11 years' + interval '1 h' FROM kw.collectors",
    );
    const dropped = async () =>
      (
        await db.client.query(
          "SELECT value #>> '{}' AS at FROM kw.settings WHERE name = 'runs_dropped_before'",
        )
      ).rows[0].at;
    expect(await dropped()).toBe('-infinity');
    await db.client.query('SELECT kw.maintain()');
    expect((await db.client.query('SELECT count(*)::int AS n FROM kw.past_runs')).rows).toEqual([{ n: 1 }]);
    expect(Date.now() - Date.parse(await dropped())).toBeGreaterThan(9 * 365 * 86_400_000);
    // Raw values and summaries are kept for less.
    await db.client.query(
      `UPDATE kw.settings SET value = '"1 hour"' WHERE name IN ('raw_retention', 'summary_retention')`,
    );
    try {
      await db.client.query('SELECT kw.tidy_up()');
      expect((await db.client.query('SELECT count(*)::int AS n FROM kw.past_runs')).rows).toEqual([{ n: 0 }]);
      expect(Date.now() - Date.parse(await dropped())).toBeLessThan(3_700_000);
    } finally {
      await db.client.query(
        "UPDATE kw.settings SET value = 'null' WHERE name IN ('raw_retention', 'summary_retention')",
      );
      await db.client.query(
        `UPDATE kw.settings SET value = '"-infinity"' WHERE name = 'runs_dropped_before'`,
      );
    }
  });
});
