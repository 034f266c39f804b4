/**
 * Ctrl-C and SIGTERM while a statement runs: the server would go on working for nobody, so it is told to stop.
 * A second signal ends the process at once.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'pg';
import { cancelQuery } from './copyOut.ts';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Until the returned function is called, a signal cancels the client's statement, runs `cleanUp` and exits with
 * the usual code (130, 143).
 */
export function cancelOnSignal(client: Client, cleanUp: () => void = () => undefined): () => void {
  const handlers = (['SIGINT', 'SIGTERM'] as const).map((signal) => {
    const handler = () => {
      remove();
      cleanUp();
      // Nobody shall hear of the error that the statement ends with: we are on our way out.
      (client as Client & { connection: { stream: Duplex } }).connection.stream.removeAllListeners('data');
      void cancelQuery(client)
        .catch(() => undefined)
        .finally(() => process.exit(EXIT_CODES[signal]));
    };
    process.once(signal, handler);
    return { signal, handler };
  });
  const remove = () => {
    for (const { signal, handler } of handlers) process.removeListener(signal, handler);
  };
  return remove;
}
