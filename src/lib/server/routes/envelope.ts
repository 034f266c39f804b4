/** `GET /kw/envelope`: what a chart draws, at most so many columns as it has pixels. See metrics/envelope.ts. */
import type { FastifyInstance } from 'fastify';
import { type Envelope, readEnvelope } from '../../metrics/envelope.ts';
import { formatUtc, nowUs } from '../../time.ts';
import type { ServerContext } from '../context.ts';
import { Parameters, type RawParameters } from '../parameters.ts';
import { SELECTION_PARAMETERS, selectionOf } from '../selectionParameters.ts';

const DEFAULT_PIXELS = 1000;

export function registerEnvelope(app: FastifyInstance, context: ServerContext): void {
  app.get('/kw/envelope', async (request, reply) => {
    const raw = request.query as RawParameters;
    const parameters = new Parameters(raw, [...SELECTION_PARAMETERS, 'pixels', 'rate']);
    const pixels = parameters.integer('pixels') ?? DEFAULT_PIXELS;
    const rate = parameters.boolean('rate');
    const time = { nowUs: nowUs(), timeZone: context.settings.timeZone };
    const envelope = await context.withCaller(
      request,
      async (client) => readEnvelope(client, await selectionOf(client, raw, time), pixels, { rate }),
      { readOnly: true },
    );
    void reply.header('cache-control', 'no-store');
    return body(envelope);
  });
}

/** Names as in the rest of the API. */
function body({ fromUs, toUs, columnUs, columns, source, series, cut }: Envelope): object {
  return {
    from: formatUtc(fromUs),
    to: formatUtc(toUs),
    column_seconds: columnUs / 1e6,
    columns,
    source,
    cut,
    series: series.map(({ deviceId, metricId, columns: numbers, ...rest }) => ({
      device_id: deviceId,
      metric_id: metricId,
      column: numbers,
      ...rest,
    })),
  };
}
