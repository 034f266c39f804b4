/**
 * A proxy before `kw serve`, as sites have them: under a path, with TLS or without. And one that does what networks do:
 * loses answers, or ends them early as if they were whole.
 */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

export interface HttpProxy {
  /** With its path, such as `https://127.0.0.1:41234/api`. */
  readonly url: string;
  /** Paths of the requests that came, without the prefix. */
  readonly paths: readonly string[];
  /** Whether the answer of this request gets lost: the server has given it, and the connection breaks. */
  loses: (path: string) => boolean;
  /** Ends the bodies of answers after so many bytes, as if that were all. */
  endAfterBytes: number | undefined;
  close(): Promise<void>;
}

export async function httpProxy(
  target: string,
  { prefix = '', tls }: { prefix?: string; tls?: { key: string; cert: string } } = {},
): Promise<HttpProxy> {
  const paths: string[] = [];
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '';
    if (!path.startsWith(`${prefix}/`)) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>not here</h1>');
      return;
    }
    paths.push(path.slice(prefix.length));
    const upstream = http.request(
      target + path.slice(prefix.length),
      { method: request.method, headers: request.headers },
      (answer) => {
        if (proxy.loses(path.slice(prefix.length))) {
          answer.resume().on('end', () => request.socket.destroy());
          return;
        }
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        if (proxy.endAfterBytes === undefined) {
          answer.pipe(response);
          return;
        }
        answer.once('data', (first: Buffer) => {
          response.end(first.subarray(0, proxy.endAfterBytes), () => request.socket.destroySoon());
          answer.destroy();
        });
      },
    );
    upstream.on('error', () => request.socket.destroy());
    request.pipe(upstream);
  };
  const server = tls === undefined ? http.createServer(handle) : https.createServer(tls, handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: HttpProxy = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    paths,
    loses: () => false,
    endAfterBytes: undefined,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
