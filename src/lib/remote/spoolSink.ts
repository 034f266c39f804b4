/**
 * Where the spool of `kw push --spool` goes: into the database, or through a `kw serve`. Both within bounded times, since
 * values that wait on the disk are safe, and whoever pushed waits.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'pg';
import type { Settings } from '../config/settingsModel.ts';
import { codeOf, KwError } from '../errors.ts';
import { type PartRefusal, PartRefused, type SpooledPart, type SpoolSink } from '../push/spooledPart.ts';
import type { PushAnswer } from './remoteStore.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const FAREWELL_MS = 500;
/** More than this for a part of some thousand rows is an outage. */
const SILENCE_MS = 30_000;

/** What a spool is for: a name of the database or server without any secret. @throws KwError when none is named */
export async function spoolTarget(settings: Settings): Promise<string> {
  if (settings.url !== undefined) {
    const { kwServer } = await import('./server.ts');
    return kwServer(settings).label;
  }
  if (settings.databaseUrl !== undefined) {
    const { parseDatabaseUrl } = await import('../database/url.ts');
    return parseDatabaseUrl(settings.databaseUrl).label;
  }
  const { embeddedExists } = await import('../database/embedded/server.ts');
  if (embeddedExists(settings.dataFolder)) return 'the embedded database';
  throw new KwError('no database: set KW_URL or KW_DATABASE_URL, or run kw db start', {
    code: 'NO_DATABASE',
  });
}

/** @throws KwError when there is no way to it now */
export async function connectSpoolSink(settings: Settings): Promise<SpoolSink> {
  return settings.url === undefined ? await databaseSink(settings) : await serverSink(settings);
}

async function databaseSink(settings: Settings): Promise<SpoolSink> {
  const [
    { resolveDatabase },
    { parseDatabaseUrl },
    { openClient },
    { explainIfDatabase, databaseError },
    { storeSpooled },
  ] = await Promise.all([
    import('../database/resolve.ts'),
    import('../database/url.ts'),
    import('../database/connection.ts'),
    import('../database/errors.ts'),
    import('../push/spooledPart.ts'),
  ]);
  const target = await resolveDatabase(settings);
  const client = await openClient(target, {
    connectTimeoutMs: parseDatabaseUrl(target.url).config.connectionTimeoutMillis ?? CONNECT_TIMEOUT_MS,
    statementTimeoutMs: SILENCE_MS,
  });
  const silent = () =>
    databaseError(Object.assign(new Error('it does not answer'), { code: 'ETIMEDOUT' }), target);
  return {
    async store(part: SpooledPart): Promise<readonly PartRefusal[]> {
      try {
        return await within(SILENCE_MS + CONNECT_TIMEOUT_MS, storeSpooled(client, part), silent);
      } catch (error) {
        if (isOfTheRows(codeOf(error))) throw new PartRefused((error as Error).message);
        throw explainIfDatabase(error, target);
      }
    },
    async close() {
      // A server that hangs does not hear the farewell.
      await within(FAREWELL_MS, client.end(), silent).catch(() => undefined);
      (client as Client & { connection: { stream: Duplex } }).connection.stream.destroy();
    },
  };
}

async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** SQLSTATEs of data: they come back however often the rows are sent. */
function isOfTheRows(code: string | undefined): boolean {
  return code !== undefined && (/^2[23]/.test(code) || code === '54000');
}

/** Codes of problems (server/problem.ts) that lie in what was sent. */
const REFUSED = new Set([
  'BAD_REQUEST',
  'BAD_VALUE',
  'TOO_LARGE',
  'CTP_BODY_TOO_LARGE',
  'CTP_INVALID_JSON_BODY',
]);

async function serverSink(settings: Settings): Promise<SpoolSink> {
  const [{ RemoteConnection }, { kwServer }, { callServer }] = await Promise.all([
    import('./http.ts'),
    import('./server.ts'),
    import('./callServer.ts'),
  ]);
  const connection = new RemoteConnection(kwServer(settings));
  return {
    async store(part: SpooledPart): Promise<readonly PartRefusal[]> {
      try {
        const call = { name: 'push-spooled', repeatable: true };
        const { refusals } = await callServer<SpooledPart, PushAnswer>(connection, call, part, {
          silenceMs: SILENCE_MS,
        });
        return refusals;
      } catch (error) {
        if (error instanceof KwError && REFUSED.has(error.code)) throw new PartRefused(error.message);
        throw error;
      }
    },
    close: async () => connection.close(),
  };
}
