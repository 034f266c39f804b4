/**
 * How many requests a user may send in a minute and have open at once, or an address whose requests name no user (in a
 * minute IPv6 addresses count by their /64). Tokens that are refused count for the address that sent them.
 */
import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ServerAccess } from '../../config/settingsModel.ts';
import { holderOf } from '../caller.ts';
import { CLIENT_GONE, HttpProblem } from '../problem.ts';

const WINDOW_MS = 60_000;
/** Users and addresses that are remembered; the one that was away for longest is forgotten. */
const REMEMBERED = 20_000;

export interface RateLimits {
  /** Counts a request of `request.caller`, until its answer has ended. Throws HttpProblem 429. */
  count(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Counts a request that was refused before it had a caller. Throws HttpProblem 429. */
  countRefused(request: FastifyRequest): Promise<void>;
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

export function rateLimits(app: FastifyInstance, limits: ServerAccess['limits']): RateLimits {
  void app.register(fastifyRateLimit, { global: false });
  const open = new Map<string, number>();
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
    async count(request, reply) {
      countOpen(open, limits.atOnce, request, reply);
      const limiter = request.caller.user === undefined ? byAddress : byUser;
      await countWith(limiter, request);
    },
    async countRefused(request) {
      await countWith(byAddress, request);
    },
  };
}

/** `open`: answers that have not ended, by user or address. */
function countOpen(
  open: Map<string, number>,
  most: number,
  request: FastifyRequest,
  { raw }: FastifyReply,
): void {
  // It will not say again that it is gone.
  if (raw.destroyed) throw CLIENT_GONE;
  const who = holderOf(request);
  const now = open.get(who) ?? 0;
  if (now >= most) {
    throw new HttpProblem(429, 'TOO_MANY_AT_ONCE', `more than ${most} requests at the same time`, {
      hint: 'send the next one when another has its answer',
      retryAfterS: 1,
    });
  }
  open.set(who, now + 1);
  raw.once('close', () => {
    const left = (open.get(who) ?? 1) - 1;
    if (left > 0) open.set(who, left);
    else open.delete(who);
  });
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
