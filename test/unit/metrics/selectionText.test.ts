/** Lists, globs and labels as users write them; see src/lib/metrics/selectionText.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  metricMatcher,
  parseDevices,
  parseLabels,
  parseMetrics,
  splitList,
} from '../../../src/lib/metrics/selectionText.ts';

describe('lists', () => {
  it.each([
    ['a,b', ['a', 'b']],
    ['a,,b,', ['a', 'b']],
    ['a\\,b,c', ['a,b', 'c']],
    ['a\\b', ['a\\b']],
    ['a b', ['a b']],
    ['it\'s "quoted"', ['it\'s "quoted"']],
  ])('%j are %j', (text, items) => expect(splitList(text)).toEqual(items));
});

describe('metrics', () => {
  it('are names, or LIKE patterns where there is a wildcard', () => {
    expect(parseMetrics(['a,b', 'prom_*', '*_wat?', 'lit\\*eral', '100%_x*'])).toEqual({
      names: ['a', 'b', 'lit*eral'],
      patterns: ['prom\\_%', '%\\_wat_', '100\\%\\_x%'],
    });
    expect(parseMetrics([])).toBeUndefined();
  });

  it('make of many stars one', () => {
    expect(parseMetrics(['a**********b***'])?.patterns).toEqual(['a%b%']);
  });

  it.each([
    ['', 'the metric name is empty'],
    [',', 'the metric name is empty'],
    ['a\0b', 'the metric name contains a NUL character'],
    ['\ud800', 'the metric name is not valid Unicode'],
    ['x'.repeat(1_000_000), 'the metric name has 1000000 bytes, and at most 255 can be stored'],
  ])('refuse what cannot be stored', (text, message) => {
    expect(() => parseMetrics([text])).toThrowError(expect.objectContaining({ message, code: 'BAD_NAME' }));
  });

  it('match as SQL does', () => {
    const matches = metricMatcher(parseMetrics(['exact', 'prom_*_total', 'a?c', '*mid*le']));
    for (const name of ['exact', 'prom__total', 'prom_x_total', 'abc', 'a😀c', 'middle', 'xx mid yy le']) {
      expect(matches(name), name).toBe(true);
    }
    for (const name of ['exact2', 'prom_total', 'promX_x_total', 'ac', 'abbc', 'mid']) {
      expect(matches(name), name).toBe(false);
    }
  });

  it('match in linear time what would make a regular expression hang', () => {
    const begun = performance.now();
    expect(metricMatcher(parseMetrics([`${'*a'.repeat(100)}*b`]))('a'.repeat(255))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(200);
  });

  it('match themselves, whatever is in them, once stars are escaped', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }), (name) => {
        fc.pre(!name.includes('\0') && name.isWellFormed());
        const written = name.replace(/[,*?]/g, '\\$&');
        fc.pre(!/\\[,*?]/.test(name));
        fc.pre(Buffer.byteLength(written) <= 255);
        expect(metricMatcher(parseMetrics([written]))(name)).toBe(true);
      }),
    );
  });
});

describe('devices', () => {
  it('are taken literally', () => {
    expect(parseDevices(['node-1,node-2', "o'hara", 'a*'])).toEqual(['node-1', 'node-2', "o'hara", 'a*']);
    expect(parseDevices([])).toBeUndefined();
  });

  it('are refused with a sentence when nothing can have such a name', () => {
    expect(() => parseDevices(['n\0'])).toThrow('the device name contains a NUL character');
    expect(() => parseDevices(['é'.repeat(128)])).toThrow(
      'the device name has 256 bytes, and at most 255 can be stored',
    );
  });
});

describe('labels', () => {
  it('are cut at the first =', () => {
    expect({ ...parseLabels(['mode=idle', 'query=a=b', 'empty=']) }).toEqual({
      mode: 'idle',
      query: 'a=b',
      empty: '',
    });
    expect(Object.keys(parseLabels(['__proto__=x']) ?? {})).toEqual(['__proto__']);
  });

  it.each([
    [['mode'], 'the label "mode" has no name=value'],
    [['=x'], 'the label "=x" has no name=value'],
    [['a=\0'], 'the label "a=\\u0000" contains a NUL character'],
    [
      [`a=${'x'.repeat(2000)}`],
      `the label "a=${'x'.repeat(58)}" is longer than 1024 bytes, and no stored label is`,
    ],
    [['a=1', 'a=2'], 'the label "a" is asked for with two values'],
  ])('refuse %j', (texts, message) => {
    expect(() => parseLabels(texts)).toThrowError(
      expect.objectContaining({ message, code: 'BAD_LABEL', exit: 2 }),
    );
  });
});
