/** Files that are damaged, cut, strange or hostile: a start never fails, and loses nothing that is whole. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segmentFile } from '../../../src/lib/spool/format.ts';
import type { SetAsideReason, SpoolEvents } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { mutated, random } from '../../support/random.ts';
import { SimulatedDisk, systemError } from '../../support/simulatedDisk.ts';

const FOLDER = '/data/spool';
const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';
const OTHER = '11111111-2222-3333-4444-555555555555';
/** Of a record of the test: header, meta `{"number":7}`, payload. */
const PAYLOAD_BYTES = 1000;

function open(disk: SimulatedDisk, events: SpoolEvents = {}, ownerId = OWNER): Promise<Spool> {
  return Spool.open(FOLDER, { ownerId, events }, disk);
}

function payloadOf(number: number): Buffer {
  const next = random(number + 1);
  return Buffer.from(Array.from({ length: PAYLOAD_BYTES }, () => next() & 0xff));
}

interface Written {
  readonly disk: SimulatedDisk;
  readonly path: string;
  /** Of each record. */
  readonly ends: readonly number[];
}

/** One segment with so many records of 10 rows, each with a sync of its own. */
async function written(records: number, ownerId = OWNER): Promise<Written> {
  const disk = new SimulatedDisk();
  const spool = await open(disk, {}, ownerId);
  const ends: number[] = [];
  let segment = 0;
  for (let number = 0; number < records; number++) {
    const place = await spool.append({ rows: 10, meta: { number }, payload: payloadOf(number) });
    ({ segment } = place);
    ends.push(place.offset);
  }
  return { disk: disk.afterKill(), path: join(FOLDER, segmentFile(segment)), ends };
}

/** A later segment, so that the first is not the one that a crash may have cut. */
async function followed(disk: SimulatedDisk): Promise<SimulatedDisk> {
  const spool = await open(disk);
  await spool.append({ rows: 1, meta: { number: 1000 }, payload: payloadOf(1000) });
  return disk.afterKill();
}

function flip(file: Buffer, at: number, bit = 0): void {
  file[at] = (file[at] as number) ^ (1 << bit);
}

/** Numbers of all records, each of them checked. */
async function numbersIn(spool: Spool): Promise<number[]> {
  const numbers: number[] = [];
  for (const { segment } of spool.segments()) {
    for await (const { meta, payload } of spool.read(segment)) {
      const { number } = meta as { number: number };
      expect(Buffer.from(payload).equals(payloadOf(number))).toBe(true);
      numbers.push(number);
    }
  }
  return numbers;
}

describe('a damaged segment', () => {
  it.each([
    ['payload', 500],
    ['meta', 40],
    ['rows', 5],
    ['length', 12],
    ['check of the header', 25],
    ['check of the record', 29],
  ])('loses the one record whose %s is damaged, and says how many rows that are', async (_what, at) => {
    const { disk, path, ends } = await written(4);
    const later = await followed(disk);
    const start = ends[0] as number;
    flip(later.get(path), start + at);
    const damages: unknown[] = [];
    const spool = await open(later, { onDamaged: (damage) => damages.push(damage) });
    expect(await numbersIn(spool)).toEqual([0, 2, 3, 1000]);
    // A second look is not a second damage.
    expect(await numbersIn(spool)).toEqual([0, 2, 3, 1000]);
    const bytes = (ends[1] as number) - start;
    const isHeader = at < 28;
    expect(damages).toEqual([
      { segment: spool.segments()[0]?.segment, offset: start, bytes, rows: isHeader ? undefined : 10 },
    ]);
    expect(spool.counters).toMatchObject({ damages: 1, damagedBytes: bytes, tornBytes: 0 });
  });

  it('knows the rows of a record whose header is damaged while the spool is open', async () => {
    const { disk, path, ends } = await written(4);
    const spool = await open(disk);
    flip(disk.get(path), (ends[1] as number) + 5);
    expect(await numbersIn(spool)).toEqual([0, 1, 3]);
    expect(spool.counters).toMatchObject({ damages: 1, damagedRows: 10 });
    expect(spool.segments()).toMatchObject([{ waitingRows: 30, records: 3 }]);
  });

  it('is searched to the next record, also where that lies across the border of two reads', async () => {
    for (let before = 1; before <= 32; before += 5) {
      const disk = new SimulatedDisk();
      const spool = await open(disk);
      // The search begins at byte 65 and reads 256 KiB at a time; a record has 32 bytes and a meta of one.
      const payload = Buffer.alloc(65 + 256 * 1024 - before - 64 - 33);
      const { segment } = await spool.append({ rows: 1, meta: 1, payload });
      await spool.append({ rows: 1, meta: 2, payload: Buffer.alloc(10) });
      flip(disk.get(join(FOLDER, segmentFile(segment))), 64);
      const metas: unknown[] = [];
      for await (const { meta } of spool.read(segment)) metas.push(meta);
      expect(metas).toEqual([2]);
    }
  });

  it('is removed when all that is whole is acknowledged', async () => {
    const { disk, path, ends } = await written(3);
    const later = await followed(disk);
    flip(later.get(path), (ends[2] as number) - 1);
    const spool = await open(later);
    const [segment] = spool.segments();
    spool.acknowledge({ segment: segment?.segment ?? 0, offset: ends[1] as number });
    expect(await numbersIn(spool)).toEqual([0, 1, 1000]);
    await spool.close();
    expect(later.paths(FOLDER)).not.toContain(path);
  });

  it('gets a new header when that is damaged', async () => {
    const { disk, path } = await written(2);
    disk.get(path).fill(0xff, 8, 40);
    const spool = await open(disk);
    expect(await numbersIn(spool)).toEqual([0, 1]);
    expect(spool.counters.damages).toBe(1);
    const again = await open(disk.afterKill());
    expect(await numbersIn(again)).toEqual([0, 1]);
    expect(again.counters.damages).toBe(0);
  });

  it('is read as far as the disk can read it', async () => {
    const { disk } = await written(3);
    const later = await followed(disk);
    const spool = await open(later);
    let reads = 0;
    later.fault = (operation) => {
      if (operation === 'read' && ++reads === 4) throw systemError('EIO', 'i/o error');
      return undefined;
    };
    const numbers = await numbersIn(spool);
    expect(numbers).toHaveLength(3);
    expect(spool.counters.damages).toBe(1);
  });
});

describe('a segment that a crash cut off', { timeout: 30_000 }, () => {
  it('is cut behind its last whole record, wherever it ends', async () => {
    const { disk, path, ends } = await written(3);
    const whole = Buffer.from(disk.get(path));
    for (let bytes = 0; bytes <= whole.length; bytes += 13) {
      const cut = new SimulatedDisk();
      cut.put(path, whole.subarray(0, bytes));
      const spool = await open(cut);
      const kept = ends.filter((end) => end <= bytes);
      expect(await numbersIn(spool)).toEqual(kept.map((_, number) => number));
      expect(spool.counters.damages).toBe(0);
      await spool.close();
      expect(cut.paths(FOLDER).includes(path)).toBe(kept.length > 0);
      if (kept.length > 0) expect(cut.get(path)).toHaveLength(kept.at(-1) as number);
    }
  });

  it('is removed when nothing of it came to the disk but its size', async () => {
    const disk = new SimulatedDisk();
    disk.put(join(FOLDER, segmentFile(5)), Buffer.alloc(100_000));
    const spool = await open(disk);
    expect(spool.segments()).toEqual([]);
    expect(disk.paths(FOLDER)).toEqual([join(FOLDER, 'next-segment')]);
  });
});

describe("a file that is not the spool's to read", () => {
  async function setAsideOf(disk: SimulatedDisk): Promise<[string, SetAsideReason][]> {
    const setAside: [string, SetAsideReason][] = [];
    const spool = await open(disk, { onSetAside: (file, reason) => setAside.push([file, reason]) });
    expect(spool.segments()).toEqual([]);
    expect(spool.counters.filesSetAside).toBe(setAside.length);
    await spool.append({ rows: 1, meta: null, payload: payloadOf(1) });
    return setAside;
  }

  it('of another owner is renamed', async () => {
    const { disk, path } = await written(2, OTHER);
    const before = Buffer.from(disk.get(path));
    const name = path.slice(FOLDER.length + 1);
    expect(await setAsideOf(disk)).toEqual([[`${name}.other-owner`, 'other-owner']]);
    expect(disk.get(`${path}.other-owner`).equals(before)).toBe(true);
  });

  it('of a version to come is renamed, also beside one that was', async () => {
    const { disk, path } = await written(2);
    const { loadCrc32c } = await import('../../../src/lib/spool/crc32c.ts');
    const file = disk.get(path);
    file.writeUInt32LE(2, 8);
    file.writeUInt32LE((await loadCrc32c())(file.subarray(0, 60)), 60);
    disk.put(`${path}.unknown-version`, Buffer.from('before'));
    const name = path.slice(FOLDER.length + 1);
    expect(await setAsideOf(disk)).toEqual([[`${name}.unknown-version.2`, 'unknown-version']]);
    expect(disk.get(`${path}.unknown-version`).toString()).toBe('before');
  });

  it('under another number, as a copy has it, is renamed: its rows would be stored twice', async () => {
    const { disk, path } = await written(2);
    const copy = join(FOLDER, segmentFile(77));
    disk.put(copy, disk.get(path));
    const spool = await open(disk);
    expect(await numbersIn(spool)).toEqual([0, 1]);
    expect(disk.paths(FOLDER)).toContain(`${copy}.misnamed`);
  });

  it('with nothing to recognise is renamed', async () => {
    const disk = new SimulatedDisk();
    disk.put(join(FOLDER, segmentFile(77)), payloadOf(3));
    expect(await setAsideOf(disk)).toEqual([[`${segmentFile(77)}.damaged`, 'damaged']]);
  });

  it('of another name is left alone', async () => {
    const disk = new SimulatedDisk();
    disk.put(join(FOLDER, 'notes.txt'), Buffer.from('mine'));
    disk.put(join(FOLDER, '12.seg'), Buffer.from('mine'));
    expect(await setAsideOf(disk)).toEqual([]);
    expect(disk.get(join(FOLDER, 'notes.txt')).toString()).toBe('mine');
  });

  it('that cannot be opened stays for a start that can', async () => {
    const { disk, path } = await written(2);
    disk.fault = (operation, at) => {
      if (operation === 'open' && at === path) throw systemError('EACCES', 'permission denied');
      return undefined;
    };
    const spool = await open(disk);
    expect(spool.counters.filesUnreadable).toBe(1);
    expect(spool.segments()).toEqual([]);
    await spool.close();
    const later = await open(disk.afterKill());
    expect(await numbersIn(later)).toEqual([0, 1]);
  });

  it('is no record when it lies within one', async () => {
    const inner = await written(2);
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    const copy = inner.disk.get(inner.path);
    const first = await spool.append({ rows: 1, meta: 'copy', payload: copy });
    await spool.append({ rows: 1, meta: 'next', payload: payloadOf(1) });
    const path = join(FOLDER, segmentFile(first.segment));
    flip(disk.get(path), 65);
    const again = await open(disk.afterKill());
    const metas: unknown[] = [];
    for await (const { meta } of again.read(first.segment)) metas.push(meta);
    expect(metas).toEqual(['next']);
  });
});

describe('any damage', { timeout: 30_000 }, () => {
  it('in a closed segment costs only the records that it touches', async () => {
    const { disk, path, ends } = await written(20);
    const later = await followed(disk);
    const whole = Buffer.from(later.get(path));
    const next = random(42);
    for (let times = 0; times < 300; times++) {
      const file = Buffer.from(whole);
      const touched = new Set<number>();
      for (let flips = 1 + (next() % 4); flips > 0; flips--) {
        const at = next() % file.length;
        flip(file, at, next() % 8);
        touched.add(ends.findIndex((end) => at < end));
        if (at < 64) touched.delete(0);
      }
      const damaged = later.afterKill();
      damaged.put(path, file);
      const spool = await open(damaged);
      const expected = [...ends.keys()].filter((number) => !touched.has(number) || isWhole(number));
      // A flip that was flipped back is no damage; one in the header of the file costs nothing.
      function isWhole(number: number): boolean {
        const start = number === 0 ? 64 : (ends[number - 1] as number);
        return file.subarray(start, ends[number]).equals(whole.subarray(start, ends[number]));
      }
      expect(await numbersIn(spool)).toEqual([...expected, 1000]);
    }
  });

  it('never stops a start, nor yields a record that was not written, nor costs one before it', async () => {
    const { disk, path, ends } = await written(8);
    const whole = Buffer.from(disk.get(path));
    const next = random(7);
    for (let times = 0; times < 400; times++) {
      const file = mutated(whole, next);
      const damaged = new SimulatedDisk();
      damaged.put(path, file);
      const spool = await open(damaged);
      const numbers = await numbersIn(spool);
      const firstDifference = file.findIndex((byte, index) => byte !== whole[index]);
      const same = firstDifference < 0 ? file.length : firstDifference;
      const before = ends.filter((end) => end <= same).map((_, number) => number);
      if (same >= 64) expect(numbers.slice(0, before.length)).toEqual(before);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      await spool.append({ rows: 1, meta: { number: 5 }, payload: payloadOf(5) });
    }
  });

  it('of a header never makes it read, or allocate, more than a record may have', async () => {
    const { disk, path, ends } = await written(3);
    const { loadCrc32c } = await import('../../../src/lib/spool/crc32c.ts');
    // A header with a right check that announces 4 GB: as one who may write the file could make it.
    const hostile = Buffer.alloc(32);
    disk.get(path).copy(hostile, 0, ends[0]);
    hostile.writeUInt32LE(4e9, 12);
    const salt = Buffer.concat([
      Buffer.from(OWNER.replaceAll('-', ''), 'hex'),
      disk.get(path).subarray(32, 40),
    ]);
    hostile.writeUInt32LE((await loadCrc32c())(salt, hostile.subarray(0, 24)), 24);
    hostile.copy(disk.get(path), ends[0]);
    const later = await followed(disk);
    const spool = await open(later);
    expect(await numbersIn(spool)).toEqual([0, 2, 1000]);
  });
});
