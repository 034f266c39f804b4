/** What happens to rows between the database and the output: rates, periods, limits, aliases. */
import { describe, expect, it } from 'vitest';
import { ByDeviceSink, type KnownOrigin } from '../../../src/lib/metrics/byDevice.ts';
import { type Aggregate, EverySink } from '../../../src/lib/metrics/every.ts';
import type { Interval } from '../../../src/lib/metrics/interval.ts';
import { LimitSink } from '../../../src/lib/metrics/limit.ts';
import { RateSink } from '../../../src/lib/metrics/rate.ts';
import type { RowSeries, RowSink } from '../../../src/lib/output/row.ts';

const S = 1e6;

let ids = 0;
function series(
  deviceId: string,
  metricId: string,
  labels: Record<string, string | string[]> = {},
): RowSeries {
  return { id: ids++, deviceId, metricId, labels: JSON.stringify(labels) };
}

/** Collects rows as `[seconds, device, metric, value, labels]`. */
class Collected implements RowSink {
  readonly rows: [number, string, string, number, string][] = [];
  ended = 0;

  row(timestampUs: number, { deviceId, metricId, labels }: RowSeries, value: number): void {
    this.rows.push([timestampUs / S, deviceId, metricId, value, labels]);
  }

  end(): void {
    this.ended++;
  }
}

describe('rates', () => {
  function rates(values: [seconds: number, value: number][], devices?: Map<string, Interval[]>) {
    const out = new Collected();
    const rate = new RateSink(out, devices);
    const counter = series('a', 'bytes_total');
    for (const [seconds, value] of values) rate.row(seconds * S, counter, value);
    rate.end();
    return out.rows.map(([seconds, , , value]) => [seconds, value]);
  }

  it('are differences by the second; the first value has none', () => {
    expect(
      rates([
        [0, 100],
        [1, 150],
        [3, 350],
      ]),
    ).toEqual([
      [1, 50],
      [3, 100],
    ]);
  });

  it('take a fall for a reset: what was counted since, never a negative rate', () => {
    expect(
      rates([
        [0, 1000],
        [10, 50],
        [20, 150],
      ]),
    ).toEqual([
      [10, 5],
      [20, 10],
    ]);
    expect(
      rates([
        [0, 1000],
        [10, -50],
      ]),
    ).toEqual([[10, 0]]);
  });

  it('leave out NaN, infinity and second values of one time', () => {
    expect(
      rates([
        [0, 1],
        [1, Number.NaN],
        [2, 5],
        [2, 9],
        [3, Number.POSITIVE_INFINITY],
        [4, 9],
      ]),
    ).toEqual([
      [2, 2],
      [4, 2],
    ]);
  });

  it('keep series apart, but not by labels that change with every reading', () => {
    const out = new Collected();
    const rate = new RateSink(out);
    rate.row(0, series('a', 'm', { cpu: '0' }), 10);
    rate.row(0, series('a', 'm', { cpu: '1' }), 1000);
    rate.row(1 * S, series('a', 'm', { cpu: '0', _metric_scrape_time: '17' }), 11);
    rate.end();
    expect(out.rows.map(([, , , value]) => value)).toEqual([1]);
  });

  it('take the lowest of several values at one instant, and keep what others measure for a device apart', () => {
    const out = new Collected();
    const rate = new RateSink(out);
    rate.row(0, series('a', 'm', { _timestamp: '1' }), 10);
    rate.row(0, series('a', 'm', { _device_orig: ['p1'] }), 500);
    rate.row(1 * S, series('a', 'm', { _timestamp: '2' }), 90);
    rate.row(1 * S, series('a', 'm', { _device_orig: ['p2'] }), 503);
    rate.row(1 * S, series('a', 'm', { _timestamp: '3' }), 12);
    rate.end();
    expect(out.rows.map(([, , , value]) => value)).toEqual([2, 3]);
  });

  it('never reach over a time in which the device belonged to others', () => {
    const pieces = new Map([
      [
        'a',
        [
          { fromUs: 0, toUs: 1 * S },
          { fromUs: 10 * S, toUs: 12 * S },
        ],
      ],
    ]);
    expect(
      rates(
        [
          [0, 0],
          [1, 5],
          [10, 900],
          [11, 907],
        ],
        pieces,
      ),
    ).toEqual([
      [1, 5],
      [11, 7],
    ]);
  });
});

describe('periods', () => {
  function every(aggregate: Aggregate, values: [seconds: number, value: number][]) {
    const out = new Collected();
    const sink = new EverySink(out, 10 * S, aggregate);
    const one = series('a', 'm');
    for (const [seconds, value] of values) sink.row(seconds * S, one, value);
    sink.end();
    return out.rows.map(([seconds, , , value]) => [seconds, value]);
  }
  const values: [number, number][] = [
    [11, 4],
    [12, 8],
    [19.999999, 3],
    [20, 7],
    [45, Number.NaN],
    [50, 1],
  ];

  it.each<[Aggregate, number[][]]>([
    [
      'mean',
      [
        [10, 5],
        [20, 7],
        [50, 1],
      ],
    ],
    [
      'min',
      [
        [10, 3],
        [20, 7],
        [50, 1],
      ],
    ],
    [
      'max',
      [
        [10, 8],
        [20, 7],
        [50, 1],
      ],
    ],
    [
      'sum',
      [
        [10, 15],
        [20, 7],
        [50, 1],
      ],
    ],
    [
      'count',
      [
        [10, 3],
        [20, 1],
        [50, 1],
      ],
    ],
    [
      'first',
      [
        [10, 4],
        [20, 7],
        [50, 1],
      ],
    ],
    [
      'last',
      [
        [10, 3],
        [20, 7],
        [50, 1],
      ],
    ],
  ])(
    '%s: buckets begin at multiples of the period, values that are not finite do not count',
    (name, expected) => {
      expect(every(name, values)).toEqual(expected);
    },
  );

  it('hold before 1970 too', () => {
    expect(every('sum', [[-0.5, 1]])).toEqual([[-10, 1]]);
  });
});

describe('limits', () => {
  it('let the first rows through, and tell whether there were more', () => {
    const out = new Collected();
    const limit = new LimitSink(out, 2);
    const one = series('a', 'm');
    limit.row(0, one, 1);
    limit.row(1, one, 2);
    expect(limit.cut).toBe(false);
    limit.row(2, one, 3);
    expect(limit.cut).toBe(true);
    expect(out.rows).toHaveLength(2);
  });

  it('count lines of one time once where they make one line', () => {
    const out = new Collected();
    const limit = new LimitSink(out, 1, { byTime: true });
    limit.row(0, series('a', 'm'), 1);
    limit.row(0, series('b', 'm'), 2);
    expect(limit.cut).toBe(false);
    limit.row(1, series('a', 'm'), 3);
    limit.row(1, series('b', 'm'), 3);
    expect(limit.cut).toBe(true);
    expect(out.rows).toHaveLength(2);
  });
});

describe('devices and aliases', () => {
  const always = [{ fromUs: -1e15, toUs: 1e15 }];
  const node = new Map([['node-1', always]]);
  const port1 = series('pdu-1-port1', 'watt', { _device_alias: 'node-1' });
  const port2 = series('pdu-2-port1', 'watt', { _device_alias: 'node-1' });
  const both = '{"_device_orig":["pdu-1-port1","pdu-2-port1"]}';
  const only1 = '{"_device_orig":["pdu-1-port1"]}';
  const only2 = '{"_device_orig":["pdu-2-port1"]}';
  const known = (periodUs?: number): KnownOrigin[] =>
    [port1, port2].map(({ deviceId }) => ({ alias: 'node-1', metricId: 'watt', deviceId, periodUs }));

  function run(
    rows: [seconds: number, series: RowSeries, value: number][],
    devices: ReadonlyMap<string, Interval[]> = node,
    options: ConstructorParameters<typeof ByDeviceSink>[2] = {},
  ) {
    const out = new Collected();
    const sink = new ByDeviceSink(out, devices, options);
    for (const [seconds, one, value] of rows) sink.row(seconds * S, one, value);
    sink.end();
    expect(out.ended).toBe(1);
    return { rows: out.rows, missing: sink.missing() };
  }

  it('show a row under its own name without its alias, and under its alias with its origin', () => {
    const { rows } = run(
      [[1, port1, 7]],
      new Map([
        ['node-1', always],
        ['pdu-1-port1', always],
      ]),
    );
    expect(rows).toEqual([
      [1, 'pdu-1-port1', 'watt', 7, '{}'],
      [1, 'node-1', 'watt', 7, only1],
    ]);
  });

  it('keep to the times of each device, to the microsecond', () => {
    const one = series('node-1', 'm');
    const times = new Map([
      [
        'node-1',
        [
          { fromUs: 1 * S, toUs: 2 * S },
          { fromUs: 4 * S, toUs: 4 * S },
        ],
      ],
    ]);
    const { rows } = run(
      [0.999999, 1, 2, 2.000001, 3.999999, 4, 4.000001].map((seconds) => [seconds, one, 0]),
      times,
    );
    expect(rows.map(([seconds]) => seconds)).toEqual([1, 2, 4]);
  });

  it('add up origins of one timestamp, as Kwollect does', () => {
    const { rows } = run(
      [
        [1, port1, 100],
        [1, port2, 50],
        [2, port2, 51],
        [2, port1, 101],
      ],
      node,
      {
        origins: known(),
      },
    );
    expect(rows).toEqual([
      [1, 'node-1', 'watt', 150, both],
      [2, 'node-1', 'watt', 152, both],
    ]);
  });

  it('add up origins that never share a timestamp: the last value of each, one row a value of the first', () => {
    const { rows, missing } = run(
      [
        [0, port1, 100],
        [0.4, port2, 50],
        [1, port1, 101],
        [1.4, port2, 60],
        [2, port1, 102],
        [2.4, port2, 61],
      ],
      node,
      { origins: known(1 * S) },
    );
    expect(rows).toEqual([
      [1, 'node-1', 'watt', 151, both],
      [2, 'node-1', 'watt', 162, both],
    ]);
    expect(missing).toEqual([]);
  });

  it('tell when an origin is missing, and go on with the others', () => {
    const { rows, missing } = run(
      [
        [0, port1, 100],
        [0.4, port2, 50],
        [1, port1, 101],
        // port 2 falls silent
        [2, port1, 102],
        [3, port1, 103],
        // port 1 falls silent, port 2 is back and leads
        [3.5, port2, 60],
        [4.5, port2, 61],
        [5.5, port2, 62],
      ],
      node,
      { origins: known(1 * S) },
    );
    expect(rows).toEqual([
      [1, 'node-1', 'watt', 151, both],
      [2, 'node-1', 'watt', 102, only1],
      [3, 'node-1', 'watt', 103, only1],
      [5.5, 'node-1', 'watt', 62, only2],
    ]);
    expect(missing).toEqual([
      { alias: 'node-1', metricId: 'watt', origin: 'pdu-1-port1', rows: 1, of: 4 },
      { alias: 'node-1', metricId: 'watt', origin: 'pdu-2-port1', rows: 2, of: 4 },
    ]);
  });

  it('say so when an origin never came at all', () => {
    const { rows, missing } = run(
      [0, 1, 2, 3].map((seconds) => [seconds, port1, 1]),
      node,
      {
        origins: known(1 * S),
      },
    );
    expect(rows.map(([seconds, , , , labels]) => [seconds, labels])).toEqual([
      [2, only1],
      [3, only1],
    ]);
    expect(missing).toEqual([{ alias: 'node-1', metricId: 'watt', origin: 'pdu-2-port1', rows: 2, of: 2 }]);
  });

  it('do not add up what has other labels or another metric', () => {
    const { rows } = run([
      [1, series('a', 'm', { _device_alias: 'node-1', phase: '1' }), 1],
      [1, series('b', 'm', { _device_alias: 'node-1', phase: '2' }), 2],
    ]);
    expect(rows.map(([, , , value, labels]) => [value, labels])).toEqual([
      [1, '{"phase":"1","_device_orig":["a"]}'],
      [2, '{"phase":"2","_device_orig":["b"]}'],
    ]);
  });

  it('pass texts on as they are', () => {
    const { rows } = run([
      [1, series('a', 'm', { _device_alias: 'node-1', value_str: 'on' }), Number.NaN],
      [1, series('b', 'm', { _device_alias: 'node-1', value_str: 'off' }), Number.NaN],
    ]);
    expect(rows.map(([, , , , labels]) => labels)).toEqual([
      '{"value_str":"on","_device_orig":["a"]}',
      '{"value_str":"off","_device_orig":["b"]}',
    ]);
  });
});
