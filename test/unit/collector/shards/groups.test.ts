/** What is read as a whole, and by which name collectors agree about it. */
import { describe, expect, it } from 'vitest';
import {
  decodeGroup,
  encodeGroup,
  offerOf,
  shardGroups,
} from '../../../../src/lib/collector/shards/groups.ts';
import type { MetricEntry } from '../../../../src/lib/config/model.ts';
import { FakeDriver, fakeEntry } from '../../../support/fakeDriver.ts';

const driver = new FakeDriver();
const entry = (device: string, host: string, options: Partial<MetricEntry> = {}, name = 'm') =>
  fakeEntry(driver, name, device, { host, ...options });
const devicesOf = (entries: MetricEntry[]) => shardGroups(entries).map(({ devices }) => devices);

describe('groups', () => {
  it('hold what hangs together by devices and endpoints, and nothing else', () => {
    expect(
      devicesOf([
        entry('c', 'h1'),
        entry('a', 'h1'),
        entry('b', 'h2'),
        entry('b', 'h3'),
        entry('d', 'h3'),
        entry('z', 'h9'),
      ]),
    ).toEqual([['a', 'c'], ['b', 'd'], ['z']]);
  });

  it('are named alike whatever the order of the entries, their periods and labels', () => {
    const one = [entry('a', 'h1'), entry('b', 'h1'), entry('c', 'h2')];
    const other = [
      entry('c', 'h2', { updateEveryMs: 77 }),
      entry('b', 'h1', { labels: { x: 'y' } }),
      entry('a', 'h1'),
    ];
    expect(shardGroups(other)).toEqual(shardGroups(one));
    expect(offerOf(shardGroups(other)).fingerprint).toBe(offerOf(shardGroups(one)).fingerprint);
  });

  it('are others when another metric is read of the device, or the same from elsewhere', () => {
    const key = (...entries: MetricEntry[]) => shardGroups(entries)[0]?.key;
    const plain = key(entry('a', 'h1'));
    expect(plain).toMatch(/^a [0-9a-f]{12}$/);
    expect(key(entry('a', 'h1', {}, 'other'))).not.toBe(plain);
    expect(key(entry('a', 'h2'))).not.toBe(plain);
  });

  it('leave out what hangs on this machine', () => {
    const local = Object.assign(new FakeDriver(), { isLocal: () => true });
    expect(devicesOf([fakeEntry(local, 'm', 'a'), entry('b', 'h')])).toEqual([['b']]);
  });

  it('are those of some devices when asked', () => {
    const entries = [entry('a', 'h1'), entry('b', 'h1'), entry('c', 'h2')];
    expect(shardGroups(entries, new Set(['b'])).map(({ devices }) => devices)).toEqual([['a', 'b']]);
  });

  it('come back from their text', () => {
    const [group] = shardGroups([entry('a', 'h1'), entry('b', 'h1')]);
    expect(group && decodeGroup(encodeGroup(group))).toEqual(group);
  });
});
