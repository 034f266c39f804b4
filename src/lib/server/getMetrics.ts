/** `get_metrics`: from parameters to a stream of rows. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readRows } from '../metrics/read.ts';
import { CsvWriter } from '../output/csv.ts';
import { JsonWriter } from '../output/json.ts';
import type { RowWriter } from '../output/row.ts';
import { nowUs } from '../time.ts';
import { BodyStream } from './bodyStream.ts';
import type { ServerContext } from './context.ts';
import { GET_METRICS_PARAMETERS, readMetricsRequest, selectMetrics } from './metricsRequest.ts';
import { Parameters, type RawParameters } from './parameters.ts';

type Format = 'json' | 'csv' | 'ndjson';

const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

const WRITE_BYTES = 64 * 1024;

export async function sendMetrics(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  raw: RawParameters,
): Promise<FastifyReply> {
  const now = nowUs();
  const asked = readMetricsRequest(new Parameters(raw, GET_METRICS_PARAMETERS), {
    nowUs: now,
    timeZone: context.settings.timeZone,
  });
  const format = formatOf(request.headers.accept);
  const body = new BodyStream(reply, CONTENT_TYPES[format]);
  const writer: RowWriter = format === 'csv' ? new CsvWriter() : new JsonWriter({ array: format === 'json' });
  const send = async (): Promise<void> => {
    const bytes = writer.take();
    if (bytes !== undefined) await body.write(bytes);
  };
  try {
    await context.withCaller(
      request,
      async (client) => {
        const selection = await selectMetrics(client, asked, now);
        await readRows(client, selection, { rate: asked.asRate, summary: asked.summary }, writer, () =>
          writer.pendingBytes < WRITE_BYTES ? undefined : send(),
        );
      },
      { readOnly: true },
    );
    await send();
    await body.end();
  } catch (error) {
    if (!body.begun) throw error;
    body.abort();
  }
  return reply;
}

function formatOf(accept: string | undefined): Format {
  if (accept?.includes('text/csv')) return 'csv';
  if (accept?.includes('ndjson')) return 'ndjson';
  return 'json';
}
