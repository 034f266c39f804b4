/** `POST /kw/push`, `/kw/push-end` and `/kw/push-spooled`: values of `kw push`, see remoteStore.ts and spoolSink.ts of src/lib/remote/. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { readSql } from '../../packageRoot.ts';
import { toRows } from '../../push/columns.ts';
import { storeSpooled } from '../../push/spooledPart.ts';
import { storeRows } from '../../push/store.ts';
import type { PushAnswer } from '../../remote/remoteStore.ts';
import { heldCaller, type ServerContext } from '../context.ts';
import { readPushEnd, readPushPart, readSpooledPart } from '../kwCalls.ts';
import { OpenPushes, takePart } from '../openPushes.ts';
import { refusalsOf } from '../pushPart.ts';
import { failKw } from './kw.ts';

export function registerKwPush(app: FastifyInstance, context: ServerContext): void {
  const open = new OpenPushes(context);
  app.addHook('preClose', async () => open.close());
  const answer = async (request: FastifyRequest, run: () => Promise<unknown>) => {
    try {
      return { result: await run() };
    } catch (error) {
      return failKw(error, request);
    }
  };
  app.post('/kw/push', { schema: { hide: true } }, (request) =>
    answer(request, async () => {
      const part = readPushPart(request.body);
      if (part.whole) return await open.part(heldCaller(request), part);
      return await context.withCaller(request, async (client): Promise<PushAnswer> => {
        const stored = await takePart(client, part.push, part.part);
        if (stored !== null) return stored;
        const given = { refusals: refusalsOf(await storeRows(client, toRows(part))) };
        await client.query(readSql('queries/push_part_answer'), [
          part.push,
          part.part,
          JSON.stringify(given),
        ]);
        return given;
      });
    }),
  );
  app.post('/kw/push-spooled', { schema: { hide: true } }, (request) =>
    answer(request, async () => {
      const part = readSpooledPart(request.body);
      const refusals = await context.withCaller(request, (client) => storeSpooled(client, part));
      return { refusals } satisfies PushAnswer;
    }),
  );
  app.post('/kw/push-end', { schema: { hide: true } }, (request) =>
    answer(request, async () => {
      const { push, commit } = readPushEnd(request.body);
      await open.end(heldCaller(request), push, commit);
      return null;
    }),
  );
}
