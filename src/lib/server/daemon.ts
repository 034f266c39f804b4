/**
 * Runs the server as a process: checks what must be right, listens, tells systemd, and obeys signals. The first SIGINT or
 * SIGTERM takes no further requests and ends when the running ones have their answers, or after a while; the second
 * exits at once.
 */
import type { AddressInfo } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { isLoopback } from '../config/listen.ts';
import type { Settings } from '../config/settingsModel.ts';
import type { DatabaseTarget } from '../database/connection.ts';
import { KwError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { readAllSql } from '../packageRoot.ts';
import { firstSignal } from '../signals.ts';
import { systemdNotifier } from '../systemd.ts';
import { buildApp } from './app.ts';
import { watchTls } from './auth/tls.ts';
import { ClientPool } from './clientPool.ts';
import { checkServerDatabase, openServerClient } from './database.ts';

export interface ServeOptions {
  readonly settings: Settings;
  readonly database: DatabaseTarget;
  readonly logger: Logger;
  /** Of kw. */
  readonly version: string;
  /** Called when requests are taken, with an address such as `http://127.0.0.1:9843`. */
  readonly onListening?: (url: string) => void;
}

/** Where the database is merely slow, clients wait in turn. */
const POOL_WAIT_MS = 15_000;
const POOL_IDLE_MS = 60_000;
/** How long running answers may take at the end: a supervisor waits some 90 s before it kills. */
const DRAIN_MS = 10_000;

/**
 * Resolves when the server has ended.
 * @throws KwError what is wrong: the database, its schema, the address
 */
export async function runServer(options: ServeOptions): Promise<void> {
  const { settings, database, logger, version } = options;
  readAllSql();
  const login = await checkServerDatabase(database);
  if (login.become && !database.embedded) {
    logger.warn(
      `the database URL is that of a superuser: kw serve needs no more than the login ${login.name}`,
    );
  }
  const pool = new ClientPool(() => openServerClient(database, login), {
    size: settings.server.connections,
    waitMs: POOL_WAIT_MS,
    idleMs: POOL_IDLE_MS,
  });
  const app = buildApp({ pool, settings, log: logger, version });
  try {
    const url = await listen(app, settings.server.listen);
    const systemd = systemdNotifier(process.env, () => app.server.listening);
    void systemd.notify('READY=1');
    logger.info({ address: url, database: database.label }, 'serving');
    if (settings.server.tls === undefined && !isLoopback(settings.server.listen.host)) {
      logger.warn(
        'tokens come in clear text: give kw serve a certificate (server.tls), or a proxy that encrypts',
      );
    }
    const stopReloading = reloadOnSighup(app, settings, logger);
    options.onListening?.(url);
    const signal = await firstSignal();
    stopReloading();
    void systemd.stop();
    void systemd.notify('STOPPING=1');
    logger.info(`${signal}: running answers are finished; again to exit at once`);
  } finally {
    await close(app);
    await pool.end();
  }
  logger.info('stopped');
}

async function listen(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: 'another program listens there',
      EACCES: 'ports below 1024 need a right that this user does not have',
      EADDRNOTAVAIL: 'this machine has no such address',
      ENOTFOUND: 'there is no such host name',
    };
    throw new KwError(`cannot listen on ${host} port ${port}: ${reasons[code ?? ''] ?? message}`, {
      code: 'CANNOT_LISTEN',
      hint: 'name another address with --listen, or as server.listen in kw.yaml',
      cause: error,
    });
  }
  const address = app.server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${app.server instanceof TlsServer ? 'https' : 'http'}://${name}:${address.port}`;
}

/** SIGHUP reads the certificate again, and ends nothing. Keys and certificates that change are noticed without it. */
function reloadOnSighup(app: FastifyInstance, { server: { tls } }: Settings, logger: Logger): () => void {
  const watch =
    tls !== undefined && app.server instanceof TlsServer ? watchTls(app.server, tls, logger) : undefined;
  const onSighup = () => watch?.reload();
  process.on('SIGHUP', onSighup);
  return () => {
    watch?.stop();
    process.off('SIGHUP', onSighup);
  };
}

/** Answers that are not finished in time are cut: their clients see a body without an end. */
async function close(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  await app.close();
  clearTimeout(cut);
}
