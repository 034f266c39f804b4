import { describe, expect, it } from 'vitest';
import { diffEntries, entryKey } from '../../../src/lib/config/entryDiff.ts';
import type { MetricEntry } from '../../../src/lib/config/model.ts';
import { load } from './support.ts';

function entry(name: string, more = ''): string {
  return `- name: ${name}\n  device_id: d\n  url: snmp://public@h/1.3\n${more && `  ${more}\n`}`;
}

function names(entries: readonly MetricEntry[]): string[] {
  return entries.map(({ name }) => name);
}

describe('diffEntries', () => {
  it('finds nothing changed when entries only moved, and keeps the old objects', () => {
    const before = load(entry('a_watt', 'labels: {x: 1, y: 2}') + entry('b_watt')).entries;
    const after = load(`# moved\n${entry('b_watt')}${entry('a_watt', 'labels: {y: 2, x: 1}')}`).entries;
    const { removed, added, kept } = diffEntries(before, after);
    expect([removed, added]).toEqual([[], []]);
    expect(new Set(kept)).toEqual(new Set(before));
  });

  it.each([
    'update_every: 1000',
    'optional: true',
    'scale_factor: 2',
    'timeout: 10',
    'labels: {x: y}',
    'description: other',
  ])('removes and adds an entry that got %j', (line) => {
    const before = load(entry('a_watt') + entry('b_watt')).entries;
    const after = load(entry('a_watt', line) + entry('b_watt')).entries;
    const { removed, added, kept } = diffEntries(before, after);
    expect([names(removed), names(added), names(kept)]).toEqual([['a_watt'], ['a_watt'], ['b_watt']]);
    expect(kept[0]).toBe(before[1]);
  });

  it('sees another secret behind the same text', () => {
    const text = entry('a_watt').replace('public@', '').concat('  credential: c\n');
    const before = load(text, { credentials: { c: { user: 'one' } } }).entries;
    const after = load(text, { credentials: { c: { user: 'two' } } }).entries;
    expect(names(diffEntries(before, after).added)).toEqual(['a_watt']);
  });

  it('adds all to nothing, and removes all from nothing', () => {
    const all = load(entry('a_watt')).entries;
    expect(diffEntries([], all)).toEqual({ removed: [], added: all, kept: [] });
    expect(diffEntries(all, [])).toEqual({ removed: all, added: [], kept: [] });
  });
});

describe('entryKey', () => {
  it('is the same for the same series, whatever else changes, and holds no secret', () => {
    const [one] = load(entry('a_watt')).entries;
    const [two] = load(entry('a_watt', 'update_every: 1000').replace('public', 'other')).entries;
    if (!one || !two) throw new Error('both load');
    expect(entryKey(one)).toBe(entryKey(two));
    expect(entryKey(one)).not.toContain('public');
  });
});
