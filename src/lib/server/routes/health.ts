/** `/healthz`, whether the server can answer, for load balancers and supervisors; `/metrics` about itself. */
import type { FastifyInstance } from 'fastify';
import { HEALTH, SERVER_METRICS } from '../answerSchemas.ts';
import type { ServerContext } from '../context.ts';
import { describeRoute } from '../openapi.ts';
import { serverMetrics } from '../serverMetrics.ts';

export function registerHealth(app: FastifyInstance, context: ServerContext): void {
  const { pool, version } = context;
  app.get(
    '/healthz',
    {
      ...describeRoute({ tag: 'server', summary: 'whether the server reaches its database', answer: HEALTH }),
      exposeHeadRoute: true,
    },
    async () => {
      await pool.use((client) => client.query('SELECT 1'));
      return { status: 'ok', version };
    },
  );
  const registry = serverMetrics(app, context);
  app.get(
    '/metrics',
    describeRoute({
      tag: 'server',
      summary: 'metrics of the server itself, for Prometheus',
      answer: SERVER_METRICS,
    }),
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
}
