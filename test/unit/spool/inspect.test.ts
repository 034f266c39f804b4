/** A look at a spool from outside: what is in it, without changing anything. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segmentFile } from '../../../src/lib/spool/format.ts';
import { inspectSpool, ownerOf } from '../../../src/lib/spool/inspect.ts';
import type { Place } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { SimulatedDisk } from '../../support/simulatedDisk.ts';

const FOLDER = '/data/spool';
const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';

/** Two segments with two records of 10 rows, the second still open. */
async function twoSegments(): Promise<{ disk: SimulatedDisk; places: Place[] }> {
  const disk = new SimulatedDisk();
  const spool = await Spool.open(FOLDER, { ownerId: OWNER }, disk);
  const places: Place[] = [];
  for (let number = 0; number < 4; number++) {
    if (number === 2) spool.rotate();
    places.push(await spool.append({ rows: 10, meta: number, payload: Buffer.alloc(100, number) }));
  }
  return { disk, places };
}

const pathOf = ({ segment }: Place) => join(FOLDER, segmentFile(segment));

describe('inspectSpool', () => {
  it('counts what waits, and changes nothing while the spool is open', async () => {
    const { disk, places } = await twoSegments();
    const [first, , third] = places as [Place, Place, Place];
    const { operations } = disk;
    const stored = (segment: number) => (segment === first.segment ? first.offset : 0);
    const found = await inspectSpool(FOLDER, { withBodies: true, storedUpTo: stored }, disk);
    expect(found.segments).toMatchObject([
      { segment: first.segment, records: 2, rows: 20, waitingRecords: 1, waitingRows: 10, damages: [] },
      { segment: third.segment, records: 2, rows: 20, waitingRecords: 2, waitingRows: 20, damages: [] },
    ]);
    expect(found).toMatchObject({ strange: [], setAside: [], refused: { rows: 0, bytes: 0 } });
    expect(disk.operations).toBe(operations);
    expect(await ownerOf(FOLDER, disk)).toBe(OWNER);
  });

  it('takes what is being written at this moment for no damage', async () => {
    const { disk, places } = await twoSegments();
    const path = pathOf(places[3] as Place);
    disk.put(path, disk.get(path).subarray(0, (places[3] as Place).offset - 7));
    const { segments } = await inspectSpool(FOLDER, { withBodies: true }, disk);
    expect(segments.map(({ records, damages }) => [records, damages])).toEqual([
      [2, []],
      [1, []],
    ]);
  });

  it('finds damage in what a record holds only if it reads it', async () => {
    const { disk, places } = await twoSegments();
    const [first, second] = places as [Place, Place];
    const file = disk.get(pathOf(first));
    file[second.offset - 1] = 0xff;
    const damage = { start: first.offset, end: second.offset, rows: 10 };
    expect((await inspectSpool(FOLDER, { withBodies: false }, disk)).segments[0]?.damages).toEqual([]);
    const { segments } = await inspectSpool(FOLDER, { withBodies: true }, disk);
    expect(segments[0]).toMatchObject({ records: 1, rows: 10, damages: [damage] });
  });

  it('names files that are not to be read, those that were renamed, and rows that were refused', async () => {
    const { disk, places } = await twoSegments();
    disk.put(join(FOLDER, segmentFile(5)), disk.get(pathOf(places[0] as Place)));
    disk.put(join(FOLDER, segmentFile(6)), Buffer.alloc(200, 'x'));
    disk.put(join(FOLDER, `${segmentFile(7)}.other-owner`), Buffer.alloc(9));
    disk.put(join(FOLDER, 'refused.ndjson'), Buffer.from('{"a":1}\n{"a":2}\n'));
    disk.put(join(FOLDER, 'refused.1.ndjson'), Buffer.from('{"a":0}\n'));
    const found = await inspectSpool(FOLDER, { withBodies: false }, disk);
    expect(found.strange).toMatchObject([{ file: segmentFile(5), problem: 'misnamed' }]);
    expect(found.segments.map(({ file, records }) => [file, records])).toContainEqual([segmentFile(6), 0]);
    expect(found.setAside).toEqual([{ file: `${segmentFile(7)}.other-owner`, bytes: 9 }]);
    expect(found.refused).toEqual({ rows: 3, bytes: 24 });
  });

  it('finds nothing where there is no folder', async () => {
    const found = await inspectSpool('/nowhere', { withBodies: true }, new SimulatedDisk());
    expect(found.segments).toEqual([]);
  });
});
