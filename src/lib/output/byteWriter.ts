/**
 * Text straight into bytes: timestamps, numbers and prepared pieces, without a string for each row
 * (measured: a million CSV rows take 0.5 s this way, and 1.1 s by joining strings).
 */
import { formatUtc } from '../time.ts';

const CHUNK_BYTES = 64 * 1024;
/** Longest text of a double is 24 bytes, of a timestamp 32. */
const NUMBER_BYTES = 32;
const TIMESTAMP_BYTES = 32;
const ZERO = 48;
const MINUS = 45;
const POINT = 46;
const US_PER_SECOND = 1e6;
/** Where the microseconds begin in `2026-11-22T10:00:00.123456+00:00`. */
const FRACTION_AT = 20;
const UTC_OFFSET = Buffer.from('+00:00');

export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(2 * CHUNK_BYTES);
  #length = 0;
  /** The second whose text lies in #secondText: rows of one second come together. */
  #second = Number.NaN;
  readonly #secondText = Buffer.alloc(TIMESTAMP_BYTES);

  get pendingBytes(): number {
    return this.#length;
  }

  /** Everything written since the last call. */
  take(): Buffer | undefined {
    if (this.#length === 0) return undefined;
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.allocUnsafeSlow(2 * CHUNK_BYTES);
    this.#length = 0;
    return taken;
  }

  bytes(piece: Buffer): void {
    const size = piece.length;
    this.#reserve(size);
    const buffer = this.#buffer;
    let at = this.#length;
    if (size > 64) {
      buffer.set(piece, at);
    } else {
      // A call into the engine's copy costs more than this loop for short pieces.
      for (let i = 0; i < size; i++) buffer[at++] = piece[i] as number;
    }
    this.#length += size;
  }

  text(text: string): void {
    this.#reserve(text.length * 3);
    this.#length += this.#buffer.write(text, this.#length);
  }

  byte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  /** As formatUtc. */
  timestamp(us: number): void {
    if (!Number.isFinite(us)) {
      this.text(formatUtc(us));
      return;
    }
    const second = Math.floor(us / US_PER_SECOND);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText.write(formatUtc(second * US_PER_SECOND), 'latin1');
    }
    this.#reserve(TIMESTAMP_BYTES);
    const buffer = this.#buffer;
    const start = this.#length;
    const secondText = this.#secondText;
    for (let i = 0; i < TIMESTAMP_BYTES; i++) buffer[start + i] = secondText[i] as number;
    let rest = us - second * US_PER_SECOND;
    for (let at = start + FRACTION_AT + 5; rest > 0; at--) {
      const tenth = Math.floor(rest / 10);
      buffer[at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    this.#length = start + TIMESTAMP_BYTES;
  }

  /**
   * As PostgreSQL writes it in JSON: with as many decimals as there are, `2026-11-22T10:00:00+00:00` without any.
   */
  shortTimestamp(us: number): void {
    const before = this.#length;
    this.timestamp(us);
    if (!Number.isFinite(us)) return;
    const buffer = this.#buffer;
    let end = this.#length - UTC_OFFSET.length;
    while (buffer[end - 1] === ZERO && end > before + FRACTION_AT) end--;
    if (end === before + FRACTION_AT) end--;
    for (let i = 0; i < UTC_OFFSET.length; i++) buffer[end + i] = UTC_OFFSET[i] as number;
    this.#length = end + UTC_OFFSET.length;
  }

  /** As numberText. */
  number(value: number): void {
    // Most measurements have at most three decimals. If n/1000 is this very double and n has at most 15 digits,
    // then n/1000 is its shortest text, because no two decimals of 15 digits share a double.
    const thousandths = Math.round(value * 1000);
    if (thousandths / 1000 === value && thousandths < 1e12 && thousandths > -1e12 && thousandths !== 0) {
      this.#thousandths(thousandths);
    } else {
      this.#reserve(NUMBER_BYTES);
      this.#length += this.#buffer.write(numberText(value), this.#length, 'latin1');
    }
  }

  #thousandths(thousandths: number): void {
    this.#reserve(NUMBER_BYTES);
    const buffer = this.#buffer;
    let at = this.#length;
    let rest = thousandths;
    if (rest < 0) {
      buffer[at++] = MINUS;
      rest = -rest;
    }
    let whole = Math.floor(rest / 1000);
    const fraction = rest - whole * 1000;
    let digits = 1;
    for (let power = 10; whole >= power; power *= 10) digits++;
    for (let i = at + digits - 1; i >= at; i--) {
      const tenth = Math.floor(whole / 10);
      buffer[i] = ZERO + whole - tenth * 10;
      whole = tenth;
    }
    at += digits;
    if (fraction > 0) {
      const hundreds = Math.floor(fraction / 100);
      const tens = Math.floor(fraction / 10) % 10;
      const ones = fraction % 10;
      buffer[at++] = POINT;
      buffer[at++] = ZERO + hundreds;
      if (tens > 0 || ones > 0) buffer[at++] = ZERO + tens;
      if (ones > 0) buffer[at++] = ZERO + ones;
    }
    this.#length = at;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + size));
    this.#buffer.copy(bigger, 0, 0, this.#length);
    this.#buffer = bigger;
  }
}

/**
 * A double as PostgreSQL writes it: the shortest text that reads back as the same number, with an exponent below
 * 1e-4 and from 1e15 on. `NaN`, `Infinity` and `-Infinity` as words.
 */
export function numberText(value: number): string {
  const size = Math.abs(value);
  if ((size >= 1e-4 && size < 1e15) || !Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}
