/** `/rpc/...`: the functions of Kwollect's API, by their names. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import { sendMetrics } from '../getMetrics.ts';
import { HttpProblem } from '../problem.ts';

export function registerRpc(app: FastifyInstance, context: ServerContext): void {
  app.route({
    method: ['GET', 'POST'],
    url: '/rpc/get_metrics',
    handler: (request, reply) => sendMetrics(context, request, reply, rawParameters(request)),
  });
}

/** Of the query, or of a body that is a JSON object; what is in the body counts. */
export function rawParameters({ method, query, body }: FastifyRequest): Record<string, unknown> {
  if (method !== 'POST' || body === undefined || body === null) return { ...(query as object) };
  if (typeof body !== 'object' || Array.isArray(body)) {
    throw new HttpProblem(400, 'BAD_BODY', 'the body is no JSON object', {
      hint: 'write {"job_id": 1234}, and the header Content-Type: application/json',
    });
  }
  return { ...(query as object), ...body };
}
