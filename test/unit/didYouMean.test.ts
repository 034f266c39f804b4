import { describe, expect, it } from 'vitest';
import { closest, editDistance } from '../../src/lib/didYouMean.ts';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['watt', 'watt', 0],
    ['watt', 'wat', 1],
    ['watt', 'wtat', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
  ])('of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });
});

describe('closest', () => {
  const keys = ['name', 'device_id', 'update_every', 'url', 'unit'];

  it('names the nearest candidate', () => {
    expect(closest('updat_evrey', keys)).toEqual(['update_every']);
    expect(closest('Device_Id', keys)).toEqual(['device_id']);
  });

  it('orders by distance, then by name', () => {
    expect(closest('uri', ['urx', 'url', 'uri2'], 3)).toEqual(['uri2', 'url', 'urx']);
  });

  it('names nothing that is far away', () => {
    expect(closest('frequency', keys)).toEqual([]);
  });

  it('takes no noticeable time for a name of a megabyte', () => {
    const started = performance.now();
    closest('x'.repeat(1_000_000), ['y'.repeat(1_000_000), ...keys]);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
