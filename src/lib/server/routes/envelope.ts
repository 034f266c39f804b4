/** `GET /kw/envelope`: what a chart draws, at most so many columns as it has pixels. See metrics/envelope.ts. */
import type { FastifyInstance } from 'fastify';
import { type Envelope, readEnvelope } from '../../metrics/envelope.ts';
import { formatUtc, nowUs } from '../../time.ts';
import { ENVELOPE } from '../answerSchemas.ts';
import type { ServerContext } from '../context.ts';
import { describeRoute } from '../openapi.ts';
import { Parameters } from '../parameters.ts';
import { queryParameters } from '../requestParameters.ts';
import {
  SELECTION_DESCRIPTIONS,
  SELECTION_PARAMETERS,
  selectionOf,
  TIME_DESCRIPTIONS,
} from '../selectionParameters.ts';

const DEFAULT_PIXELS = 1000;

export function registerEnvelope(app: FastifyInstance, context: ServerContext): void {
  const description = describeRoute({
    tag: 'metrics',
    summary: 'lowest, highest and mean value of each column of a chart',
    description: 'From the values, or from the 5-minute summary where there are too many of them (`source`).',
    query: {
      ...SELECTION_DESCRIPTIONS,
      ...TIME_DESCRIPTIONS,
      pixels: { type: 'integer', description: 'columns at most, 1 to 4000', example: 1000 },
      rate: { type: 'boolean', description: 'counters (`_total`) as values per second' },
    },
    answer: ENVELOPE,
  });
  app.get('/kw/envelope', description, async (request, reply) => {
    const raw = queryParameters(request);
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
