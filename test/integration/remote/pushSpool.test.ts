/** kw push --spool through a kw serve: its outages, lost answers, tokens that end, and jobs that are over by then. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { onlyOn, type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';
import { type HttpProxy, httpProxy } from '../../support/httpProxy.ts';
import { type KwResult, runKw } from '../../support/kw.ts';
import { type Serve, startServe } from '../../support/serve.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

describe.each(testFlavours)('kw push --spool to kw serve on %s', (flavour) => {
  let db: TestDatabase;
  let server: Serve;
  let proxy: HttpProxy;
  let token: string;
  let folder: string;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    server = await startServe({ database: db.url });
    token = await server.token('alice', '--role', 'writer', '--devices', 'node-1');
    proxy = await httpProxy(server.url);
  });
  afterAll(async () => {
    await proxy?.close();
    await server?.stop();
    await db?.drop();
  });
  beforeEach(async () => {
    const made = temporaryFolder();
    folder = made.folder;
    proxy.loses = () => false;
    await db.client.query('TRUNCATE kw.push_spools, kw.pushed_label_sets, kw.jobs, kw.job_nodes');
    await db.client.query('DELETE FROM kw.metrics');
    return made.remove;
  });

  /** For what has nothing to do with the flavour. */
  const itOnce: typeof it | (() => void) = onlyOn(testFlavours[0] ?? 'plain', flavour, it) ?? (() => {});

  const push = (args: readonly string[], env: Record<string, string> = {}): Promise<KwResult> =>
    runKw(['push', '--spool', ...args], {
      env: { KW_URL: proxy.url, KW_TOKEN: token, KW_DATA_DIR: folder, ...env },
      cwd: folder,
    });
  const stored = async () => {
    const { rows } = await db.client.query(
      "SELECT device_id, value, labels ->> '_pushed_by' AS who FROM kw.metrics ORDER BY value",
    );
    return rows.map(({ device_id, value, who }) => `${device_id} ${value} ${who}`);
  };
  const kept = () =>
    readdirSync(join(folder, 'push-spool'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.(seg|json)$/.test(file),
    );

  itOnce(
    'keeps values while the token is none, and stores them under the name of the one that is',
    async () => {
      const short = await server.token('alice', '--role', 'writer', '--devices', 'node-1', '--expires', '1s');
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      expect(await push(['m', '1', '--device', 'node-1'], { KW_TOKEN: short })).toEqual({
        code: 0,
        stdout: '',
        stderr:
          `kw: the server ${proxy.url} refuses the token: the token has expired\n` +
          '    an administrator makes another one with kw token create\n' +
          '1 value waits in the spool; kw push --spool or kw spool drain sends it\n',
      });
      const reader = await server.token('bob');
      const forbidden = await push(['m', '2', '--device', 'node-1', '--json'], { KW_TOKEN: reader });
      expect(forbidden.code).toBe(0);
      expect(JSON.parse(forbidden.stdout)).toMatchObject({ stored: 0, spooled: 2, refused: 0 });
      for (const file of kept()) {
        const bytes = readFileSync(join(folder, 'push-spool', file), 'latin1');
        for (const secret of [short, reader]) expect(bytes).not.toContain(secret.slice(-20));
      }
      expect(await push(['m', '3', '--device', 'node-1'])).toEqual({
        code: 0,
        stdout: '',
        stderr: 'stored 3 values\n',
      });
      expect(await stored()).toEqual(['node-1 1 alice', 'node-1 2 alice', 'node-1 3 alice']);
    },
  );

  it('stores once what the server took before the answer was lost, and tells then what was refused', async () => {
    let lost = 0;
    proxy.loses = (path) => path === '/kw/push-spooled' && ++lost <= 4;
    const lines = [1, 2, 3].map((value) => `{"metric_id":"m","value":${value}}\n`).join('');
    const first = await runKw(['push', '--spool', '--device', 'node-1'], {
      env: { KW_URL: proxy.url, KW_TOKEN: token, KW_DATA_DIR: folder },
      cwd: folder,
      input: `${lines}{"metric_id":"m","value":4,"device_id":"node-9"}\n`,
    });
    // Sent four times within one push, and stored at the first.
    expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/\n4 values wait in the spool;/) });
    expect(lost).toBe(4);
    expect(await stored()).toEqual(['node-1 1 alice', 'node-1 2 alice', 'node-1 3 alice']);
    expect(await push([])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^kw: m of node-9 at .*: no device of yours: .*\nkw: what was refused .*\nstored 3 values, refused 1 line\n$/,
      ),
    });
    expect(await stored()).toHaveLength(3);
  });

  itOnce('is drained by kw spool drain, through the server', async () => {
    const drain = (env: Record<string, string>) =>
      runKw(['spool', 'drain', '--json'], { env: { KW_DATA_DIR: folder, ...env }, cwd: folder });
    const env = { KW_URL: proxy.url, KW_TOKEN: token };
    await push(['m', '1', '--device', 'node-1'], { KW_TOKEN: `${token}x` });
    expect((await drain({ ...env, KW_TOKEN: `${token}x` })).code).toBe(1);
    const drained = await drain(env);
    expect(drained.code).toBe(0);
    expect(JSON.parse(drained.stdout)).toMatchObject({ pushed: { stored: 1, refused: 0, waiting: 0 } });
    expect(await stored()).toEqual(['node-1 1 alice']);
    // Beside readings of a collector, which need a database.
    await push(['m', '2', '--device', 'node-1'], { KW_TOKEN: `${token}x` });
    const ownerId = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';
    const spool = await Spool.open(join(folder, 'collector/spool'), { ownerId });
    await spool.append({ rows: 1, meta: 0, payload: Buffer.alloc(100) });
    await spool.close();
    const both = await drain(env);
    expect(both.code).toBe(1);
    expect(both.stdout + both.stderr).toContain('this command needs a database');
    expect(await stored()).toEqual(['node-1 1 alice', 'node-1 2 alice']);
  });

  it('takes values of a job that is over, of its nodes and its time, and no others', async () => {
    await db.client.query(`
      INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped)
      VALUES ('kw', 1, '1', 'alice', 'stopped', now() - interval '2 hours', now() - interval '1 hour'),
             ('kw', 2, '2', 'bob', 'stopped', now() - interval '2 hours', now() - interval '1 hour');
      INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
      VALUES ('kw', 1, 'node-5', now() - interval '2 hours', now() - interval '1 hour'),
             ('kw', 2, 'node-6', now() - interval '2 hours', now() - interval '1 hour')`);
    const at = (device: string, time: string, value: string) => [
      'm',
      value,
      '--device',
      device,
      '--at',
      time,
    ];
    expect((await push(at('node-5', '-90m', '1'))).stderr).toBe('stored 1 value\n');
    for (const [device, time] of [
      ['node-5', '-30m'],
      ['node-5', '-3h'],
      ['node-6', '-90m'],
    ] as const) {
      expect(await push(at(device, time, '2'))).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/that ran at that time or runs now\n/),
      });
    }
    expect(await stored()).toEqual(['node-5 1 alice']);
  });

  itOnce('waits for the server at its next start', async () => {
    const mortal = await startServe({ database: db.url });
    const env = {
      KW_URL: mortal.url,
      KW_TOKEN: await mortal.token('alice', '--role', 'writer', '--devices', 'node-1'),
    };
    await mortal.kill();
    const { stderr, code } = await push(['m', '1', '--device', 'node-1'], env);
    expect({ stderr, code }).toEqual({
      stderr: expect.stringMatching(
        /^kw: the server http:\S+ cannot be reached: connect ECONNREFUSED .*\n {4}check .*\n1 value waits in the spool;.*\n$/,
      ),
      code: 0,
    });
  });

  it('lets nobody write the state of a spool but by storing, or under another name', async () => {
    const name = new URL(db.url).pathname.slice(1);
    const roles = ['reader', 'writer'].map(
      (role) => [`kw_spool_${role}_${process.pid}`, `kw_${role}`] as const,
    );
    for (const [login, role] of roles) {
      await db.client.query(`CREATE ROLE ${login} LOGIN PASSWORD 'secret' IN ROLE ${role}`);
    }
    const open = (login: string) => openClient(targetOf(name, { user: login, password: 'secret' }));
    const [reader, writer] = await Promise.all(roles.map(([login]) => open(login)));
    const insert = (
      client: typeof reader,
      segment: unknown,
      after: unknown,
      upto: unknown,
      device = 'node-1',
    ) =>
      client?.query(
        `SELECT sample, reason FROM kw.insert_spooled('11111111-1111-4111-8111-111111111111', $1, $2, $3,
           ARRAY[now()], ARRAY[$4], '{m}', '{1}', '{NULL}')`,
        [segment, after, upto, device],
      );
    try {
      await db.client.query(`SELECT kw.job_start(1, '{node-1}', '${roles[1]?.[0]}')`);
      await expect(insert(reader, 1, 0, 10)).rejects.toMatchObject({ code: '42501' });
      for (const statement of [
        'SELECT * FROM kw.push_spools',
        'DELETE FROM kw.push_spools',
        "SELECT * FROM kw.judge_and_store('{}', '{}', '{}', '{}', '{}', true)",
      ])
        await expect(writer?.query(statement)).rejects.toMatchObject({ code: '42501' });
      for (const place of [
        [null, 0, 10],
        [1, null, 10],
        [1, 0, null],
        [-1, 0, 10],
        [1, -1, 10],
        [1, 10, 10],
        [1, 11, 10],
      ])
        await expect(insert(writer, place[0], place[1], place[2])).rejects.toMatchObject({ code: '22023' });
      await db.client.query(
        "INSERT INTO kw.push_spools VALUES ('bob', '11111111-1111-4111-8111-111111111111', 9, 9, '[]', now())",
      );
      expect((await insert(writer, 1, 0, 10, 'node-2'))?.rows).toMatchObject([{ sample: 1 }]);
      expect((await insert(writer, 1, 0, 10))?.rows).toMatchObject([{ sample: 1 }]);
      expect((await insert(writer, 1, 10, 20))?.rows).toEqual([]);
      expect((await insert(writer, 1, 10, 20))?.rows).toEqual([]);
      expect((await insert(writer, 1, 0, 10))?.rows).toEqual([]);
      await expect(insert(writer, 1, 15, 30)).rejects.toThrow(
        'a piece of this part of the spool is stored already',
      );
      expect(await stored()).toEqual([`node-1 1 ${roles[1]?.[0]}`]);
      // Its own oldest go when it has too many, and nobody else's.
      await db.client.query("UPDATE kw.settings SET value = '2' WHERE name = 'push_spools_per_user'");
      for (let count = 0; count < 4; count++) {
        await writer?.query(
          "SELECT * FROM kw.insert_spooled(gen_random_uuid(), 1, 0, 1, '{}', '{}', '{}', '{}', '{}')",
        );
      }
      const { rows } = await db.client.query(
        'SELECT owner, count(*)::int FROM kw.push_spools GROUP BY owner ORDER BY owner',
      );
      expect(rows).toEqual([
        { owner: 'bob', count: 1 },
        { owner: roles[1]?.[0], count: 2 },
      ]);
    } finally {
      await Promise.all([reader?.end(), writer?.end()]);
      await db.client.query("UPDATE kw.settings SET value = '10000' WHERE name = 'push_spools_per_user'");
      for (const [login] of roles) await db.client.query(`DROP ROLE ${login}`);
    }
  });
});
