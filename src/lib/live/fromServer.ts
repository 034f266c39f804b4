/** Follows a selection through `GET /stream` of a kw serve; connects again when the connection is lost. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { KwError } from '../errors.ts';
import type { RowSeries } from '../output/row.ts';
import { pause } from '../pause.ts';
import { readAnswerProblem } from '../remote/http.ts';
import { unreachable } from '../remote/httpErrors.ts';
import type { KwServer } from '../remote/server.ts';
import { parseTimeUs } from '../time.ts';
import { EventParser } from './eventParser.ts';
import type { LiveRow } from './rows.ts';
import type { FollowListener, FollowRequest, FollowSource } from './source.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Three heartbeats. */
const SILENCE_MS = 30_000;
const RETRY_MS = 2_000;
/** A new connection begins with rows of the last 10 s, or longer after an outage of the database. */
const REMEMBERED_US = 90e6;

export function followServer(server: KwServer): FollowSource {
  return async (request, listener, signal) => {
    const rows = new StreamRows();
    let isOpen = false;
    for (;;) {
      try {
        const answer = await connect(server, request, signal);
        if (!isOpen) listener.open();
        isOpen = true;
        await read(answer, rows, listener);
      } catch (error) {
        if (signal.aborted) return;
        if (!isOpen || (error instanceof KwError && error.code !== 'SERVER_AWAY')) throw error;
        listener.warning(`the connection to ${server.label} is lost: trying again`);
      }
      if (signal.aborted) return;
      rows.interrupted();
      await pause(RETRY_MS, signal);
    }
  };
}

function connect(server: KwServer, request: FollowRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const url = new URL('stream', server.base);
  for (const [name, values] of Object.entries(request)) {
    for (const value of values ?? []) url.searchParams.append(name, value);
  }
  const away = (cause: Error) => unreachable(server, cause);
  return new Promise((resolve, reject) => {
    const { ca, authorization } = server;
    const sent = (url.protocol === 'https:' ? https : http).get(
      url,
      {
        signal,
        headers: { accept: 'text/event-stream', ...(authorization === undefined ? {} : { authorization }) },
        ...(ca === undefined ? {} : { ca }),
      },
      (answer) => {
        clearTimeout(late);
        if (answer.statusCode === 200 && /^text\/event-stream\b/.test(answer.headers['content-type'] ?? '')) {
          sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error('it says nothing any more')));
          resolve(answer);
        } else {
          problemOf(answer, server).then(reject, reject);
        }
      },
    );
    const late = setTimeout(() => sent.destroy(new Error('it does not answer')), CONNECT_TIMEOUT_MS);
    sent.on('error', (error) => {
      clearTimeout(late);
      reject(away(error));
    });
  });
}

async function problemOf(answer: IncomingMessage, server: KwServer): Promise<KwError> {
  const { statusCode = 0 } = answer;
  const said = await readAnswerProblem(answer);
  // Overloaded, or a proxy whose server is away.
  const code = statusCode >= 500 ? 'SERVER_AWAY' : undefined;
  if (said !== undefined) return new KwError(said.message, { code: code ?? said.code, hint: said.hint });
  return new KwError(`${server.label} answers ${statusCode}`, {
    code: code ?? 'NO_KW_SERVE',
    hint: 'check that the address is that of a kw serve',
  });
}

async function read(answer: IncomingMessage, rows: StreamRows, listener: FollowListener): Promise<void> {
  const parser = new EventParser();
  for await (const text of answer.setEncoding('utf8')) {
    for (const { event, data } of parser.push(String(text))) {
      if (event === 'message') {
        const fresh = rows.take(data);
        if (fresh.length > 0) listener.rows(fresh);
      } else if (event === 'warning') {
        listener.warning(String((JSON.parse(data) as { message?: unknown }).message));
      }
    }
  }
}

/** Lines of events as rows. After an interruption those that came before it are left out. */
class StreamRows {
  readonly #series = new Map<string, RowSeries>();
  /** Lines that came, with their times. */
  #lines = new Map<string, number>();
  #before: ReadonlyMap<string, number> | undefined;

  interrupted(): void {
    this.#before = this.#lines;
    this.#lines = new Map(this.#lines);
  }

  take(data: string): LiveRow[] {
    const rows: LiveRow[] = [];
    let newestUs = 0;
    for (const line of data.split('\n')) {
      const row = this.#row(line);
      newestUs = Math.max(newestUs, row.timestampUs);
      const isOld = this.#before?.has(line) === true;
      this.#lines.set(line, row.timestampUs);
      if (!isOld) rows.push(row);
    }
    // Only the window that a connection begins with repeats rows.
    this.#before = undefined;
    for (const [line, us] of this.#lines) if (us < newestUs - REMEMBERED_US) this.#lines.delete(line);
    return rows;
  }

  #row(line: string): LiveRow {
    const { timestamp, device_id, metric_id, value, labels } = JSON.parse(line) as {
      timestamp: string;
      device_id: string;
      metric_id: string;
      value: number | null;
      labels: Record<string, unknown>;
    };
    const text = JSON.stringify(labels);
    const key = JSON.stringify([device_id, metric_id, text]);
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= MAX_SERIES) this.#series.clear();
      series = { id: this.#series.size, deviceId: device_id, metricId: metric_id, labels: text };
      this.#series.set(key, series);
    }
    return {
      timestampUs: parseTimeUs(timestamp, { nowUs: 0, timeZone: 'UTC' }),
      value: value ?? Number.NaN,
      series,
    };
  }
}

/** Texts that change make a series each. */
const MAX_SERIES = 20_000;
