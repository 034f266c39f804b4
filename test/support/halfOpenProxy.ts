/**
 * A TCP proxy before a database that can do what networks do: hang without closing anything, refuse, or break a
 * connection right before or right behind a given message of the client.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { DatabaseTarget } from '../../src/lib/database/connection.ts';
import { parseDatabaseUrl } from '../../src/lib/database/url.ts';

/** `pass` on; break the connection `before` the server sees the data, or `behind` it: before it can answer. */
export type Verdict = 'pass' | 'before' | 'behind';

export interface HalfOpenProxy {
  /** The same database, through the proxy. */
  readonly target: DatabaseTarget;
  /** Connections so far. */
  readonly connections: number;
  /** Nothing passes any more in any connection, old or new, and none is closed. */
  hang(): void;
  /** Connections are closed, and new ones refused. */
  refuse(): void;
  /** Everything works; connections that hung stay dead. */
  heal(): Promise<void>;
  /** Judges each piece of data from the client. */
  judge: (data: Buffer) => Verdict;
  close(): Promise<void>;
}

export async function halfOpenProxy(database: DatabaseTarget): Promise<HalfOpenProxy> {
  const { config } = parseDatabaseUrl(database.url);
  const sockets = new Set<Socket>();
  let hanging = false;
  let connections = 0;

  const server = createServer((client) => {
    connections++;
    const upstream = config.host?.startsWith('/')
      ? connect(`${config.host}/.s.PGSQL.${config.port}`)
      : connect(config.port as number, config.host);
    let dead = hanging;
    const destroy = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        // The other side of a dead connection never hears of it.
        if (!dead) destroy();
      });
    }
    client.on('data', (data) => {
      const verdict = dead ? 'pass' : proxy.judge(data);
      dead ||= hanging;
      if (dead) return;
      if (verdict === 'before') return destroy();
      upstream.write(data, () => {
        if (verdict !== 'behind') return;
        dead = true;
        client.destroy();
        // The server gets the time to do what it was told, and finds nobody to tell.
        setTimeout(() => upstream.destroy(), 300);
      });
    });
    upstream.on('data', (data) => {
      dead ||= hanging;
      if (!dead) client.write(data);
    });
  });

  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const url = new URL('postgres://127.0.0.1');
  url.port = String(port);
  url.username = encodeURIComponent(config.user ?? '');
  url.password = encodeURIComponent(String(config.password ?? ''));
  url.pathname = `/${config.database}`;
  url.searchParams.set('sslmode', 'disable');

  const proxy: HalfOpenProxy = {
    target: { url: url.href, label: 'the database behind the proxy', embedded: false },
    get connections() {
      return connections;
    },
    judge: () => 'pass',
    hang() {
      hanging = true;
    },
    refuse() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    async heal() {
      hanging = false;
      if (!server.listening) await listen(port);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}
