/** Clients of get_metrics that keep nothing of the answer: how many rows it has, whether it is whole, how long it took. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { Client } from 'pg';

/** A row of an answer. */
export interface MetricsRow {
  readonly timestamp: string;
  readonly device_id: string;
  readonly metric_id: string;
  readonly value: number | null;
  readonly labels: Readonly<Record<string, unknown>>;
}

/** Begins each row. */
const ROW = Buffer.from('{"timestamp":');

export interface ReadAnswer {
  readonly rows: number;
  readonly bytes: number;
  /** It ended as a JSON array does, and its connection was not broken off. */
  readonly whole: boolean;
  readonly firstByteMs: number;
  readonly totalMs: number;
}

/** @throws Error for every status but 200 */
export async function readMetrics(
  url: string,
  parameters: Readonly<Record<string, string>>,
): Promise<ReadAnswer> {
  const begunMs = performance.now();
  const request = get(`${url}/rpc/get_metrics?${new URLSearchParams(parameters)}`, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let firstByteMs = Number.NaN;
  let rows = 0;
  let bytes = 0;
  let rest: Buffer = Buffer.alloc(0);
  let last: Buffer = rest;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bytes === 0) firstByteMs = performance.now() - begunMs;
    bytes += chunk.length;
    last = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = last.indexOf(ROW);
    for (; at >= 0; at = last.indexOf(ROW, at + ROW.length)) rows++;
    // What may be the begin of a row that goes on in the next chunk.
    rest = last.subarray(Math.max(0, last.length - ROW.length + 1));
  }
  const totalMs = performance.now() - begunMs;
  if (response.statusCode !== 200)
    throw new Error(`${response.statusCode}: ${last.toString().slice(0, 300)}`);
  const whole = response.complete && last.toString('latin1').trimEnd().endsWith(']');
  return { rows, bytes, whole, firstByteMs, totalMs };
}

/** Gives each of `node-1`, `node-2`, ... so many rows within the last hours, and lets everybody read. */
export async function fillForReaders(client: Client, nodes: number, rows: number): Promise<void> {
  await client.query(`
    UPDATE kw.settings SET value = 'true' WHERE name = 'anonymous_read';
    SELECT kw.ensure_storage(now() - interval '3 hours', now());
    INSERT INTO kw.metrics
    SELECT date_trunc('hour', now()) - interval '2 hours' + i * interval '36 ms', 'node-' || n, 'power_watt', i, '{}'
    FROM generate_series(0, ${rows - 1}) i, generate_series(1, ${nodes}) n;
    ANALYZE kw.metrics`);
}

/** One client for each of these nodes: it asks for all its rows, again and again, and at least once. */
export async function readForAWhile(url: string, nodes: number, durationMs: number): Promise<ReadAnswer[]> {
  const nowMs = Date.now();
  const window = {
    start_time: String(Math.floor(nowMs / 1000) - 4 * 3600),
    end_time: String(Math.floor(nowMs / 1000)),
  };
  const answers: ReadAnswer[] = [];
  const read = async (node: number) => {
    do answers.push(await readMetrics(url, { devices: `node-${node}`, ...window }));
    while (Date.now() - nowMs < durationMs);
  };
  await Promise.all(Array.from({ length: nodes }, (_, index) => read(index + 1)));
  return answers;
}
