/** Following through a server whose connections break: what came before does not come again. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { messageEvent, rowsEvent } from '../../../src/lib/live/events.ts';
import { followServer } from '../../../src/lib/live/fromServer.ts';
import type { KwServer } from '../../../src/lib/remote/server.ts';

const series = { id: 0, deviceId: 'd', metricId: 'm', labels: '{}' };
const row = (second: number) => ({ timestampUs: 1_700_000_000e6 + second * 1e6, value: second, series });

function serverAt(port: number): KwServer {
  const base = new URL(`http://127.0.0.1:${port}/kw/`);
  return {
    base,
    label: base.href,
    namedBy: 'KW_URL',
    authorization: 'Bearer t',
    hasToken: true,
    ca: undefined,
  };
}

test('a broken stream is taken up again, without what was told', async () => {
  const asked: (string | undefined)[] = [];
  const answers = [
    [rowsEvent([row(1), row(2)]), messageEvent('warning', 'slow'), rowsEvent([row(3)])],
    [rowsEvent([row(2), row(3), row(4)]), rowsEvent([row(4)])],
  ];
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const bytes of answers[asked.length - 1] ?? []) response.write(bytes);
    if (asked.length === 1) setTimeout(() => response.destroy(), 50);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = new AbortController();
  const told: unknown[] = [];
  const request = { jobs: undefined, devices: ['d', 'e,f'], metrics: undefined, labels: ['a=b'] };
  try {
    await followServer(serverAt((server.address() as AddressInfo).port))(
      request,
      {
        open: () => told.push('open'),
        rows: (rows) => {
          told.push(rows.map(({ value }) => value));
          if (told.length === 7) stop.abort();
        },
        warning: (message) => told.push(message.replace(/http\S+/, 'URL')),
      },
      stop.signal,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
  // Another row that is equal to the fourth is a row.
  expect(told).toEqual([
    'open',
    [1, 2],
    'slow',
    [3],
    'the connection to URL is lost: trying again',
    [4],
    [4],
  ]);
  expect(asked[0]).toBe('/kw/stream?devices=d&devices=e%2Cf&labels=a%3Db Bearer t');
});

test('who ends it while it waits to try again does not wait', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.write(rowsEvent([row(1)]));
    setTimeout(() => response.destroy(), 50);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = new AbortController();
  let lostMs = Number.NaN;
  const listener = {
    open: () => undefined,
    rows: () => undefined,
    warning: () => {
      lostMs = performance.now();
      setTimeout(() => stop.abort(), 100);
    },
  };
  const request = { jobs: undefined, devices: ['d'], metrics: undefined, labels: undefined };
  await followServer(serverAt((server.address() as AddressInfo).port))(request, listener, stop.signal);
  expect(performance.now() - lostMs).toBeLessThan(1_000);
  server.closeAllConnections();
  server.close();
});

test('what is wrong at the beginning is told, and nothing is tried again', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ message: 'your token does not allow this', code: 'FORBIDDEN', hint: 'ask' }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const request = { jobs: undefined, devices: ['d'], metrics: undefined, labels: undefined };
  const listener = { open: () => undefined, rows: () => undefined, warning: () => undefined };
  const following = followServer(serverAt(port))(request, listener, new AbortController().signal);
  await expect(following).rejects.toMatchObject({
    message: 'your token does not allow this',
    code: 'FORBIDDEN',
    hint: 'ask',
  });
  await new Promise((resolve) => server.close(resolve));
  const nobody = followServer(serverAt(port))(request, listener, new AbortController().signal);
  await expect(nobody).rejects.toMatchObject({ code: 'SERVER_AWAY' });
});
