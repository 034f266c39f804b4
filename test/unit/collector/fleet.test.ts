import { beforeEach, describe, expect, it } from 'vitest';
import { Fleet } from '../../../src/lib/collector/fleet.ts';
import { PromotionSet } from '../../../src/lib/collector/promotions.ts';
import { Schedule } from '../../../src/lib/collector/schedule.ts';
import { deviceStatuses } from '../../../src/lib/collector/status.ts';
import { FakeClock, settle } from '../../support/fakeClock.ts';
import { FakeDriver, fakeEntry } from '../../support/fakeDriver.ts';
import { noStreams } from '../../support/fakeStream.ts';

let clock: FakeClock;
let driver: FakeDriver;
let fleet: Fleet;
/** Device, metric and second of each sample. */
let samples: { device: string; metric: string; atUs: number }[];

beforeEach(() => {
  clock = new FakeClock();
  driver = new FakeDriver();
  samples = [];
  fleet = new Fleet({
    schedule: new Schedule(clock),
    phaseGridMs: 20,
    monotonicMs: () => clock.monotonicMs(),
    nowUs: () => clock.nowUs(),
    onGone: () => {},
    onDefect: (_target, error) => {
      throw error;
    },
    streams: noStreams,
    onResult: (_target, _loop, result) => {
      for (const { series, timestampUs } of result.samples) {
        samples.push({ device: series.deviceId, metric: series.metricId, atUs: timestampUs });
      }
    },
  });
});

/** Time passes between request and answer. */
function takes(ms: number): () => Promise<void> {
  return () => new Promise((resolve) => void clock.setTimer(ms, resolve));
}

function countOf(metric: string): number {
  return samples.filter((sample) => sample.metric === metric).length;
}

function countersOf(host: string) {
  const target = [...fleet.targets.values()].find(({ hostPort }) => hostPort === host);
  if (!target) throw new Error(`no target ${host}`);
  return target.counters;
}

describe('periods', () => {
  it('gives exactly 3,600 readings of a 1 s period in an hour, and 360 of 10 s', async () => {
    await fleet.configure([
      fakeEntry(driver, 'fast', 'pdu-1'),
      fakeEntry(driver, 'slow', 'pdu-1', { updateEveryMs: 10_000 }),
    ]);
    driver.delay = takes(30);
    await clock.advance(3_600_000);
    expect(countOf('fast')).toBe(3600);
    expect(countOf('slow')).toBe(360);
    expect(countersOf('pdu-1')).toMatchObject({ missed: 0, polls: 3960 });
  });

  it('reads metrics of one period together, over one session an endpoint', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'pdu-1-port1', { host: 'pdu-1' }),
      fakeEntry(driver, 'watt', 'pdu-1-port2', { host: 'pdu-1' }),
      fakeEntry(driver, 'load', 'pdu-1', { updateEveryMs: 5_000 }),
    ]);
    await clock.advance(4_999);
    expect(driver.opened).toEqual(['pdu-1']);
    expect(driver.reads.filter(({ metrics }) => metrics.length === 2)).toHaveLength(5);
    expect(deviceStatuses(fleet).map(({ device }) => device)).toEqual([
      'pdu-1-port1',
      'pdu-1-port2',
      'pdu-1',
    ]);
  });

  it('reads all devices of a protocol at once whose grid is as coarse as their period', async () => {
    const hosts = Array.from({ length: 20 }, (_, index) => `bmc-${index}`);
    const instantsOf = async () => {
      await fleet.configure(hosts.map((host) => fakeEntry(driver, 'watt', host)));
      await clock.advance(5_000);
      return new Set(samples.map(({ atUs }) => atUs % 1e6));
    };
    expect((await instantsOf()).size).toBeGreaterThan(10);
    await fleet.configure([]);
    samples = [];
    driver.phaseGridMs = 1_000;
    expect(await instantsOf()).toEqual(new Set([0]));
    expect(samples).toHaveLength(5 * 20);
  });

  it('bounds a poll below its period', async () => {
    await fleet.configure([
      fakeEntry(driver, 'a', 'one'),
      fakeEntry(driver, 'a', 'two', { updateEveryMs: 60_000 }),
      fakeEntry(driver, 'a', 'three', { updateEveryMs: 60_000, timeoutMs: 20_000 }),
      fakeEntry(driver, 'a', 'four', { timeoutMs: 20_000 }),
    ]);
    await clock.advance(60_000);
    const timeouts = new Map(driver.reads.map(({ host, timeoutMs }) => [host, timeoutMs]));
    expect(Object.fromEntries(timeouts)).toEqual({ one: 900, two: 5_000, three: 20_000, four: 900 });
  });
});

describe('slow devices', () => {
  it('never overlaps polls of one target, and counts what it missed', async () => {
    await fleet.configure([fakeEntry(driver, 'a', 'slow'), fakeEntry(driver, 'a', 'quick')]);
    let under = 0;
    let most = 0;
    driver.delay = async (host) => {
      if (host === 'quick') return;
      most = Math.max(most, ++under);
      await takes(1_500)();
      under--;
    };
    await clock.advance(60_000);
    expect(most).toBe(1);
    const { polls, missed } = countersOf('slow');
    expect(polls + missed).toBeGreaterThanOrEqual(59);
    expect(polls).toBeGreaterThanOrEqual(29);
    expect(polls).toBeLessThanOrEqual(31);
    expect(countersOf('quick')).toMatchObject({ polls: 60, missed: 0 });
  });

  it('lets a loop wait for another one of the same target instead of missing its interval', async () => {
    await fleet.configure([
      fakeEntry(driver, 'fast', 'pdu'),
      fakeEntry(driver, 'slow', 'pdu', { updateEveryMs: 2_000 }),
    ]);
    driver.delay = takes(400);
    await clock.advance(60_000);
    expect(countOf('fast')).toBeGreaterThanOrEqual(59);
    expect(countOf('slow')).toBeGreaterThanOrEqual(29);
    expect(countersOf('pdu').missed).toBe(0);
  });

  it('knows when the oldest poll under way began', async () => {
    await fleet.configure([fakeEntry(driver, 'a', 'stuck')]);
    driver.delay = () => new Promise(() => {});
    await clock.advance(5_000);
    expect(clock.nowUs() - fleet.oldestPollUs()).toBeGreaterThan(3_900_000);
    expect(countersOf('stuck')).toMatchObject({ polls: 0, up: undefined });
    expect(countersOf('stuck').missed).toBeGreaterThanOrEqual(3);
  });
});

describe('reload', () => {
  it('starts and stops only what changed; the rest keeps session, instants and counters', async () => {
    const entries = ['a', 'b', 'c'].map((device) => fakeEntry(driver, 'm', device));
    await fleet.configure(entries);
    await clock.advance(10_000);
    driver.opened.length = 0;
    const plans = driver.plans;
    // The same configuration, read anew: other objects, other lines.
    const again = [
      fakeEntry(driver, 'm', 'a', { place: { file: 'metrics.yaml', line: 9, column: 1 } }),
      fakeEntry(driver, 'm', 'b', { updateEveryMs: 5_000 }),
      fakeEntry(driver, 'm', 'd'),
    ];
    expect(await fleet.configure(again)).toEqual({ started: 1, stopped: 1, changed: 1, unchanged: 1 });
    expect(driver.opened).toEqual(['d']);
    expect(driver.closed).toEqual(['c']);
    expect(driver.plans - plans).toBe(2);
    await clock.advance(10_000);
    expect(countersOf('a')).toMatchObject({ polls: 20, missed: 0 });
    expect(countersOf('b').polls).toBe(12);
    const ofA = samples.filter(({ device }) => device === 'a').map(({ atUs }) => atUs);
    const spacings = ofA.slice(1).map((at, index) => at - (ofA[index] as number));
    expect(Math.max(...spacings)).toBeLessThan(1_003_000);
    expect(samples.filter(({ device }) => device === 'c')).toHaveLength(10);
  });

  it('opens a new session when the endpoint changes', async () => {
    await fleet.configure([fakeEntry(driver, 'm', 'a', { host: 'old' })]);
    await fleet.configure([fakeEntry(driver, 'm', 'a', { host: 'new' })]);
    expect(driver.opened).toEqual(['old', 'new']);
    expect(driver.closed).toEqual(['old']);
  });
});

describe('promotions', () => {
  const promotion = (deviceId: string, pattern: string, expiresAtUs?: number) =>
    new PromotionSet([{ deviceId, pattern, expiresAtUs }]);

  it('reads optional metrics only while they are promoted, and at once when they are', async () => {
    await fleet.configure([
      fakeEntry(driver, 'always', 'a', { updateEveryMs: 10_000 }),
      fakeEntry(driver, 'extra_watt', 'a', { updateEveryMs: 10_000, optional: true }),
    ]);
    await clock.advance(30_000);
    expect(countOf('extra_watt')).toBe(0);
    fleet.promote(promotion('a', 'extra'));
    await settle();
    expect(countOf('extra_watt')).toBe(1);
    const always = countOf('always');
    await clock.advance(30_000);
    expect(countOf('extra_watt')).toBe(4);
    expect(countOf('always')).toBe(always + 3);
    fleet.promote(new PromotionSet());
    await clock.advance(30_000);
    expect(countOf('extra_watt')).toBe(4);
  });

  it('reads faster while promoted, and slower again', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'a', { updateEveryMs: 10_000, optionalUpdateEveryMs: 1_000 }),
    ]);
    await clock.advance(20_000);
    expect(countOf('watt')).toBe(2);
    fleet.promote(promotion('a', 'watt'));
    await clock.advance(10_000);
    expect(countOf('watt')).toBe(12);
    fleet.promote(new PromotionSet());
    await clock.advance(20_000);
    expect(countOf('watt')).toBe(14);
  });

  it('matches the alias too, and patterns at the start only', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'pdu-1-port-3', { optional: true, labels: { _device_alias: 'node-1' } }),
      fakeEntry(driver, 'kilowatt', 'node-1', { optional: true }),
      fakeEntry(driver, 'watt', 'node-2', { optional: true }),
    ]);
    fleet.promote(promotion('node-1', 'wat+'));
    await clock.advance(2_000);
    expect(new Set(samples.map(({ device }) => device))).toEqual(new Set(['pdu-1-port-3']));
  });

  it('ends a promotion by the local clock', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'a', { optional: true })]);
    const set = promotion('a', '.*', clock.nowUs() + 5_000_000);
    fleet.promote(set);
    expect(set.nextExpiryUs(clock.nowUs())).toBe(clock.nowUs() + 5_000_000);
    await clock.advance(5_000);
    const read = countOf('watt');
    expect(read).toBeGreaterThanOrEqual(5);
    fleet.promote();
    await clock.advance(5_000);
    expect(countOf('watt')).toBe(read);
    expect(set.nextExpiryUs(clock.nowUs())).toBeUndefined();
  });

  it('sets a pattern aside that cannot be used, and keeps the others', () => {
    const set = new PromotionSet([
      { deviceId: 'a', pattern: '(?<=x)', expiresAtUs: undefined },
      { deviceId: 'a', pattern: 'watt', expiresAtUs: undefined },
    ]);
    expect(set.refused.map(({ pattern }) => pattern)).toEqual(['(?<=x)']);
    expect(set.isPromoted(fakeEntry(driver, 'watt', 'a'), 0)).toBe(true);
  });
});
