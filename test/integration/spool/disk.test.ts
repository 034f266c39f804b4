/** Real file systems that are full and read-only: a tmpfs of 2 MB, where mounting is allowed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SpoolDiskError } from '../../../src/lib/spool/diskError.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';
const RETRY_MS = 50;
const { folder, remove } = temporaryFolder();
const mount = join(folder, 'mount');
const spoolFolder = join(mount, 'data/spool');

afterAll(remove);

function tryMount(): boolean {
  try {
    mkdirSync(mount, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'kw-spool-test', mount], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function unmount(): void {
  execFileSync('umount', [mount]);
}

function canMount(): boolean {
  if (!tryMount()) return false;
  unmount();
  return true;
}

const spools: Spool[] = [];

async function open(): Promise<Spool> {
  const spool = await Spool.open(spoolFolder, { ownerId: OWNER, maxBytes: 1 << 30, retryMs: RETRY_MS });
  spools.push(spool);
  return spool;
}

const append = (spool: Spool, name: number) =>
  spool.append({ rows: 1, meta: name, payload: Buffer.alloc(100_000, name) });

async function namesIn(spool: Spool): Promise<unknown[]> {
  const names: unknown[] = [];
  for (const { segment } of spool.segments()) {
    for await (const { meta, payload } of spool.read(segment)) {
      expect(Buffer.from(payload).equals(Buffer.alloc(100_000, meta as number))).toBe(true);
      names.push(meta);
    }
  }
  return names;
}

const retry = () => new Promise((resolve) => setTimeout(resolve, RETRY_MS + 20));

describe('a spool on a new folder', () => {
  it('makes it for its owner only', async () => {
    const made = join(folder, 'made/by/kw/spool');
    const spool = await Spool.open(made, { ownerId: OWNER });
    await spool.append({ rows: 1, meta: 1, payload: Buffer.alloc(10) });
    expect(statSync(made).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(made)) expect(statSync(join(made, name)).mode & 0o777).toBe(0o600);
    await spool.close();
  });
});

describe.skipIf(skipUnless('the right to mount a tmpfs', canMount(), { mayAlwaysSkip: true }))(
  'on a disk of 2 MB',
  () => {
    beforeEach(() => {
      if (!tryMount()) throw new Error('the tmpfs cannot be mounted');
    });
    afterEach(async () => {
      // A file that is open keeps the file system.
      for (const spool of spools.splice(0)) await spool.close();
      unmount();
    });

    it('a spool says when it is full, keeps what it took, and goes on when there is room', async () => {
      const spool = await open();
      const taken: number[] = [];
      const refused: unknown[] = [];
      for (let name = 0; name < 30; name++) {
        try {
          await append(spool, name);
          taken.push(name);
        } catch (error) {
          refused.push(error);
        }
      }
      expect(taken.length).toBeGreaterThan(15);
      expect(taken.length).toBeLessThan(21);
      expect(refused[0]).toBeInstanceOf(SpoolDiskError);
      expect(refused[0]).toMatchObject({ kind: 'full' });
      expect(spool.problem?.message).toMatch(/no space left on device$/);
      expect(await namesIn(spool)).toEqual(taken);
      const [first] = spool.segments();
      spool.acknowledge({ segment: first?.segment ?? 0, offset: first?.bytes ?? 0 });
      await retry();
      await append(spool, 100);
      expect(spool.problem).toBeUndefined();
      expect(await namesIn(spool)).toEqual([100]);
      await spool.close();
      expect(await namesIn(await open())).toEqual([100]);
    });

    it('a spool survives a start on a disk that is full to the last byte', async () => {
      const before = await open();
      await append(before, 1);
      try {
        writeFileSync(join(mount, 'other'), Buffer.alloc(3 << 20));
      } catch {}
      const spool = await open();
      expect(await namesIn(spool)).toEqual([1]);
      await expect(append(spool, 2)).rejects.toMatchObject({ kind: 'full' });
      rmSync(join(mount, 'other'));
      await retry();
      await append(spool, 3);
      expect(await namesIn(spool)).toEqual([1, 3]);
    });

    it('a spool says when the disk became read-only, still gives back what it has, and goes on afterwards', async () => {
      const spool = await open();
      await append(spool, 1);
      spool.rotate();
      await spool.append({ rows: 1, meta: 2, payload: Buffer.alloc(100_000, 2) });
      spool.rotate();
      await new Promise((resolve) => setTimeout(resolve, 20));
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      await expect(append(spool, 3)).rejects.toMatchObject({ kind: 'read-only' });
      expect(await namesIn(spool)).toEqual([1, 2]);
      const [first] = spool.segments();
      spool.acknowledge({ segment: first?.segment ?? 0, offset: first?.bytes ?? 0 });
      expect(await namesIn(await open())).toEqual([1, 2]);
      execFileSync('mount', ['-o', 'remount,rw', mount]);
      await retry();
      await append(spool, 4);
      expect(await namesIn(spool)).toEqual([2, 4]);
      expect(await namesIn(await open())).toEqual([2, 4]);
    });
  },
);
