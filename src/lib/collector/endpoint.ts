/**
 * The collector's local endpoint: `/metrics` for Prometheus, `/status` as JSON for `kw status`. Read-only, without
 * secrets, and on the loopback interface unless configured otherwise.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface Endpoint {
  /** Such as `http://127.0.0.1:9842`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Rejects with the error of the socket when it cannot listen. */
export async function openEndpoint(
  listen: { readonly host: string; readonly port: number },
  registry: () => Registry,
  status: () => unknown,
): Promise<Endpoint> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, async (request, response) => {
    try {
      const path = request.url?.split('?')[0];
      if (request.method !== 'GET' && request.method !== 'HEAD') {
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
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  server.on('error', () => {});
  return { url: urlOf(server), close: () => close(server) };
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
