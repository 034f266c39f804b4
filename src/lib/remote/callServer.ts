/** A call that `kw serve` makes for us. */
import type { Call } from './call.ts';
import type { RemoteConnection } from './http.ts';
import { cutAnswer } from './httpErrors.ts';
import { fromWire } from './wire.ts';

/** A list of all metrics of a large site is some 20 MB. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** @throws KwError as RemoteConnection.send(), and those of the call itself */
export async function callServer<Request, Result>(
  connection: RemoteConnection,
  { name, repeatable }: Pick<Call<Request, Result>, 'name' | 'repeatable'>,
  request: Request,
  { silenceMs }: { silenceMs?: number } = {},
): Promise<Result> {
  const body = JSON.stringify(request);
  const answer = await connection.send({ path: `kw/${name}`, body, repeatable, silenceMs });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw new Error('it is too long');
      chunks.push(chunk);
    }
    const { result } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { result: unknown };
    // Of a server that speaks the same protocol: what it says has this form.
    return fromWire(result) as Result;
  } catch (error) {
    throw cutAnswer(connection.server, `it ended after ${size} bytes`, error);
  }
}
