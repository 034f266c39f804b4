/** Many rows: order, memory, readers that go away, Ctrl-C, files. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { onlyOn, type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { runKw, startKw } from '../../support/kw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const ROWS = 120_000;

describe.each(testFlavours)('streams on %s', (flavour) => {
  let db: TestDatabase;
  let env: Record<string, string>;
  let folder: string;
  let remove: () => void;
  let day: string;

  beforeAll(async () => {
    db = await testDatabase({ flavour });
    env = { KW_DATABASE_URL: db.url };
    day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await db.client.query('SELECT kw.ensure_storage($1::timestamptz, $1::timestamptz)', [`${day} 12:00Z`]);
    // 3 devices, 4 metrics, 100 values a second in all, over 5 hours 30 and so over two chunks of 6 hours.
    await db.client.query(
      `INSERT INTO kw.metrics
       SELECT $1::timestamptz + i * interval '165 ms', 'n' || i % 3, 'm' || i % 4, i, '{}' FROM generate_series(0, $2::int - 1) i`,
      [`${day} 03:00Z`, ROWS],
    );
    await db.client.query(
      "INSERT INTO kw.jobs (source, job_id, name_id, owner, state, started, stopped) VALUES ('kw', 7, '7', 'a', 'x', $1, $2)",
      [`${day} 03:00Z`, `${day} 09:00Z`],
    );
    await db.client.query(
      "INSERT INTO kw.job_nodes SELECT 'kw', 7, 'n' || n, $1, $2 FROM generate_series(0, 2) n",
      [`${day} 03:00Z`, `${day} 09:00Z`],
    );
  });
  afterAll(() => db?.drop());
  beforeEach(() => {
    ({ folder, remove } = temporaryFolder());
  });
  afterEach(() => remove());

  function expectAllInOrder(csv: string): void {
    const lines = csv.trimEnd().split('\n').slice(1);
    expect(lines).toHaveLength(ROWS);
    // Values count up with time.
    expect(lines.every((line, i) => line.split(',')[3] === String(i))).toBe(true);
  }

  async function backendsOfKw(): Promise<number> {
    const { rows } = await db.client.query(
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kw' AND state = 'active'",
    );
    return Number(rows[0].count);
  }

  async function soon(check: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!(await check())) {
      if (performance.now() > deadline) throw new Error('it did not happen within 10 s');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it('give every row once, in order of time', async () => {
    const { stdout, code } = await runKw(['query', '--job', '7', '--format', 'csv'], { env });
    expect(code).toBe(0);
    expectAllInOrder(stdout);
    const json = await runKw(['query', '--job', '7', '--format', 'json', '--metric', 'm1'], { env });
    expect(JSON.parse(json.stdout)).toHaveLength(ROWS / 4);
  });

  onlyOn(
    'timescaledb',
    flavour,
    it,
  )?.('do so with compressed chunks too, wholly or partly', async () => {
    await db.client.query(
      "SELECT compress_chunk(c) FROM show_chunks('kw.metrics', older_than => $1::timestamptz) c",
      [`${day} 06:00Z`],
    );
    expectAllInOrder((await runKw(['query', '--job', '7', '--format', 'csv'], { env })).stdout);
    await db.client.query(
      "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('kw.metrics', older_than => $1::timestamptz) c",
      [`${day} 18:00Z`],
    );
    expectAllInOrder((await runKw(['query', '--job', '7', '--format', 'csv'], { env })).stdout);
    // late rows in a compressed chunk
    await db.client.query("INSERT INTO kw.metrics VALUES ($1, 'n0', 'late', -1, '{}')", [
      `${day} 03:00:00.000001Z`,
    ]);
    const { stdout } = await runKw(['query', '--job', '7', '--format', 'csv', '--limit', '2'], { env });
    expect(stdout.split('\n')[2]).toBe(`${day}T03:00:00.000001+00:00,n0,late,-1,{}`);
    await db.client.query("DELETE FROM kw.metrics WHERE metric_id = 'late'");
  });

  it('end quietly when the reader goes away', async () => {
    const child = startKw(['query', '--job', '7', '--format', 'csv'], { env });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.stdout?.destroy();
    const [code, signal] = await once(child, 'exit');
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    await soon(async () => (await backendsOfKw()) === 0);
  });

  it('wait for a reader that is slow', async () => {
    const child = startKw(['query', '--job', '7', '--format', 'ndjson'], { env });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(ROWS);
  });

  it('end with 130 at Ctrl-C, and the server stops working', async () => {
    // A lock makes the statement wait for as long as we like.
    const locker = await openClient(db.target, { applicationName: 'locker' });
    await locker.query('BEGIN');
    await locker.query('LOCK TABLE kw.metrics IN ACCESS EXCLUSIVE MODE');
    try {
      const output = join(folder, 'out.csv');
      const child = startKw(['export', 'csv', '--job', '7', '--output', output], { env });
      await soon(async () => (await backendsOfKw()) === 1);
      child.kill('SIGINT');
      const [code] = await once(child, 'exit');
      expect(code).toBe(130);
      await soon(async () => (await backendsOfKw()) === 0);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      await locker.end();
    }
  });

  it('go into files, whole, also compressed', async () => {
    const plain = join(folder, 'job.csv');
    expect(await runKw(['export', 'csv', '--job', '7', '--output', plain], { env })).toEqual({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/job\.csv: 120,000 rows, \d\.\d MB\n$/),
    });
    expectAllInOrder(readFileSync(plain, 'utf8'));
    const zipped = join(folder, 'job.csv.gz');
    expect((await runKw(['export', 'csv', '--job', '7', '--output', zipped], { env })).code).toBe(0);
    expect(gunzipSync(readFileSync(zipped)).equals(readFileSync(plain))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['job.csv', 'job.csv.gz']);
    const { stdout } = await runKw(
      ['export', 'ndjson', '--job', '7', '-o', '-', '--metric', 'm0', '--every', '1h', '--agg', 'count'],
      { env },
    );
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).value)
        .reduce((sum, value) => sum + value, 0),
    ).toBe(ROWS / 4);
  });

  it('never replace a file without --force, nor anything that is no file', async () => {
    const path = join(folder, 'mine.json');
    writeFileSync(path, 'mine');
    const bounds = ['--device', 'n0', '--from', `${day}T03:00Z`, '--to', `${day}T03:00:01Z`];
    expect(await runKw(['export', 'json', ...bounds, '--output', path], { env })).toEqual({
      code: 1,
      stdout: '',
      stderr: `kw: ${path} exists already\n    add --force to replace it\n`,
    });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    symlinkSync(path, join(folder, 'link.json'));
    expect(
      (await runKw(['export', 'json', ...bounds, '--force', '--output', join(folder, 'link.json')], { env }))
        .code,
    ).toBe(0);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toHaveLength(3);
    mkdirSync(join(folder, 'sub'));
    expect(
      (await runKw(['export', 'json', ...bounds, '--force', '--output', join(folder, 'sub')], { env }))
        .stderr,
    ).toContain('is a folder');
    expect(
      (await runKw(['export', 'json', ...bounds, '--force', '--output', '/dev/null'], { env })).stderr,
    ).toContain('is no ordinary file');
    expect(
      (await runKw(['export', 'json', ...bounds, '--output', join(folder, 'no/x')], { env })).stderr,
    ).toContain('cannot write');
    expect(existsSync('/dev/null')).toBe(true);
  });

  it('leave nothing behind when the selection fails', async () => {
    const failed = await runKw(['export', 'csv', '--job', '8', '--output', join(folder, 'x.csv')], { env });
    expect(failed).toEqual({
      code: 1,
      stdout: '',
      stderr: 'kw: there is no job 8\n    jobs are known from their start on: see kw job list --all\n',
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('say in a table that there is more', async () => {
    const { stdout, stderr } = await runKw(['query', '--job', '7', '--limit', '2'], { env });
    expect(stdout).toBe(
      [
        'time (UTC)               device  metric  value',
        `${day} 03:00:00.000  n0      m0          0`,
        `${day} 03:00:00.165  n1      m1          1`,
        '',
      ].join('\n'),
    );
    expect(stderr).toBe('the first 2 rows; --limit 0 shows all, --format csv is for programs\n');
  });
});
