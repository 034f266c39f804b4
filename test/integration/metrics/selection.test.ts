/** Who, what and when: `kw query` on a real database, to the microsecond. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { runKw } from '../../support/kw.ts';

describe.each(testFlavours)('selection on %s', (flavour) => {
  let db: TestDatabase;
  /** Midnight of yesterday in UTC: within the partitions that are there, and in the past. */
  let day: string;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await db.client.query('SELECT kw.ensure_storage($1::timestamptz, $1::timestamptz)', [`${day} 12:00Z`]);
  });
  afterAll(() => db?.drop());

  const at = (time: string) => `${day}T${time}+00:00`;

  async function store(
    rows: [time: string, device: string, metric: string, value: number, labels?: object][],
  ) {
    for (const [time, device, metric, value, labels = {}] of rows) {
      await db.client.query('INSERT INTO kw.metrics VALUES ($1, $2, $3, $4, $5)', [
        at(time),
        device,
        metric,
        value,
        JSON.stringify(labels),
      ]);
    }
  }

  async function job(
    id: number,
    nodes: [node: string, start: string, stop: string | null][],
    nameId = String(id),
    source = 'kw',
  ) {
    const stops = nodes.map(([, , stop]) => stop);
    await db.client.query(
      'INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped) VALUES ($1, $2, $3, $4, $5, $6, $7)',
      [
        source,
        id,
        nameId,
        'alice',
        'x',
        at(nodes[0]?.[1] ?? '00:00:00'),
        stops.includes(null) ? null : at(stops.at(-1) ?? '00:00:00'),
      ],
    );
    for (const [node, start, stop] of nodes) {
      await db.client.query('INSERT INTO kw.job_nodes VALUES ($1, $2, $3, $4, $5)', [
        source,
        id,
        node,
        at(start),
        stop && at(stop),
      ]);
    }
  }

  async function query(...args: string[]) {
    const { code, stdout, stderr } = await runKw(['query', '--format', 'csv', ...args], {
      env: { KW_DATABASE_URL: db.url },
    });
    const [header, ...lines] = stdout.trimEnd().split('\n');
    if (code === 0) expect(header).toBe('timestamp,device_id,metric_id,value,labels');
    // time of day, device, metric, value
    const rows = lines.map((line) =>
      line.replace(`${day}T`, '').replace('+00:00', '').split(',').slice(0, 4).join(' '),
    );
    return { code, rows, stderr, stdout };
  }

  it('has both bounds of a job, and not a microsecond more', async () => {
    await job(1, [['n1', '10:00:00', '10:00:10']]);
    await store([
      ['09:59:59.999999', 'n1', 'm', 1],
      ['10:00:00', 'n1', 'm', 2],
      ['10:00:05', 'n2', 'm', 3],
      ['10:00:10', 'n1', 'm', 4],
      ['10:00:10.000001', 'n1', 'm', 5],
    ]);
    expect((await query('--job', '1')).rows).toEqual(['10:00:00.000000 n1 m 2', '10:00:10.000000 n1 m 4']);
  });

  it('has of nodes that leave early or come back only their own times', async () => {
    await job(2, [
      ['n3', '11:00:00', '11:00:01'],
      ['n4', '11:00:00', '11:00:03'],
      ['n3', '11:00:03', '11:00:04'],
    ]);
    await store(
      [0, 1, 2, 3, 4, 5].flatMap((second) => [
        [`11:00:0${second}`, 'n3', 'm', second],
        [`11:00:0${second}.5`, 'n4', 'm', second],
      ]),
    );
    expect((await query('--job', '2')).rows).toEqual([
      '11:00:00.000000 n3 m 0',
      '11:00:00.500000 n4 m 0',
      '11:00:01.000000 n3 m 1',
      '11:00:01.500000 n4 m 1',
      '11:00:02.500000 n4 m 2',
      '11:00:03.000000 n3 m 3',
      '11:00:04.000000 n3 m 4',
    ]);
    expect((await query('--job', '2', '--limit', '3')).rows).toHaveLength(3);
  });

  it('narrows a job by devices and times', async () => {
    await job(3, [
      ['n5', '12:00:00', '12:00:09'],
      ['n6.site.example', '12:00:00', '12:00:09'],
    ]);
    await store([
      ['11:59:59', 'n5', 'm', 0],
      ['12:00:01', 'n5', 'm', 1],
      ['12:00:02', 'n6', 'm', 2],
      ['12:00:03', 'n5', 'm', 3],
    ]);
    expect((await query('--job', '3', '--device', 'n6')).rows).toEqual(['12:00:02.000000 n6 m 2']);
    expect((await query('--job', '3', '--from', at('12:00:02'))).rows).toHaveLength(2);
    expect((await query('--job', '3', '--from', at('11:00:00'), '--to', at('12:00:01'))).rows).toEqual([
      '12:00:01.000000 n5 m 1',
    ]);
    const other = await query('--job', '3', '--device', 'n5,n1');
    expect(other.rows).toHaveLength(2);
    expect(other.stderr).toContain('warning: n1: no node of the job in this time\n');
    const none = await query('--job', '3', '--device', 'n1');
    expect(none).toMatchObject({ code: 0, rows: [] });
    expect(none.stderr).toBe(
      'no rows: n1 is no node of job 3 in this time; without --job, --from and --to select other devices\n',
    );
    const outside = await query('--job', '3', '--from', at('13:00:00'));
    expect(outside.rows).toEqual([]);
    expect(outside.stderr).toContain(
      'no rows: nothing of the job lies in the time asked for (job 3 ran from ',
    );
  });

  it('takes several jobs, array elements, sources, and the job it runs in', async () => {
    await job(40, [['n7', '13:00:00', '13:00:01']], '39_1');
    await job(41, [['n7', '13:00:03', '13:00:04']]);
    await job(41, [['n8', '13:00:03', '13:00:04']], '41', 'oar');
    await store(
      [0, 1, 2, 3, 4].flatMap((second) => [
        [`13:00:0${second}`, 'n7', 'm', second],
        [`13:00:0${second}`, 'n8', 'm', second],
      ]),
    );
    const seconds = (rows: string[]) =>
      rows.map((row) => row.replace(/^13:00:0(\d)\S* (\S+).*/, '$2@$1')).join(' ');
    expect(seconds((await query('--job', '39_1')).rows)).toBe('n7@0 n7@1');
    expect(seconds((await query('--job', '39_1,kw:41')).rows)).toBe('n7@0 n7@1 n7@3 n7@4');
    expect(seconds((await query('--job', '40', '--job', 'oar:41')).rows)).toBe('n7@0 n7@1 n8@3 n8@4');
    expect(await query('--job', '41')).toMatchObject({
      code: 1,
      stderr: 'kw: job 41 may be kw:41 or oar:41\n    write --job kw:41\n',
    });
    const inside = await runKw(['query', '--job', 'current', '--format', 'csv'], {
      env: { KW_DATABASE_URL: db.url, OAR_JOB_ID: '40' },
    });
    expect(inside.stdout.trim().split('\n')).toHaveLength(3);
    expect(await query('--job', '99')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'kw: there is no job 99\n    jobs are known from their start on: see kw job list --all\n',
    });
  });

  it('gives a lone end five minutes before it, and a lone begin all until now', async () => {
    await store([
      ['13:59:59.999999', 'n9', 'm', 1],
      ['14:00:00', 'n9', 'm', 2],
      ['14:05:00', 'n9', 'm', 3],
      ['14:05:00.000001', 'n9', 'm', 4],
    ]);
    expect((await query('--device', 'n9', '--to', at('14:05:00'))).rows).toHaveLength(2);
    expect((await query('--device', 'n9', '--from', at('14:00:00'))).rows).toHaveLength(3);
    expect((await query('--device', 'n9')).rows).toEqual([]);
    expect(await query('--from', '+1h')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('lies in the future'),
    });
    expect(await query('--from', '-1h', '--to', '-2h')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is later than'),
    });
  });

  it('cuts names at the first dot, unless they are addresses or devices of that name', async () => {
    await store([
      ['15:00:00', 'taurus-1', 'm', 1],
      ['15:00:01', '10.0.0.7', 'm', 2],
      ['15:00:02', 'pdu.rack-7', 'm', 3],
      ['15:00:03', 'pdu', 'm', 4],
    ]);
    const of = async (device: string) =>
      (await query('--device', device, '--from', at('15:00:00'), '--to', at('15:00:09'))).rows.map(
        (row) => row.split(' ')[3],
      );
    expect(await of('taurus-1.lyon.grid5000.fr')).toEqual(['1']);
    expect(await of('10.0.0.7')).toEqual(['2']);
    expect(await of('pdu.rack-7')).toEqual(['3']);
    expect(await of('pdu.rack-8')).toEqual(['4']);
  });

  it('selects metrics by name, list and glob, and series by label', async () => {
    await store([
      ['16:00:00', 'n10', 'prom_cpu', 1, { mode: 'idle', cpu: '0' }],
      ['16:00:01', 'n10', 'prom_cpu', 2, { mode: 'user', cpu: '0' }],
      ['16:00:02', 'n10', 'prom_x%', 3],
      ['16:00:03', 'n10', 'promXcpu', 4],
    ]);
    const of = async (...args: string[]) =>
      (await query('--device', 'n10', '--from', at('16:00:00'), '--to', at('16:00:09'), ...args)).rows
        .map((row) => row.split(' ')[3])
        .join('');
    expect(await of()).toBe('1234');
    expect(await of('--metric', 'prom_*')).toBe('123');
    expect(await of('--metric', 'prom_x%,promXcpu')).toBe('34');
    expect(await of('--metric', 'prom?cpu')).toBe('124');
    expect(await of('--metric', 'prom_c*', '--metric', 'promX*')).toBe('124');
    expect(await of('--label', 'mode=idle')).toBe('1');
    expect(await of('--label', 'cpu=0')).toBe('12');
    expect(await of('--label', 'cpu=0', '--label', 'mode=user')).toBe('2');
    expect(await of('--label', 'mode=')).toBe('');
  });

  it('stores and finds names with anything in them', async () => {
    const names = [
      "o'hara",
      'a"b',
      'back\\slash',
      'new\nline',
      'tab\t',
      '%_*',
      "');DROP TABLE kw.metrics;--",
      '$1',
      ':from',
      '日本語 😀',
      'a{b}',
    ];
    for (const [i, name] of names.entries()) await store([['17:00:00', name, `m${i}`, i, { [name]: name }]]);
    for (const [i, name] of names.entries()) {
      const { stdout, code } = await runKw(
        [
          'query',
          '--device',
          name,
          '--label',
          `${name}=${name}`,
          '--to',
          at('17:00:00'),
          '--format',
          'ndjson',
        ],
        { env: { KW_DATABASE_URL: db.url } },
      );
      expect({ code, row: JSON.parse(stdout) }, name).toEqual({
        code: 0,
        row: {
          timestamp: `${day}T17:00:00.000000+00:00`,
          device_id: name,
          metric_id: `m${i}`,
          value: i,
          labels: { [name]: name },
        },
      });
    }
    expect(await query('--device', 'x'.repeat(100_000))).toMatchObject({
      code: 1,
      stderr:
        'kw: the device name has 100000 bytes, and at most 255 can be stored\n    names have 1 to 255 bytes\n',
    });
  });

  it('shows rows under an alias, and adds up what powers one node', async () => {
    await store([
      ['18:00:00', 'pdu-1', 'watt', 100, { _device_alias: 'n11' }],
      ['18:00:00.4', 'pdu-2', 'watt', 50, { _device_alias: 'n11' }],
      ['18:00:01', 'pdu-1', 'watt', 101, { _device_alias: 'n11' }],
      ['18:00:01.4', 'pdu-2', 'watt', 51, { _device_alias: 'n11' }],
      ['18:00:02', 'pdu-1', 'watt', 102, { _device_alias: 'n11' }],
      ['18:00:02.1', 'n11', 'own', 1],
    ]);
    const { stdout } = await query('--device', 'n11', '--from', at('18:00:00'), '--to', at('18:00:09'));
    expect(stdout.trimEnd().split('\n').slice(1)).toEqual([
      `${day}T18:00:01.000000+00:00,n11,watt,151,"{""_device_orig"":[""pdu-1"",""pdu-2""]}"`,
      `${day}T18:00:02.000000+00:00,n11,watt,153,"{""_device_orig"":[""pdu-1"",""pdu-2""]}"`,
      `${day}T18:00:02.100000+00:00,n11,own,1,{}`,
    ]);
    expect(
      (await query('--device', 'pdu-1', '--from', at('18:00:00'), '--to', at('18:00:09'))).rows,
    ).toHaveLength(3);
  });

  it('makes rates, periods, wide tables and summaries', async () => {
    await store(
      [0, 10, 20, 30].map((second) => [
        `19:00:${String(second).padStart(2, '0')}`,
        'n12',
        'bytes_total',
        second < 30 ? second * 100 : 50,
      ]),
    );
    const bounds = ['--device', 'n12', '--from', at('19:00:00'), '--to', at('19:04:59')];
    expect((await query(...bounds, '--rate')).rows).toEqual([
      '19:00:10.000000 n12 bytes_total 100',
      '19:00:20.000000 n12 bytes_total 100',
      '19:00:30.000000 n12 bytes_total 5',
    ]);
    expect((await query(...bounds, '--every', '20s', '--agg', 'max')).rows).toEqual([
      '19:00:00.000000 n12 bytes_total 1000',
      '19:00:20.000000 n12 bytes_total 2000',
    ]);
    const wide = await runKw(['query', ...bounds, '--wide', '--rate', '--every', '1m', '--format', 'csv'], {
      env: { KW_DATABASE_URL: db.url },
    });
    expect(wide.stdout).toBe(`timestamp,n12/bytes_total\n${day}T19:00:00.000000+00:00,68.33333333333333\n`);
    if (flavour === 'plain')
      await db.client.query('UPDATE kw.summary_state SET watermark = $1', [at('00:00:00')]);
    const summary = await runKw(['query', ...bounds, '--summary', '--format', 'csv'], {
      env: { KW_DATABASE_URL: db.url },
    });
    expect(summary.stdout).toBe(
      'timestamp,device_id,metric_id,value,labels,min,max,count,count_not_finite\n' +
        `${day}T19:00:00.000000+00:00,n12,bytes_total,50,{},0,2000,4,0\n`,
    );
  });

  it('refuses flags that contradict each other, and times that are no times', async () => {
    expect((await query('--agg', 'mean')).code).toBe(2);
    expect((await query('--summary', '--rate')).code).toBe(2);
    expect((await query('--limit', '-1')).code).toBe(2);
    expect(await query('--from', '1795341600123')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('milliseconds?'),
    });
    expect(await query('--every', '0s')).toMatchObject({ code: 1, stderr: 'kw: --every is at least 1ms\n' });
  });
});
