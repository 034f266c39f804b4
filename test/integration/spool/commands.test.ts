/** `kw spool status` and `kw spool verify` on real folders, with and without a database that knows what is stored. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { segmentFile } from '../../../src/lib/spool/format.ts';
import type { Place } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';
const { folder: dataFolder, remove } = temporaryFolder();
const folder = join(dataFolder, 'collector/spool');
const env = { KW_DATA_DIR: dataFolder, TZ: 'UTC' };
const places: Place[] = [];
let spool: Spool;
let db: TestDatabase;

beforeAll(async () => {
  db = await testDatabase();
  spool = await Spool.open(folder, { ownerId: OWNER });
  for (let number = 0; number < 3; number++) {
    if (number === 2) spool.rotate();
    places.push(await spool.append({ rows: 1000, meta: number, payload: Buffer.alloc(5000, number) }));
  }
  await db.client.query(
    "INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at) VALUES ($1, 'c', 'h', '1', now(), now())",
    [OWNER],
  );
  const [first] = places as [Place];
  await db.client.query('INSERT INTO kw.ledger (collector_id, segment, "offset") VALUES ($1, $2, $3)', [
    OWNER,
    first.segment,
    first.offset,
  ]);
});

afterAll(async () => {
  await spool.close();
  await db.drop();
  remove();
});

/** Times differ from run to run. */
function withoutTimes(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME').replaceAll(dataFolder, 'DATA');
}

describe('kw spool status', () => {
  it('says what waits, by what the database has stored, and changes nothing', async () => {
    const before = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'hex')]);
    const { stdout, stderr, code } = await runKw(['spool', 'status', '--segments', '--database', db.url], {
      env,
    });
    expect([stderr, code]).toEqual(['', 0]);
    const [first, , third] = places as [Place, Place, Place];
    expect(withoutTimes(stdout)).toBe(
      `${[
        'spool        collector, in DATA/collector/spool',
        'waiting      2,000 values in 2 segments (15.2 kB on the disk)',
        'since        TIME, last written to TIME',
        '',
        'segment        begun                size     records  values  waiting  damaged',
        `${first.segment}  TIME  10.1 kB  2        2,000   1,000`,
        `${third.segment}  TIME  5.1 kB   1        1,000   1,000`,
      ].join('\n')}\n`,
    );
    expect(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'hex')])).toEqual(
      before,
    );
  });

  it('counts everything as waiting without a database', async () => {
    const { stdout, stderr, code } = await runKw(['spool', 'status'], { env });
    expect([stderr, code]).toEqual([
      'no database that runs is named: what is stored already is not known\n',
      0,
    ]);
    expect(withoutTimes(stdout)).toContain(
      'waiting      at most 3,000 values in 2 segments (15.2 kB on the disk)\n',
    );
    const away = ['spool', 'status', '--json', '--database', 'postgres://127.0.0.1:1/x'];
    const answer = JSON.parse((await runKw(away, { env })).stdout);
    expect(answer.spools).toMatchObject([
      { name: 'collector', owner_id: OWNER, is_stored_known: false, totals: { waiting_values: 3000 } },
    ]);
  });

  it('says so when there is nothing, and when there is no such folder', async () => {
    const nothing = await runKw(['spool', 'status'], { env: { KW_DATA_DIR: join(dataFolder, 'none') } });
    expect(nothing).toEqual({
      stdout: '',
      stderr: 'nothing waits: there is no spool with anything in it\n',
      code: 0,
    });
    const missing = await runKw(['spool', 'status', '--folder', '/no/spool'], { env });
    expect(missing).toEqual({
      stdout: '',
      stderr:
        'kw: cannot read the folder /no/spool: no such file or directory\n    name the folder of a spool\n',
      code: 1,
    });
    // Not "nothing waits": the disk would be thrown away.
    for (const verb of ['status', 'verify', 'drain']) {
      const { stderr, code } = await runKw(
        ['spool', verb, '--folder', join(folder, '..'), '--database', db.url],
        { env },
      );
      expect([stderr, code]).toEqual([
        `kw: ${join(folder, '..')} is not the folder of a spool\n    there is one in it: --folder ${folder}\n`,
        1,
      ]);
    }
  });
});

describe('kw spool verify', () => {
  it('finds all whole, and how much of it is stored', async () => {
    expect(await runKw(['spool', 'verify', '--database', db.url], { env })).toEqual({
      stdout:
        'collector: 3 records of 3,000 values in 2 segments are whole, of which 1,000 are stored already\n',
      stderr: '',
      code: 0,
    });
  });

  it('names each damage, and exits with 1', async () => {
    const [first, second, third] = places as [Place, Place, Place];
    const other = join(dataFolder, 'push-spool/node-1-1');
    mkdirSync(other, { recursive: true });
    for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(other, name));
    const file = join(other, segmentFile(first.segment));
    const bytes = readFileSync(file);
    bytes[second.offset - 9] = 0xff;
    writeFileSync(file, bytes);
    copyFileSync(join(folder, segmentFile(third.segment)), join(other, segmentFile(7)));
    const { stdout, stderr, code } = await runKw(
      ['spool', 'verify', '--folder', other, '--database', db.url],
      { env },
    );
    expect(stdout).toBe(
      `${[
        `${other}/${segmentFile(first.segment)}: 5.0 kB at ${first.offset} are damaged: 1,000 values`,
        `${other}/${segmentFile(7)}: not read: a copy under another number`,
        `${other}: 2 records of 2,000 values in 2 segments are whole, of which 1,000 are stored already`,
      ].join('\n')}\n`,
    );
    expect([stderr, code]).toEqual(['', 1]);
    const { stdout: json } = await runKw(['spool', 'verify', '--json'], { env });
    expect(JSON.parse(json)).toMatchObject({
      whole: false,
      spools: [{ name: 'collector' }, { name: 'push-spool/node-1-1' }],
    });
  });
});
