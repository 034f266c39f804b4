/** `kw serve` in this process, on a database of a test. */
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { loadSettings } from '../../src/lib/config/settings.ts';
import type { Settings } from '../../src/lib/config/settingsModel.ts';
import { buildApp } from '../../src/lib/server/app.ts';
import type { Caller } from '../../src/lib/server/caller.ts';
import { ClientPool } from '../../src/lib/server/clientPool.ts';
import { openServerClient } from '../../src/lib/server/database.ts';
import type { TestDatabase } from './database.ts';

/** Says who the caller is, in place of authentication. */
const CALLER_HEADER = 'x-test-caller';

/** Headers of a request of this user. */
export function as(
  user: string,
  role: Caller['role'],
  more: Record<string, unknown> = {},
): Record<string, string> {
  const claims = { sub: user, role, ...more };
  return { [CALLER_HEADER]: JSON.stringify({ user, role, claims } satisfies Caller) };
}

export interface TestServer {
  readonly app: FastifyInstance;
  readonly pool: ClientPool;
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  close(): Promise<void>;
}

export interface TestServerOptions {
  /** Time zone of the site. */
  readonly timeZone?: string;
  readonly server?: Partial<Settings['server']>;
}

/** Listens on a free port of the loopback interface. */
export async function testServer(
  database: TestDatabase,
  { timeZone = 'UTC', server = {} }: TestServerOptions = {},
): Promise<TestServer> {
  const defaults = loadSettings({ database: database.url });
  const settings = { ...defaults, timeZone, server: { ...defaults.server, ...server } };
  const login = { name: 'kw_api', become: true };
  const pool = new ClientPool(() => openServerClient(database.target, login), {
    size: settings.server.connections,
    waitMs: 1_000,
    idleMs: 60_000,
  });
  const app = buildApp({
    pool,
    settings,
    log: pino({ level: 'silent' }),
    version: '0.0.0-test',
    bigReadWaitMs: 1_000,
  });
  app.addHook('onRequest', async (request) => {
    const asked = request.headers[CALLER_HEADER];
    if (typeof asked === 'string') request.caller = JSON.parse(asked) as Caller;
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    app,
    pool,
    url,
    async close() {
      const closed = app.close();
      // Clients of tests keep their connections.
      app.server.closeAllConnections();
      await closed;
      await pool.end();
    },
  };
}
