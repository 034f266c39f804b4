/** A selection is looked at once a second for all who listen, and each row is told once. */
import { describe, expect, it } from 'vitest';
import { LiveFeed, type LiveNews } from '../../../src/lib/live/feed.ts';
import { LiveHub } from '../../../src/lib/live/hub.ts';
import type { LiveRow, Look } from '../../../src/lib/live/rows.ts';
import { SeenRows } from '../../../src/lib/live/seen.ts';

const series = { id: 0, deviceId: 'pdu-1', metricId: 'power', labels: '{}' };
const row = (timestampUs: number, value = 1): LiveRow => ({ timestampUs, value, series });

/** A database whose window the test fills; counts the looks. */
function fakeDatabase() {
  const state = { rows: [] as LiveRow[], cut: false, looks: 0, windows: [] as number[], failing: false };
  const waiting: (() => void)[] = [];
  const look = async (windowMs: number): Promise<Look> => {
    state.looks++;
    state.windows.push(windowMs);
    for (const wake of waiting.splice(0)) wake();
    if (state.failing) throw new Error('away');
    return { rows: [...state.rows], cut: state.cut };
  };
  /** Resolves when two further looks have begun: whatever was stored before has been told then. */
  const looked = async () => {
    for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { state, look, looked };
}

function listener() {
  const told = { times: [] as number[], warnings: [] as string[], news: [] as LiveNews[] };
  return {
    told,
    rows: (news: LiveNews) => {
      told.news.push(news);
      told.times.push(...news.rows.map(({ timestampUs }) => timestampUs));
    },
    warning: (message: string) => void told.warnings.push(message),
  };
}

describe('rows that were seen', () => {
  it('are not new again, late ones and equal ones are', () => {
    const seen = new SeenRows();
    const times = (rows: LiveRow[]) => seen.news(rows).map(({ timestampUs }) => timestampUs);
    expect(times([row(1), row(3)])).toEqual([1, 3]);
    expect(times([row(1), row(2), row(3)])).toEqual([2]);
    expect(times([row(2), row(3), row(3)])).toEqual([3]);
    expect(times([row(3), row(3), row(3, 5)])).toEqual([3]);
    expect(times([])).toEqual([]);
  });
});

describe('a feed', () => {
  it('tells each row once, late ones too, and everything of the window to who comes later', async () => {
    const { state, look, looked } = fakeDatabase();
    const feed = new LiveFeed(look, { intervalMs: 5 });
    const [first, second] = [listener(), listener()];
    state.rows = [row(10), row(30)];
    const leaveFirst = feed.listen(first);
    await looked();
    expect(first.told.times).toEqual([10, 30]);
    state.rows = [row(10), row(20), row(30), row(40)];
    await looked();
    expect(first.told.times).toEqual([10, 30, 20, 40]);
    const leaveSecond = feed.listen(second);
    expect(second.told.times).toEqual([10, 20, 30, 40]);
    state.rows = [row(40), row(50)];
    await looked();
    expect([first.told.times.at(-1), second.told.times.at(-1)]).toEqual([50, 50]);
    expect(first.told.news.at(-1)).toBe(second.told.news.at(-1));
    leaveFirst();
    leaveSecond();
  });

  it('looks no more once nobody listens, and cancels the look that runs', async () => {
    let aborted = false;
    let looks = 0;
    const feed = new LiveFeed(
      (_windowMs, signal) => {
        looks++;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(new Error('cancelled'));
          });
        });
      },
      { intervalMs: 5 },
    );
    const one = listener();
    const leave = feed.listen(one);
    await new Promise((resolve) => setTimeout(resolve, 30));
    leave();
    leave();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect({ aborted, looks, warnings: one.told.warnings }).toEqual({
      aborted: true,
      looks: 1,
      warnings: [],
    });
  });

  it('says once that the database is away, and reaches back over that time', async () => {
    const { state, look, looked } = fakeDatabase();
    const errors: unknown[] = [];
    const feed = new LiveFeed(look, { intervalMs: 20, onError: (error) => errors.push(error) });
    const one = listener();
    const leave = feed.listen(one);
    await looked();
    state.failing = true;
    await looked();
    await looked();
    state.failing = false;
    state.rows = [row(1)];
    await looked();
    leave();
    expect(one.told.warnings).toEqual(['the database does not answer: rows of this time may be missing']);
    expect(errors.length).toBeGreaterThanOrEqual(3);
    expect(one.told.times).toEqual([1]);
    expect(state.windows[0]).toBe(10_000);
    expect(Math.max(...state.windows)).toBeGreaterThan(10_060);
    expect(state.windows.at(-1)).toBeLessThan(10_060);
  });
});

describe('a hub', () => {
  it('has one feed for equal keys, and bounds', async () => {
    const { state, look, looked } = fakeDatabase();
    const hub = new LiveHub({ maxFeeds: 2, maxFeedsEach: 2, maxListeners: 3, intervalMs: 5 });
    let made = 0;
    const listen = (key: string) =>
      hub.listen(
        key,
        'alice',
        () => {
          made++;
          return look;
        },
        listener(),
      );
    const leave = [listen('a'), listen('a')];
    await looked();
    expect(hub.counts).toEqual({ feeds: 1, listeners: 2 });
    expect(made).toBe(1);
    leave.push(listen('b'));
    expect(() => listen('a')).toThrow('3 clients listen already');
    leave.shift()?.();
    expect(() => listen('c')).toThrow('2 selections are followed already');
    for (const end of leave) end();
    expect(hub.counts).toEqual({ feeds: 0, listeners: 0 });
    const { looks } = state;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(state.looks).toBe(looks);
  });

  it('leaves feeds to others', () => {
    const { look } = fakeDatabase();
    const hub = new LiveHub({ maxFeeds: 4, maxFeedsEach: 2, maxListeners: 9, intervalMs: 1_000 });
    const listen = (key: string, holder: string) => hub.listen(key, holder, () => look, listener());
    const leave = [listen('a', 'alice'), listen('b', 'alice')];
    expect(() => listen('c', 'alice')).toThrow('you follow 2 selections already');
    leave.push(listen('a', 'alice'), listen('c', 'bob'));
    leave.shift()?.();
    // The other listener of it is still there.
    expect(() => listen('d', 'alice')).toThrow('you follow 2 selections already');
    leave.shift()?.();
    leave.push(listen('d', 'alice'));
    expect(hub.counts).toEqual({ feeds: 3, listeners: 3 });
    for (const end of leave) end();
  });
});
