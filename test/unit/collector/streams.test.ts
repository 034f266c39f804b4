/** What a collector does with protocols that speak by themselves, on streams whose words the test decides. */
import { beforeEach, describe, expect, it } from 'vitest';
import { BatchBuilder } from '../../../src/lib/collector/batch.ts';
import { Catalogue } from '../../../src/lib/collector/catalogue.ts';
import { Fleet } from '../../../src/lib/collector/fleet.ts';
import { PromotionSet } from '../../../src/lib/collector/promotions.ts';
import { Schedule } from '../../../src/lib/collector/schedule.ts';
import { deviceStatuses } from '../../../src/lib/collector/status.ts';
import { decodeRow, rowOffsets } from '../../../src/lib/database/rowEncoder.ts';
import type { Problem } from '../../../src/lib/devices/driver.ts';
import { FakeClock } from '../../support/fakeClock.ts';
import { fakeEntry } from '../../support/fakeDriver.ts';
import { type FakeStream, FakeStreamDriver } from '../../support/fakeStream.ts';

let clock: FakeClock;
let driver: FakeStreamDriver;
let catalogue: Catalogue;
let builder: BatchBuilder;
let fleet: Fleet;
let refused: string[];
let remarks: string[];
let states: { up: boolean; problems: readonly Problem[] }[];

beforeEach(() => {
  clock = new FakeClock();
  driver = new FakeStreamDriver();
  catalogue = new Catalogue();
  refused = [];
  remarks = [];
  states = [];
  const nowUs = () => clock.nowUs();
  builder = new BatchBuilder({
    nowUs,
    onRefused: ({ series }, problem) => refused.push(`${series.metricId}: ${problem}`),
  });
  fleet = new Fleet({
    schedule: new Schedule(clock),
    phaseGridMs: 20,
    monotonicMs: () => clock.monotonicMs(),
    nowUs,
    onGone: () => {},
    onDefect: () => {},
    onResult: () => {},
    streams: {
      nowUs,
      openChannel: (series, entry, onClose) => {
        catalogue.streams(series, entry);
        return builder.column(series, onClose);
      },
      onChannelClosed: (series) => catalogue.streamsNoMore(series),
      onSamples: (_target, samples) => builder.add(samples),
      onReadings: () => {},
      onState: (_target, up, problems) => states.push({ up, problems }),
      onRemark: (_target, text) => remarks.push(text),
    },
  });
});

/** The rows of the next batch, as `device metric seconds-since-now value`, in their order. */
function rows(): string[] {
  const batch = builder.close(0);
  if (!batch) return [];
  const offsets = rowOffsets(batch.copy);
  expect(offsets).toHaveLength(batch.rows + 1);
  return offsets.slice(0, -1).map((offset) => {
    const { series, timestampUs, value } = decodeRow(batch.copy, offset);
    return `${series.deviceId} ${series.metricId} ${timestampUs} ${value}`;
  });
}

const stream = () => driver.streams[0] as FakeStream;
const promotion = (deviceId: string, pattern: string, expiresAtUs?: number) =>
  new PromotionSet([{ deviceId, pattern, expiresAtUs }]);

describe('values', () => {
  it('come into the batch grouped by device, each with its microseconds, over one stream an endpoint', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'port-2', { host: 'meter' }),
      fakeEntry(driver, 'watt', 'port-1', { host: 'meter' }),
    ]);
    expect(driver.streams).toHaveLength(1);
    const t = clock.nowUs();
    for (let frame = 0; frame < 40; frame++) stream().say(t + frame, frame / 2);
    expect(builder.rows).toBe(80);
    expect(builder.streamed).toBe(80);
    expect(rows()).toEqual(
      ['port-1', 'port-2'].flatMap((port) =>
        Array.from({ length: 40 }, (_, frame) => `${port} watt ${t + frame} ${frame / 2}`),
      ),
    );
    expect(rows()).toEqual([]);
    expect(builder.streamed).toBe(80);
  });

  it('are refused one by one when they cannot be stored, with the reason', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'port-1', { host: 'meter' })]);
    const t = clock.nowUs();
    stream().say(t, 1);
    stream().say(t / 1000, 2);
    stream().say(Number.NaN, 3);
    stream().say(t + 5, Number.NaN);
    expect(rows()).toEqual([`port-1 watt ${t} 1`, `port-1 watt ${t + 5} NaN`]);
    expect(refused).toHaveLength(2);
  });

  it('tell the days that storage must exist for', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'port-1', { host: 'meter' })]);
    const day = Math.floor(clock.nowUs() / 86_400e6);
    stream().say((day - 1) * 86_400e6, 1);
    stream().say(day * 86_400e6 - 1, 1);
    stream().say(day * 86_400e6, 1);
    expect(builder.close(0)?.days).toEqual([day - 1, day]);
  });

  it('of a series that is not given any more are still written', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'port-1', { host: 'meter' })]);
    const t = clock.nowUs();
    stream().say(t, 1);
    await fleet.configure([fakeEntry(driver, 'watt', 'port-2', { host: 'meter' })]);
    stream().say(t + 1, 2);
    expect(rows()).toEqual([`port-1 watt ${t} 1`, `port-2 watt ${t + 1} 2`]);
  });
});

describe('promotions', () => {
  it('apply from the very next reading on, by device and by alias, and end by the clock', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'port-1', {
        host: 'meter',
        optional: true,
        labels: { _device_alias: 'node-1' },
      }),
      fakeEntry(driver, 'watt', 'port-2', { host: 'meter', optional: true }),
    ]);
    const t = clock.nowUs();
    stream().say(t, 1);
    fleet.promote(promotion('node-1', 'wat', t + 1_000_000));
    stream().say(t + 1, 2);
    fleet.promote(promotion('port-2', 'watt'));
    stream().say(t + 2, 3);
    fleet.promote(promotion('port-1', '.*', t + 1_000_000));
    stream().say(t + 3, 4);
    await clock.advance(1_000);
    fleet.promote();
    stream().say(t + 4, 5);
    expect(rows()).toEqual([`port-1 watt ${t + 1} 2`, `port-1 watt ${t + 3} 4`, `port-2 watt ${t + 2} 3`]);
  });

  it('are known to a series that is given only after they were made', async () => {
    fleet.promote(promotion('port-1', 'watt'));
    await fleet.configure([fakeEntry(driver, 'watt', 'port-1', { host: 'meter', optional: true })]);
    stream().say(clock.nowUs(), 1);
    expect(rows()).toHaveLength(1);
  });
});

describe('configuration', () => {
  const names = () => catalogue.all().map((row) => `${row.deviceId} ${row.metricId} ${row.alias}`);

  it('changes by difference: the stream stays, and so do the channels of what did not change', async () => {
    const a = fakeEntry(driver, 'a', 'port-1', { host: 'meter' });
    await fleet.configure([a, fakeEntry(driver, 'b', 'port-1', { host: 'meter' })]);
    const before = [...stream().channels.values()];
    expect(names()).toEqual(['port-1 a ', 'port-1 b ']);
    const again = fakeEntry(driver, 'a', 'port-1', { host: 'meter' });
    const changed = fakeEntry(driver, 'b', 'port-1', { host: 'meter', updateEveryMs: 5_000 });
    expect(await fleet.configure([again, changed])).toMatchObject({ started: 0, stopped: 0, changed: 1 });
    const after = [...stream().channels.values()];
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(catalogue.all().map(({ periodMs }) => periodMs)).toEqual([1_000, 5_000]);
    await fleet.configure([]);
    expect(stream().closed).toBe(true);
    expect(driver.streams).toHaveLength(1);
  });

  it('keeps names of devices and of aliases from being taken by users', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'port-1', { host: 'meter', labels: { _device_alias: 'node-1' } }),
    ]);
    const [target] = fleet.targets.values();
    const gives = (device: string) =>
      target !== undefined && 'gives' in target && target.gives(device, 'watt');
    expect(['port-1', 'node-1', 'node-2'].filter(gives)).toEqual(['port-1', 'node-1']);
  });
});

describe('state', () => {
  it('is up with the first reading, down when the stream says so, and counts like a polled device', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'meter-1', { host: 'meter' })]);
    expect(deviceStatuses(fleet)).toEqual([]);
    const { sink } = stream();
    sink.down({ kind: 'refused', message: 'no' });
    sink.readings(3);
    sink.problems([{ kind: 'protocol', message: 'a bad frame', count: 2 }]);
    sink.missed(4);
    expect(deviceStatuses(fleet)).toMatchObject([
      {
        device: 'meter-1',
        protocol: 'fakestream',
        up: true,
        polls: 3,
        missed: 4,
        errors: { refused: 1, protocol: 2 },
        lastError: 'a bad frame',
        lastPollUs: clock.nowUs(),
      },
    ]);
    expect(states.map(({ up }) => up)).toEqual([false, true, true]);
    sink.down({ kind: 'timeout', message: 'silent' });
    expect(deviceStatuses(fleet)[0]?.up).toBe(false);
  });

  it('holds back the instant up to which everything is stored, but not for a stream that is silent', async () => {
    await fleet.configure([fakeEntry(driver, 'watt', 'meter-1', { host: 'meter' })]);
    expect(fleet.oldestPollUs()).toBe(Number.POSITIVE_INFINITY);
    const t = clock.nowUs();
    stream().say(t, 1);
    await clock.advance(500);
    expect(fleet.oldestPollUs()).toBe(t);
    stream().heldUs = t - 900_000;
    expect(fleet.oldestPollUs()).toBe(t - 900_000);
    stream().heldUs = undefined;
    await clock.advance(1_000);
    expect(fleet.oldestPollUs()).toBe(Number.POSITIVE_INFINITY);
  });

  it.each(['removed from the configuration', 'stopped with the collector'])(
    'holds it back for what a stream holds until the stream is closed: one that is %s',
    async (why) => {
      await fleet.configure([fakeEntry(driver, 'watt', 'meter-1', { host: 'meter' })]);
      const heldUs = clock.nowUs() - 900_000;
      stream().heldUs = heldUs;
      let closed = () => {};
      stream().closing = new Promise((resolve) => {
        closed = resolve;
      });
      const closing = why.startsWith('removed') ? fleet.configure([]) : fleet.close();
      expect(stream().closed).toBe(true);
      expect(fleet.oldestPollUs()).toBe(heldUs);
      closed();
      await closing;
      expect(fleet.oldestPollUs()).toBe(Number.POSITIVE_INFINITY);
    },
  );

  it('says so when nothing came while it was read once, unless a problem was told', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'port-1', { host: 'silent' }),
      fakeEntry(driver, 'watt', 'port-2', { host: 'silent' }),
      fakeEntry(driver, 'watt', 'port-3', { host: 'refused' }),
    ]);
    driver.streams[1]?.sink.down({ kind: 'auth', message: 'wrong password' });
    await Promise.all([...fleet.targets.values()].map((target) => target.readOnce(20)));
    expect(remarks).toEqual(['nothing came from fake://silent and 1 more of silent in 0.02 s']);
  });

  it('tells when every stream has ended for good', async () => {
    await fleet.configure([
      fakeEntry(driver, 'watt', 'a', { host: 'a' }),
      fakeEntry(driver, 'watt', 'b', { host: 'b' }),
    ]);
    let ended = false;
    const waiting = fleet.streamsEnded().then(() => {
      ended = true;
    });
    driver.streams[0]?.sink.ended();
    await clock.advance(1);
    expect(ended).toBe(false);
    driver.streams[1]?.sink.ended();
    await waiting;
  });
});
