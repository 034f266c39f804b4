/**
 * `POST /kw/...`: what the command line asks where it has a server instead of a database (src/lib/remote/, docs/remote.md).
 * The functions are those that it runs on a database; here they run as the caller. Not for other clients: requests and
 * answers change with kw, and say so by the number of their protocol.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ZodError, z } from 'zod';
import { EXIT_FAILURE, KwError } from '../../errors.ts';
import { answerBy } from '../../metrics/answer.ts';
import { planWindows } from '../../metrics/read.ts';
import { ROW_STREAM_TYPE, RowStreamWriter } from '../../output/rowStream.ts';
import { PROTOCOL, PROTOCOL_HEADER, VERSION_HEADER } from '../../remote/protocol.ts';
import { toWire } from '../../remote/wire.ts';
import { BodyStream } from '../bodyStream.ts';
import type { ServerContext } from '../context.ts';
import { readQuery, SERVED_CALLS } from '../kwCalls.ts';
import { HttpProblem, problemBody, toProblem } from '../problem.ts';
import { RowSender } from '../rowSender.ts';

/** An answer of more than this is a big one. */
const SMALL_BYTES = 128 * 1024;

/** Says in every answer under `/kw/` who gives it, in refusals too. Before authentication. */
export function registerKwVersion(app: FastifyInstance, { version }: Pick<ServerContext, 'version'>): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/kw/')) return;
    void reply.header(VERSION_HEADER, version).header(PROTOCOL_HEADER, PROTOCOL);
    const theirs = request.headers[PROTOCOL_HEADER];
    if (theirs !== undefined && theirs !== PROTOCOL) {
      throw new HttpProblem(
        400,
        'OTHER_VERSION',
        `this server is kw ${version}, and speaks another protocol`,
        {
          hint: 'use the version of kw that the server has, or have the server updated',
        },
      );
    }
  });
}

export function registerKw(app: FastifyInstance, context: ServerContext): void {
  for (const call of SERVED_CALLS) {
    app.post(`/kw/${call.name}`, { schema: { hide: true } }, async (request) => {
      const run = () =>
        context.withCaller(request, (client) => call.run(client, request.body), { readOnly: call.readOnly });
      return { result: toWire(await run().catch((error: unknown) => failKw(error, request))) };
    });
  }
  app.post('/kw/query', { schema: { hide: true } }, (request, reply) => sendRows(context, request, reply));
}

async function sendRows(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const body = new BodyStream(request, reply, ROW_STREAM_TYPE);
  const writer = new RowStreamWriter();
  const answer = answerBy({
    plain: (use) => context.withCaller(request, use),
    snapshot: (use) =>
      context.withCaller(
        request,
        async (client) => {
          await planWindows(client);
          return await use(client);
        },
        { readOnly: true },
      ),
  });
  const sender = new RowSender(request, context.bigReads, body, writer, SMALL_BYTES);
  try {
    const asked = readQuery(request.body);
    const notes = await answer(
      asked.request,
      asked.options,
      (head) => {
        writer.head(head);
        return writer;
      },
      sender.flush,
    );
    writer.trailer(notes);
  } catch (error) {
    if (!body.begun) failKw(error, request);
    const problem = toProblem(error, true);
    context.log.warn({ reason: String(error) }, 'an answer was broken off');
    writer.error(problemBody(problem));
  } finally {
    sender.leave();
  }
  try {
    await sender.end();
  } catch {
    // The client went away.
    body.abort();
  }
  return reply;
}

/** The same sentence and exit code as without a server. */
export function failKw(error: unknown, request: FastifyRequest): never {
  if (error instanceof ZodError) {
    throw new HttpProblem(
      400,
      'BAD_REQUEST',
      `this is no request of kw: ${z.prettifyError(error).slice(0, 500)}`,
      {
        hint: 'requests under /kw/ are for the command line; programs use /rpc/',
        cause: error,
      },
    );
  }
  const problem = toProblem(error, request.caller.user !== undefined);
  if (!(error instanceof KwError) || error.exit === EXIT_FAILURE || problem.status >= 500) throw problem;
  const { status, code, message, hint } = problem;
  throw new HttpProblem(status, code, message, { hint, details: { exit: error.exit }, cause: error });
}
