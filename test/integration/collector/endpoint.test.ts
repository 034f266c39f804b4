/** Who may ask the collector's local endpoint, and for how long. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Endpoint, openEndpoint } from '../../../src/lib/collector/endpoint.ts';

describe('the local endpoint', () => {
  let endpoint: Endpoint;
  beforeAll(async () => {
    endpoint = await openEndpoint(
      { host: '127.0.0.1', port: 0 },
      () => new Registry(),
      () => ({ fine: true }),
    );
  });
  afterAll(() => endpoint.close());

  const ask = (host: string, method = 'GET') =>
    new Promise<string>((resolve, reject) => {
      const asked = request(`${endpoint.url}/status`, { method, headers: { host } }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
      });
      asked.on('error', reject);
      asked.end();
    });

  test.each(['localhost', 'LOCALHOST:9842', '127.0.0.1', '127.0.0.1:9842', '[::1]:9842'])(
    'answers who asks for %s',
    async (host) => expect(await ask(host)).toBe('200 {"fine":true}\n'),
  );

  test.each(['evil.example', 'evil.example:9842', 'localhost.evil.example', '127.0.0.1.evil.example:80'])(
    'refuses who asks for "%s": a web page that leads its own name to this machine',
    async (host) => expect(await ask(host)).toBe('403 ask by localhost or by address\n'),
  );

  test('changes nothing', async () => {
    expect(await ask('localhost', 'POST')).toBe('405 only GET\n');
  });

  test('disconnects who never ends the request', async () => {
    const { hostname, port } = new URL(endpoint.url);
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.write('GET /status HTTP/1.1\r\nX-Slow: '));
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.on('close', () => resolve());
    });
    expect(performance.now() - startMs).toBeLessThan(8_000);
  }, 15_000);
});
