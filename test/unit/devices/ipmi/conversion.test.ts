import { describe, expect, it } from 'vitest';
import {
  type AnalogFormat,
  convertReading,
  decodeFactors,
  type Factors,
  signedRaw,
} from '../../../../src/lib/devices/ipmi/conversion.ts';
import { random } from '../../../support/random.ts';

const IDENTITY: Factors = { m: 1, b: 0, rExponent: 0, bExponent: 0, tolerance: 0 };
const ANALOG = ['unsigned', 'ones', 'twos'] as const;

describe('the number of a raw byte', () => {
  it('is its own value, or a complement', () => {
    expect([0, 0x7f, 0x80, 0xff].map((raw) => signedRaw(raw, 'unsigned'))).toEqual([0, 127, 128, 255]);
    expect([0, 0x7f, 0x80, 0xfe, 0xff].map((raw) => signedRaw(raw, 'twos'))).toEqual([0, 127, -128, -2, -1]);
    expect([0, 0x7f, 0x80, 0xfe, 0xff].map((raw) => signedRaw(raw, 'ones'))).toEqual([0, 127, -127, -1, 0]);
  });
});

describe('a reading', () => {
  it('is (M raw + B 10^Bexp) 10^Rexp', () => {
    expect(convertReading(200, 'unsigned', 0, { ...IDENTITY, m: 6, rExponent: -2 })).toBe(12);
    expect(convertReading(60, 'unsigned', 0, { ...IDENTITY, m: 4 })).toBe(240);
    expect(convertReading(10, 'unsigned', 0, { ...IDENTITY, m: -3, b: 5, bExponent: 2, rExponent: -1 })).toBe(
      47,
    );
    expect(convertReading(0xf0, 'twos', 0, { ...IDENTITY, m: 2, b: -7, rExponent: 3 })).toBe(-39_000);
    expect(
      convertReading(1, 'unsigned', 0, { ...IDENTITY, rExponent: -8, bExponent: 7, b: 511 }),
    ).toBeCloseTo(51.1, 5);
  });

  it('is the double that ipmitool and ipmi-sensors compute, not a decimal rounded by kw', () => {
    expect(convertReading(115, 'unsigned', 0, { ...IDENTITY, rExponent: -2 })).toBe(115 * 0.01);
    expect(convertReading(7, 'unsigned', 0, { ...IDENTITY, m: 115, rExponent: -3 })).toBe(805 * 0.001);
  });

  it('goes through the formula of the sensor', () => {
    const value = (linearization: number, raw: number) =>
      convertReading(raw, 'unsigned', linearization, IDENTITY);
    expect(value(0x01, 20)).toBeCloseTo(2.995732, 6);
    expect(value(0x02, 100)).toBe(2);
    expect(value(0x03, 8)).toBe(3);
    expect(value(0x04, 2)).toBeCloseTo(7.389056, 6);
    expect(value(0x05, 3)).toBe(1000);
    expect(value(0x06, 10)).toBe(1024);
    expect(value(0x07, 4)).toBe(0.25);
    expect(value(0x08, 12)).toBe(144);
    expect(value(0x09, 12)).toBe(1728);
    expect(value(0x0a, 144)).toBe(12);
    expect(value(0x0b, 125)).toBe(5);
  });

  it('of 1/x at 0 is 0, as ipmi-sensors prints it', () => {
    expect(convertReading(0, 'unsigned', 0x07, IDENTITY)).toBe(0);
  });

  it('is linear with the factors of the reading where the sensor is non-linear', () => {
    expect(convertReading(10, 'unsigned', 0x70, { ...IDENTITY, m: 3 })).toBe(30);
    expect(convertReading(10, 'unsigned', 0x7f, { ...IDENTITY, m: 3 })).toBe(30);
  });

  it('is none where there is no number', () => {
    expect(convertReading(10, 'none', 0, IDENTITY)).toBeUndefined();
    expect(convertReading(0, 'unsigned', 0x01, IDENTITY)).toBeUndefined();
    expect(convertReading(0xff, 'twos', 0x01, IDENTITY)).toBeUndefined();
    expect(convertReading(0xff, 'twos', 0x0a, IDENTITY)).toBeUndefined();
    expect(convertReading(10, 'unsigned', 0x0c, IDENTITY)).toBeUndefined();
    expect(convertReading(10, 'unsigned', 0x6f, IDENTITY)).toBeUndefined();
    expect(convertReading(255, 'unsigned', 0x05, { ...IDENTITY, m: 511, rExponent: 7 })).toBeUndefined();
  });

  it('can be turned back into its raw byte, whatever the factors', () => {
    const dice = random(3);
    for (let round = 0; round < 20_000; round++) {
      const m = (dice() % 1023) - 511 || 1;
      const factors = {
        m,
        b: (dice() % 1024) - 512,
        rExponent: (dice() % 16) - 8,
        bExponent: (dice() % 9) - 8,
        tolerance: 0,
      };
      const format = ANALOG[dice() % 3] as Exclude<AnalogFormat, 'none'>;
      const raw = dice() & 0xff;
      const value = convertReading(raw, format, 0, factors) as number;
      const back = (value / 10 ** factors.rExponent - factors.b * 10 ** factors.bExponent) / m;
      expect(Math.round(back) || 0).toBe(signedRaw(raw, format));
    }
  });

  it('grows with the raw number through every growing formula, as long as M is positive', () => {
    const growing = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x70];
    for (const linearization of growing) {
      const factors = { ...IDENTITY, m: 3, b: 1, rExponent: -1 };
      const values = Array.from({ length: 256 }, (_, raw) =>
        convertReading(raw, 'unsigned', linearization, factors),
      );
      for (let raw = 1; raw < 256; raw++)
        expect(values[raw], `formula ${linearization} of ${raw}`).toBeGreaterThan(values[raw - 1] as number);
    }
  });
});

describe('factors', () => {
  it('are signed: ten bits of M and B, four of the exponents', () => {
    const factors = decodeFactors(Uint8Array.of(0xff, 0xc5, 0x00, 0x80, 0x00, 0x8f), 0);
    expect(factors).toEqual({ m: -1, tolerance: 5, b: -512, rExponent: -8, bExponent: -1 });
    expect(decodeFactors(Uint8Array.of(0, 0xff, 0x7f, 0xff, 0x00, 0xff, 0x70), 1)).toEqual({
      m: 511,
      tolerance: 0x3f,
      b: 511 - 256,
      rExponent: 7,
      bExponent: 0,
    });
  });
});
