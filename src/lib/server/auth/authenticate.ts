/** Finds out who sends a request before any handler runs, and bounds how many requests each may send. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { addressList } from '../../config/serverAccess.ts';
import type { ServerContext } from '../context.ts';
import { HttpProblem } from '../problem.ts';
import { identify } from './identify.ts';
import { registerJwt } from './jwt.ts';
import { KeyRing } from './keyRing.ts';
import { rateLimits } from './rateLimits.ts';
import { RevocationList } from './revocations.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Whether who sent this request would still be let in: for answers that last. Not when its token was revoked, has
     * expired, or has lost its key.
     */
    stillHolds(request: FastifyRequest): Promise<boolean>;
  }
}

/** @throws KwError when the keys cannot be trusted: WEAK_SECRET, KEYS_UNSAFE, KEYS_UNREADABLE, KEYS_INVALID */
export function registerAuthentication(app: FastifyInstance, context: ServerContext): void {
  const { proxy, keysFile, jwtSecret, limits } = context.settings.server;
  const keyRing = new KeyRing({
    keysFile,
    jwtSecret,
    onProblem: ({ message, hint }) => context.log.error({ hint }, `${message}; the keys before hold on`),
  });
  const rates = rateLimits(app, limits);
  const revocations = new RevocationList(context.pool);
  const options = {
    keyRing,
    revocations,
    checkSignature: registerJwt(app),
    proxy,
    proxyAddresses: addressList(proxy?.addresses ?? []),
  };
  app.decorate('stillHolds', async (request: FastifyRequest) => {
    try {
      await identify(request, options);
      return true;
    } catch (error) {
      // What cannot be found out now, since the database is away, is asked again.
      return !(error instanceof HttpProblem && error.status < 500);
    }
  });
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    try {
      request.caller = await identify(request, options);
    } catch (error) {
      if (error instanceof HttpProblem && error.status < 500) {
        context.log.debug({ address: request.ip, code: error.code }, 'refused a request');
        await rates.countRefused(request);
      }
      throw error;
    }
  });
  // Before the body is read.
  app.addHook('preParsing', async (request, reply) => {
    await rates.count(request, reply);
  });
}
