/** Exact output of every format; see src/lib/output. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compactJson } from '../../../src/lib/metrics/decode.ts';
import { ByteWriter, numberText } from '../../../src/lib/output/byteWriter.ts';
import { CsvWriter, csvField } from '../../../src/lib/output/csv.ts';
import { JsonWriter } from '../../../src/lib/output/json.ts';
import { countText, sizeText } from '../../../src/lib/output/progress.ts';
import type { RowSeries, RowWriter } from '../../../src/lib/output/row.ts';
import { alignNumbers, TableSink } from '../../../src/lib/output/table.ts';
import { WideWriter, wideColumns } from '../../../src/lib/output/wide.ts';
import { formatUtc, formatUtcShort } from '../../../src/lib/time.ts';

/** 2026-11-22T10:00:00Z */
const NOW = 1_795_341_600_000_000;

const plain: RowSeries = { id: 0, deviceId: 'node-1', metricId: 'power_watt', labels: '{}' };
const labelled: RowSeries = { id: 1, deviceId: 'node-2', metricId: 'cpu_total', labels: '{"mode":"idle"}' };
const text: RowSeries = {
  id: 2,
  deviceId: 'node-2',
  metricId: 'state',
  labels: '{"value_str":"on, \\"ok\\""}',
};
const hostile: RowSeries = { id: 3, deviceId: 'a"b,c\nd', metricId: "o'hara\\", labels: '{}' };

function written(writer: RowWriter): string {
  const rows: [number, RowSeries, number][] = [
    [NOW, plain, 12.5],
    [NOW + 1, labelled, 1e21],
    [NOW + 999_999, text, Number.NaN],
    [NOW + 2e6, hostile, Number.NEGATIVE_INFINITY],
  ];
  for (const row of rows) writer.row(...row);
  writer.end();
  return String(writer.take());
}

describe('CSV', () => {
  it('has a header, exact times and RFC 4180 quotes', () => {
    expect(written(new CsvWriter())).toBe(
      [
        'timestamp,device_id,metric_id,value,labels',
        '2026-11-22T10:00:00.000000+00:00,node-1,power_watt,12.5,{}',
        '2026-11-22T10:00:00.000001+00:00,node-2,cpu_total,1e+21,"{""mode"":""idle""}"',
        '2026-11-22T10:00:00.999999+00:00,node-2,state,NaN,"{""value_str"":""on, \\""ok\\""""}"',
        '2026-11-22T10:00:02.000000+00:00,"a""b,c\nd",o\'hara\\,-Infinity,{}',
        '',
      ].join('\n'),
    );
  });

  it('has the figures of the summary behind the labels', () => {
    const writer = new CsvWriter({ summary: true });
    writer.row(NOW, plain, 5, { min: 1, max: 9.25, count: 300, countNotFinite: 2 });
    writer.end();
    expect(String(writer.take())).toBe(
      'timestamp,device_id,metric_id,value,labels,min,max,count,count_not_finite\n' +
        '2026-11-22T10:00:00.000000+00:00,node-1,power_watt,5,{},1,9.25,300,2\n',
    );
  });

  it('is only a header without rows', () => {
    const writer = new CsvWriter();
    writer.end();
    expect(String(writer.take())).toBe('timestamp,device_id,metric_id,value,labels\n');
    expect(writer.take()).toBeUndefined();
  });

  it.each([
    ['', '""'],
    ['a', 'a'],
    [' a ', ' a '],
    ['a\rb', '"a\rb"'],
    ['"', '""""'],
  ])('field %j is %j', (field, csv) => expect(csvField(field)).toBe(csv));

  it('prepares a series anew when its number is used again', () => {
    const writer = new CsvWriter();
    writer.row(NOW, { ...plain, deviceId: 'first' }, 1);
    writer.row(NOW, { ...plain, deviceId: 'second' }, 1);
    expect(String(writer.take())).toMatch(/,first,.*\n.*,second,/);
  });
});

describe('JSON', () => {
  it('is an array of objects; what is no number is null, and infinity is counted', () => {
    const writer = new JsonWriter({ array: true });
    const json = written(writer);
    expect(json).toBe(
      [
        '[',
        '{"timestamp":"2026-11-22T10:00:00.000000+00:00","device_id":"node-1","metric_id":"power_watt","value":12.5,"labels":{}},',
        '{"timestamp":"2026-11-22T10:00:00.000001+00:00","device_id":"node-2","metric_id":"cpu_total","value":1e+21,"labels":{"mode":"idle"}},',
        '{"timestamp":"2026-11-22T10:00:00.999999+00:00","device_id":"node-2","metric_id":"state","value":null,"labels":{"value_str":"on, \\"ok\\""}},',
        '{"timestamp":"2026-11-22T10:00:02.000000+00:00","device_id":"a\\"b,c\\nd","metric_id":"o\'hara\\\\","value":null,"labels":{}}',
        ']',
        '',
      ].join('\n'),
    );
    expect(JSON.parse(json)).toHaveLength(4);
    expect(writer.infinite).toBe(1);
  });

  it('is [] without rows', () => {
    const writer = new JsonWriter({ array: true });
    writer.end();
    expect(String(writer.take())).toBe('[]\n');
  });

  it('has an object a line as NDJSON, and nothing without rows', () => {
    const lines = written(new JsonWriter({ array: false }))
      .trimEnd()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line).device_id)).toEqual([
      'node-1',
      'node-2',
      'node-2',
      'a"b,c\nd',
    ]);
    expect(new JsonWriter({ array: false }).take()).toBeUndefined();
  });
});

describe('wide', () => {
  const cpu = (id: number, mode: string): RowSeries => ({
    id,
    deviceId: 'node-1',
    metricId: 'cpu_total',
    labels: JSON.stringify({ mode }),
  });
  const all = [
    { ...plain, deviceId: 'node-10', id: 10 },
    { ...plain, deviceId: 'node-2', id: 11 },
    cpu(12, 'idle'),
    cpu(13, 'user'),
  ];

  it('names columns device/metric, with labels only where one device has several', () => {
    expect(wideColumns(all).names).toEqual([
      'node-1/cpu_total{mode="idle"}',
      'node-1/cpu_total{mode="user"}',
      'node-2/power_watt',
      'node-10/power_watt',
    ]);
  });

  it('sorts columns by device, then metric, then labels, numbers by size', () => {
    const of = (deviceId: string, metricId: string, outlet: string, id: number): RowSeries => ({
      id,
      deviceId,
      metricId,
      labels: JSON.stringify({ outlet }),
    });
    const columns = wideColumns([
      of('pdu-10', 'a', '1', 0),
      of('pdu-2', 'watt', '10', 1),
      of('pdu-2', 'watt', '2', 2),
      of('pdu-2-port1', 'a', '1', 3),
      of('pdu-2', 'amps', '1', 4),
      of('pdu-2.site', 'a', '1', 5),
    ]);
    expect(columns.names).toEqual([
      'pdu-2/amps',
      'pdu-2/watt{outlet="2"}',
      'pdu-2/watt{outlet="10"}',
      'pdu-2-port1/a',
      'pdu-2.site/a',
      'pdu-10/a',
    ]);
  });

  function wide(format: 'csv' | 'json' | 'ndjson'): string {
    const writer = new WideWriter(wideColumns(all), format);
    writer.row(NOW, all[1] as RowSeries, 2);
    writer.row(NOW, all[0] as RowSeries, 10);
    writer.row(NOW + 1e6, all[2] as RowSeries, 0.5);
    // the same column twice at one time
    writer.row(NOW + 1e6, all[2] as RowSeries, Number.NaN);
    writer.end();
    expect(writer.rows).toBe(3);
    return String(writer.take());
  }

  it('has one line a time in CSV', () => {
    expect(wide('csv')).toBe(
      'timestamp,"node-1/cpu_total{mode=""idle""}","node-1/cpu_total{mode=""user""}",node-2/power_watt,node-10/power_watt\n' +
        '2026-11-22T10:00:00.000000+00:00,,,2,10\n' +
        '2026-11-22T10:00:01.000000+00:00,0.5,,,\n' +
        '2026-11-22T10:00:01.000000+00:00,NaN,,,\n',
    );
  });

  it('has one object a time in JSON', () => {
    expect(JSON.parse(wide('json'))).toEqual([
      {
        timestamp: '2026-11-22T10:00:00.000000+00:00',
        'node-1/cpu_total{mode="idle"}': null,
        'node-1/cpu_total{mode="user"}': null,
        'node-2/power_watt': 2,
        'node-10/power_watt': 10,
      },
      expect.objectContaining({ 'node-1/cpu_total{mode="idle"}': 0.5 }),
      expect.objectContaining({ 'node-1/cpu_total{mode="idle"}': null }),
    ]);
    expect(wide('ndjson').trimEnd().split('\n')).toHaveLength(3);
  });
});

describe('table', () => {
  it('is aligned, local, with units, texts as values, and labels in short', () => {
    const table = new TableSink({
      timeZone: 'Europe/Paris',
      unitOf: ({ metricId }) => (metricId.endsWith('_watt') ? 'W' : undefined),
    });
    table.row(NOW, plain, 12.5);
    table.row(NOW + 1000, { ...plain, deviceId: 'n' }, 1234.125);
    table.row(NOW + 2000, labelled, 100);
    table.row(NOW + 3000, text, Number.NaN);
    expect(table.toString()).toBe(
      [
        'time (Europe/Paris)      device  metric         value  unit  labels',
        '2026-11-22 11:00:00.000  node-1  power_watt     12.5   W',
        '2026-11-22 11:00:00.001  n       power_watt   1234.13  W',
        '2026-11-22 11:00:00.002  node-2  cpu_total     100           mode=idle',
        '2026-11-22 11:00:00.003  node-2  state       on, "ok"',
        '',
      ].join('\n'),
    );
  });

  it('shows as many digits of time as there are', () => {
    const at = (...offsets: number[]) => {
      const table = new TableSink({ timeZone: 'UTC' });
      for (const offset of offsets) table.row(NOW + offset, plain, 1);
      return table.toString().split('\n')[1]?.split('  ')[0];
    };
    expect(at(0, 1e6)).toBe('2026-11-22 10:00:00');
    expect(at(0, 1000)).toBe('2026-11-22 10:00:00.000');
    expect(at(0, 1)).toBe('2026-11-22 10:00:00.000000');
  });

  it('has one column a series when wide', () => {
    const columns = wideColumns([plain, labelled]);
    const table = new TableSink({ timeZone: 'UTC', wide: columns });
    table.row(NOW, plain, 1);
    table.row(NOW, labelled, 22);
    table.row(NOW + 1e6, plain, 1.5);
    expect(table.toString()).toBe(
      [
        'time (UTC)           node-1/power_watt  node-2/cpu_total',
        '2026-11-22 10:00:00                1                  22',
        '2026-11-22 10:00:01                1.5',
        '',
      ].join('\n'),
    );
  });

  it('stands names below each other when wide does not fit the terminal', () => {
    const columns = wideColumns([plain, labelled]);
    const table = new TableSink({ timeZone: 'UTC', wide: columns, width: 50 });
    table.row(NOW, plain, 1);
    table.row(NOW, labelled, 22);
    expect(table.toString().split('\n')).toEqual([
      'time (UTC)              node-1/    node-2/',
      '                     power_watt  cpu_total',
      '2026-11-22 10:00:00           1         22',
      '',
    ]);
  });

  it('is cut to the terminal in its longest texts, and never without one', () => {
    const long = {
      ...labelled,
      id: 9,
      labels: JSON.stringify({ device: 'a-very-long-name-of-a-disk', mode: 'idle' }),
    };
    const tableOf = (width?: number) => {
      const table = new TableSink({ timeZone: 'UTC', width });
      table.row(NOW, plain, 1);
      table.row(NOW, long, 22);
      return table.toString().split('\n').slice(0, -1);
    };
    expect(tableOf(70)).toEqual([
      'time (UTC)           device  metric      value  labels',
      '2026-11-22 10:00:00  node-1  power_watt      1',
      '2026-11-22 10:00:00  node-2  cpu_total      22  device=a-very-long-na…',
    ]);
    expect(tableOf()[2]).toBe(
      '2026-11-22 10:00:00  node-2  cpu_total      22  device=a-very-long-name-of-a-disk mode=idle',
    );
  });

  it('aligns numbers at their points', () => {
    expect(alignNumbers(['1', '1.5', '-22.25', 'NaN', ''])).toEqual(['1   ', '1.5 ', '-22.25', 'NaN', '']);
  });
});

describe('numbers', () => {
  it.each([
    [0, '0'],
    [-0, '-0'],
    [1e15, '1e+15'],
    [123456789012345, '123456789012345'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [1e100, '1e+100'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [-12.345, '-12.345'],
    [0.1 + 0.2, '0.30000000000000004'],
  ])('%d is written as PostgreSQL writes it: %s', (value, expected) => {
    const writer = new ByteWriter();
    writer.number(value);
    expect(String(writer.take())).toBe(expected);
    expect(numberText(value)).toBe(expected);
  });

  it('read back as the same double, and the quick way writes what the slow one does', () => {
    const some = fc.oneof(
      fc.double(),
      fc.integer().map((n) => n / 1000),
      fc.integer().map((n) => n / 10),
      fc.integer(),
    );
    fc.assert(
      fc.property(some, (value) => {
        const writer = new ByteWriter();
        writer.number(value);
        const written = String(writer.take());
        expect(written).toBe(numberText(value));
        expect(Number(written)).toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  it('timestamps in bytes are those of formatUtc', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e15, max: 8e15 }), (us) => {
        const writer = new ByteWriter();
        writer.timestamp(us);
        writer.timestamp(us + 1);
        expect(String(writer.take())).toBe(formatUtc(us) + formatUtc(us + 1));
      }),
    );
  });

  it('short timestamps have as many decimals as there are', () => {
    const writer = new ByteWriter();
    const short = (us: number) => {
      writer.shortTimestamp(us);
      return String(writer.take());
    };
    expect([0, 1, 10, 120_000, 900_000, 1_000_000].map(short)).toEqual([
      '1970-01-01T00:00:00+00:00',
      '1970-01-01T00:00:00.000001+00:00',
      '1970-01-01T00:00:00.00001+00:00',
      '1970-01-01T00:00:00.12+00:00',
      '1970-01-01T00:00:00.9+00:00',
      '1970-01-01T00:00:01+00:00',
    ]);
    fc.assert(fc.property(fc.integer({ min: -1e15, max: 8e15 }), (us) => short(us) === formatUtcShort(us)));
  });

  it('grow the buffer as needed', () => {
    const writer = new ByteWriter();
    const long = 'é'.repeat(300_000);
    writer.text(long);
    writer.bytes(Buffer.from(long));
    expect(String(writer.take())).toBe(long + long);
  });
});

it('jsonb text loses its blanks and nothing else', () => {
  expect(compactJson('{"a b": "c: \\"d\\", e", "n": 1e400, "l": ["x", "y"]}')).toBe(
    '{"a b":"c: \\"d\\", e","n":1e400,"l":["x","y"]}',
  );
});

it('sizes and counts are for people', () => {
  expect([sizeText(999), sizeText(1000), sizeText(98_240_000), sizeText(3.2e12)]).toEqual([
    '999 bytes',
    '1.0 kB',
    '98.2 MB',
    '3.2 TB',
  ]);
  expect(countText(1234567)).toBe('1,234,567');
});
