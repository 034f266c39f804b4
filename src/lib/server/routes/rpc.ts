/** `/rpc/...`: the functions of Kwollect's API, by their names and arguments, and those that kw adds. */
import type { FastifyInstance } from 'fastify';
import type { ServerContext } from '../context.ts';
import { sendMetrics } from '../getMetrics.ts';
import { sendInserted } from '../insertMetrics.ts';
import { allParameters } from '../requestParameters.ts';

export function registerRpc(app: FastifyInstance, context: ServerContext): void {
  app.route({
    method: ['GET', 'POST'],
    url: '/rpc/get_metrics',
    handler: (request, reply) => sendMetrics(context, request, reply, allParameters(request)),
  });
  app.post('/rpc/insert_metrics', (request, reply) => sendInserted(context, request, reply));
}
