import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Layout } from '../../../src/lib/database/embedded/layout.ts';
import { withLock } from '../../../src/lib/database/embedded/lock.ts';

let folder: string;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kw-lock-'));
  layout = { home: folder, lock: join(folder, 'lock') } as Layout;
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the lock of the embedded server', () => {
  test('lets one in at a time, and is gone afterwards', async () => {
    const events: string[] = [];
    const work = (name: string) => async () => {
      events.push(`${name} begins`);
      expect(readFileSync(layout.lock, 'utf8')).toBe(String(process.pid));
      await new Promise((resolve) => setTimeout(resolve, 30));
      events.push(`${name} ends`);
    };
    await Promise.all([withLock(layout, 5000, work('a')), withLock(layout, 5000, work('b'))]);
    expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    expect(existsSync(layout.lock)).toBe(false);
  });

  test('is released when the work fails', async () => {
    const failure = new Error('failed');
    await expect(withLock(layout, 1000, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(existsSync(layout.lock)).toBe(false);
  });

  test('is taken over from a process that died', async () => {
    // Above the largest process number of Linux.
    writeFileSync(layout.lock, '4194999');
    expect(await withLock(layout, 1000, async () => 'done')).toBe('done');
  });

  test('waits no longer than it was told, and says what to do', async () => {
    writeFileSync(layout.lock, String(process.ppid));
    await expect(withLock(layout, 100, async () => 'never')).rejects.toMatchObject({
      code: 'EMBEDDED_BUSY',
      message: 'another process has been busy with the embedded database for 0.1 s',
      hint: `if there is none, remove ${layout.lock}`,
    });
    expect(existsSync(layout.lock)).toBe(true);
  });
});
