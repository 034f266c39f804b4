/**
 * The numbers of a Prometheus page. Nearly all are short decimals, which are read digit by digit from the bytes
 * without making a string; the rest goes through a strict check and Number().
 */

const ZERO = 0x30;
const DOT = 0x2e;
const PLUS = 0x2b;
const MINUS = 0x2d;
const UPPER_E = 0x45;
const LOWER_E = 0x65;

/** Powers of ten that a double holds exactly. */
const POWERS = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
  1e20, 1e21, 1e22,
];

/** Reads a decimal at a place in a page: the result is in `value` and `end`. One object serves many numbers. */
export class NumberScanner {
  value = 0;
  /** Index behind the number, or -1 when it has no simple form (use parseValue on its text instead). */
  end = -1;

  /**
   * Exact: a mantissa below 2^53 and a power of ten up to 22 are both doubles without error, so one
   * multiplication or division rounds once, as IEEE 754 demands (Clinger 1990, the fast path of every strtod).
   */
  scan(page: Buffer, start: number): void {
    let at = start;
    let c = page[at];
    const negative = c === MINUS;
    if (negative || c === PLUS) c = page[++at];
    let mantissa = 0;
    let exponent = 0;
    const digitsFrom = at;
    while (c !== undefined && c >= ZERO && c <= ZERO + 9) {
      mantissa = mantissa * 10 + (c - ZERO);
      c = page[++at];
    }
    let digits = at - digitsFrom;
    if (c === DOT) {
      const fractionFrom = ++at;
      c = page[at];
      while (c !== undefined && c >= ZERO && c <= ZERO + 9) {
        mantissa = mantissa * 10 + (c - ZERO);
        c = page[++at];
      }
      exponent = fractionFrom - at;
      digits += at - fractionFrom;
    }
    this.end = -1;
    if (digits === 0 || mantissa >= 9_007_199_254_740_992) return;
    if (c === LOWER_E || c === UPPER_E) {
      c = page[++at];
      const negativeExponent = c === MINUS;
      if (negativeExponent || c === PLUS) c = page[++at];
      const exponentFrom = at;
      let shift = 0;
      while (c !== undefined && c >= ZERO && c <= ZERO + 9) {
        shift = shift * 10 + (c - ZERO);
        c = page[++at];
      }
      if (at === exponentFrom) return;
      exponent += negativeExponent ? -shift : shift;
    }
    const power = POWERS[exponent < 0 ? -exponent : exponent];
    if (power === undefined) return;
    const magnitude = exponent < 0 ? mantissa / power : mantissa * power;
    this.value = negative ? -magnitude : magnitude;
    this.end = at;
  }
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/**
 * The value of a sample, as the text format writes it: decimals, `NaN`, `+Inf`, `-Inf` (any case). Undefined if it
 * is none of them, or too large for a double.
 */
export function parseValue(text: string): number | undefined {
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const infinite = INFINITE.exec(text);
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity;
  return /^[+-]?nan$/i.test(text) ? Number.NaN : undefined;
}

/** Milliseconds since the epoch, as the text format writes timestamps, in microseconds; undefined if malformed. */
export function parseMillisecondsUs(text: string): number | undefined {
  if (!/^[+-]?\d{1,18}$/.test(text)) return undefined;
  return Number(text) * 1000;
}

const PLAIN_SECONDS = /^([+-]?)(\d{1,15})(?:\.(\d*))?$/;

/**
 * Seconds since the epoch with a fraction, as OpenMetrics and `_timestamp` write them, in microseconds, rounded
 * half up. Read as digits: 1700000000.123457 as a double times 1e6 would be off by up to a microsecond.
 */
export function parseSecondsUs(text: string): number | undefined {
  const plain = PLAIN_SECONDS.exec(text);
  if (!plain) {
    const value = parseValue(text);
    return value === undefined || !Number.isFinite(value) ? undefined : Math.round(value * 1e6);
  }
  const fraction = (plain[3] ?? '').padEnd(7, '0');
  const microseconds = Number(fraction.slice(0, 6)) + ((fraction.codePointAt(6) ?? ZERO) >= ZERO + 5 ? 1 : 0);
  const magnitude = Number(plain[2]) * 1e6 + microseconds;
  return plain[1] === '-' ? -magnitude : magnitude;
}
