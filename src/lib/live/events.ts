/**
 * Server-sent events (WHATWG HTML, "Server-sent events"): how `GET /stream` writes rows, and how its readers read them.
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

export interface ServerEvent {
  /** `message` for rows. */
  readonly event: string;
  /** Without the line end after the last line. */
  readonly data: string;
}

/** Longest event that a reader keeps: 50,000 rows of 1 kB. */
const MAX_EVENT_LENGTH = 64 * 1024 * 1024;

/** Takes text as it arrives and gives complete events. */
export class EventParser {
  #rest = '';
  #event = '';
  #data: string[] = [];

  /** @throws Error for an event longer than any of kw's */
  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_EVENT_LENGTH) throw new Error('an event of the stream has no end');
    const events: ServerEvent[] = [];
    for (const line of lines) this.#line(line, events);
    return events;
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0)
        events.push({ event: this.#event || 'message', data: this.#data.join('\n') });
      this.#event = '';
      this.#data = [];
      return;
    }
    const [, field = line, value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
  }
}
