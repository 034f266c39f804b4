/**
 * Server-sent events (WHATWG HTML, "Server-sent events"): how `GET /stream` writes rows. eventParser.ts reads them.
 *
 *   data: {"timestamp":"2026-11-22T10:00:00.123456+00:00","device_id":...,"metric_id":...,"value":...,"labels":{}}
 *   data: {...}
 *
 * Rows that came together are one event, a line each, so that `sed -n 's/^data: //p'` makes NDJSON of the stream.
 * Events `warning` and `end` have {"message"}. Comments keep the connection alive.
 */
import { JsonWriter } from '../output/json.ts';
import type { LiveRow } from './rows.ts';

export const HEARTBEAT = Buffer.from(': alive\n\n');

/** One event of many rows. */
export function rowsEvent(rows: readonly LiveRow[]): Buffer {
  const writer = new JsonWriter({ array: false });
  for (const { timestampUs, series, value } of rows) writer.row(timestampUs, series, value);
  const text = writer.take()?.toString() ?? '';
  return Buffer.from(`${text.replace(/^(?=.)/gm, 'data: ')}\n`);
}

export function messageEvent(event: 'warning' | 'end', message: string): Buffer {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify({ message })}\n\n`);
}
