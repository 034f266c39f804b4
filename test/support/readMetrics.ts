/** A client of get_metrics that keeps nothing of the answer: how many rows it has, whether it is whole, how long it took. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

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
