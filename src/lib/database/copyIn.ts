/** COPY into the database, from buffers that are already encoded. */
import type { ClientBase } from 'pg';
import { from } from 'pg-copy-streams';

/**
 * Runs `COPY ... FROM STDIN` and resolves with the number of rows once the server has taken them all.
 * Rejects with the server's error, after which the connection is ready again (and a transaction is aborted).
 */
export function copyIn(
  client: ClientBase,
  statement: string,
  chunks: readonly Uint8Array[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = client.query(from(statement));
    stream.once('error', reject);
    stream.once('finish', () => resolve(stream.rowCount));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  });
}
