/** The database's clock, from answers that take their time. */
import { describe, expect, it } from 'vitest';
import { ServerClock } from '../../../../src/lib/collector/shards/serverClock.ts';

describe('the clock of the database', () => {
  it('is known as well as the quickest answer says', () => {
    const clock = new ServerClock();
    expect(clock.offsetUs).toBeUndefined();
    clock.heard(1_000_000, 1_900_000, 2_000_000);
    clock.heard(3_000_000, 3_401_000, 3_002_000);
    clock.heard(4_000_000, 4_900_000, 5_000_000);
    expect([clock.offsetUs, clock.correctionUs]).toEqual([400_000, 0]);
  });

  it('counts for timestamps when it is far off, and moves in steps', () => {
    const clock = new ServerClock();
    clock.heard(0, 86_400_000_000, 0);
    expect(clock.correctionUs).toBe(86_400_000_000);
    clock.heard(1_000, 86_400_006_000, 1_000);
    expect(clock.correctionUs).toBe(86_400_000_000);
  });

  it('is believed at once when a clock was set', () => {
    const clock = new ServerClock(-86_400_000_000);
    expect(clock.correctionUs).toBe(-86_400_000_000);
    clock.heard(100_000, 101_000, 102_000);
    expect([clock.offsetUs, clock.correctionUs]).toEqual([0, 0]);
  });
});
