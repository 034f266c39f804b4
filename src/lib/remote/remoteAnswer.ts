/** Rows of `kw query` and `kw export` from a `kw serve`: read there, counted and printed here. */
import { KwError } from '../errors.ts';
import type { Answer, AnswerHead, AnswerOptions, Notes } from '../metrics/answer.ts';
import type { QueryRequest } from '../metrics/flags.ts';
import { BadRowStream, RowStreamReader } from '../output/rowStream.ts';
import { type RemoteConnection, SILENCE_MS } from './http.ts';
import { cutAnswer } from './httpErrors.ts';
import { readProblem } from './protocol.ts';

/** The body of `POST /kw/query`. */
export interface RemoteQuery {
  readonly request: QueryRequest;
  readonly options: AnswerOptions;
}

/** @throws KwError ANSWER_CUT when the answer ends without its trailer; as RemoteConnection.send() */
export function remoteAnswer(connection: RemoteConnection): Answer {
  return async (request, options, makeSink, flush = () => undefined) => {
    const { server } = connection;
    const body = JSON.stringify({ request, options } satisfies RemoteQuery);
    const silenceMs = SILENCE_MS + request.waitMs;
    const answer = await connection.send({ path: 'kw/query', body, repeatable: true, silenceMs });
    let notes: Notes | undefined;
    let failure: KwError | undefined;
    let rows = 0;
    const reader = new RowStreamReader({
      head: (head) => {
        const sink = makeSink(head as AnswerHead);
        return {
          row(timestampUs, series, value, summary) {
            rows++;
            sink.row(timestampUs, series, value, summary);
          },
          end: () => sink.end(),
        };
      },
      trailer: (value) => {
        notes = value as Notes;
      },
      error: (value) => {
        const problem = readProblem(value);
        if (problem !== undefined) failure = new KwError(problem.message, problem);
      },
    });
    const cut = (cause: unknown) =>
      cutAnswer(server, rows === 0 ? 'no row came' : `only its first ${rows} rows came`, cause);
    // Errors of the sink and of the output are not those of the connection.
    const pieces = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      for (;;) {
        const next = await pieces.next().catch((error: unknown) => {
          throw error instanceof KwError ? error : cut(error);
        });
        if (next.done === true) break;
        await reader.read(next.value);
        await flush();
      }
    } catch (error) {
      throw error instanceof BadRowStream ? cut(error) : error;
    } finally {
      answer.destroy();
    }
    if (failure !== undefined) throw failure;
    if (notes === undefined) throw cut(undefined);
    return notes;
  };
}
