/**
 * The embedded server, for the rest of kw: a real PostgreSQL in the user's data folder, for trial and for single
 * machines. It is made by `kw db start`, the demo and `kw collect`, and by nothing else.
 */
import { connectionUrl, readCredentials } from './credentials.ts';
import { findLayout } from './layout.ts';
import { findProcess } from './process.ts';
import type { StartOptions } from './start.ts';

export interface EmbeddedServer {
  /** With the password: never print it. */
  readonly url: string;
  /** Safe to print. */
  readonly label: string;
  /** True when it ran already. */
  readonly adopted: boolean;
}

export interface EmbeddedStatus {
  readonly exists: boolean;
  readonly running: boolean;
  /** Where its files are, if it exists. */
  readonly home: string | undefined;
  readonly pid: number | undefined;
  readonly startedAtMs: number | undefined;
}

/** Whether there is an embedded server below this data folder, running or not. Cheap and synchronous. */
export function embeddedExists(dataFolder: string): boolean {
  return findLayout(dataFolder) !== undefined;
}

/** What can be known without starting it. */
export function embeddedStatus(dataFolder: string): EmbeddedStatus {
  const layout = findLayout(dataFolder);
  const server = layout && findProcess(layout);
  return {
    exists: layout !== undefined,
    running: server?.ready ?? false,
    home: layout?.home,
    pid: server?.pid,
    startedAtMs: server?.startedAtMs,
  };
}

/**
 * Makes the server if there is none, starts it if it is stopped, adopts it if it runs. It outlives this process.
 * One that had to be started is migrated: it may have been made by an older kw.
 *
 * @throws KwError EMBEDDED_..., and what migrate() throws
 */
export async function startEmbedded(dataFolder: string, options: StartOptions = {}): Promise<EmbeddedServer> {
  const layout = findLayout(dataFolder);
  const running = layout && findProcess(layout);
  if (layout && running?.ready) {
    const url = connectionUrl(readCredentials(layout), running.socketFolder);
    return { url, label: labelOf(layout.home), adopted: true };
  }
  // The usual case ends above: what starts servers is loaded only when one is to be started.
  const { startServer } = await import('./start.ts');
  const started = await startServer(dataFolder, options);
  const credentials = readCredentials(started.layout);
  const server: EmbeddedServer = {
    url: connectionUrl(credentials, started.server.socketFolder),
    label: labelOf(started.layout.home),
    adopted: started.adopted,
  };
  if (!started.adopted && options.migrate !== false) await migrateEmbedded(server);
  return server;
}

/** Brings the schema up to this kw. Resolves to the names of the migrations that were due. */
export async function migrateEmbedded(server: EmbeddedServer): Promise<readonly string[]> {
  const [{ openClient }, { explainIfDatabase }, { migrate }] = await Promise.all([
    import('../connection.ts'),
    import('../errors.ts'),
    import('../migrate.ts'),
  ]);
  const client = await openClient({ url: server.url, label: server.label, embedded: true });
  try {
    return (await migrate(client)).applied;
  } catch (error) {
    throw explainIfDatabase(error, { label: server.label, embedded: true });
  } finally {
    await client.end().catch(() => {});
  }
}

/** Resolves to whether one ran. */
export async function stopEmbedded(dataFolder: string): Promise<boolean> {
  const { stopServer } = await import('./stop.ts');
  return stopServer(dataFolder);
}

function labelOf(home: string): string {
  return `embedded PostgreSQL in ${home}`;
}
