/** What a page says and what kw makes of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { NOW_US, read, reader, samplesOf, show } from './pages.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes. Buffers are freed beside the main thread, some time after the collection that found them unused. */
async function memoryInUse(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    collectGarbage();
    await sleep(10);
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  return least;
}

describe('the text format', () => {
  it('gives one sample a line, under prom_ and the name, with the time of the page', () => {
    const page = `# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 0.21
node_cpu_seconds_total{cpu="0",mode="idle"} 361175.42
node_cpu_seconds_total{cpu="0",mode="user"} 1.361e+07
`;
    expect(samplesOf(page)).toEqual([
      'prom_node_load1{} 0.21',
      'prom_node_cpu_seconds_total{cpu="0",mode="idle"} 361175.42',
      'prom_node_cpu_seconds_total{cpu="0",mode="user"} 13610000',
    ]);
  });

  it("reads the example of Prometheus's own documentation", () => {
    const page = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1795341500000
http_requests_total{method="post",code="400"}    3 1795341500000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf

# A histogram, which has a pretty complex representation in the text format:
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
`;
    expect(samplesOf(page)).toEqual([
      'prom_http_requests_total{method="post",code="200"} 1027 @1795341500000000',
      'prom_http_requests_total{method="post",code="400"} 3 @1795341500000000',
      'prom_msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1458255915',
      'prom_metric_without_timestamp_and_labels{} 12.47',
      'prom_something_weird{problem="division by zero"} Infinity',
      'prom_http_request_duration_seconds_bucket{le="0.05"} 24054',
      'prom_http_request_duration_seconds_bucket{le="+Inf"} 144320',
      'prom_http_request_duration_seconds_sum{} 53423',
      'prom_http_request_duration_seconds_count{} 144320',
    ]);
  });

  it.each([
    ['m 0', 0],
    ['m -0.0', -0],
    ['m 42', 42],
    ['m +7', 7],
    ['m .5', 0.5],
    ['m 5.', 5],
    ['m 1e3', 1000],
    ['m 1E-3', 0.001],
    ['m 123456789012345678901234567890', Number('123456789012345678901234567890')],
    ['m 0.1234567890123456789', Number('0.1234567890123456789')],
    ['m 5e-324', 5e-324],
    ['m 1.7976931348623157e308', Number.MAX_VALUE],
    ['m 9007199254740993', 9007199254740992],
    ['m NaN', Number.NaN],
    ['m nan', Number.NaN],
    ['m Inf', Infinity],
    ['m +Inf', Infinity],
    ['m -Inf', -Infinity],
    ['m -infinity', -Infinity],
  ])('reads the value of %j', (line, value) => {
    const pageReader = reader();
    // The second time the line is a known one, which takes another way through the code.
    for (let time = 0; time < 2; time++) {
      const { samples } = read(pageReader, `${line}\n`);
      expect(samples.map((sample) => sample.value)).toEqual([value]);
    }
  });

  it('does not mind blanks, tabs, CRLF, commas behind the last label and a missing last newline', () => {
    const page = '  a {x="1" , y = "2",}\t1 \r\nb{}2\r\n\r\n \t\nc\t 3 1795341500000 \nd{ } 4';
    const pageReader = reader();
    const expected = ['prom_a{x="1",y="2"} 1', 'prom_b{} 2', 'prom_c{} 3 @1795341500000000', 'prom_d{} 4'];
    expect(show(read(pageReader, page).samples)).toEqual(expected);
    expect(show(read(pageReader, page.replace('1795341500000', '1795341501000')).samples)).toEqual([
      ...expected.slice(0, 2),
      'prom_c{} 3 @1795341501000000',
      'prom_d{} 4',
    ]);
  });

  it('is not confused by braces, quotes, hashes, blanks and commas in label values, nor by UTF-8', () => {
    const value = '} 5 # {x=\\"1\\",y} é 電力 😀 \\\\n';
    expect(samplesOf(`a{l="${value}",m="#"} 1\n`)).toEqual([
      'prom_a{l="} 5 # {x=\\"1\\",y} é 電力 😀 \\\\n",m="#"} 1',
    ]);
  });

  it('reads the quoted names of Prometheus 3', () => {
    expect(samplesOf('{"rack.power.W","room.id"="b 12",x="1"} 7\n')).toEqual([
      'prom_rack.power.W{room.id="b 12",x="1"} 7',
    ]);
  });

  it('keeps unknown escapes as they are, as Prometheus does', () => {
    expect(samplesOf('a{l="C:\\temp"} 1\n')).toEqual(['prom_a{l="C:\\\\temp"} 1']);
  });

  it('keeps colons in names, which Kwollect cut off', () => {
    expect(samplesOf('job:up:sum{a="b"} 1\n')).toEqual(['prom_job:up:sum{a="b"} 1']);
  });

  it('counts bad lines with the number of the first, and keeps the others', () => {
    const page = [
      'ok 1',
      '1bad 2',
      'x{a="1" 3',
      'no_value',
      'ok2 2',
      'x abc',
      'x 1 2 3',
      'x 1 12.5',
      'm-n 1',
    ];
    const { samples, problems } = read(reader(), page.join('\n'));
    expect(show(samples)).toEqual(['prom_ok{} 1', 'prom_ok2{} 2']);
    expect(problems).toEqual([
      { kind: 'value', count: 1, message: 'line 2: the line does not begin with a metric name: "1bad 2"' },
      { kind: 'value', count: 1, message: 'line 3: a comma or } is missing behind a label: "x{a=\\"1\\" 3"' },
      { kind: 'value', count: 1, message: 'line 4: the value is missing: "no_value"' },
      { kind: 'value', count: 2, message: 'line 6: the value is not a number: "x abc" (2 times)' },
      { kind: 'value', count: 1, message: 'line 8: the timestamp is malformed: "x 1 12.5"' },
      {
        kind: 'value',
        count: 1,
        message: 'line 9: a metric name has letters, digits, _ and : only: "m-n 1"',
      },
    ]);
  });

  it('refuses labels given twice, empty names, bytes that are not UTF-8 and values beyond a double', () => {
    const page = Buffer.concat([
      Buffer.from('a{x="1",x="2"} 1\n{} 1\n{""} 1\nb 1e999\nc{x="'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"} 1\nd 4\n'),
    ]);
    const { samples, problems } = read(reader(), page);
    expect(show(samples)).toEqual(['prom_d{} 4']);
    expect(problems.reduce((sum, problem) => sum + (problem.count ?? 1), 0)).toBe(5);
  });

  it('takes the first of a series that a page has twice, and counts the others', () => {
    const pageReader = reader();
    for (let time = 0; time < 2; time++) {
      const { samples, problems } = read(
        pageReader,
        'a{x="1",y="2"} 1\na{y="2",x="1"} 2\na{x="1",y="2"} 3\n',
      );
      expect(show(samples)).toEqual(['prom_a{x="1",y="2"} 1']);
      expect(problems.map(({ kind, count }) => ({ kind, count }))).toEqual([{ kind: 'value', count: 2 }]);
    }
  });
});

describe('OpenMetrics', () => {
  it('reads timestamps in seconds to the microsecond, leaves exemplars and creation times, ends at # EOF', () => {
    const page = `# TYPE acme_http_router_request_seconds summary
# UNIT acme_http_router_request_seconds seconds
acme_http_router_request_seconds_sum{path="/api/v1",method="GET"} 9036.32
acme_http_router_request_seconds_created{path="/api/v1",method="GET"} 1605281325.0
# TYPE foo histogram
foo_bucket{le="0.1"} 8 # {} 0.054
foo_bucket{le="+Inf"} 17 1795341500.123456 # {trace_id="oHg5SJYRHA0"} 9.8 1520879607.789
# TYPE free gauge
free_created 3 1795341500.9999995
# EOF
behind 1
`;
    expect(samplesOf(page, 'openmetrics')).toEqual([
      'prom_acme_http_router_request_seconds_sum{path="/api/v1",method="GET"} 9036.32',
      'prom_foo_bucket{le="0.1"} 8',
      'prom_foo_bucket{le="+Inf"} 17 @1795341500123456',
      'prom_free_created{} 3 @1795341501000000',
    ]);
  });

  it('says when a page ends without # EOF', () => {
    const { samples, problems } = read(reader(), 'a 1\n', 'openmetrics');
    expect(show(samples)).toEqual(['prom_a{} 1']);
    expect(problems).toEqual([
      { kind: 'protocol', count: 1, message: 'the page does not end with # EOF: it may be cut off' },
    ]);
  });

  it('takes several times of one series', () => {
    const page = 'a 1 1795341500\na 2 1795341501\na 3 1795341500\n# EOF\n';
    const { samples, problems } = read(reader(), page, 'openmetrics');
    expect(show(samples)).toEqual(['prom_a{} 1 @1795341500000000', 'prom_a{} 2 @1795341501000000']);
    expect(problems.map(({ kind, count }) => ({ kind, count }))).toEqual([{ kind: 'value', count: 1 }]);
  });
});

describe('pages one after the other', () => {
  it('give the same Series objects, whatever comes, goes or changes place', () => {
    const pageReader = reader();
    const lines = Array.from({ length: 50 }, (_, index) => `m{n="${index}"}`);
    const first = read(pageReader, lines.map((line, index) => `${line} ${index}\n`).join(''));
    const known = new Map(first.samples.map(({ series }) => [series.labels.n, series]));
    const shuffled = [...lines.slice(30), 'new 1', ...lines.slice(0, 10).reverse(), ...lines.slice(12, 30)];
    const second = read(pageReader, shuffled.map((line) => `${line} 7\n`).join(''));
    expect(second.samples.length).toBe(48);
    for (const { series } of second.samples) expect(series).toBe(known.get(series.labels.n));
    const third = read(pageReader, lines.map((line) => `${line} 8\n`).join(''));
    expect(third.samples.map(({ series }) => series)).toEqual(first.samples.map(({ series }) => series));
  });

  it('give a value with its own time once, until there is a newer one', () => {
    const pageReader = reader();
    const at = (ms: number, value: number) => show(read(pageReader, `a ${value} ${ms}\nb 1\n`).samples);
    expect(at(1795341500000, 1)).toEqual(['prom_a{} 1 @1795341500000000', 'prom_b{} 1']);
    expect(at(1795341500000, 1)).toEqual(['prom_b{} 1']);
    expect(at(1795341500000, 2)).toEqual(['prom_a{} 2 @1795341500000000', 'prom_b{} 1']);
    expect(at(1795341501000, 2)).toEqual(['prom_a{} 2 @1795341501000000', 'prom_b{} 1']);
  });

  it('do not take one line for another that begins alike', () => {
    const pageReader = reader();
    expect(show(read(pageReader, 'a 1\nb{x="1"} 2\n').samples)).toEqual(['prom_a{} 1', 'prom_b{x="1"} 2']);
    expect(show(read(pageReader, 'a {x="1"} 1\nb{x="1"} 2\n').samples)).toEqual([
      'prom_a{x="1"} 1',
      'prom_b{x="1"} 2',
    ]);
    expect(show(read(pageReader, 'a  1\nb{x="1"}2\n').samples)).toEqual(['prom_a{} 1', 'prom_b{x="1"} 2']);
    expect(show(read(pageReader, 'aa 1\nb{x="1"} 2\n').samples)).toEqual(['prom_aa{} 1', 'prom_b{x="1"} 2']);
  });
});

describe('what entries ask for', () => {
  it('chooses exact names, and says which the page has not', () => {
    const pageReader = reader({ names: ['node_load1', 'node_load5', 'nope'] });
    for (let time = 0; time < 2; time++) {
      const { samples, problems } = read(pageReader, 'node_load1 1\nnode_load15 3\nnode_load5{a="b"} 2\n');
      expect(show(samples)).toEqual(['prom_node_load1{} 1', 'prom_node_load5{a="b"} 2']);
      expect(problems).toEqual([
        { kind: 'missing', count: 1, message: 'the page has no series named "nope"' },
      ]);
    }
  });

  it("adds the entry's labels, which win, and its scale factor", () => {
    const options = { labels: { site: 'lyon', _device_alias: 'node-1-host' }, scaleFactor: 0.001 };
    expect(samplesOf('power{site="mine",unit="mW"} 1500\n', 'text', options)).toEqual([
      'prom_power{site="lyon",unit="mW",_device_alias="node-1-host"} 1.5',
    ]);
  });
});

describe('labels without text', () => {
  it('are none, as node_exporter gives them to every series of a textfile that has other labels', () => {
    const page = 'a{x="",y="1"} 1\nkwollect_custom{_metric_id="m",_timestamp="",_other="",run=""} 2\n';
    expect(samplesOf(page)).toEqual(['prom_a{y="1"} 1', 'm{_metric_origin="prom_kwollect_custom"} 2']);
  });
});

describe('what users may not say', () => {
  it('removes labels that begin with _ and counts them', () => {
    const { samples, problems } = read(reader(), 'a{_device_alias="other",__name__="b",c="d"} 1\n');
    expect(show(samples)).toEqual(['prom_a{c="d"} 1']);
    expect(problems).toEqual([
      {
        kind: 'dropped',
        count: 2,
        message:
          'line 1: a label that begins with _ was removed; those come from the configuration (2 times)',
      },
    ]);
  });

  it('refuses names and labels that cannot be stored, and only those', () => {
    const page = `${'n'.repeat(251)} 1\na{l="${'x'.repeat(1020)}"} 1\n${'n'.repeat(250)} 1\na{l="${'x'.repeat(1000)}"} 1\n`;
    const { samples, problems } = read(reader(), page);
    expect(samples.length).toBe(2);
    expect(problems.map(({ kind, count }) => ({ kind, count }))).toEqual([{ kind: 'limit', count: 2 }]);
    expect(problems[0]?.message).toMatch(
      /^line 1: the metric name has 256 bytes, and at most 255 can be stored/,
    );
  });

  it('refuses timestamps that are far off, with a hint', () => {
    const { samples, problems } = read(reader(), 'a 1 1795341600000000\nb 2 1\nc 3\n');
    expect(show(samples)).toEqual(['prom_c{} 3']);
    expect(problems.map(({ message }) => message)).toEqual([
      'line 1: the timestamp lies too far in the future (milliseconds instead of seconds?): "a "',
      'line 2: the timestamp lies too far in the past: "b "',
    ]);
  });

  it('stops at the bound on series', () => {
    const page = Array.from({ length: 30 }, (_, index) => `m{n="${index}"} 1\n`).join('');
    const { samples, problems } = read(reader({ maxSeries: 20 }), page);
    expect(samples.length).toBe(20);
    expect(problems).toEqual([
      {
        kind: 'limit',
        count: 1,
        message: 'the page has more than 20 series; the rest was not read (see max_series)',
      },
    ]);
  });

  it('gives up on a page of nothing but bad lines', () => {
    const { samples, problems } = read(reader(), `${'<p>\n'.repeat(20_000)}a 1\n`);
    expect(samples).toEqual([]);
    expect(problems.map(({ kind, count }) => ({ kind, count }))).toEqual([
      { kind: 'value', count: 10_000 },
      { kind: 'protocol', count: 1 },
    ]);
  });
});

describe('memory', () => {
  it('keeps a series without the page that it stood on', async () => {
    const pages = reader();
    const pageBytes = 2_000_000;
    const padding = `# ${'x'.repeat(pageBytes)}\n`;
    const kept: unknown[] = [];
    const before = await memoryInUse();
    for (let page = 0; page < 100; page++) {
      const series = `a_metric_with_a_long_name_${page}{label="a value that is long, too: ${page}"} 1\n`;
      kept.push(read(pages, padding + series).samples[0]?.series);
    }
    const grown = (await memoryInUse()) - before;
    expect(kept).toHaveLength(100);
    // The page read last may stay, as text and as bytes, and the rest of this process needs some. All would be 100.
    expect(grown / pageBytes).toBeLessThan(50);
  });

  it('stays bounded when a full page has new series each time', () => {
    const pages = reader({ maxSeries: 100 });
    for (let page = 0; page < 200; page++) {
      const lines = Array.from({ length: 120 }, (_, line) => `m{request="${page * 120 + line}"} 1\n`);
      expect(read(pages, lines.join('')).samples).toHaveLength(100);
    }
    expect(pages.remembered.lines).toBeLessThanOrEqual(1_300);
    expect(pages.remembered.series).toBeLessThanOrEqual(1_400);
  });
});

describe('kwollect_custom', () => {
  it("becomes the user's own metric, with the time that the user says", () => {
    const page = `kwollect_custom{_metric_id="app_watt",run="3"} 42
kwollect_custom{_metric_id="app_watt",_timestamp="1795341500.123457",run="3"} 43
kwollect_custom{_metric_id="app_watt",_timestamp="1795341501",run="3"} 44
kwollect_custom{run="3"} 45
kwollect_custom 46
`;
    const options = { labels: { site: 'lyon' }, scaleFactor: 1000 };
    const rest = 'run="3",_metric_origin="prom_kwollect_custom",site="lyon"';
    expect(samplesOf(page, 'text', options)).toEqual([
      `app_watt{${rest}} 42`,
      `app_watt{${rest}} 43 @1795341500123457`,
      `app_watt{${rest}} 44 @1795341501000000`,
      `prom_kwollect_custom{${rest}} 45`,
      'prom_kwollect_custom{_metric_origin="prom_kwollect_custom",site="lyon"} 46',
    ]);
  });

  it('is stored once for each time that it gives, since the file stays on the node', () => {
    const pageReader = reader();
    const page = 'kwollect_custom{_metric_id="a",_timestamp="1795341500"} 1\n';
    expect(read(pageReader, page).samples.length).toBe(1);
    expect(read(pageReader, page, 'text', NOW_US + 15e6)).toEqual({ samples: [], problems: [] });
  });

  it('may not take the name of a metric that collectors read, for the device or its alias', () => {
    const pageReader = reader({
      labels: { _device_alias: 'rack-1' },
      configured: ['node-1/bmc_power_watt', 'rack-1/pdu_watt', 'node-2/mine'],
    });
    const page = ['bmc_power_watt', 'pdu_watt', 'prom_node_load1', 'mine']
      .map((name) => `kwollect_custom{_metric_id="${name}"} 1\n`)
      .join('');
    const { samples, problems } = read(pageReader, page);
    expect(samples.map(({ series }) => [series.deviceId, series.metricId])).toEqual([['node-1', 'mine']]);
    expect(problems).toEqual([
      {
        kind: 'dropped',
        count: 2,
        message:
          'line 1: kwollect_custom may not name "bmc_power_watt", which kw collects for "node-1" itself (2 times)',
      },
      {
        kind: 'dropped',
        count: 1,
        message:
          'line 3: kwollect_custom may not name a metric that begins with prom_, as "prom_node_load1" does',
      },
    ]);
  });

  it('is asked again at each poll whether its name is still free', () => {
    const configured: string[] = [];
    const pageReader = reader({ configured });
    const page = 'kwollect_custom{_metric_id="m"} 1\n';
    expect(read(pageReader, page).samples.length).toBe(1);
    configured.push('node-1/m');
    expect(read(pageReader, page).samples.length).toBe(0);
  });

  it('refuses times that are no numbers or far off, and other labels that begin with _', () => {
    const page = `kwollect_custom{_metric_id="a",_timestamp="yesterday"} 1
kwollect_custom{_metric_id="b",_timestamp="1795341500123"} 1
kwollect_custom{_metric_id="c",_timestamp="12"} 1
kwollect_custom{_metric_id="d",_device_id="node-2",_metric_origin="x"} 1
`;
    const { samples, problems } = read(reader(), page);
    expect(show(samples)).toEqual(['d{_metric_origin="prom_kwollect_custom"} 1']);
    expect(problems.map(({ kind, count }) => ({ kind, count }))).toEqual([
      { kind: 'value', count: 1 },
      { kind: 'value', count: 1 },
      { kind: 'value', count: 1 },
      { kind: 'dropped', count: 2 },
    ]);
    expect(problems[0]?.message).toBe(
      'line 1: _timestamp "yesterday" of kwollect_custom is not a number of seconds since 1970',
    );
    expect(problems[1]?.message).toContain('(milliseconds instead of seconds?)');
  });

  it('obeys the choice of names under its own', () => {
    const page = 'kwollect_custom{_metric_id="a"} 1\nnode_load1 2\n';
    expect(samplesOf(page, 'text', { names: ['node_load1'] })).toEqual(['prom_node_load1{} 2']);
    expect(samplesOf(page, 'text', { names: ['kwollect_custom'] })).toEqual([
      'a{_metric_origin="prom_kwollect_custom"} 1',
    ]);
  });
});
