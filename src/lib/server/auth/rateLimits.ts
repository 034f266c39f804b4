/**
 * How many requests a user may send in a minute, or an address whose requests name no user (IPv6 addresses by their /64).
 * Tokens that are refused count for the address that sent them.
 */
import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerAccess } from '../../config/settingsModel.ts';
import { HttpProblem } from '../problem.ts';

const WINDOW_MS = 60_000;
/** Users and addresses that are remembered; the one that was away for longest is forgotten. */
const REMEMBERED = 20_000;

export interface RateLimits {
  /** Counts a request of `request.caller`. Throws HttpProblem 429. */
  count(request: FastifyRequest): Promise<void>;
  /** Counts a request that was refused before it had a caller. Throws HttpProblem 429. */
  countRefused(request: FastifyRequest): Promise<void>;
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

export function rateLimits(app: FastifyInstance, limits: ServerAccess['limits']): RateLimits {
  void app.register(fastifyRateLimit, { global: false });
  let byUser: Limiter | undefined;
  let byAddress: Limiter | undefined;
  app.addHook('onReady', async () => {
    const common = { timeWindow: WINDOW_MS, cache: REMEMBERED };
    byAddress = app.createRateLimit({ ...common, max: limits.anonymousRequests });
    byUser = app.createRateLimit({
      ...common,
      max: limits.userRequests,
      keyGenerator: (request) => request.caller.user ?? '',
    });
  });
  return {
    async count(request) {
      const limiter = request.caller.user === undefined ? byAddress : byUser;
      await countWith(limiter, request);
    },
    async countRefused(request) {
      await countWith(byAddress, request);
    },
  };
}

async function countWith(limiter: Limiter | undefined, request: FastifyRequest): Promise<void> {
  if (limiter === undefined) return;
  const state = await limiter(request);
  if (state.isAllowed || !state.isExceeded) return;
  throw new HttpProblem(429, 'TOO_MANY_REQUESTS', `more than ${state.max} requests in a minute`, {
    hint: `try again in ${state.ttlInSeconds} seconds; ask for more devices and a longer time with one request instead of many`,
    retryAfterS: state.ttlInSeconds,
  });
}
