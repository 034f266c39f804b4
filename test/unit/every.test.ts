/** Work that is done at intervals, and sooner when it is woken. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { every } from '../../src/lib/every.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** Seconds at which work that takes `workMs` began, within a minute. */
async function begins(options: { workMs?: number; wakeAtMs?: readonly number[] }): Promise<number[]> {
  const { workMs = 100, wakeAtMs = [] } = options;
  const end = new AbortController();
  const startedMs = performance.now();
  const at: number[] = [];
  const work = () => {
    at.push((performance.now() - startedMs) / 1000);
    return new Promise<void>((resolve) => setTimeout(resolve, workMs));
  };
  const running = every(30_000, end.signal, work, (wake) => {
    for (const ms of wakeAtMs) setTimeout(wake, ms);
  });
  await vi.advanceTimersByTimeAsync(59_000);
  end.abort();
  await vi.runAllTimersAsync();
  await running;
  return at;
}

test('is from start to start', async () => {
  expect(await begins({})).toEqual([0, 30]);
  expect(await begins({ workMs: 40_000 })).toEqual([0, 40]);
});

test('is sooner when it is woken, also while it works, and counts from there', async () => {
  expect(await begins({ wakeAtMs: [5_000] })).toEqual([0, 5, 35]);
  expect(await begins({ workMs: 3_000, wakeAtMs: [2_000] })).toEqual([0, 3, 33]);
});

test('is not more often than each second, however often it is woken', async () => {
  expect(await begins({ wakeAtMs: [200, 300, 1_200, 1_300, 1_900] })).toEqual([0, 1, 2, 32]);
});
