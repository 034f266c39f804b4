/**
 * From the raw byte of a sensor to its value: IPMI 2.0 section 36.3 and the factors of SDR type 01h (table 43-1).
 *
 * The steps and their order are those of `ipmi-sensors` and `ipmitool`, so that the double is the very same and
 * every digit that they print is ours: value = L[(M x raw + B x 10^Bexp) x 10^Rexp]. What they print is that double
 * rounded to two or three decimals; kw stores the double itself, for rounding loses what a sensor of 1 mV has to say.
 */

/** How the raw byte of an analog sensor is to be read; `none` gives no number (Sensor Units 1, bits 7:6). */
export type AnalogFormat = 'unsigned' | 'ones' | 'twos' | 'none';

export interface Factors {
  /** Signed, 10 bits. */
  readonly m: number;
  readonly b: number;
  /** Signed, 4 bits. */
  readonly rExponent: number;
  readonly bExponent: number;
  /** In half raw counts, plus or minus. */
  readonly tolerance: number;
}

/** The names of linearizations 00h to 0Bh, as people write the formulas. */
const FORMULAS = [
  'linear',
  'ln',
  'log10',
  'log2',
  'e^x',
  '10^x',
  '2^x',
  '1/x',
  'x^2',
  'x^3',
  'sqrt(x)',
  'cbrt(x)',
] as const;

/** 70h to 7Fh: the factors depend on the reading, and come from Get Sensor Reading Factors. */
export function isNonLinear(linearization: number): boolean {
  return linearization >= 0x70 && linearization <= 0x7f;
}

/** A formula that this file knows; 0Ch to 6Fh are reserved. */
export function isKnownLinearization(linearization: number): boolean {
  return linearization < FORMULAS.length || isNonLinear(linearization);
}

export function linearizationName(linearization: number): string {
  if (isNonLinear(linearization)) return `non-linear (${hex(linearization)}), factors by reading`;
  return FORMULAS[linearization] ?? `reserved (${hex(linearization)})`;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

/** 10^-8 to 10^7: powers computed by a library need not be the nearest double. */
const POWERS = [
  1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
] as const;

function power(exponent: number): number {
  return POWERS[exponent + 8] as number;
}

/**
 * The number that a raw byte stands for before any factor.
 * One's complement: FFh is (minus) zero and 80h is -127.
 */
export function signedRaw(raw: number, format: Exclude<AnalogFormat, 'none'>): number {
  if (format === 'unsigned' || raw < 0x80) return raw;
  return format === 'ones' ? raw - 0xff || 0 : raw - 0x100;
}

/**
 * The value of a reading, in the sensor's units.
 * @param linearization of the SDR; factors of 70h to 7Fh are those of the reading (the formula is then linear)
 * @returns undefined when there is no number: format `none`, a reserved formula, ln of a negative number
 */
export function convertReading(
  raw: number,
  format: AnalogFormat,
  linearization: number,
  factors: Factors,
): number | undefined {
  if (format === 'none' || !isKnownLinearization(linearization)) return undefined;
  const linear =
    (signedRaw(raw, format) * factors.m + factors.b * power(factors.bExponent)) * power(factors.rExponent);
  const value = linearized(linear, linearization);
  return Number.isFinite(value) ? value : undefined;
}

function linearized(x: number, linearization: number): number {
  switch (linearization) {
    case 0x01:
      return Math.log(x);
    case 0x02:
      return Math.log10(x);
    case 0x03:
      return Math.log2(x);
    case 0x04:
      return Math.exp(x);
    case 0x05:
      return 10 ** x;
    case 0x06:
      return 2 ** x;
    case 0x07:
      // As ipmi-sensors has it: a raw zero is printed as 0.00, not as infinity.
      return x === 0 ? 0 : 1 / x;
    case 0x08:
      return x * x;
    case 0x09:
      return x * x * x;
    case 0x0a:
      return Math.sqrt(x);
    case 0x0b:
      return Math.cbrt(x);
    default:
      return x;
  }
}

/**
 * Factors as the SDR (from its byte 25 on, table 43-1) and Get Sensor Reading Factors (section 35.5) both give them:
 * M, M with tolerance, B, B with accuracy, accuracy, exponents.
 * @param data at least 6 bytes from `offset`
 */
export function decodeFactors(data: Uint8Array, offset: number): Factors {
  const byte = (index: number) => data[offset + index] as number;
  const exponents = byte(5);
  return {
    m: signed(byte(0) | ((byte(1) & 0xc0) << 2), 10),
    tolerance: byte(1) & 0x3f,
    b: signed(byte(2) | ((byte(3) & 0xc0) << 2), 10),
    rExponent: signed(exponents >> 4, 4),
    bExponent: signed(exponents & 0x0f, 4),
  };
}

function signed(value: number, bits: number): number {
  return value >= 1 << (bits - 1) ? value - (1 << bits) : value;
}
