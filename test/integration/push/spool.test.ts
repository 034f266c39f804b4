/** kw push --spool: values that outlive outages of the database and of kw serve, and the process itself. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { type KwResult, runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const AT = ['--at', '2026-11-20T10:00:00Z', '--device', 'node-1'];

describe.each(testFlavours)('kw push --spool to %s', (flavour) => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let folder: string;
  const role = `kw_test_spool_${process.pid}`;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    await db.client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' IN ROLE kw_writer, kw_service`);
    proxy = await halfOpenProxy(
      targetOf(new URL(db.url).pathname.slice(1), { user: role, password: 'secret' }),
    );
  });
  afterAll(async () => {
    await proxy?.close();
    await db.client.query(`DROP ROLE IF EXISTS ${role}`);
    await db.drop();
  });
  beforeEach(async () => {
    const made = temporaryFolder();
    folder = made.folder;
    await proxy.heal();
    proxy.judge = () => 'pass';
    await db.client.query('TRUNCATE kw.push_spools, kw.pushed_label_sets');
    await db.client.query('DELETE FROM kw.metrics');
    return made.remove;
  });

  const push = (args: readonly string[], input?: string): Promise<KwResult> =>
    runKw(['push', '--spool', ...args], {
      env: { KW_DATABASE_URL: proxy.target.url, KW_DATA_DIR: folder, TZ: 'UTC' },
      ...(input === undefined ? {} : { input }),
    });

  async function values(): Promise<number[]> {
    const { rows } = await db.client.query('SELECT value FROM kw.metrics ORDER BY value');
    return rows.map(({ value }) => value);
  }

  it('stores as without it while the database is there', async () => {
    expect(await push(['m', '1', ...AT])).toEqual({ stdout: '', stderr: 'stored 1 value\n', code: 0 });
    expect(await values()).toEqual([1]);
  });

  it('keeps values while the database is away, and the next push sends them, oldest first, once', async () => {
    proxy.refuse();
    const away = await push(['m', '1', ...AT]);
    expect(away).toEqual({
      stdout: '',
      stderr: expect.stringMatching(
        /^kw: the database .* cannot be reached: .*\n {4}.*\n1 value waits in the spool; kw push --spool or kw spool drain sends it\n$/,
      ),
      code: 0,
    });
    await push(['m', '2', ...AT]);
    expect(await values()).toEqual([]);
    await proxy.heal();
    expect(await push(['m', '3', ...AT, '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/"stored": 3,\s+"spooled": 0/),
    });
    expect(await values()).toEqual([1, 2, 3]);
    expect(await push([])).toEqual({ stdout: '', stderr: 'stored 0 values\n', code: 0 });
    expect(await values()).toEqual([1, 2, 3]);
  });
});
