/**
 * Checks signatures and times of tokens, with @fastify/jwt (fast-jwt). Every call brings the one key and the one algorithm
 * that count, so the plug-in has no key of its own and can sign nothing.
 */
import fastifyJwt from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import type { CheckSignature } from '../../tokens/verify.ts';

/** What it gives works once the server is ready. */
export function registerJwt(app: FastifyInstance): CheckSignature {
  void app.register(fastifyJwt, {
    secret: () => {
      throw new Error('every token is checked with the key that it names');
    },
    decoratorName: 'token',
  });
  return (token, { key, algorithms }) => app.jwt.verify<object>(token, { key, algorithms });
}
