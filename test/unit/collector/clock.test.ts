import { describe, expect, it } from 'vitest';
import { WallClock } from '../../../src/lib/collector/clock.ts';
import { FakeClock } from '../../support/fakeClock.ts';

describe('WallClock', () => {
  it('converges on the true time although Date.now has milliseconds only', () => {
    const clock = new FakeClock(Date.UTC(2026, 10, 22, 10) + 0.9);
    const wall = new WallClock(clock);
    for (let reading = 0; reading < 5000; reading++) {
      wall.nowUs();
      clock.hold(100.037);
    }
    expect(Math.abs(wall.nowUs() - clock.nowUs())).toBeLessThan(60);
    expect(wall.steps).toBe(0);
  });

  it('follows steps in both directions, and counts those over half a second', () => {
    const clock = new FakeClock();
    const wall = new WallClock(clock);
    for (const [stepMs, steps] of [
      [400, 0],
      [600, 1],
      [-3_600_000, 2],
      [-100, 2],
    ] as const) {
      clock.stepWall(stepMs);
      clock.hold(100);
      expect(Math.abs(wall.nowUs() - clock.nowUs())).toBeLessThanOrEqual(1000);
      expect(wall.steps).toBe(steps);
    }
  });

  it('gives whole microseconds', () => {
    const clock = new FakeClock();
    const wall = new WallClock(clock);
    clock.hold(0.3331);
    expect(Number.isSafeInteger(wall.nowUs())).toBe(true);
  });
});
