import { describe, expect, it } from 'vitest';
import { hash32, phaseMs } from '../../../src/lib/collector/phase.ts';
import { Schedule } from '../../../src/lib/collector/schedule.ts';
import { FakeClock } from '../../support/fakeClock.ts';

/** Milliseconds since the epoch at which ticks happen, by the clock that nobody steps. */
function recorder(clock: FakeClock) {
  const startMs = clock.monotonicMs();
  const wallAtStartMs = clock.wallMs();
  const atMs: number[] = [];
  const missed: number[] = [];
  return {
    atMs,
    missed,
    tick: (count: number) => {
      atMs.push(wallAtStartMs + clock.monotonicMs() - startMs);
      missed.push(count);
    },
  };
}

describe('Schedule', () => {
  it('gives exactly 3,600 ticks of a 1 s period in an hour, each within a few ms of its instant', async () => {
    const clock = new FakeClock();
    // A process that is late by up to 7 ms at each timer must not drift.
    let turn = 0;
    clock.latenessMs = () => (turn++ * 13) % 8;
    const schedule = new Schedule(clock);
    const { atMs, missed, tick } = recorder(clock);
    schedule.add(1000, 340, tick);
    await clock.advance(3_600_000);
    expect(atMs).toHaveLength(3600);
    expect(missed.every((count) => count === 0)).toBe(true);
    for (const at of atMs) {
      const late = (((at - 340) % 1000) + 1000) % 1000;
      expect(Math.min(late, 1000 - late)).toBeLessThan(10);
    }
  });

  it('keeps the instants of a device across restarts', async () => {
    for (const startMs of [1_000_000_123, 2_000_000_777]) {
      const clock = new FakeClock(startMs);
      const { atMs, tick } = recorder(clock);
      new Schedule(clock).add(5000, 1260, tick);
      await clock.advance(20_000);
      expect(atMs).toHaveLength(4);
      for (const at of atMs) expect(Math.abs((at % 5000) - 1260)).toBeLessThan(3);
    }
  });

  it('neither bursts nor stalls when the wall clock is set', async () => {
    const clock = new FakeClock();
    const { atMs, tick } = recorder(clock);
    new Schedule(clock).add(1000, 500, tick);
    await clock.advance(10_000);
    clock.stepWall(-3_600_000);
    await clock.advance(10_000);
    clock.stepWall(7_200_000);
    await clock.advance(10_000);
    expect(atMs).toHaveLength(30);
    const spacings = atMs.slice(1).map((at, index) => at - (atMs[index] as number));
    expect(Math.max(...spacings)).toBeLessThan(1002);
    expect(Math.min(...spacings)).toBeGreaterThan(998);
  });

  it('counts the instants that passed while the process was held, and ticks once for them', async () => {
    const clock = new FakeClock();
    const { atMs, missed, tick } = recorder(clock);
    new Schedule(clock).add(1000, 500, tick);
    await clock.advance(3_000);
    expect(atMs).toHaveLength(3);
    clock.hold(10_200);
    await clock.advance(2_000);
    expect(missed).toEqual([0, 0, 0, 9, 0, 0]);
    expect(Math.abs(((atMs[4] as number) % 1000) - 500)).toBeLessThan(3);
  });

  it('wakes once for all that are due at the same instant', async () => {
    const clock = new FakeClock();
    let timers = 0;
    const schedule = new Schedule({
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      setTimer: (delayMs, callback) => {
        timers++;
        return clock.setTimer(delayMs, callback);
      },
    });
    let ticks = 0;
    for (let device = 0; device < 100; device++) schedule.add(1000, (device % 5) * 20, () => ticks++);
    timers = 0;
    await clock.advance(10_000);
    expect(ticks).toBe(1000);
    expect(timers).toBeLessThanOrEqual(51);
  });

  it('lets ticks add and cancel', async () => {
    const clock = new FakeClock();
    const schedule = new Schedule(clock);
    const seen: string[] = [];
    const first = schedule.add(1000, 0, () => {
      seen.push('first');
      second.cancel();
      schedule.add(1000, 200, () => seen.push('third'));
      first.cancel();
    });
    const second = schedule.add(1000, 0, () => seen.push('second'));
    await clock.advance(2_500);
    expect(seen).toEqual(['first', 'third', 'third']);
  });

  it('leaves all instants from one on to another process, whenever that asks and however late the timers are', async () => {
    for (const phase of [0, 1, 500, 999]) {
      const clock = new FakeClock();
      let turn = 0;
      clock.latenessMs = () => (turn++ * 13) % 8;
      const old = new Schedule(clock);
      const before: number[] = [];
      const after: number[] = [];
      const note = (to: number[]) => (missed: number) => {
        expect(missed).toBe(0);
        to.push(Math.round((clock.monotonicMs() + old.anchorMs - phase) / 1000));
      };
      old.add(1000, phase, note(before));
      await clock.advance(2_300);
      // The other one was started after the wall clock had been set: it goes on with the same instants all the same.
      clock.stepWall(3_600_250);
      const fromMs = Math.ceil((clock.monotonicMs() + old.anchorMs + 1_500) / 1000) * 1000;
      let isOver = false;
      void old.endAt(fromMs).then(() => {
        isOver = true;
      });
      new Schedule(clock, { anchorMs: old.anchorMs, fromMs }).add(1000, phase, note(after));
      await clock.advance(fromMs - clock.monotonicMs() - old.anchorMs - 20);
      expect({ isOver, after }).toEqual({ isOver: false, after: [] });
      await clock.advance(2_500);
      expect(isOver).toBe(true);
      const all = [...before, ...after];
      expect(all).toEqual(Array.from(all, (_, index) => (all[0] as number) + index));
      expect(before.length).toBeGreaterThan(2);
      expect(after.length).toBeGreaterThan(1);
    }
  });

  it('does what was due before its end although the process was held, counts it no further, and takes the end back', async () => {
    const clock = new FakeClock();
    const { missed, tick } = recorder(clock);
    const schedule = new Schedule(clock);
    schedule.add(1000, 500, tick);
    const nowMs = () => clock.monotonicMs() + schedule.anchorMs;
    void schedule.endAt(nowMs() + 1_000);
    void schedule.endAt(Number.POSITIVE_INFINITY);
    await clock.advance(3_000);
    expect(missed).toEqual([0, 0, 0]);
    const over = schedule.endAt(nowMs() + 2_000);
    clock.hold(10_000);
    await clock.advance(10);
    await over;
    await clock.advance(5_000);
    expect(missed).toEqual([0, 0, 0, 1]);
  });

  it('keeps a period that is no multiple of the grid', async () => {
    const clock = new FakeClock();
    const { atMs, tick } = recorder(clock);
    new Schedule(clock).add(1010, phaseMs('pdu-1', 1010, 20), tick);
    await clock.advance(101_000);
    expect(atMs).toHaveLength(100);
  });
});

describe('phaseMs', () => {
  it('is stable', () => {
    expect(hash32('snmp pdu-1:161')).toBe(3_304_074_709);
    expect(phaseMs('snmp pdu-1:161', 1000, 20)).toBe(180);
  });

  it('is a multiple of the grid within the period', () => {
    for (let device = 0; device < 500; device++) {
      const phase = phaseMs(`pdu-${device}`, 1000, 20);
      expect(phase % 20).toBe(0);
      expect(phase).toBeGreaterThanOrEqual(0);
      expect(phase).toBeLessThan(1000);
    }
  });

  it('spreads 200 neighbours over the 50 instants of a second', () => {
    const load = new Map<number, number>();
    for (let device = 1; device <= 200; device++) {
      const phase = phaseMs(`snmp 127.0.2.${device}:16102`, 1000, 20);
      load.set(phase, (load.get(phase) ?? 0) + 1);
    }
    expect(load.size).toBeGreaterThan(43);
    expect(Math.max(...load.values())).toBeLessThan(13);
  });

  it('gives periods below the grid instants of their own', () => {
    expect(phaseMs('wattmetre1', 20, 20)).toBe(0);
    expect(phaseMs('wattmetre1', 1, 20)).toBe(0);
  });
});
