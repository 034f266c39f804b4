/**
 * The HTTP server of `kw serve`, put together: authentication, the routes, and how errors look. A group of routes is one
 * file in routes/ and one line here.
 */
import Fastify, { type FastifyInstance } from 'fastify';
import type { Settings } from '../config/settingsModel.ts';
import type { Logger } from '../logger.ts';
import { registerAuthentication } from './auth/authenticate.ts';
import { readTls } from './auth/tls.ts';
import { BigReads } from './bigReads.ts';
import type { ClientPool } from './clientPool.ts';
import { makeContext } from './context.ts';
import { linger } from './linger.ts';
import { registerOpenapi } from './openapi.ts';
import { HttpProblem, problemBody, toProblem } from './problem.ts';
import { registerChoices } from './routes/choices.ts';
import { registerEnvelope } from './routes/envelope.ts';
import { registerGrid5000 } from './routes/grid5000.ts';
import { registerHealth } from './routes/health.ts';
import { registerKw, registerKwVersion } from './routes/kw.ts';
import { registerKwPush } from './routes/kwPush.ts';
import { registerPage } from './routes/page.ts';
import { registerRpc } from './routes/rpc.ts';
import { registerStream } from './routes/stream.ts';

export interface ServerOptions {
  readonly pool: ClientPool;
  readonly settings: Settings;
  readonly log: Logger;
  /** Of kw. */
  readonly version: string;
  /** How long a large answer waits for another one to end. */
  readonly bigReadWaitMs?: number;
}

/** Who sends a request slowly is disconnected. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often Node looks for such connections. */
const SLOW_LOOK_MS = 2_000;
/** Further ones are closed at once. */
const MAX_CONNECTIONS = 4_096;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 30_000;
const BIG_READ_WAIT_MS = 15_000;
/** Longest text of one parameter in a path. */
const MAX_PARAMETER_LENGTH = 1024;

/** A server that is not yet listening. */
export function buildApp(options: ServerOptions): FastifyInstance {
  const bigReads = new BigReads(options.settings.server.bigReads, options.bigReadWaitMs ?? BIG_READ_WAIT_MS);
  const context = makeContext({ ...options, bigReads });
  const http = { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: SLOW_LOOK_MS };
  const { tls, limits } = options.settings.server;
  // Only the types of the servers differ, and nothing here uses what differs.
  const encryption: object = tls === undefined ? {} : { https: { ...readTls(tls), ...http } };
  const app = Fastify({
    // Our own line a request, without the query: it may hold what is nobody else's business.
    logger: false,
    bodyLimit: limits.bodyBytes,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH, ignoreTrailingSlash: true },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http,
    ...encryption,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
  });
  app.server.maxConnections = MAX_CONNECTIONS;

  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.caller?.user !== undefined);
    if (problem.status >= 500 && problem.cause !== undefined) {
      const { cause } = problem;
      const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      context.log.error({ route: request.routeOptions.url, reason }, problem.message);
    }
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="kw"');
    if (problem.retryAfterS !== undefined) void reply.header('retry-after', String(problem.retryAfterS));
    linger(request, reply);
    return reply.code(problem.status).send(problemBody(problem));
  });
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?')[0] ?? '';
    throw new HttpProblem(404, 'NO_SUCH_PATH', `there is nothing at ${JSON.stringify(path.slice(0, 100))}`, {
      hint: 'GET /openapi.json lists what there is',
    });
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, caller } = request;
    context.log.debug(
      {
        method,
        route: routeOptions.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        user: caller?.user,
      },
      'request',
    );
  });

  registerKwVersion(app, context);
  registerAuthentication(app, context);
  registerOpenapi(app, options.version);
  // Once the document is there, which collects them.
  void app.register(async (routes) => {
    registerHealth(routes, context);
    registerRpc(routes, context);
    registerGrid5000(routes, context);
    registerEnvelope(routes, context);
    registerKw(routes, context);
    registerKwPush(routes, context);
    registerStream(routes, context);
    registerChoices(routes, context);
    registerPage(routes, context);
  });
  return app;
}
