/** Numbers and times of the page. */
import { describe, expect, it } from 'vitest';
import { durationText, groupDigits, isoText, numberText, parseTime, timeText } from '../../../web/format.ts';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [1.23456789, '1.2346'],
    [-0.05, '-0.05'],
    [1234567, '1\u202f234\u202f567'],
    [0.00001234, '1.234e-5'],
    [3e15, '3.000e+15'],
    [Number.NaN, '–'],
    [undefined, '–'],
  ])('%d is %s', (value, text) => expect(numberText(value)).toBe(text));

  it('are grouped', () => expect([groupDigits(12), groupDigits(123456)]).toEqual(['12', '123\u202f456']));
});

describe('times', () => {
  it('keep microseconds on their way to the server', () => {
    expect(isoText(1_795_012_000.123456)).toBe('2026-11-18T14:26:40.123456+00:00');
    expect(isoText(0)).toBe('1970-01-01T00:00:00.000000+00:00');
  });

  it('have milliseconds where the step is short', () => {
    expect(timeText(1_795_012_000.02, 'utc', 0.02)).toBe('2026-11-18 14:26:40.020');
    expect(timeText(1_795_012_000.02, 'utc', 1)).toBe('2026-11-18 14:26:40');
  });

  it.each([
    ['2026-11-18 14:26:40', 1_795_012_000],
    ['2026-11-18T14:26:40.5Z', 1_795_012_000.5],
    ['2026-11-18 15:26+01:00', 1_795_011_960],
    ['2026-11-18 15:26+0100', 1_795_011_960],
    ['2026-11-18', 1_794_960_000],
    ['now', 1000],
    ['-2h', 1000 - 7200],
    ['-90 s', 910],
    ['yesterday', undefined],
    ['2026-13-01', undefined],
    ['<b>', undefined],
  ])('%s is read', (text, expected) => expect(parseTime(text, 'utc', 1000)).toBe(expected));

  it.each([
    [0.02, '20 ms'],
    [2.5, '2.5 s'],
    [60, '1 min'],
    [7380, '2 h 3 min'],
    [200_000, '2 d 7 h'],
  ])('%d s last %s', (seconds, text) => expect(durationText(seconds)).toBe(text));
});
