/** Disks that are full, read-only or failing: what was not taken is never read, and the next second tries again. */
import { describe, expect, it } from 'vitest';
import { SpoolDiskError } from '../../../src/lib/spool/diskError.ts';
import type { SegmentInfo, SpoolOptions } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { type Fault, type Operation, SimulatedDisk, systemError } from '../../support/simulatedDisk.ts';

const FOLDER = '/data/spool';
const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';

function open(disk: SimulatedDisk, options: Partial<SpoolOptions> = {}): Promise<Spool> {
  return Spool.open(FOLDER, { ownerId: OWNER, retryMs: 0, ...options }, disk);
}

function record(name: string, bytes = 100) {
  return { rows: 1, meta: name, payload: Buffer.alloc(bytes, name) };
}

async function namesIn(spool: Spool): Promise<unknown[]> {
  const names: unknown[] = [];
  for (const { segment } of spool.segments()) {
    for await (const { meta } of spool.read(segment)) names.push(meta);
  }
  return names;
}

/** The next operation of this kind on a segment fails. */
function failOnce(disk: SimulatedDisk, kind: Operation, fault: Fault): void {
  disk.fault = (operation, path) => {
    if (operation !== kind || !path.endsWith('.seg')) return undefined;
    disk.fault = () => undefined;
    return fault(operation, path);
  };
}

function raise(code: string, words: string): Fault {
  return () => {
    throw systemError(code, words);
  };
}

describe('a disk that does not take a record', () => {
  const cases: readonly [string, Operation, Fault, string, string][] = [
    ['is full', 'write', () => 60, 'full', 'no space left on device'],
    ['has no quota left', 'write', raise('EDQUOT', 'disk quota exceeded'), 'full', 'disk quota exceeded'],
    ['is read-only', 'write', raise('EROFS', 'read-only file system'), 'read-only', 'read-only file system'],
    ['fails', 'sync', raise('EIO', 'i/o error'), 'failing', 'i/o error'],
    ['is forbidden', 'write', raise('EACCES', 'permission denied'), 'forbidden', 'permission denied'],
  ];
  it.each(cases)(
    'because it %s: says so, and has all others',
    async (_what, operation, fault, kind, words) => {
      const disk = new SimulatedDisk();
      const problems: string[] = [];
      const events = {
        onProblem: (error: SpoolDiskError) => problems.push(error.kind),
        onProblemOver: () => problems.push('over'),
      };
      const spool = await open(disk, { events });
      await spool.append(record('a'));
      failOnce(disk, operation, fault);
      const error = await spool.append(record('b')).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SpoolDiskError);
      expect(error).toMatchObject({ kind, code: 'SPOOL_DISK' });
      const path = disk.paths(FOLDER)[0];
      expect((error as Error).message).toBe(`the spool cannot write to ${path}: ${words}`);
      expect(spool.problem).toBe(error);
      expect(await namesIn(spool)).toEqual(['a']);
      await spool.append(record('c'));
      expect(spool.problem).toBeUndefined();
      expect(problems).toEqual([kind, 'over']);
      expect(await namesIn(spool)).toEqual(['a', 'c']);
      const again = await open(disk.afterKill());
      expect(await namesIn(again)).toEqual(['a', 'c']);
      expect(again.counters).toMatchObject({ tornBytes: 0, damages: 0 });
    },
  );

  it('keeps what it rejected out of sight while even cutting it away fails, and cuts it later', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    const { segment } = await spool.append(record('a'));
    let isBroken = true;
    disk.fault = (operation) => {
      if (isBroken && (operation === 'sync' || operation === 'truncate'))
        throw systemError('EIO', 'i/o error');
      return undefined;
    };
    await expect(spool.append(record('b'))).rejects.toBeInstanceOf(SpoolDiskError);
    await expect(spool.append(record('c'))).rejects.toBeInstanceOf(SpoolDiskError);
    expect(await namesIn(spool)).toEqual(['a']);
    isBroken = false;
    const place = await spool.append(record('d'));
    expect(place.segment).toBeGreaterThan(segment);
    expect(await namesIn(await open(disk.afterKill()))).toEqual(['a', 'd']);
  });

  it('rejects all that wait, and is not tried again before its time', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk, { retryMs: 600 });
    await spool.append(record('a'));
    failOnce(disk, 'write', () => 0);
    const group = await Promise.allSettled(['b', 'c', 'd'].map((name) => spool.append(record(name))));
    expect(group.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const { operations } = disk;
    await expect(spool.append(record('e'))).rejects.toBe(spool.problem);
    expect(disk.operations).toBe(operations);
    await new Promise((resolve) => setTimeout(resolve, 620));
    await spool.append(record('f'));
    expect(await namesIn(spool)).toEqual(['a', 'f']);
    expect(spool.counters.appendsRefused).toBe(4);
  });

  it('rejects what waits for another segment too', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk, { retryMs: 10_000 });
    failOnce(disk, 'write', () => 0);
    const before = spool.append(record('a'));
    spool.rotate();
    const after = spool.append(record('b'));
    const group = await Promise.allSettled([before, after]);
    expect(group.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await namesIn(await open(disk.afterKill()))).toEqual([]);
  });

  it('closes the segment, which goes when all that it took is stored', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    const place = await spool.append(record('a'));
    failOnce(disk, 'write', () => 60);
    await expect(spool.append(record('b'))).rejects.toBeInstanceOf(SpoolDiskError);
    expect(spool.segments()).toMatchObject([{ segment: place.segment, closed: true, waitingRows: 1 }]);
    spool.acknowledge(place);
    await spool.close();
    expect(disk.paths(FOLDER)).toEqual([`${FOLDER}/next-segment`]);
  });

  it('from the start: opens all the same, and finds what is there when the disk is back', async () => {
    const disk = new SimulatedDisk();
    await (await open(disk)).append(record('a'));
    const away = disk.afterKill();
    away.fault = raise('EIO', 'i/o error');
    const spool = await open(away);
    expect(spool.problem).toMatchObject({ kind: 'failing', path: FOLDER });
    expect(spool.segments()).toEqual([]);
    await expect(spool.append(record('b'))).rejects.toBeInstanceOf(SpoolDiskError);
    away.fault = () => undefined;
    await spool.append(record('c'));
    expect(await namesIn(spool)).toEqual(['a', 'c']);
  });

  it('that is read-only from the start gives back what it holds', async () => {
    const disk = new SimulatedDisk();
    await (await open(disk)).append(record('a'));
    const readOnly = disk.afterKill();
    readOnly.fault = (operation) => {
      if (!['open', 'read', 'list'].includes(operation)) throw systemError('EROFS', 'read-only file system');
      return undefined;
    };
    const spool = await open(readOnly);
    expect(await namesIn(spool)).toEqual(['a']);
    expect(spool.problem).toMatchObject({ kind: 'read-only' });
    const [segment] = spool.segments();
    spool.acknowledge({ segment: segment?.segment ?? 0, offset: segment?.bytes ?? 0 });
    await spool.close();
    expect(spool.segments()).toEqual([]);
  });
});

describe('a spool with a bound', () => {
  async function dropping(options: Partial<SpoolOptions>) {
    const dropped: [string, number, unknown[]][] = [];
    const events = {
      async onDropped(segment: SegmentInfo, records: AsyncIterable<{ meta: unknown }>, reason: string) {
        const names: unknown[] = [];
        for await (const { meta } of records) names.push(meta);
        dropped.push([reason, segment.waitingRows, names]);
      },
    };
    return { spool: await open(new SimulatedDisk(), { events, ...options }), dropped };
  }

  it('drops the oldest segment when it is full, and tells what was in it and not yet stored', async () => {
    const { spool, dropped } = await dropping({ maxBytes: 4000 });
    const places = [];
    for (let count = 0; count < 4; count++) places.push(await spool.append(record(`r${count}`)));
    spool.acknowledge(places[1] ?? { segment: 0, offset: 0 });
    for (let count = 4; count < 40; count++) await spool.append(record(`r${count}`));
    expect(dropped[0]).toEqual(['full', 2, ['r2', 'r3']]);
    expect(dropped[1]).toEqual(['full', 4, ['r4', 'r5', 'r6', 'r7']]);
    expect(spool.bytes).toBeLessThanOrEqual(4000);
    const names = await namesIn(spool);
    const lost = dropped.flatMap(([, , all]) => all);
    expect([...lost, ...names]).toEqual(Array.from({ length: 38 }, (_, index) => `r${index + 2}`));
    expect(spool.counters).toMatchObject({ rowsDropped: lost.length, segmentsDropped: dropped.length });
  });

  it('does not drop a segment that is being read: it may be on its way to be stored', async () => {
    const { spool, dropped } = await dropping({ maxBytes: 4000 });
    const { segment } = await spool.append(record('r0'));
    const reader = spool.read(segment);
    await reader.next();
    for (let count = 1; count < 40; count++) await spool.append(record(`r${count}`));
    expect(dropped.length).toBeGreaterThan(1);
    expect(dropped[0]?.[2][0]).not.toBe('r0');
    expect(spool.segments()[0]?.segment).toBe(segment);
    await reader.return();
  });

  it('takes a record that is larger than the bound, in place of all others', async () => {
    const { spool, dropped } = await dropping({ maxBytes: 4000 });
    await spool.append(record('small'));
    await spool.append(record('large', 10_000));
    expect(dropped).toEqual([['full', 1, ['small']]]);
    expect(await namesIn(spool)).toEqual(['large']);
  });

  it('drops segments to which nothing was appended for too long', async () => {
    const { spool, dropped } = await dropping({ maxAgeMs: 50 });
    await spool.append(record('old'));
    spool.rotate();
    await new Promise((resolve) => setTimeout(resolve, 80));
    await spool.append(record('new'));
    expect(dropped).toEqual([['old', 1, ['old']]]);
    expect(await namesIn(spool)).toEqual(['new']);
  });

  it('is half of what is free, at most 10 GiB, if nothing is said', async () => {
    const disk = new SimulatedDisk();
    disk.free = 1_000_000;
    expect((await open(disk)).maxBytes).toBe(500_000);
    const large = new SimulatedDisk();
    expect((await open(large)).maxBytes).toBe(10 * 2 ** 30);
  });
});

describe('rows that cannot be stored', () => {
  const row = {
    reason: 'value out of range',
    device: 'pdu-1',
    metric: 'power',
    timestamp: '2026-11-22T10:00:00.123456+00:00',
    value: Number.POSITIVE_INFINITY,
    labels: { outlet: '7' },
    place: { segment: 5, offset: 64 },
  };

  it('are a line each in refused.ndjson, on the disk when it resolves', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    await spool.setAside([row, { ...row, device: 'pdu-2' }]);
    await spool.setAside([{ ...row, value: 7 }]);
    const lines = disk
      .afterPowerCut(() => 1)
      .get(`${FOLDER}/refused.ndjson`)
      .toString()
      .split('\n');
    expect(lines).toHaveLength(4);
    expect(JSON.parse(lines[0] ?? '')).toEqual({ ...row, value: 'Infinity' });
    expect(JSON.parse(lines[2] ?? '')).toEqual({ ...row, value: 7 });
    expect(spool.counters.rowsSetAside).toBe(3);
  });

  it('begin a new line behind one that a crash cut off', async () => {
    const disk = new SimulatedDisk();
    disk.put(`${FOLDER}/refused.ndjson`, Buffer.from('{"reason":"val'));
    const spool = await open(disk);
    await spool.setAside([row]);
    const lines = disk.get(`${FOLDER}/refused.ndjson`).toString().split('\n');
    expect(lines[0]).toBe('{"reason":"val');
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ device: 'pdu-1' });
  });

  it('take two files at most', async () => {
    const { RefusedFile } = await import('../../../src/lib/spool/refusedFile.ts');
    const disk = new SimulatedDisk();
    await disk.makeFolder(FOLDER);
    const file = new RefusedFile(disk, FOLDER, 500);
    for (let count = 0; count < 9; count++) await file.add([{ ...row, reason: `reason ${count}` }]);
    expect(disk.paths(FOLDER)).toEqual([`${FOLDER}/refused.1.ndjson`, `${FOLDER}/refused.ndjson`]);
    for (const path of disk.paths(FOLDER)) expect(disk.get(path).length).toBeLessThanOrEqual(500);
    expect(disk.get(`${FOLDER}/refused.ndjson`).toString()).toContain('reason 8');
  });

  it('are not set aside by a disk that fails, and the caller knows', async () => {
    const disk = new SimulatedDisk();
    const spool = await open(disk);
    disk.fault = raise('ENOSPC', 'no space left on device');
    await expect(spool.setAside([row])).rejects.toMatchObject({ kind: 'full' });
    expect(spool.counters.rowsSetAside).toBe(0);
  });
});
