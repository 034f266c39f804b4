/** Where a command gets its answer: from the database that its settings name, or through a `kw serve`. */
import type { Settings } from '../config/settingsModel.ts';
import type { Answer } from '../metrics/answer.ts';
import type { PushStore } from '../push/store.ts';
import { onceSignalled } from '../signals.ts';
import type { Call } from './call.ts';

/** @throws KwError NO_DATABASE, DATABASE_...; SERVER_AWAY and others of http.ts; those of the call */
export async function runCall<Request, Result>(
  settings: Settings,
  call: Call<Request, Result>,
  request: Request,
): Promise<Result> {
  if (settings.url === undefined) {
    const { withClient } = await import('../database/resolve.ts');
    const { cancelOnSignal } = await import('../database/interrupt.ts');
    return await withClient(settings, async (client) => {
      const stop = cancelOnSignal(client);
      const result = await call.run(client, request);
      stop();
      return result;
    });
  }
  const { callServer } = await import('./callServer.ts');
  return await withConnection(settings, (connection) => callServer(connection, call, request));
}

/**
 * Runs `use` with what answers queries. Until it ends, SIGINT and SIGTERM have the database stop working for it, run
 * `cleanUp` and exit with the usual code.
 */
export async function withAnswer<T>(
  settings: Settings,
  use: (answer: Answer) => Promise<T>,
  cleanUp: () => void = () => undefined,
): Promise<T> {
  if (settings.url === undefined) {
    const { withClient } = await import('../database/resolve.ts');
    const { cancelOnSignal } = await import('../database/interrupt.ts');
    const { databaseAnswer } = await import('../metrics/answer.ts');
    return await withClient(settings, async (client) => {
      const stop = cancelOnSignal(client, cleanUp);
      const result = await use(databaseAnswer(client));
      stop();
      return result;
    });
  }
  const { remoteAnswer } = await import('./remoteAnswer.ts');
  // The connection closes with the process, and then the server ends what it does for us.
  const stop = onceSignalled((exitCode) => {
    cleanUp();
    process.exit(exitCode);
  });
  try {
    return await withConnection(settings, (connection) => use(remoteAnswer(connection)));
  } finally {
    stop();
  }
}

/** Runs `use` with what stores pushed values. */
export async function withPushStore<T>(
  settings: Settings,
  use: (store: PushStore) => Promise<T>,
): Promise<T> {
  if (settings.url === undefined) {
    const { withClient } = await import('../database/resolve.ts');
    const { DatabaseStore } = await import('../push/store.ts');
    return await withClient(settings, (client) => use(new DatabaseStore(client)));
  }
  const { RemoteStore } = await import('./remoteStore.ts');
  return await withConnection(settings, (connection) => use(new RemoteStore(connection)));
}

async function withConnection<T>(
  settings: Settings,
  use: (connection: import('./http.ts').RemoteConnection) => Promise<T>,
): Promise<T> {
  const [{ RemoteConnection }, { kwServer }] = await Promise.all([
    import('./http.ts'),
    import('./server.ts'),
  ]);
  const connection = new RemoteConnection(kwServer(settings));
  try {
    return await use(connection);
  } finally {
    connection.close();
  }
}
