/** `/healthz`: whether the server can answer, for load balancers and supervisors. */
import type { FastifyInstance } from 'fastify';
import type { ServerContext } from '../context.ts';

export function registerHealth(app: FastifyInstance, { pool, version }: ServerContext): void {
  app.get('/healthz', async () => {
    await pool.use((client) => client.query('SELECT 1'));
    return { status: 'ok', version };
  });
}
