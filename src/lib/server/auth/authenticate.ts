/** Finds out who sends a request. For now nobody is known. */
import type { FastifyInstance } from 'fastify';
import { ANONYMOUS } from '../caller.ts';
import type { ServerContext } from '../context.ts';

export function registerAuthentication(app: FastifyInstance, _context: ServerContext): void {
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = ANONYMOUS;
  });
}
