/**
 * `GET /stream`: rows as they come in, as server-sent events (live/events.ts). Clients of one selection and one set of
 * rights share one query a second. A client that does not read, or whose token ends, is let go.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { KwError } from '../../errors.ts';
import { HEARTBEAT, messageEvent, rowsEvent } from '../../live/events.ts';
import type { LiveListener } from '../../live/feed.ts';
import { LiveHub } from '../../live/hub.ts';
import { type LiveSelection, makeLook } from '../../live/look.ts';
import type { LookAtWindow } from '../../live/rows.ts';
import { liveSelection } from '../../live/selection.ts';
import { nowUs } from '../../time.ts';
import { EVENTS } from '../answerSchemas.ts';
import type { Caller } from '../caller.ts';
import { type HeldCaller, heldCaller, type ServerContext } from '../context.ts';
import { describeRoute } from '../openapi.ts';
import { Parameters } from '../parameters.ts';
import { HttpProblem } from '../problem.ts';
import { queryParameters } from '../requestParameters.ts';
import { manyOf, SELECTION_DESCRIPTIONS } from '../selectionParameters.ts';

/** Each costs a query a second. */
const MAX_FEEDS = 50;
const MAX_CLIENTS = 500;
/** Of the feeds, those that one user has begun. */
const MAX_FEEDS_EACH = 25;
/** Then it is looked too whether the token still holds. */
const HEARTBEAT_MS = 5_000;
/** Bytes that wait for a client that does not read. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** A look that takes longer is given up: the next one is due. */
const LOOK_TIMEOUT_MS = 5_000;
const RETRY_AFTER_S = 30;
/** Claims that differ between tokens of the same rights. */
const NOT_RIGHTS = new Set(['exp', 'iat', 'nbf', 'jti']);
/** Then a client comes again and shows who it is. */
const MAX_LIFE_MS = 15 * 60_000;

export function registerStream(app: FastifyInstance, context: ServerContext): void {
  const hub = new LiveHub({
    maxFeeds: MAX_FEEDS,
    maxFeedsEach: MAX_FEEDS_EACH,
    maxListeners: MAX_CLIENTS,
    onError: (error) => context.log.warn({ reason: String(error) }, 'a look of /stream failed'),
  });
  const streams = new Set<() => void>();
  app.addHook('preClose', async () => {
    for (const end of [...streams]) end();
  });
  const description = describeRoute({
    tag: 'metrics',
    summary: 'rows as they come in, as server-sent events',
    description: 'Rows of the last ten seconds first, then each row once, late ones within ten seconds too.',
    query: {
      ...SELECTION_DESCRIPTIONS,
      jobs: { type: 'string', description: 'running jobs instead of devices: their nodes', example: '1234' },
    },
    answer: EVENTS,
  });
  app.get('/stream', description, async (request, reply) => {
    const raw = queryParameters(request);
    new Parameters(raw, ['devices', 'jobs', 'metrics', 'labels']);
    const asked = {
      devices: manyOf(raw, 'devices'),
      jobs: manyOf(raw, 'jobs'),
      metrics: manyOf(raw, 'metrics'),
      labels: manyOf(raw, 'labels'),
    };
    const selection = await context.withCaller(request, (client) => liveSelection(client, asked, nowUs()), {
      readOnly: true,
    });
    follow(hub, streams, context, selection, request, reply);
    return reply;
  });
}

function follow(
  hub: LiveHub,
  streams: Set<() => void>,
  context: ServerContext,
  selection: LiveSelection,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { raw } = reply;
  const { caller, server } = request;
  const { socket } = request.raw;
  /** Until the head is sent: rows of a window that is there already come at once. */
  const early: Buffer[] = [];
  let open = false;
  const send = (bytes: Buffer) => {
    if (!open) early.push(bytes);
    else if (raw.writableLength > MAX_WAITING_BYTES) raw.destroy();
    else raw.write(bytes);
  };
  const listener: LiveListener = {
    rows: (news) => send(news.encoded(rowsEvent)),
    warning: (message) => send(messageEvent('warning', message)),
  };
  const held = heldCaller(request);
  const leave = busyAsProblem(() =>
    hub.listen(keyOf(selection, caller), held.holder, () => looker(context, selection, held), listener),
  );

  reply.hijack();
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
    // Proxies that collect answers before they pass them on: nginx asks this.
    'x-accel-buffering': 'no',
  });
  open = true;
  raw.write(HEARTBEAT);
  for (const bytes of early) raw.write(bytes);
  const letGo = () => {
    raw.write(messageEvent('end', 'connect again to go on'));
    raw.end();
  };
  const heartbeat = setInterval(() => {
    send(HEARTBEAT);
    void server.stillHolds(request).then((holds) => holds || letGo());
  }, HEARTBEAT_MS);
  const expiry = setTimeout(letGo, lifeMs(caller));
  const end = () => raw.end();
  streams.add(end);
  const onClose = () => {
    streams.delete(end);
    clearInterval(heartbeat);
    clearTimeout(expiry);
    leave();
  };
  if (socket.destroyed) onClose();
  else raw.once('close', onClose);
}

function busyAsProblem<T>(use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof KwError) || error.code !== 'LIVE_BUSY') throw error;
    throw new HttpProblem(503, error.code, error.message, { hint: error.hint, retryAfterS: RETRY_AFTER_S });
  }
}

/** All that decides what is seen. */
function keyOf(selection: LiveSelection, { role, user, claims }: Caller): string {
  const rights = Object.entries(claims)
    .filter(([name]) => !NOT_RIGHTS.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([selection, role, user, rights]);
}

function looker(context: ServerContext, selection: LiveSelection, held: HeldCaller): LookAtWindow {
  const look = makeLook(selection);
  return (windowMs, signal) =>
    context.asCaller(held, signal, (client) => look(client, windowMs), {
      readOnly: true,
      statementTimeoutMs: LOOK_TIMEOUT_MS,
    });
}

function lifeMs({ claims }: Caller): number {
  if (typeof claims.exp !== 'number') return MAX_LIFE_MS;
  return Math.min(Math.max(claims.exp * 1000 - Date.now(), 0), MAX_LIFE_MS);
}
