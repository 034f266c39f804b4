/** examples/oar/notify-kw: what OAR runs when jobs begin and end. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

/** OAR would wait for it. */
const AT_MOST_MS = 1_000;

let db: TestDatabase;
const { folder, remove } = temporaryFolder();
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(async () => {
  await db.drop();
  remove();
});

/** Runs it as OAR does. @returns how long OAR waits for it */
async function notify(settings: string): Promise<number> {
  writeFileSync(join(folder, 'settings'), settings);
  const startedMs = performance.now();
  const { stdout, stderr } = await promisify(execFile)(
    join(packageRoot(), 'examples/oar/notify-kw'),
    ['1234'],
    {
      env: { PATH: process.env.PATH, KW_NOTIFY_SETTINGS: join(folder, 'settings') },
    },
  );
  expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
  return performance.now() - startedMs;
}

test.skipIf(skipUnless('psql', hasProgram('psql')))('it says in the database that jobs changed', async () => {
  const heard: string[] = [];
  db.client.on('notification', ({ channel }) => heard.push(channel));
  await db.client.query('LISTEN kw_jobs');
  expect(await notify(`KW_NOTIFY_DATABASE='${db.url}'\n`)).toBeLessThan(AT_MOST_MS);
  await waitUntil(() => heard.length > 0);
  expect(heard).toEqual(['kw_jobs']);
});

test.skipIf(skipUnless('curl', hasProgram('curl')))(
  'or to a server, with the token on no command line',
  async () => {
    const heard: unknown[] = [];
    const server = createServer((request, response) => {
      heard.push([request.method, request.url, request.headers.authorization]);
      response.end('[]');
    }).listen(0, '127.0.0.1');
    await waitUntil(() => server.listening);
    const { port } = server.address() as AddressInfo;
    expect(await notify(`KW_URL=http://127.0.0.1:${port}\nKW_TOKEN=s3cret\n`)).toBeLessThan(AT_MOST_MS);
    await waitUntil(() => heard.length > 0);
    server.close();
    expect(heard).toEqual([['POST', '/rpc/update_promoted_metrics', 'Bearer s3cret']]);
  },
);

test('it holds up no job when kw is away, hangs, or is not named', async () => {
  const hanging = createTcpServer(() => {}).listen(0, '127.0.0.1');
  await waitUntil(() => hanging.listening);
  const { port } = hanging.address() as AddressInfo;
  for (const settings of [
    'KW_NOTIFY_DATABASE=postgres://u@127.0.0.1:1/kw\n',
    `KW_NOTIFY_DATABASE=postgres://u@127.0.0.1:${port}/kw\n`,
    `KW_URL=http://127.0.0.1:${port}\n`,
    '',
  ]) {
    expect(await notify(settings)).toBeLessThan(AT_MOST_MS);
  }
  hanging.close();
});
