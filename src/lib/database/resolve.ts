/** Which database is meant, and a connection to it for as long as a command needs one. */
import type pg from 'pg';
import { KwError } from '../errors.ts';
import { type ClientOptions, type DatabaseTarget, openClient } from './connection.ts';
import { embeddedExists, startEmbedded } from './embedded/server.ts';
import { explainIfDatabase } from './errors.ts';
import { parseDatabaseUrl } from './url.ts';

/** What of the settings decides about the database. */
export interface DatabaseSettings {
  readonly databaseUrl?: string | undefined;
  /** Where the URL was written, such as `--database`. */
  readonly databaseNamedBy?: string | undefined;
  /** A `kw serve`; no embedded database is meant then. */
  readonly url?: string | undefined;
  readonly urlNamedBy?: string | undefined;
  readonly dataFolder: string;
}

/**
 * The database that is meant: the configured one, else the embedded one if there is one (started if it is
 * stopped). Nothing else makes a database: a prolog without its environment must not write into a private one.
 *
 * @throws KwError NO_DATABASE; NEEDS_DATABASE where only a server is named
 */
export async function resolveDatabase(settings: DatabaseSettings): Promise<DatabaseTarget> {
  const url = settings.databaseUrl;
  if (url) {
    const { label } = parseDatabaseUrl(url);
    return { url, label, embedded: false, namedBy: settings.databaseNamedBy };
  }
  if (settings.url) {
    throw new KwError(
      `this command needs a database, and ${settings.urlNamedBy ?? 'KW_URL'} names only a server`,
      {
        code: 'NEEDS_DATABASE',
        hint: 'set KW_DATABASE_URL; query, export, push, delete, enable, disable, enabled, metrics and job need none',
      },
    );
  }
  if (embeddedExists(settings.dataFolder)) {
    const server = await startEmbedded(settings.dataFolder);
    return { url: server.url, label: server.label, embedded: true };
  }
  throw new KwError('no database: set KW_URL or KW_DATABASE_URL, or run kw db start', {
    code: 'NO_DATABASE',
  });
}

/** Resolves, opens, runs, and ends the connection whatever happens; errors of statements become KwErrors. */
export async function withClient<T>(
  settings: DatabaseSettings,
  use: (client: pg.Client, target: DatabaseTarget) => Promise<T>,
  options: ClientOptions = {},
): Promise<T> {
  const target = await resolveDatabase(settings);
  const client = await openClient(target, options);
  try {
    return await use(client, target);
  } catch (error) {
    throw explainIfDatabase(error, target);
  } finally {
    await client.end().catch(() => {});
  }
}
