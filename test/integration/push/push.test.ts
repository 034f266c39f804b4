/** kw push and kw delete on a real database, in both flavours where TimescaleDB is there. */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { pushStream } from '../../../src/lib/push/push.ts';
import { DatabaseStore } from '../../../src/lib/push/store.ts';
import { formatUtc, nowUs } from '../../../src/lib/time.ts';
import { onlyOn, type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';
import { type KwResult, type RunOptions, runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const HERE = hostname().split('.', 1)[0];

describe.each(testFlavours)('on %s', (flavour) => {
  let db: TestDatabase;
  const logins: string[] = [];

  beforeAll(async () => {
    db = await testDatabase({ flavour });
  });
  afterAll(async () => {
    for (const login of logins) await db.client.query(`DROP ROLE IF EXISTS ${login}`);
    await db.drop();
  });
  beforeEach(async () => {
    await db.client.query('TRUNCATE kw.metric_catalogue, kw.pushed_label_sets');
    await db.client.query('DELETE FROM kw.metrics');
  });

  /** A program of the site, which may push for any device, or a user, who may only for the nodes of running jobs. */
  async function login(name: string, roles = 'kw_writer, kw_service'): Promise<string> {
    const role = `kw_test_${name}_${process.pid}`;
    if (!logins.includes(role)) {
      await db.client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' IN ROLE ${roles}`);
      logins.push(role);
    }
    return targetOf(new URL(db.url).pathname.slice(1), { user: role, password: 'secret' }).url;
  }

  const kw = async (
    args: readonly string[],
    options: RunOptions & { url?: string } = {},
  ): Promise<KwResult> =>
    runKw(args, {
      ...options,
      env: { KW_DATABASE_URL: options.url ?? (await login('alice')), ...options.env },
    });

  async function stored(): Promise<string[]> {
    const { rows } = await db.client.query(
      `SELECT timestamp::text AS at, device_id, metric_id, value::text, labels - '_pushed_by' AS labels
       FROM kw.metrics ORDER BY timestamp, device_id, metric_id, value`,
    );
    return rows.map(
      (row) => `${row.at} ${row.device_id} ${row.metric_id} ${row.value} ${JSON.stringify(row.labels)}`,
    );
  }

  it('stores one value for this machine and now, under the name of who pushed', async () => {
    const before = nowUs();
    const { stdout, stderr, code } = await kw(['push', 'my_metric_watt', '42']);
    expect({ stdout, stderr, code }).toEqual({ stdout: '', stderr: 'stored 1 value\n', code: 0 });
    const { rows } = await db.client.query(
      'SELECT device_id, metric_id, value, labels, extract(epoch FROM timestamp) * 1e6 AS us FROM kw.metrics',
    );
    expect(rows).toEqual([
      {
        device_id: HERE,
        metric_id: 'my_metric_watt',
        value: 42,
        labels: { _pushed_by: `kw_test_alice_${process.pid}` },
        us: expect.any(String),
      },
    ]);
    expect(Number(rows[0].us)).toBeGreaterThanOrEqual(before);
    expect(Number(rows[0].us)).toBeLessThanOrEqual(nowUs());
  });

  it('stores time to the microsecond, device and labels as said, and negative values', async () => {
    const args = ['--device', 'node-1', '--at', '2026-01-02T03:04:05.678901+01:00', '--label', 'run=3'];
    const { code, stdout } = await kw(['push', ...args, '--label', 'a=b=c', 'm', '-1.5', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ stored: 1, refused: 0, refusals: [], removed_labels: 0 });
    expect(await stored()).toEqual(['2026-01-02 02:04:05.678901+00 node-1 m -1.5 {"a":"b=c","run":"3"}']);
  });

  it('stores the good lines of an input, tells the bad ones by number, and ends with 1', async () => {
    const input = [
      '{"timestamp":"2026-02-01T00:00:00Z","metric_id":"a","value":1}',
      '{"metric_id":"a","value":"x"}',
      '{"timestamp":"1970-01-01T00:00:00Z","metric_id":"a","value":2}',
      '{"timestamp":"2026-02-01T00:00:01Z","metric_id":"b","value":3,"labels":{"_device_alias":"other","x":"y"}}',
    ].join('\n');
    const { stderr, stdout, code } = await kw(['push', '--device', 'node-1'], { input });
    expect({ stderr, stdout, code }).toEqual({
      stdout: '',
      stderr: [
        'line 2: the value "x" is not a number',
        'line 3: the timestamp lies too far in the past',
        'stored 2 values, refused 2 lines, removed 1 label that begins with _',
        '',
      ].join('\n'),
      code: 1,
    });
    expect(await stored()).toEqual([
      '2026-02-01 00:00:00+00 node-1 a 1 {}',
      '2026-02-01 00:00:01+00 node-1 b 3 {"x":"y"}',
    ]);
  });

  it('says that an input was empty or is compressed, and that a file in the place of the metric is none', async () => {
    const empty = { stdout: '', stderr: 'stored 0 values: the input had none\n', code: 0 };
    expect(await kw(['push', 'm'], { input: '\n' })).toEqual(empty);
    const { folder, remove } = temporaryFolder();
    try {
      const file = join(folder, 'values.csv');
      writeFileSync(file, 'value\n1\n');
      const { stdout, stderr, code } = await kw(['push', file], { input: '' });
      expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
      expect(stderr).toContain(`is a file, and what stands there is the name of a metric`);
      expect(stderr).toContain(`write kw push --file ${file};`);
      expect((await kw(['push', file, '2'])).stderr).toBe('stored 1 value\n');
      writeFileSync(`${file}.gz`, gzipSync('value\n1\n'));
      expect(await kw(['push', 'm', '--format', 'csv', '--file', `${file}.gz`])).toEqual({
        stdout: '',
        stderr: 'kw: the input is compressed\n    write zcat FILE | kw push\n',
        code: 1,
      });
    } finally {
      remove();
    }
  });

  it('stores nothing of an input with a bad line when asked for all or nothing', async () => {
    const { folder, remove } = temporaryFolder();
    try {
      const file = join(folder, 'values.csv');
      const lines = Array.from({ length: 12_000 }, (_, index) => `${1_780_000_000 + index},${index}`);
      writeFileSync(file, `timestamp,value\n${lines.join('\n')}\n`);
      const good = await kw(['push', 'm', '--file', file, '--all-or-nothing']);
      expect(good).toEqual({ stdout: '', stderr: 'stored 12,000 values\n', code: 0 });
      await db.client.query('DELETE FROM kw.metrics');
      // Only the database knows that this one lies too far ahead.
      writeFileSync(file, `timestamp,value\n${lines.join('\n')}\n4000000000,1\n`);
      const bad = await kw(['push', 'm', '--file', file, '--all-or-nothing']);
      expect(bad).toEqual({
        stdout: '',
        stderr:
          'line 12002: the timestamp lies too far in the future\nstored 0 values, refused 1 line, all or nothing was asked for\n',
        code: 1,
      });
      expect(await stored()).toEqual([]);
    } finally {
      remove();
    }
  });

  it('refuses metrics that a collector reads of the same device or its alias, unless the site allows it', async () => {
    await db.client.query(
      `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, alias, period_ms, protocol) VALUES
         (gen_random_uuid(), 'wattmetre1-port3', 'wattmetre_power_watt', 'node-1', 1000, 'snmp'),
         (gen_random_uuid(), 'node-1', 'all', '', 15000, 'prometheus')`,
    );
    const push = (metric: string, device: string) => kw(['push', metric, '1', '--device', device]);
    const refused = 'kw: a collector reads this metric of this device: choose another name for yours\n';
    for (const [metric, device] of [
      ['wattmetre_power_watt', 'wattmetre1-port3'],
      ['wattmetre_power_watt', 'node-1'],
      ['prom_node_load1', 'node-1'],
    ] as const)
      expect((await push(metric, device)).stderr).toBe(`${refused}stored 0 values, refused 1 line\n`);
    expect(await stored()).toEqual([]);
    expect((await push('wattmetre_power_watt', 'node-2')).code).toBe(0);
    expect((await push('prom_mine', 'node-2')).code).toBe(0);
    await db.client.query(`UPDATE kw.settings SET value = 'true' WHERE name = 'push_collected_metrics'`);
    expect((await push('wattmetre_power_watt', 'node-1')).code).toBe(0);
    await db.client.query(`UPDATE kw.settings SET value = 'false' WHERE name = 'push_collected_metrics'`);
  });

  it('takes from users values of the nodes that they have now, under names that no collector uses', async () => {
    const url = await login('carol', 'kw_writer');
    const push = async (device: string, metric = 'mine') =>
      (await kw(['push', metric, '1', '--device', device], { url })).stderr;
    const foreign = `kw: no device of yours: neither one of your token nor a node of a job of yours that runs now
stored 0 values, refused 1 line
`;
    expect(await push('node-1')).toBe(foreign);
    await db.client.query("SELECT kw.job_start(7, '{node-1}', $1)", [`kw_test_carol_${process.pid}`]);
    expect(await push('node-1')).toBe('stored 1 value\n');
    expect(await push('node-2')).toBe(foreign);
    await db.client.query(
      `INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, protocol)
       VALUES (gen_random_uuid(), 'node-9', 'bmc_power_watt', 1000, 'ipmi'), (gen_random_uuid(), 'node-9', 'all', 1000, 'prometheus')`,
    );
    for (const metric of ['bmc_power_watt', 'prom_node_load1']) {
      expect(
        await push('node-1', metric),
      ).toBe(`kw: a collector reads a metric of this name: choose another one for yours
stored 0 values, refused 1 line
`);
    }
    await db.client.query('SELECT kw.job_stop(7)');
    expect(await push('node-1')).toBe(foreign);
    expect((await kw(['delete', 'mine', '--yes'], { url })).stderr).toBe('deleted 1 value that you pushed\n');
  });

  it('stores hostile text faithfully or says why not, and one bad value never costs its batch', async () => {
    const texts = [
      `it's "quoted" \\ back\\\\slash`,
      "'; DROP TABLE kw.metrics; --",
      'two\nlines\ttab\r',
      '{a,b},NULL,"x"',
      'NULL',
      '$1 %s ${x} \u202e \u0001 \u007f',
      'é 電力 😀 \u{10ffff}',
      ' blanks ',
      '../../etc/passwd',
    ];
    const bad = ['with\0nul', '\ud800', 'm'.repeat(256), 'x'.repeat(1_000_000)];
    const input = [...texts, ...bad]
      .map((text) => JSON.stringify({ device_id: text, metric_id: text, value: 1, labels: { l: text } }))
      .join('\n');
    const { stderr, code } = await kw(['push'], { input });
    expect(code).toBe(1);
    expect(stderr.split('\n').slice(0, 4)).toEqual([
      'line 10: the device name contains a NUL character',
      'line 11: the device name is not valid Unicode',
      'line 12: the device name has 256 bytes, and at most 255 can be stored',
      'line 13: the device name has 1000000 bytes, and at most 255 can be stored',
    ]);
    const { rows } = await db.client.query(`SELECT device_id, metric_id, labels->>'l' AS l FROM kw.metrics`);
    const plain = rows.map((row) => [row.device_id, row.metric_id, row.l]).sort();
    expect(plain).toEqual(texts.map((text) => [text, text, text]).sort());
  });

  it('stores NaN, infinities, zero of both signs and the digits of doubles', async () => {
    const values = [
      'NaN',
      'Infinity',
      '-Infinity',
      '-0',
      '5e-324',
      '1.7976931348623157e+308',
      '0.1',
      '123456789.123456789',
    ];
    const input = `value\n${values.join('\n')}\n`;
    await kw(['push', 'm', '--device', 'd', '--at', '2026-01-01', '--format', 'csv'], { input });
    const { rows } = await db.client.query<{ value: number }>('SELECT value FROM kw.metrics');
    const byText = (numbers: number[]) => numbers.map((n) => (Object.is(n, -0) ? '-0' : String(n))).sort();
    expect(byText(rows.map(({ value }) => value))).toEqual(byText(values.map(Number)));
  });

  it('bounds what it prints of an input in the wrong format', async () => {
    const input = `metric_id,value\n${'m,x\n'.repeat(5000)}m,1\n`;
    const { stderr, code } = await kw(['push'], { input });
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBe(22);
    expect(lines.slice(20)).toEqual(['... and 4,980 more', 'stored 1 value, refused 5,000 lines']);
    expect(code).toBe(1);
  });

  it('says what is wrong before it connects, and what is wrong with the connection', async () => {
    const url = 'postgres://nobody@127.0.0.1:1/x';
    const stderr = async (args: string[], input = '') => (await kw(args, { url, input })).stderr;
    expect(await stderr(['push', 'm', 'many'])).toBe(
      'kw: the value "many" is not a number\n    write 42, -1.5, 1e-3 or NaN\n',
    );
    expect(await stderr(['push', 'm', '1', '--label', '_device_alias=x'])).toBe(
      `kw: the label "_device_alias" begins with _, and those are kw's own\n    choose a name without _ in front\n`,
    );
    expect((await kw(['push', 'm', '1', '--label', '_device_alias=x'], { url })).code).toBe(2);
    expect(await stderr(['push', '--file', '/does/not/exist'])).toMatch(
      /^kw: cannot read \/does\/not\/exist: no such file or directory$/m,
    );
    expect(await stderr(['push', 'm', '1', '--tz', 'Mars'])).toMatch(/^kw: .*Mars/);
    expect(await stderr(['push', 'm', '1'])).toMatch(/cannot be reached/);
    const reader = `kw_test_reader_${process.pid}`;
    await db.client.query(`CREATE ROLE ${reader} LOGIN PASSWORD 'secret' IN ROLE kw_reader`);
    logins.push(reader);
    const readerUrl = targetOf(new URL(db.url).pathname.slice(1), { user: reader, password: 'secret' }).url;
    expect((await kw(['push', 'm', '1'], { url: readerUrl })).stderr).toMatch(
      /not allowed on .*\n.*kw_writer/,
    );
  });

  it('shows values of a slow pipe within seconds, and says where it stopped when the database goes away', async () => {
    const target = { ...db.target, url: await login('alice') };
    const client = await openClient(target);
    const defaults = { timestampUs: nowUs(), deviceId: 'd', metricId: 'm', labels: {} };
    let seen: string[] = [];
    async function* slow(): AsyncGenerator<Buffer> {
      yield Buffer.from('value\n1\n2\n');
      await new Promise((resolve) => setTimeout(resolve, 1_600));
      seen = await stored();
      await db.client.query('SELECT pg_terminate_backend($1)', [
        (client as pg.Client & { processID: number }).processID,
      ]);
      yield Buffer.from('3\n');
    }
    await expect(pushStream(new DatabaseStore(client), slow(), { defaults })).rejects.toMatchObject({
      code: 'PUSH_STOPPED',
      message: expect.stringMatching(/^stopped after line 3, 2 values are stored: /),
      hint: 'push again from line 4 on',
    });
    expect(seen.length).toBe(2);
    await client.end().catch(() => {});
  });

  it.each([
    [false, '1\n2', 'interrupted after line 3, 2 values are stored', 'push again from line 4 on', 2],
    [false, '1', 'interrupted after line 2, 1 value is stored', 'push again from line 3 on', 1],
    [true, '1\n2', 'interrupted: nothing is stored', undefined, 0],
  ])(
    'stores whole lines at Ctrl-C and says so (all or nothing: %s, lines: %j)',
    async (allOrNothing, lines, message, hint, rows) => {
      const client = await openClient({ ...db.target, url: await login('alice') });
      const defaults = { timestampUs: nowUs(), deviceId: 'd', metricId: 'm', labels: {} };
      const interrupt = new AbortController();
      async function* endless(): AsyncGenerator<Buffer> {
        // The last value is cut in two.
        yield Buffer.from(`value\n${lines}\n34`);
        interrupt.abort('SIGINT');
        await new Promise(() => {});
      }
      const pushing = pushStream(new DatabaseStore(client), endless(), {
        defaults,
        allOrNothing,
        interrupt: interrupt.signal,
      });
      await expect(pushing).rejects.toMatchObject({ code: 'PUSH_STOPPED', exit: 130, message, hint });
      expect(await stored()).toHaveLength(rows);
      await client.end();
    },
  );

  describe('kw delete', () => {
    const at = (hoursAgo: number) => formatUtc(nowUs() - hoursAgo * 3600e6);

    beforeEach(async () => {
      const line = (hoursAgo: number, device: string, run: string) =>
        JSON.stringify({
          timestamp: at(hoursAgo),
          device_id: device,
          metric_id: 'm',
          value: 1,
          labels: { run },
        });
      const mine = [line(72, 'a', '1'), line(71, 'a', '2'), line(3, 'a', '1'), line(2, 'b', '1')];
      await kw(['push'], { input: mine.join('\n') });
      await kw(['push'], { input: line(72, 'a', '1'), url: await login('bob') });
      await db.client.query('SELECT kw.ensure_storage($1, $1)', [at(72)]);
      await db.client.query(
        `INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels) VALUES ($1, 'a', 'm', 1, '{"run":"1"}')`,
        [at(72)],
      );
    });

    it('knows what was pushed when the label was called _inserted_by', async () => {
      await db.client.query(
        `INSERT INTO kw.metrics VALUES (now(), 'a', 'old', 1, jsonb_build_object('_inserted_by', $1::text)),
           (now(), 'a', 'old', 2, jsonb_build_object('_inserted_by', $1::text, '_pushed_by', 'somebody'))`,
        [`kw_test_alice_${process.pid}`],
      );
      expect((await kw(['delete', 'old', '--yes'])).stderr).toBe('deleted 1 value that you pushed\n');
    });

    it('counts first, then deletes what the caller pushed, and nothing else', async () => {
      expect(await kw(['delete', 'm'])).toEqual({
        stdout: '',
        stderr: '4 values that you pushed would be deleted; add --yes to do it\n',
        code: 0,
      });
      expect((await stored()).length).toBe(6);
      expect((await kw(['delete', 'm', '--yes', '--json'])).stdout).toBe(
        '{\n  "values": 4,\n  "deleted": true\n}\n',
      );
      expect((await stored()).length).toBe(2);
      expect((await kw(['delete', 'm', '--yes'])).stderr).toBe('deleted 0 values that you pushed\n');
    });

    it('is narrowed by device, time and labels', async () => {
      const count = async (...args: string[]) =>
        JSON.parse((await kw(['delete', 'm', '--json', ...args])).stdout).values as number;
      expect(await count('--device', 'b')).toBe(1);
      expect(await count('--device', 'a,b', '--label', 'run=1')).toBe(3);
      expect(await count('--from', '-4h')).toBe(2);
      expect(await count('--to', '-4h')).toBe(2);
      expect(await count('--from', '-4h', '--to', '-150m')).toBe(1);
      expect((await kw(['delete', 'other'])).stderr).toBe('no values that you pushed match\n');
    });

    onlyOn(
      'timescaledb',
      flavour,
      it,
    )?.('reaches into compressed chunks', async () => {
      const { rows } = await db.client.query(
        `SELECT count(compress_chunk(c)) AS chunks FROM show_chunks('kw.metrics', older_than => interval '24 hours') c`,
      );
      expect(rows[0].chunks).toBeGreaterThan(0);
      expect((await kw(['delete', 'm', '--yes', '--to', '-24h'])).stderr).toBe(
        'deleted 2 values that you pushed\n',
      );
      expect((await stored()).length).toBe(4);
    });
  });
});
