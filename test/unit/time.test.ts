/** Times as people write them; see src/lib/time.ts. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { KwError } from '../../src/lib/errors.ts';
import {
  formatAge,
  formatLocal,
  formatUtc,
  nowUs,
  parseDurationMs,
  parseTimeUs,
} from '../../src/lib/time.ts';

/** 2026-11-22T10:00:00Z */
const NOW = 1_795_341_600_000_000;
const paris = { nowUs: NOW, timeZone: 'Europe/Paris' };

function utc(text: string, context = paris): string {
  return formatUtc(parseTimeUs(text, context));
}

function problem(text: string, context = paris): { message: string; hint: string | undefined; code: string } {
  try {
    parseTimeUs(text, context);
  } catch (error) {
    const { message, hint, code } = error as KwError;
    return { message, hint, code };
  }
  throw new Error(`${text} was accepted`);
}

describe('parseTimeUs', () => {
  it.each([
    ['2026-11-22T10:00:00.123456+00:00', '2026-11-22T10:00:00.123456+00:00'],
    ['2026-11-22T10:00:00.123456Z', '2026-11-22T10:00:00.123456+00:00'],
    ['2026-11-22t10:00:00z', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-11-22 11:00:00.5+01:00', '2026-11-22T10:00:00.500000+00:00'],
    ['2026-11-22 11:00:00 +0100', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-11-22 04:30:00-05:30', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-11-22T11:00:00+01', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-11-22T11:00:00', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-11-22 11:00', '2026-11-22T10:00:00.000000+00:00'],
    ['2026-07-01 12:00', '2026-07-01T10:00:00.000000+00:00'],
    ['2026-11-22', '2026-11-21T23:00:00.000000+00:00'],
    ['2026-11-21T24:00:00Z', '2026-11-22T00:00:00.000000+00:00'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000+00:00'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000000+00:00'],
    ['2026-11-22T10:00:00.1234564Z', '2026-11-22T10:00:00.123456+00:00'],
    ['2026-11-22T10:00:00.1234565Z', '2026-11-22T10:00:00.123457+00:00'],
    ['2026-11-22T10:00:00.999999999Z', '2026-11-22T10:00:01.000000+00:00'],
    ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999+00:00'],
  ])('reads ISO %s', (text, expected) => expect(utc(text)).toBe(expected));

  it.each([
    ['1795341600', '2026-11-22T10:00:00.000000+00:00'],
    ['1795341600.123456', '2026-11-22T10:00:00.123456+00:00'],
    ['1795341600.1', '2026-11-22T10:00:00.100000+00:00'],
    ['1795341600.000001', '2026-11-22T10:00:00.000001+00:00'],
    ['1795341599.9999996', '2026-11-22T10:00:00.000000+00:00'],
    ['0', '1970-01-01T00:00:00.000000+00:00'],
    ['-1.5', '1969-12-31T23:59:58.500000+00:00'],
  ])('reads epoch seconds %s without losing a microsecond', (text, expected) =>
    expect(utc(text)).toBe(expected),
  );

  it.each([
    ['now', '2026-11-22T10:00:00.000000+00:00'],
    [' NOW ', '2026-11-22T10:00:00.000000+00:00'],
    ['-2h', '2026-11-22T08:00:00.000000+00:00'],
    ['now-1h30m', '2026-11-22T08:30:00.000000+00:00'],
    ['-500ms', '2026-11-22T09:59:59.500000+00:00'],
    ['+5m', '2026-11-22T10:05:00.000000+00:00'],
    ['-1.5d', '2026-11-20T22:00:00.000000+00:00'],
    ['today', '2026-11-21T23:00:00.000000+00:00'],
    ['yesterday', '2026-11-20T23:00:00.000000+00:00'],
    ['tomorrow', '2026-11-22T23:00:00.000000+00:00'],
  ])('reads %s from the clock', (text, expected) => expect(utc(text)).toBe(expected));

  it('takes the local day for today, not that of UTC', () => {
    // 23:30 UTC on the 21st is already the 22nd in Paris.
    const context = { nowUs: NOW - 10.5 * 3600e6, timeZone: 'Europe/Paris' };
    expect(utc('today', context)).toBe('2026-11-21T23:00:00.000000+00:00');
  });

  it('refuses a local time that clocks skip, with both readings', () => {
    expect(problem('2026-03-29 02:30:00')).toEqual({
      code: 'BAD_TIME',
      message: '"2026-03-29 02:30:00" does not exist in Europe/Paris: clocks go forward over it',
      hint: 'give the offset or UTC: 2026-03-29T00:30:00Z or 2026-03-29T01:30:00Z',
    });
    expect(utc('2026-03-29 01:59:59.999999')).toBe('2026-03-29T00:59:59.999999+00:00');
    expect(utc('2026-03-29 03:00:00')).toBe('2026-03-29T01:00:00.000000+00:00');
  });

  it('refuses a local time that exists twice, with both readings', () => {
    expect(problem('2026-10-25 02:30:00')).toEqual({
      code: 'BAD_TIME',
      message: '"2026-10-25 02:30:00" exists twice in Europe/Paris: clocks go back over it',
      hint: 'give the offset or UTC: 2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z',
    });
    expect(utc('2026-10-25 01:59:59')).toBe('2026-10-24T23:59:59.000000+00:00');
    expect(utc('2026-10-25 03:00:00')).toBe('2026-10-25T02:00:00.000000+00:00');
    expect(utc('2026-10-25 02:30:00+02:00')).toBe('2026-10-25T00:30:00.000000+00:00');
  });

  it('knows half-hour changes, skipped days and skipped midnights', () => {
    const lordHowe = { nowUs: NOW, timeZone: 'Australia/Lord_Howe' };
    expect(problem('2026-10-04 02:15', lordHowe).hint).toBe(
      'give the offset or UTC: 2026-10-03T15:15:00Z or 2026-10-03T15:45:00Z',
    );
    const apia = { nowUs: NOW, timeZone: 'Pacific/Apia' };
    expect(problem('2011-12-30 12:00', apia).message).toContain('does not exist');
    expect(utc('2011-12-31 00:00', apia)).toBe('2011-12-30T10:00:00.000000+00:00');
    // Clocks in Beirut went from 00:00 to 01:00: the day begins at that instant.
    const beirut = { nowUs: NOW, timeZone: 'Asia/Beirut' };
    expect(utc('2022-03-27', beirut)).toBe('2022-03-26T22:00:00.000000+00:00');
    expect(problem('2022-03-27 00:00', beirut).message).toContain('does not exist');
  });

  it('asks about milliseconds, microseconds and nanoseconds', () => {
    expect(problem('1795341600123')).toEqual({
      code: 'BAD_TIME',
      message: '"1795341600123" is too far in the future: milliseconds?',
      hint: 'kw reads seconds: 1795341600.123',
    });
    expect(problem('1795341600123456').message).toContain('microseconds?');
    expect(problem('1795341600123456789').message).toContain('nanoseconds?');
  });

  it.each([
    ['2026-02-29', 'is no day of the calendar'],
    ['2100-02-29T00:00:00Z', 'is no day of the calendar'],
    ['2026-13-01', 'is no day of the calendar'],
    ['2026-11-22T24:00:01Z', 'is no time of a day'],
    ['2026-11-22T24:00:00.1Z', 'is no time of a day'],
    ['2026-11-22T10:60Z', 'is no time of a day'],
    ['2026-11-22T10:00+16:00', 'has an offset that no place on Earth has'],
    ['9999-01-01T00:00:00Z', 'lies outside the years 1685 to 2254'],
    ['0001-01-01T00:00:00Z', 'lies outside the years 1685 to 2254'],
    ['', 'is not a time that kw can read'],
    ['-2x', 'is not a time that kw can read'],
    ['1e9', 'is not a time that kw can read'],
    ['22/11/2026', 'is not a time that kw can read'],
    ["'; drop table metrics; --", 'is not a time that kw can read'],
    ['2026-11-22T10:00:00\0Z', 'is not a time that kw can read'],
  ])('refuses %j', (text, why) => {
    expect(problem(text).message).toBe(`${JSON.stringify(text)} ${why}`);
    expect(problem(text).code).toBe('BAD_TIME');
  });

  it('cuts a long text in its message, and is quick with it', () => {
    const begun = performance.now();
    expect(problem('1h '.repeat(400_000)).message.length).toBeLessThan(150);
    expect(problem(`-${'1'.repeat(1_000_000)}x`).message.length).toBeLessThan(150);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it('names an unknown zone', () => {
    expect(problem('2026-11-22 10:00', { nowUs: NOW, timeZone: 'Europe/Pariss' })).toEqual({
      code: 'BAD_TIME_ZONE',
      message: 'there is no time zone "Europe/Pariss"',
      hint: 'write an IANA name such as Europe/Paris, or UTC',
    });
  });

  it('reads back what formatUtc and formatLocal wrote', () => {
    const us = fc.integer({ min: -8_000_000_000_000_000, max: 8_900_000_000_000_000 });
    fc.assert(
      fc.property(us, (value) => {
        expect(parseTimeUs(formatUtc(value), paris)).toBe(value);
        expect(parseTimeUs(formatLocal(value, 'UTC'), { nowUs: NOW, timeZone: 'UTC' })).toBe(value);
      }),
    );
  });
});

describe('parseDurationMs', () => {
  it.each([
    ['2h', 7_200_000],
    ['1m30s', 90_000],
    ['1 m 30 s', 90_000],
    ['500ms', 500],
    ['250us', 0.25],
    ['0s', 0],
    ['1.5d', 129_600_000],
    ['1w', 604_800_000],
    ['10min', 600_000],
  ])('reads %s', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each(['', 'h', '-2h', '2 parsecs', '1e3s', '2h;'])('refuses %j', (text) => {
    expect(() => parseDurationMs(text)).toThrow(`${JSON.stringify(text)} is not a duration`);
  });

  it('asks for the unit of a bare number', () => {
    expect(() => parseDurationMs('10')).toThrowError(
      expect.objectContaining({ code: 'BAD_DURATION', hint: 'add a unit: 10s or 10m' }),
    );
  });
});

describe('printing', () => {
  it('always has six decimals and UTC for machines', () => {
    expect(formatUtc(NOW)).toBe('2026-11-22T10:00:00.000000+00:00');
    expect(formatUtc(NOW + 7)).toBe('2026-11-22T10:00:00.000007+00:00');
    expect(formatUtc(-1)).toBe('1969-12-31T23:59:59.999999+00:00');
    expect(formatUtc(Number.NEGATIVE_INFINITY)).toBe('-infinity');
  });

  it('shows people their own zone, and cuts digits without rounding up', () => {
    expect(formatLocal(NOW + 999_999, 'Europe/Paris')).toBe('2026-11-22 11:00:00.999999');
    expect(formatLocal(NOW + 999_999, 'Europe/Paris', 3)).toBe('2026-11-22 11:00:00.999');
    expect(formatLocal(NOW + 999_999, 'Asia/Kolkata', 0)).toBe('2026-11-22 15:30:00');
  });

  it.each([
    [0.4e6, '0 s'],
    [90e6, '90 s'],
    [125e6, '2 min'],
    [3 * 3600e6, '3 h'],
    [50 * 3600e6, '2 d'],
  ])('says an age of %d us as %s', (us, text) => expect(formatAge(us)).toBe(text));
});

describe('nowUs', () => {
  afterEach(() => vi.restoreAllMocks());

  it('is the wall clock, with digits below a millisecond', () => {
    const before = Date.now() * 1000;
    const readings = Array.from({ length: 100 }, () => nowUs());
    const after = (Date.now() + 1) * 1000;
    expect(Math.min(...readings)).toBeGreaterThanOrEqual(before);
    expect(Math.max(...readings)).toBeLessThanOrEqual(after);
    expect(readings.some((us) => us % 1000 !== 0)).toBe(true);
  });

  it('follows a wall clock that is set', () => {
    const stepped = Date.now() - 3_600_000;
    vi.spyOn(Date, 'now').mockReturnValue(stepped);
    expect(Math.floor(nowUs() / 1000)).toBe(stepped);
    vi.restoreAllMocks();
    expect(Math.abs(nowUs() / 1000 - Date.now())).toBeLessThan(50);
  });
});
