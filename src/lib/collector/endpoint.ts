/**
 * The collector's local endpoint: `/metrics` for Prometheus, `/status` as JSON for `kw status`. Read-only, without
 * secrets, and on the loopback interface unless configured otherwise.
 */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Registry } from 'prom-client';
import { isLoopback } from '../config/listen.ts';

export interface Endpoint {
  /** Such as `http://127.0.0.1:9842`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Who sends a request slowly, or says nothing, is soon disconnected. */
const BOUNDS = {
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
};
const MAX_CONNECTIONS = 500;

/** Rejects with the error of the socket when it cannot listen. */
export async function openEndpoint(
  listen: { readonly host: string; readonly port: number },
  registry: () => Registry,
  status: () => unknown,
): Promise<Endpoint> {
  const server = createServer(BOUNDS, async (request, response) => {
    try {
      const path = request.url?.split('?')[0];
      if (isLoopback(listen.host) && !isLocalName(request.headers.host)) {
        response.writeHead(403).end('ask by localhost or by address\n');
      } else if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end('only GET\n');
      } else if (path === '/metrics') {
        const { contentType } = registry();
        response.writeHead(200, { 'content-type': contentType }).end(await registry().metrics());
      } else if (path === '/status') {
        response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(status())}\n`);
      } else {
        response.writeHead(404).end('there are /metrics and /status\n');
      }
    } catch {
      response.writeHead(500).end();
    }
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  server.on('error', () => {});
  return { url: urlOf(server), close: () => close(server) };
}

/**
 * Whether a request on the loopback interface was meant for it. A web page may let a name of its own lead to
 * 127.0.0.1 (DNS rebinding) to read what answers there; the browser then sends that name.
 */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return name.toLowerCase() === 'localhost' || isIP(name) !== 0;
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
