/** A small file system of its own (tmpfs) that a test fills, frees and makes read-only. Root may do that, others skip. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../waitUntil.ts';

export interface SmallDisk {
  readonly folder: string;
  /** Takes all space but `leaveBytes`. */
  fill(leaveBytes: number): void;
  /** Gives it back. */
  free(): void;
  /** Waits until no file is open for writing: the kernel refuses before. */
  makeReadOnly(): Promise<void>;
  makeWritable(): void;
  unmount(): void;
}

const BLOCK = Buffer.alloc(16 << 20);

/** Makes `folder`, empty. @throws Error where mounting is not allowed */
export function mountSmallDisk(folder: string, sizeBytes: number): SmallDisk {
  mkdirSync(folder, { recursive: true });
  mount('-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'kw-test', folder);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill(leaveBytes) {
      const { bavail, bsize } = statfsSync(folder);
      try {
        for (let left = bavail * bsize - leaveBytes; left > 0; left -= BLOCK.length) {
          appendFileSync(ballast, BLOCK.subarray(0, left));
        }
      } catch (error) {
        // Somebody else was quicker: then it is full as well.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    free: () => rmSync(ballast, { force: true }),
    makeReadOnly: () =>
      waitUntil(() => {
        try {
          mount('-o', 'remount,ro', folder);
          return true;
        } catch {
          return false;
        }
      }),
    makeWritable: () => mount('-o', 'remount,rw', folder),
    // Lazily: whatever a failed test left open in it must not keep it.
    unmount: () => void execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' }),
  };
}

function mount(...args: string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' });
}

/** Tried once, for skipUnless. */
export const canMount = tryMount();

function tryMount(): boolean {
  const folder = `/tmp/kw-test-mount-${process.pid}`;
  try {
    mountSmallDisk(folder, 65_536).unmount();
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
