/**
 * kw push --spool: values that outlive outages of the database and of kw serve, and the process itself. What is stored is
 * held against what was pushed: nothing is missing, and nothing there twice.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { SpoolFolders } from '../../../src/lib/push/spoolFolder.ts';
import { segmentFile } from '../../../src/lib/spool/format.ts';
import { onlyOn, type TestDatabase, targetOf, testDatabase, testFlavours } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { type KwResult, runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const AT = ['--at', '2026-11-20T10:00:00Z', '--device', 'node-1'];
const WAITS = (values: string) =>
  `${values} in the spool; kw push --spool or kw spool drain sends ${values.startsWith('1 ') ? 'it' : 'them'}\n`;

describe.each(testFlavours)('kw push --spool to %s', (flavour) => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let folder: string;
  const role = `kw_test_spool_${process.pid}`;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    await db.client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' IN ROLE kw_writer, kw_service`);
    const name = new URL(db.url).pathname.slice(1);
    proxy = await halfOpenProxy(targetOf(name, { user: role, password: 'secret' }));
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

  const env = () => ({
    KW_DATABASE_URL: `${proxy.target.url}&connect_timeout=1`,
    KW_DATA_DIR: folder,
    TZ: 'UTC',
  });
  const push = (args: readonly string[] = [], input?: string): Promise<KwResult> =>
    runKw(['push', '--spool', ...args], {
      env: env(),
      cwd: folder,
      ...(input === undefined ? {} : { input }),
    });
  const startPush = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [join(packageRoot(), 'bin/dev.js'), 'push', '--spool', ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...env() },
      stdio: ['pipe', 'ignore', 'pipe'],
      timeout: 60_000,
    });

  /** For what has nothing to do with the flavour. */
  const itOnce: typeof it | (() => void) = onlyOn(testFlavours[0] ?? 'plain', flavour, it) ?? (() => {});

  async function values(): Promise<number[]> {
    const { rows } = await db.client.query('SELECT value FROM kw.metrics ORDER BY value');
    return rows.map(({ value }) => value);
  }
  const spools = () =>
    readdirSync(join(folder, 'push-spool'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(folder, 'push-spool', name));
  const segments = () =>
    spools().flatMap((spool) =>
      readdirSync(spool)
        .filter((name) => name.endsWith('.seg'))
        .map((name) => join(spool, name)),
    );
  const refused = () => {
    const text = readFileSync(join(spools()[0] ?? '', 'refused.ndjson'), 'utf8');
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `{"metric_id":"m","value":${from + index}}\n`).join(
      '',
    );
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);

  it('keeps values while the database is away; the next one sends them first, once, and with their own times', async () => {
    proxy.refuse();
    const before = Date.now();
    expect(await push(['m', '1', '--device', 'node-1'])).toEqual({
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(`^kw: the database .* cannot be reached: .*\\n {4}.*\\n${WAITS('1 value waits')}$`),
      ),
      code: 0,
    });
    const after = Date.now();
    expect(await push(['m', '2', '--at', '-2h'])).toMatchObject({
      stderr: expect.stringContaining(WAITS('2 values wait')),
      code: 0,
    });
    expect(await values()).toEqual([]);
    // What lies there: for its user only, and without any secret.
    for (const path of [join(folder, 'push-spool'), ...spools()]) expect(statSync(path).mode & 0o077).toBe(0);
    const files = spools().flatMap((spool) => readdirSync(spool).map((name) => join(spool, name)));
    expect(files.filter((file) => readFileSync(file).includes('secret'))).toEqual([]);

    await proxy.heal();
    const third = await push(['m', '3', ...AT, '--json']);
    expect(JSON.parse(third.stdout)).toEqual({
      stored: 3,
      spooled: 0,
      refused: 0,
      refusals: [],
      removed_labels: 0,
    });
    const nothing = 'stored 0 values: the input had none, and none waited to be sent there\n';
    expect(await push()).toEqual({ stdout: '', stderr: nothing, code: 0 });
    expect(await values()).toEqual([1, 2, 3]);
    expect(segments()).toEqual([]);
    const { rows } = await db.client.query(
      'SELECT value, extract(epoch FROM timestamp)::float8 * 1000 AS ms FROM kw.metrics ORDER BY value',
    );
    expect(rows[0].ms).toBeGreaterThanOrEqual(before);
    expect(rows[0].ms).toBeLessThanOrEqual(after);
    expect(rows[1].ms).toBeGreaterThanOrEqual(before - 7_200_000);
    expect(rows[1].ms).toBeLessThanOrEqual(Date.now() - 7_200_000);
    expect(rows[2].ms).toBe(Date.parse('2026-11-20T10:00:00Z'));
  });

  it('stores once what the database took before the connection broke, however often it breaks', async () => {
    let broken = 0;
    proxy.judge = (data) => (data.includes('kw.insert_spooled') && broken++ < 4 ? 'behind' : 'pass');
    const first = await push(['m', '1', ...AT]);
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining(WAITS('1 value waits')) });
    await waitUntil(async () => (await values()).length === 1, 5_000);
    await push(['m', '2', ...AT]);
    for (let tries = 0; segments().length > 0 && tries < 5; tries++) await push();
    expect(broken).toBeGreaterThan(4);
    expect(await values()).toEqual([1, 2]);
  });

  itOnce('lets a stream go on through an outage, and sends by itself when it is over', async () => {
    const child = startPush();
    let told = '';
    child.stderr?.on('data', (data) => {
      told += data;
    });
    child.stdin?.write(lines(1, 10));
    await waitUntil(async () => (await values()).length === 10, 20_000);
    proxy.refuse();
    child.stdin?.write(lines(11, 20));
    await waitUntil(() => told.includes('cannot be reached'), 10_000);
    child.stdin?.write(lines(21, 30));
    await proxy.heal();
    await waitUntil(async () => (await values()).length === 30, 10_000);
    child.stdin?.end(lines(31, 40));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(await values()).toEqual(range(1, 40));
    expect(told).toMatch(/^kw: .*\n {4}.*\nkw: what waited in the spool is stored\nstored 40 values\n$/);
  });

  itOnce('loses nothing that was put in, and stores nothing twice, over kill -9 at any moment', async () => {
    const runs = 10;
    const each = 6_000;
    for (let run = 0; run < runs; run++) {
      let child: ChildProcess | undefined;
      // In the middle of a part, before or behind its end, or between two.
      let pieces = 5 + Math.floor(Math.random() * 25);
      proxy.judge = () => {
        if (--pieces === 0) child?.kill('SIGKILL');
        return 'pass';
      };
      child = startPush(...AT);
      child.stdin?.on('error', () => {});
      child.stdin?.end(lines(run * each + 1, (run + 1) * each));
      await once(child, 'close');
    }
    proxy.judge = () => 'pass';
    expect((await push()).code).toBe(0);
    const stored = await values();
    expect(stored.filter((value, index) => value === stored[index - 1])).toEqual([]);
    for (let run = 0; run < runs; run++) {
      const own = stored.filter((value) => value > run * each && value <= (run + 1) * each);
      expect(own).toEqual(range(run * each + 1, run * each + own.length));
    }
    expect(stored.length).toBeGreaterThan(each);
    expect(segments()).toEqual([]);
  });

  itOnce('takes pushes at the same time', async () => {
    proxy.refuse();
    await Promise.all(range(1, 4).map((value) => push(['m', String(value), ...AT])));
    expect(spools().length).toBeGreaterThan(1);
    await proxy.heal();
    const results = await Promise.all(range(5, 8).map((value) => push(['m', String(value), ...AT])));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    await push();
    expect(await values()).toEqual(range(1, 8));
  });

  it('sets aside what the database refuses, tells it, and stores the rest', async () => {
    proxy.refuse();
    await push(
      ['--device', 'node-1'],
      `${lines(1, 2)}{"metric_id":"m","value":3,"timestamp":"2001-01-01T00:00:00Z"}\n`,
    );
    await proxy.heal();
    expect(await push([], `{"value":4}\n${lines(5, 5)}{"metric_id":"m","value":6,"timestamp":1}\n`)).toEqual({
      stdout: '',
      stderr: [
        'line 1: there is no metric name',
        'kw: m of node-1 at 2001-01-01T00:00:00.000000+00:00: the timestamp lies too far in the past',
        'line 3: the timestamp lies too far in the past',
        `kw: what was refused stands in ${spools()[0]}/refused.ndjson`,
        'stored 3 values, refused 3 lines',
        '',
      ].join('\n'),
      code: 1,
    });
    expect(await values()).toEqual([1, 2, 5]);
    expect(refused()).toMatchObject([
      { metric: 'm', device: 'node-1', value: 3, reason: 'the timestamp lies too far in the past' },
      { value: 6 },
    ]);
  });

  it('finds the rows that make a statement fail, and stores the others', async () => {
    await db.client.query(`
      CREATE FUNCTION public.no_13() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no % here', NEW.value USING ERRCODE = '22000'; END $$;
      CREATE TRIGGER no_13 BEFORE INSERT ON kw.metrics FOR EACH ROW WHEN (NEW.value IN (13, 77)) EXECUTE FUNCTION public.no_13()`);
    try {
      const { stderr, code } = await push([...AT], lines(1, 100));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^line 13: no 13 here\nline 77: no 77 here\n/);
      expect(await values()).toEqual(range(1, 100).filter((value) => value !== 13 && value !== 77));
      expect(refused().map(({ value }) => value)).toEqual([13, 77]);
    } finally {
      await db.client.query('DROP TRIGGER no_13 ON kw.metrics; DROP FUNCTION public.no_13()');
    }
  });

  itOnce('refuses new values when it is full, and drops none that wait', async () => {
    writeFileSync(join(folder, 'kw.yaml'), 'push_spool: {max_bytes: 64kB}\n');
    chmodSync(join(folder, 'kw.yaml'), 0o600);
    proxy.refuse();
    const input = range(1, 40).map((value) => lines(value * 10 - 9, value * 10));
    await push([...AT], input.slice(0, 20).join(''));
    const full = await push([...AT], input.slice(20).join('').repeat(20));
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(
      /kw: the spool of values that wait is full \(0\.1 MB\): the database .* cannot be reached/,
    );
    await proxy.heal();
    expect((await push([...AT])).code).toBe(0);
    expect(await values()).toEqual(range(1, 200));
  });

  itOnce('does not fall over what lies in its folder', async () => {
    proxy.refuse();
    await push(['m', '1', ...AT]);
    const folders = new SpoolFolders(folder);
    const target = JSON.parse(readFileSync(join(spools()[0] ?? '', 'spool.json'), 'utf8')).target as string;
    const held = await folders.take(target);
    const good = {
      timestampsUs: [1.76e15],
      devices: ['d'],
      metrics: ['m'],
      values: ['2'],
      labels: [{}],
      lines: [1],
    };
    const put = (payload: string, rows = 1) =>
      held.spool.append({ rows, meta: { run: 'x' }, payload: Buffer.from(payload) });
    for (const bad of [
      'no JSON',
      '[]',
      'null',
      '{}',
      JSON.stringify({ ...good, values: ['x'] }),
      JSON.stringify({ ...good, devices: ['d', 'e'] }),
      JSON.stringify({ ...good, devices: [`${'d'.repeat(256)}`] }),
      JSON.stringify({ ...good, metrics: ['a\0b'] }),
      JSON.stringify({ ...good, labels: [[]] }),
      JSON.stringify({ ...good, labels: [{ a: 1 }] }),
      JSON.stringify({ ...good, timestampsUs: [null] }),
      JSON.stringify({ ...good, timestampsUs: [8e15] }),
    ])
      await put(bad);
    await put('{"__proto__": {"run": "y"}, "constructor": 1}');
    await put(JSON.stringify(good));
    await held.release();
    // A bit falls over in the first value; somebody puts other files there.
    const [segment = ''] = segments();
    const bytes = readFileSync(segment);
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    writeFileSync(join(spools()[0] ?? '', segmentFile(1)), 'garbage');
    writeFileSync(join(folder, 'push-spool', 'a-file'), 'x');
    await proxy.heal();
    const { stderr, code } = await push(['m', '3', ...AT]);
    expect({ code, stored: await values() }).toEqual({ code: 1, stored: [2, 3] });
    expect(stderr).toMatch(/kw: the spool is damaged: 1 values of segment \d+ cannot be read/);
    expect(stderr.match(/a record of 1 values is damaged/g)).toHaveLength(12);
    expect(stderr).toContain('stored 2 values, refused 13 lines');
    expect(segments()).toEqual([]);
  });

  itOnce('leaves the folder of another user and a damaged identity alone', async () => {
    proxy.refuse();
    await push(['m', '1', ...AT]);
    const identity = join(spools()[0] ?? '', 'spool.json');
    const whole = readFileSync(identity);
    writeFileSync(identity, '{"id": "../../x", "target": 7}');
    await proxy.heal();
    expect(await push(['m', '2', ...AT])).toMatchObject({ code: 0 });
    expect(await values()).toEqual([2]);
    writeFileSync(identity, whole);
    expect(await push()).toMatchObject({ code: 0 });
    expect(await values()).toEqual([1, 2]);
    if (process.getuid?.() !== 0) return;
    chownSync(join(folder, 'push-spool'), 65_534, 65_534);
    expect(await push(['m', '3', ...AT])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('push-spool belongs to another user'),
    });
  });

  itOnce('sends values to nobody but whom they were pushed for', async () => {
    proxy.refuse();
    await push(['m', '1', ...AT]);
    const other = await runKw(['push', '--spool', 'm', '2', ...AT], {
      env: { ...env(), KW_DATABASE_URL: db.url },
      cwd: folder,
    });
    expect(other).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        new RegExp(
          `^kw: values for ${role}@127.0.0.1:\\d+/\\w+ wait in the spool too; .*\\nstored 1 value\\n$`,
        ),
      ),
    });
    expect(await values()).toEqual([2]);
    await proxy.heal();
    await push();
    expect(await values()).toEqual([1, 2]);
  });

  itOnce('needs somewhere to send them, and no --all-or-nothing', async () => {
    const nowhere = await runKw(['push', '--spool', 'm', '1'], { env: { KW_DATA_DIR: folder }, cwd: folder });
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('no database: set KW_URL') });
    expect(existsSync(join(folder, 'push-spool'))).toBe(false);
    expect(await push(['m', '1', '--all-or-nothing'])).toMatchObject({ code: 2 });
  });
});
