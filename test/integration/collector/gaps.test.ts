/** kw status tells in which times of the last day collectors did not run, or lost values. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gapTable, readGaps } from '../../../src/lib/collector/gaps.ts';
import { bindLiterals } from '../../../src/lib/database/literals.ts';
import { readSql } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

const C1 = '00000000-0000-4000-8000-000000000001';
const C2 = '00000000-0000-4000-8000-000000000002';
const MINUTE_US = 60_000_000;

let db: TestDatabase;
let nowUs: number;
beforeAll(async () => {
  db = await testDatabase();
  nowUs = Math.floor(Date.now() / 1000) * 1e6;
});
afterAll(() => db?.drop());

/** Minutes before now, as microseconds since the epoch and as told. */
const us = (minutesAgo: number) => nowUs - minutesAgo * MINUTE_US;
const text = (minutesAgo: number) =>
  new Date(us(minutesAgo) / 1000).toISOString().replace('000Z', '000000+00:00');

const sql = (name: string, ...values: unknown[]) => db.client.query(readSql(`queries/${name}`), values);
async function run(id: string, name: string, from: number, until: number, stopped: boolean): Promise<void> {
  await sql('collector_register', id, name, 'h', '1', us(from), null);
  await db.client.query(
    bindLiterals(readSql('queries/collector_written'), { collector: id, horizon: us(until) }),
  );
  if (stopped) await sql('collector_stopped', id);
}

it('lists how each gap came about and ended, and what was lost', async () => {
  await run(C1, 'c1', 5_000, 4_000, true); // Two days ago or so: of no interest.
  await run(C1, 'c1', 3_000, 2_000, false); // The gap behind it reaches into the day.
  await run(C1, 'c1', 1_000, 800, true);
  await run(C1, 'c1', 700, 400, false);
  // Taken over: begins before the end of the one before it.
  await run(C1, 'c1', 401, 300, true);
  await run(C1, 'c1', 300, 0, false);
  await sql('collector_lost', C1, us(200), us(190), 4711, 'full');
  await sql('collector_lost', C1, us(3_000), us(2_900), 1, 'full');
  await run(C2, 'c2', 100, 50, false);
  await db.client.query(
    "UPDATE kw.collectors SET seen_at = now() - interval '50 minutes' WHERE collector_id = $1",
    [C2],
  );

  const gaps = await readGaps(db.client);
  const c1 = { collector_id: C1, collector: 'c1', values: null };
  expect(gaps).toEqual([
    { collector_id: C2, collector: 'c2', cause: 'silent', from: text(50), until: null, values: null },
    { ...c1, cause: 'full', from: text(200), until: text(190), values: 4711 },
    { ...c1, cause: 'stopped', from: text(800), until: text(700) },
    { ...c1, cause: 'killed', from: text(2_000), until: text(1_000) },
  ]);

  const env = { KW_DATABASE_URL: db.url, KW_LISTEN: 'off', TZ: 'UTC' };
  const json = JSON.parse((await runKw(['status', '--json'], { env })).stdout) as { gaps: unknown };
  expect(json.gaps).toEqual(gaps);
  const table = gapTable(gaps, { all: false, timeZone: 'UTC' });
  expect((await runKw(['status'], { env })).stdout).toContain(table);
  const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.000';
  expect(table).toMatch(
    new RegExp(
      [
        '^GAP OF +FROM +UNTIL +VALUES LOST +BECAUSE',
        `c2 +${time} +not yet +- +it is not heard of`,
        `c1 +${time} +${time} +4711 +the spool was full`,
        `c1 +${time} +${time} +- +it was stopped`,
        `c1 +${time} +${time} +- +it was killed, or its machine was$`,
      ].join('\\n'),
    ),
  );
});

it('calls a collector silent when it is not heard of for longer than it keeps quiet itself', async () => {
  await db.client.query('DELETE FROM kw.collectors');
  for (const [id, name, flushIntervalMs] of [
    [C1, 'each second', 1_000],
    [C2, 'each minute', 60_000],
  ] as const) {
    await run(id, name, 10, 0, false);
    await db.client.query(
      "UPDATE kw.collectors SET seen_at = now() - interval '20 s', counters = $2 WHERE collector_id = $1",
      [id, { flushIntervalMs }],
    );
  }
  const env = { KW_DATABASE_URL: db.url, KW_LISTEN: 'off', TZ: 'UTC' };
  const { stdout } = await runKw(['status'], { env });
  expect(stdout).toMatch(/\neach minute +h +running .*\neach second +h +silent for 2\d s /);
  const open = (await readGaps(db.client)).filter(({ until }) => until === null);
  expect(open.map(({ collector, cause }) => [collector, cause])).toEqual([['each second', 'silent']]);
});

it('shows the latest ten unless all are asked for', async () => {
  const gaps = Array.from({ length: 12 }, () => ({
    collector_id: C1,
    collector: 'c1',
    cause: 'killed' as const,
    from: text(2),
    until: text(1),
    values: null,
  }));
  expect(gapTable(gaps, { all: false }).split('\n')).toHaveLength(11);
  expect(gapTable(gaps, { all: true }).split('\n')).toHaveLength(13);
});
