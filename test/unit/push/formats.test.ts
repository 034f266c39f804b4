/** What the lines of an input mean, whatever form they have. */
import { describe, expect, it } from 'vitest';
import { KwError } from '../../../src/lib/errors.ts';
import { guessFormat, type PushFormat, rowReader } from '../../../src/lib/push/formats.ts';
import { readLines } from '../../../src/lib/push/lines.ts';
import { isRefusal, type PushRow, type Refusal } from '../../../src/lib/push/pushRow.ts';

/** 2026-11-22T10:00:00Z */
const NOW_US = 1_795_341_600_000_000;
const defaults = { timestampUs: NOW_US, deviceId: 'here', metricId: undefined, labels: {} };

async function* bytes(...chunks: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function readAll(format: PushFormat, input: string | Buffer, more: Partial<typeof defaults> = {}) {
  const reader = rowReader(format, { defaults: { ...defaults, ...more }, timeZone: 'Europe/Paris' });
  const rows: (PushRow | Refusal)[] = [];
  for await (const lines of readLines(bytes(input)))
    for (const line of lines) rows.push(...reader.read(line));
  rows.push(...reader.end());
  return rows;
}

/** `line: device/metric@offset-in-us value labels`, or `line! reason`. */
const show = (rows: (PushRow | Refusal)[]) =>
  rows.map((row) =>
    isRefusal(row)
      ? `${row.line}! ${row.reason}`
      : `${row.line}: ${row.deviceId}/${row.metricId}@${row.timestampUs - NOW_US} ${row.value} ${JSON.stringify(row.labels)}`,
  );

describe('NDJSON', () => {
  it("reads kw's own export, and fills in what lines leave out", async () => {
    const input = [
      '{"timestamp":"2026-11-22T10:00:00.123456+00:00","device_id":"node-1","metric_id":"m","value":1.5,"labels":{"run":"3","n":4,"ok":true}}',
      '{"metric_id":"m","value":"NaN"}',
      '',
      '{"timestamp":1795341599.999999,"metric_id":"m","value":-1e-3,"device_id":null,"labels":null}',
      '{"timestamp":"2026-11-22 11:00:01","metric_id":"m","value":"-Inf"}',
    ].join('\r\n');
    expect(show(await readAll('ndjson', input))).toEqual([
      '1: node-1/m@123456 1.5 {"run":"3","n":"4","ok":"true"}',
      '2: here/m@0 NaN {}',
      '4: here/m@-1 -0.001 {}',
      '5: here/m@1000000 -Infinity {}',
    ]);
  });

  it('refuses what it cannot read, each line for itself', async () => {
    const input = [
      '{"metric_id":"m","value":1',
      '[1]',
      '{"metric":"m","value":1}',
      '{"value":1}',
      '{"metric_id":"m"}',
      '{"metric_id":"m","value":"many"}',
      '{"metric_id":"m","value":1,"timestamp":"yesterdy"}',
      '{"metric_id":"m","value":1,"timestamp":1795341600123}',
      '{"metric_id":"m","value":1,"labels":{"a":{"b":1}}}',
      '{"metric_id":"m","value":1,"labels":["a"]}',
      '{"metric_id":5,"value":1}',
      '{"metric_id":"a\\u0000b","value":1}',
      '{"metric_id":"\\ud800","value":1}',
      `{"metric_id":"${'m'.repeat(1_000_000)}","value":1}`,
      `{"metric_id":"m","value":1,"labels":{"l":"${'x'.repeat(1_000_000)}"}}`,
      '{"metric_id":"ok","value":1}',
    ].join('\n');
    expect(show(await readAll('ndjson', input))).toEqual([
      '1! "{\\"metric_id\\":\\"m\\",\\"value\\":1" is not JSON',
      '2! the line is not a JSON object',
      '3! unknown key "metric": the keys are timestamp, device_id, metric_id, value, labels',
      '4! there is no metric name',
      '5! there is no value',
      '6! the value "many" is not a number',
      '7! "yesterdy" is not a time that kw can read (write 2026-11-22T10:00:00, 2026-11-22T10:00:00.123456+01:00, epoch seconds, -2h, now, today or yesterday)',
      '8! "1795341600123" is too far in the future: milliseconds? (kw reads seconds: 1795341600.123)',
      '9! the label "a" is neither text nor a number',
      '10! labels are not a JSON object',
      '11! metric_id is not text',
      '12! the metric name contains a NUL character',
      '13! the metric name is not valid Unicode',
      '14! the metric name has 1000000 bytes, and at most 255 can be stored',
      '15! the labels have 1000008 bytes as JSON, and at most 1024 can be stored',
      '16: here/ok@0 1 {}',
    ]);
  });

  it('leaves out labels that begin with _, and lets those of a line win over those of all', async () => {
    const input = '{"metric_id":"m","value":1,"labels":{"_device_alias":"x","_a":1,"run":"2"}}';
    const [row] = await readAll('ndjson', input, { labels: { run: '1', site: 'lyon' } });
    expect(row).toMatchObject({ removedLabels: 2, labels: { run: '2', site: 'lyon' } });
  });
});

describe('CSV', () => {
  it('reads columns in any order, quotes, labels, and fields that go on over lines', async () => {
    const input = [
      '\ufeffvalue,"metric_id",timestamp,device_id,labels,label.run',
      '1,m,2026-11-22T10:00:00.000001Z,node-1,"{""a"":""b,c""}",3',
      'nan,"a ""b"", c",,,,',
      '2,"two',
      'lines",1795341600.5,,,',
      '',
    ].join('\n');
    expect(show(await readAll('csv', input))).toEqual([
      '2: node-1/m@1 1 {"a":"b,c","run":"3"}',
      '3: here/a "b", c@0 NaN {}',
      '4: here/two\nlines@500000 2 {}',
    ]);
  });

  it('refuses bad lines only, even when a quote is never closed', async () => {
    const input = 'metric_id,value,labels\nm,1\n"m,2,\nok,3,\nm,x,\nm,,\nm,4,{\nm,5,[]\n"a"b,6,\nlast,7,\n';
    expect(show(await readAll('csv', input))).toEqual([
      '2! the line has 2 fields, and the header has 3',
      '3! a quote is opened and not closed: "\\"m,2,"',
      '4: here/ok@0 3 {}',
      '5! the value "x" is not a number',
      '6! there is no value',
      '7! "{" is not JSON',
      '8! labels are not a JSON object',
      '9! there is text behind a field in quotes',
      '10: here/last@0 7 {}',
    ]);
  });

  it('says which header it cannot use', async () => {
    const failure = async (header: string) => {
      const error: unknown = await readAll('csv', `${header}\n1\n`).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(KwError);
      return (error as KwError).message;
    };
    const start = 'the header of the CSV input cannot be used: ';
    expect(await failure('timestamp,valeu')).toBe(`${start}unknown column "valeu": did you mean value?`);
    expect(await failure('value,run')).toBe(
      `${start}unknown column "run": write label.run to make it a label`,
    );
    expect(await failure('value,value')).toBe(`${start}the column "value" stands there twice`);
    expect(await failure('timestamp,metric_id')).toBe(`${start}there is no column value`);
  });
});

describe('Prometheus text', () => {
  it('keeps names, reads milliseconds, and knows kwollect_custom', async () => {
    const input = `# TYPE m gauge
m{run="3",note="a \\"b\\" é"} 1 1795341600001
m 2
kwollect_custom{_metric_id="own",_timestamp="1795341599.5",run="4"} 3
 `;
    expect(show(await readAll('prometheus', input))).toEqual([
      '2: here/m@1000 1 {"run":"3","note":"a \\"b\\" é"}',
      '3: here/m@0 2 {}',
      '4: here/own@-500000 3 {"run":"4"}',
    ]);
    expect(show(await readAll('openmetrics', 'm 2 1795341600.25 # {a="b"} 1\n# EOF\n'))).toEqual([
      '1: here/m@250000 2 {}',
    ]);
  });

  it('refuses bad lines', async () => {
    const input = 'm{a="b" 1\nm x\nm 1 1.5\nkwollect_custom{_metric_id="m",_timestamp="x"} 1\nm 1\n';
    expect(show(await readAll('prometheus', input))).toEqual([
      '1! a comma or } is missing behind a label',
      '2! the value is not a number',
      '3! the timestamp is malformed',
      '4! _timestamp "x" is not a number of seconds since 1970',
      '5: here/m@0 1 {}',
    ]);
  });
});

describe('the format', () => {
  it.each([
    [undefined, '{"metric_id":"m","value":1}', 'ndjson'],
    [undefined, '{ "value" : 1 }', 'ndjson'],
    [undefined, '{}', 'ndjson'],
    [undefined, '{"quoted.name",a="b"} 1', 'prometheus'],
    [undefined, '{"quoted.name"} 1', 'prometheus'],
    [undefined, '# HELP m x', 'prometheus'],
    [undefined, 'm{a="b"} 1', 'prometheus'],
    [undefined, 'm 1', 'prometheus'],
    [undefined, 'timestamp,value', 'csv'],
    [undefined, 'value', 'csv'],
    [undefined, '"timestamp","value","metric_id"', 'csv'],
    ['x.csv', 'm 1', 'csv'],
    ['x.JSONL', 'm 1', 'ndjson'],
    ['x.prom', '', 'prometheus'],
    ['x.txt', 'm 1', 'prometheus'],
  ])('of %s with the first line %j is %s', (name, line, format) => {
    expect(guessFormat(name, line)).toBe(format);
  });

  it('is not told by an extension that only JavaScript knows', () => {
    expect(guessFormat('values.constructor', 'value')).toBe('csv');
  });

  it('that cannot be told is asked for', () => {
    expect(() => guessFormat(undefined, '1,2,3')).toThrow('cannot be told from its first line');
    expect(() => guessFormat(undefined, '[')).toThrow('a JSON array');
  });
});

describe('lines', () => {
  const lines = async (maxBytes: number, ...chunks: (string | Buffer)[]) => {
    const all: string[] = [];
    for await (const some of readLines(bytes(...chunks), maxBytes))
      all.push(
        ...some.map(
          ({ number, bytes: text, tooLong }) => `${number}${tooLong ? '!' : ' '}${text.toString()}`,
        ),
      );
    return all;
  };

  it('are the same wherever the input is cut', async () => {
    const input = Buffer.from('\ufeffé\r\n\nb\nc');
    const whole = await lines(100, input);
    expect(whole).toEqual(['1 é', '2 ', '3 b', '4 c']);
    for (let cut = 0; cut <= input.length; cut++)
      expect(await lines(100, input.subarray(0, cut), input.subarray(cut))).toEqual(whole);
  });

  it('without end are not kept', async () => {
    const long = 'x'.repeat(300);
    expect(await lines(200, 'a\n', long, long, long, '\nb\n', `${long}\nc`)).toEqual([
      '1 a',
      `2!${'x'.repeat(100)}`,
      '3 b',
      `4!${'x'.repeat(100)}`,
      '5 c',
    ]);
  });
});
