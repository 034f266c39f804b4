/** Server-sent events as they are written and read. */
import { describe, expect, it } from 'vitest';
import { EventParser } from '../../../src/lib/live/eventParser.ts';
import { HEARTBEAT, messageEvent, rowsEvent } from '../../../src/lib/live/events.ts';

const series = { id: 0, deviceId: 'a "b"\n', metricId: 'power', labels: '{"x":"\\n\\n"}' };
const rows = [
  { timestampUs: 1_600_000_000_000_001, value: 1.5, series },
  { timestampUs: 1_600_000_000_000_002, value: Number.NaN, series },
];

describe('server-sent events', () => {
  it('are rows, a line of JSON each', () => {
    expect(rowsEvent(rows).toString()).toBe(
      'data: {"timestamp":"2020-09-13T12:26:40.000001+00:00","device_id":"a \\"b\\"\\n","metric_id":"power","value":1.5,"labels":{"x":"\\n\\n"}}\n' +
        'data: {"timestamp":"2020-09-13T12:26:40.000002+00:00","device_id":"a \\"b\\"\\n","metric_id":"power","value":null,"labels":{"x":"\\n\\n"}}\n\n',
    );
  });

  it('come out of any pieces as they went in', () => {
    const stream = Buffer.concat([rowsEvent(rows), HEARTBEAT, messageEvent('warning', 'a\nb')]).toString();
    const expected = [
      { event: 'message', data: rowsEvent(rows).toString().trimEnd().replaceAll('data: ', '') },
      { event: 'warning', data: '{"message":"a\\nb"}' },
    ];
    for (const size of [1, 3, 7, stream.length]) {
      const parser = new EventParser();
      const events = [];
      for (let at = 0; at < stream.length; at += size)
        events.push(...parser.push(stream.slice(at, at + size)));
      expect(events).toEqual(expected);
    }
  });
});
