/** The spool as its users see it: append, read, acknowledge, and what a start finds. On a disk in memory. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segmentFile } from '../../../src/lib/spool/format.ts';
import type { Place, SpoolOptions, StoredRecord } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { SimulatedDisk } from '../../support/simulatedDisk.ts';

const FOLDER = '/data/spool';
const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';

function open(disk: SimulatedDisk, options: Partial<SpoolOptions> = {}): Promise<Spool> {
  return Spool.open(FOLDER, { ownerId: OWNER, ...options }, disk);
}

function record(text: string, rows = 1) {
  return { rows, meta: { name: text }, payload: Buffer.from(text.repeat(10)) };
}

async function textsOf(records: AsyncIterable<StoredRecord>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { meta, payload } of records) {
    const { name } = meta as { name: string };
    expect(Buffer.from(payload).toString()).toBe(name.repeat(10));
    texts.push(name);
  }
  return texts;
}

async function everything(spool: Spool): Promise<string[]> {
  const texts: string[] = [];
  for (const { segment, acknowledged } of spool.segments()) {
    texts.push(...(await textsOf(spool.read(segment, acknowledged))));
  }
  return texts;
}

function pathOf({ segment }: { segment: number }): string {
  return join(FOLDER, segmentFile(segment));
}

describe('a spool', () => {
  it('gives back what was appended, in order, with its rows, meta and place', async () => {
    const spool = await open(new SimulatedDisk());
    const places: Place[] = [];
    for (const text of ['a', 'b', 'c']) places.push(await spool.append(record(text, 5)));
    const [segment] = spool.segments();
    expect(segment).toMatchObject({ rows: 15, records: 3, waitingRows: 15, closed: false, acknowledged: 0 });
    const records: StoredRecord[] = [];
    for await (const stored of spool.read(places[0]?.segment ?? 0, 0)) records.push(stored);
    expect(records.map(({ place }) => place)).toEqual(places);
    expect(records.map(({ rows, meta }) => [rows, meta])).toEqual([
      [5, { name: 'a' }],
      [5, { name: 'b' }],
      [5, { name: 'c' }],
    ]);
    expect(await textsOf(spool.read(places[0]?.segment ?? 0, places[0]?.offset ?? 0))).toEqual(['b', 'c']);
    await spool.close();
  });

  it('writes what is appended at once with one write and one sync', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    await spool.append(record('first'));
    disk.log.length = 0;
    const places = await Promise.all(['a', 'b', 'c'].map((text) => spool.append(record(text))));
    const path = pathOf(places[0] as Place);
    expect(disk.log).toEqual([`write ${path}`, `sync ${path}`]);
    expect(await everything(spool)).toEqual(['first', 'a', 'b', 'c']);
  });

  it('resolves an append only when file, folder and data are on the disk', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    disk.log.length = 0;
    const path = pathOf(await spool.append(record('a')));
    const header = [`create ${path}`, `write ${path}`, `sync ${path}`, `syncFolder ${FOLDER}`];
    expect(disk.log).toEqual([...header, `write ${path}`, `sync ${path}`]);
  });

  it('removes a closed segment when all of it is acknowledged, and no other', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    const one = await spool.append(record('a'));
    const two = await spool.append(record('b'));
    spool.rotate();
    const three = await spool.append(record('c'));
    expect(three.segment).toBeGreaterThan(two.segment);
    spool.acknowledge(one);
    expect(spool.segments().map(({ waitingRows }) => waitingRows)).toEqual([1, 1]);
    spool.acknowledge(two);
    spool.acknowledge(three);
    expect(spool.segments()).toMatchObject([{ segment: three.segment, closed: false, waitingRows: 0 }]);
    spool.rotate();
    await spool.close();
    expect(disk.paths(FOLDER)).toEqual([`${FOLDER}/next-segment`]);
  });

  it('puts what was appended before rotate() into the old segment and what comes after into a new one', async () => {
    const spool = await open(new SimulatedDisk());
    const before = spool.append(record('a'));
    spool.rotate();
    const after = spool.append(record('b'));
    expect((await after).segment).toBeGreaterThan((await before).segment);
    expect(spool.segments().map(({ closed }) => closed)).toEqual([true, false]);
  });

  it('begins a new segment when one is full', async () => {
    const spool = await open(new SimulatedDisk(), { segmentBytes: 200 });
    for (const text of ['a', 'b', 'c', 'd']) await spool.append(record(text));
    expect(spool.segments().map(({ records }) => records)).toEqual([3, 1]);
  });

  it('reads everything of the run before, and appends to a new segment', async () => {
    const disk = new SimulatedDisk();
    const before = await open(disk);
    const place = await before.append(record('a'));
    await before.append(record('b'));
    const spool = await open(disk.afterKill());
    expect(spool.segments()).toMatchObject([{ segment: place.segment, closed: true, waitingRows: 2 }]);
    const next = await spool.append(record('c'));
    expect(next.segment).toBeGreaterThan(place.segment);
    expect(await everything(spool)).toEqual(['a', 'b', 'c']);
  });

  it('never gives a number twice, whatever the clock says', async () => {
    const disk = new SimulatedDisk();
    const future = Date.now() + 1e9;
    const spool = await open(disk, { firstSegment: future });
    const numbers = [
      spool.newSegmentNumber(),
      (await spool.append(record('a'))).segment,
      spool.newSegmentNumber(),
    ];
    expect(numbers).toEqual([future, future + 1, future + 2]);
    spool.acknowledge({ segment: future + 1, offset: Number.MAX_SAFE_INTEGER });
    await spool.close();
    expect(disk.paths(FOLDER)).toEqual([`${FOLDER}/next-segment`]);
    const again = await open(disk.afterPowerCut(() => 0));
    expect(again.newSegmentNumber()).toBeGreaterThan(future + 2);
  });

  it('gives no number twice to what is kept in memory only, also after a power cut', async () => {
    const disk = new SimulatedDisk();
    const number = (await open(disk, { firstSegment: Date.now() + 1e9 })).newSegmentNumber();
    const again = await open(disk.afterPowerCut(() => 0));
    expect(again.newSegmentNumber()).toBeGreaterThan(number);
  });
});
