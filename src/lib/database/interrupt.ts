/**
 * Ctrl-C and SIGTERM while a statement runs: the server would go on working for nobody, so it is told to stop.
 * A second signal ends the process at once.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'pg';
import { onceSignalled } from '../signals.ts';
import { cancelQuery } from './copyOut.ts';

/**
 * Until the returned function is called, a signal cancels the client's statement, runs `cleanUp` and exits with
 * the usual code (130, 143).
 */
export function cancelOnSignal(client: Client, cleanUp: () => void = () => undefined): () => void {
  return onceSignalled((exitCode) => {
    cleanUp();
    // Nobody shall hear of the error that the statement ends with: we are on our way out.
    (client as Client & { connection: { stream: Duplex } }).connection.stream.removeAllListeners('data');
    void cancelQuery(client)
      .catch(() => undefined)
      .finally(() => process.exit(exitCode));
  });
}
