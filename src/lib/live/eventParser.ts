/** Reads server-sent events (WHATWG HTML, "Server-sent events") as events.ts writes them: in Node and in the page. */

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
