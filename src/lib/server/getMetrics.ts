/** `get_metrics`: from parameters to a stream of rows. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Client } from 'pg';
import { planWindows, readKwollectRows } from '../metrics/read.ts';
import { CsvWriter } from '../output/csv.ts';
import { JsonWriter } from '../output/json.ts';
import type { RowWriter } from '../output/row.ts';
import { nowUs } from '../time.ts';
import { type Format, formatOf, MEDIA_TYPES } from './accept.ts';
import { BodyStream } from './bodyStream.ts';
import type { ServerContext } from './context.ts';
import { GET_METRICS_PARAMETERS, readMetricsRequest, selectMetrics } from './metricsRequest.ts';
import { Parameters, type RawParameters } from './parameters.ts';
import { RowSender } from './rowSender.ts';
import { ShownValuesSink } from './shownValues.ts';

/** An answer of more than this is a big one. */
const SMALL_BYTES = 256 * 1024;

/**
 * Sends the answer of `get_metrics` in the format that the request accepts, once `check` has passed.
 * @throws HttpProblem while nothing was sent
 */
export async function sendMetrics(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  raw: RawParameters,
  check: (client: Client) => Promise<void> = async () => undefined,
): Promise<FastifyReply> {
  const now = nowUs();
  const { timeZone } = context.settings;
  const asked = readMetricsRequest(new Parameters(raw, GET_METRICS_PARAMETERS), { nowUs: now, timeZone });
  const format = formatOf(request.headers.accept);
  const body = new BodyStream(request, reply, MEDIA_TYPES[format]);
  const writer = writerOf(format);
  const sink = asked.allValues ? writer : new ShownValuesSink(writer, asked.metrics ?? []);
  const sender = new RowSender(request, context.bigReads, body, writer, SMALL_BYTES);
  try {
    await context.withCaller(
      request,
      async (client) => {
        await check(client);
        const selection = await selectMetrics(client, asked, now);
        await planWindows(client);
        await readKwollectRows(
          client,
          selection,
          { rate: asked.asRate, summary: asked.summary },
          sink,
          sender.flush,
        );
      },
      { readOnly: true },
    );
    await sender.end();
  } catch (error) {
    if (!body.begun) throw error;
    body.abort();
    context.log.warn({ reason: String(error) }, 'an answer was broken off');
  } finally {
    sender.leave();
  }
  return reply;
}

function writerOf(format: Format): RowWriter {
  const shortTimestamps = true;
  return format === 'csv'
    ? new CsvWriter({ shortTimestamps, numbersOnly: true })
    : new JsonWriter({ array: format === 'json', shortTimestamps });
}
