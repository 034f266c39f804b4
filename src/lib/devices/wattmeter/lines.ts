/**
 * The lines of wattmetre-read, decoded byte by byte from the chunks as they come, without a string a line.
 *
 *   v1  f0,f1,1606305600.020000000,OK,101.5,,99.25,...       field 2: epoch seconds; 3: OK, else the frame is bad;
 *                                                            4..: watts of port 0.., empty: no value
 *   v3  #timestamp,#frame_is_ok,#U1,#U2,#U3,#current1,#activepow1,...
 *       1671527189.314471465,true,232.3,0.0,0.0,0.1,20.9,...  activepow1 is port 0; bad frames are `ts,false,,,,`
 *
 * Which of the two it is follows from the first lines: a v3 header or a `true` or `false` in field 1 is v3, a time
 * in field 2 with a word behind it is v1. Other lines that begin with `#` are comments. The header of v3 says which
 * column is what; without one the order is the one above.
 *
 * What is no frame is counted by kind and left out as a whole, since a damaged line may have its values at the wrong
 * ports. So a line with another number of values than the one before is bad, unless the next one has that many
 * too: then the wattmeter has another number of ports now.
 *
 * Sources: Kwollect's kwollector-wattmetre (v1), the wattmetre-read of AIPowerMeter's documentation (v3).
 */
import { quote } from '../shared/tally.ts';

/** Which columns of a frame are what: indexes into its values, by port or by phase. */
export interface Layout {
  readonly version: 1 | 3;
  readonly columns: number;
  /** Watts, by port from 0; -1 where a header leaves a port out. */
  readonly power: readonly number[];
  /** Amperes, by port from 0. */
  readonly current: readonly number[];
  /** Volts, by phase: U1, U2, U3. */
  readonly voltage: readonly number[];
}

/** What a line can be besides a good frame; counted apart. */
export type LineFault =
  | 'bad frame' // the wattmeter itself says so
  | 'no frame' // not of either format, or a value that is no number
  | 'other columns' // another number of values than the line before
  | 'too long'
  | 'partial'; // no newline before the end of the input

export interface FrameEvents {
  /** The columns of the frames that follow. */
  onLayout(layout: Layout): void;
  /** `values` holds `layout.columns` numbers, NaN where there is none; the same array for every frame. */
  onFrame(timestampUs: number, values: Float64Array): void;
  /** A line that gives no frame. `text` may be asked for it, escaped and cut. */
  onFault(fault: LineFault, text: () => string): void;
}

/** 42 ports of v3 are some 500 bytes; a line of more than this is no line. */
export const MAX_LINE_BYTES = 16_384;
export const MAX_COLUMNS = 2_048;
/** A stamp before 2001-09-09 is a clock that was never set, or half a number. */
const FIRST_SECOND = 1_000_000_000;
/** The year 2255, up to which a double holds microseconds. */
const LAST_SECOND = 9_000_000_000;
/** In the place of the unit of a digit: it is the first one behind the microseconds. */
const ROUNDED = 0.5;
/** No number that means something is longer. */
const MAX_NUMBER_BYTES = 40;

const NEWLINE = 10;
const RETURN = 13;
const HASH = 35;
const PLUS = 43;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const NINE = 57;
/** Decimal digits that a double always holds exactly. */
const EXACT_DIGITS = 15;
const OK = Buffer.from('OK');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const TEN_TO = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);

export class FrameDecoder {
  readonly #events: FrameEvents;
  /** The beginning of a line whose end has not come yet. */
  readonly #carry = Buffer.allocUnsafe(MAX_LINE_BYTES);
  #carried = 0;
  /** The rest of a line that is too long is skipped. */
  #skipping = false;
  /** Of the last good frame, or of a header. */
  #version: 1 | 3 | undefined;
  #layout: Layout | undefined;
  /** The header of v3 that the layout follows. */
  #header: Layout | undefined;
  #values = new Float64Array(64);
  /** Number of values of the last line that had another one than the layout. */
  #suspected = -1;
  /** Where the field that was read last ends; the byte there is a comma, or it is the end of the line. */
  #at = 0;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /** Takes the next bytes; the chunk is not kept. */
  push(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline;
      if (this.#skipping) {
        this.#skipping = newline < 0;
      } else if (newline >= 0 && this.#carried === 0 && end - start <= MAX_LINE_BYTES) {
        this.#line(chunk, start, end);
      } else if (this.#carried + end - start > MAX_LINE_BYTES) {
        this.#fault('too long', chunk, start, end);
        this.#carried = 0;
        this.#skipping = newline < 0;
      } else {
        chunk.copy(this.#carry, this.#carried, start, end);
        this.#carried += end - start;
        if (newline >= 0) {
          const length = this.#carried;
          this.#carried = 0;
          this.#line(this.#carry, 0, length);
        }
      }
      start = end + 1;
    }
  }

  /** The input ended. A line without its newline may have lost digits: it is no frame. */
  end(): void {
    if (this.#carried > 0) this.#fault('partial', this.#carry, 0, this.#carried);
    this.#carried = 0;
  }

  #line(bytes: Buffer, start: number, lineEnd: number): void {
    const end = lineEnd > start && bytes[lineEnd - 1] === RETURN ? lineEnd - 1 : lineEnd;
    if (end === start) return;
    if (bytes[start] === HASH) {
      this.#comment(bytes, start, end);
      return;
    }
    if (this.#version !== undefined && this.#frame(bytes, start, end, this.#version)) return;
    // Not decided yet, or the lines have another form now.
    const version = this.#guess(bytes, start, end);
    if (version !== undefined && version !== this.#version && this.#frame(bytes, start, end, version)) return;
    this.#fault('no frame', bytes, start, end);
  }

  #comment(bytes: Buffer, start: number, end: number): void {
    const header = v3Header(bytes.toString('latin1', start, end));
    if (!header) return;
    this.#header = header;
    this.#version = 3;
    this.#suspected = -1;
    if (!sameLayout(this.#layout, header)) this.#use(header);
  }

  #guess(bytes: Buffer, start: number, end: number): 1 | 3 | undefined {
    const fields = bytes.toString('latin1', start, Math.min(end, start + 200)).split(',', 4);
    if (fields[1] === 'true' || fields[1] === 'false') return 3;
    const isTime = /^\d{10,11}(\.\d+)?$/.test(fields[2] ?? '');
    return isTime && /^[A-Za-z]+$/.test(fields[3] ?? '') ? 1 : undefined;
  }

  /** Reads a line as one of that version. False when it is none; then nothing was told. */
  #frame(bytes: Buffer, start: number, end: number, version: 1 | 3): boolean {
    let at = start;
    for (let field = version === 1 ? 2 : 0; field > 0; field--) {
      while (at < end && bytes[at] !== COMMA) at++;
      at++;
    }
    const timestampUs = this.#time(bytes, at, end);
    if (Number.isNaN(timestampUs)) return false;
    const stateStart = this.#at + 1;
    at = stateStart;
    while (at < end && bytes[at] !== COMMA) at++;
    if (at <= stateStart) return false;
    if (!isWord(bytes, stateStart, at, version === 1 ? OK : TRUE)) {
      // v1 has words of its makers only; v3 says true or false.
      if (version === 3 && !isWord(bytes, stateStart, at, FALSE)) return false;
      this.#fault('bad frame', bytes, start, end);
      return true;
    }
    const columns = this.#measures(bytes, at, end);
    if (columns <= 0) return false;
    if ((columns !== this.#layout?.columns || version !== this.#version) && !this.#accept(columns, version)) {
      this.#fault('other columns', bytes, start, end);
      return true;
    }
    this.#suspected = -1;
    this.#events.onFrame(timestampUs, this.#values);
    return true;
  }

  /** Microseconds of a decimal number of seconds, rounded by its seventh decimal. NaN when it is none. */
  #time(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let seconds = 0;
    let byte = 0;
    for (; at < end; at++) {
      byte = bytes[at] as number;
      if (byte < ZERO || byte > NINE) break;
      seconds = seconds * 10 + (byte - ZERO);
      if (seconds > LAST_SECOND) return Number.NaN;
    }
    let micros = 0;
    let unit = 100_000;
    if (at < end && byte === DOT) {
      for (at++; at < end; at++) {
        byte = bytes[at] as number;
        if (byte < ZERO || byte > NINE) break;
        if (unit >= 1) micros += (byte - ZERO) * unit;
        else if (unit === ROUNDED && byte - ZERO >= 5) micros++;
        unit = unit === 1 ? ROUNDED : unit >= 1 ? unit / 10 : 0;
      }
    }
    this.#at = at;
    if (seconds < FIRST_SECOND || (at < end && byte !== COMMA)) return Number.NaN;
    return seconds * 1e6 + micros;
  }

  /** Reads the values behind the comma at `from`. Returns their number, or -1 when one is no number or they are too many. */
  #measures(bytes: Buffer, from: number, end: number): number {
    let columns = 0;
    let at = from;
    while (at < end) {
      if (columns === MAX_COLUMNS) return -1;
      if (columns === this.#values.length) this.#grow();
      if (!this.#number(bytes, at + 1, end, columns)) return -1;
      at = this.#at;
      columns++;
    }
    return columns;
  }

  /** Reads a value up to the next comma into a column: NaN when it is empty. False when it is no number. */
  #number(bytes: Buffer, start: number, end: number, column: number): boolean {
    let at = start;
    let byte = at < end ? (bytes[at] as number) : COMMA;
    const negative = byte === MINUS;
    if (negative || byte === PLUS) byte = ++at < end ? (bytes[at] as number) : COMMA;
    const first = at;
    let digits = 0;
    let number = 0;
    let decimals = 0;
    for (; at < end && byte >= ZERO && byte <= NINE; byte = bytes[++at] as number) {
      number = number * 10 + (byte - ZERO);
      digits++;
    }
    if (at < end && byte === DOT) {
      for (
        byte = bytes[++at] as number;
        at < end && byte >= ZERO && byte <= NINE;
        byte = bytes[++at] as number
      ) {
        number = number * 10 + (byte - ZERO);
        digits++;
        decimals++;
      }
    }
    if (at >= end || byte === COMMA) {
      this.#at = Math.min(at, end);
      if (digits === 0) {
        this.#values[column] = Number.NaN;
        return at === start;
      }
      // Both are whole numbers that a double holds, so that the quotient is the nearest double to the decimal number.
      if (digits <= EXACT_DIGITS) {
        const value = number / (TEN_TO[decimals] as number);
        this.#values[column] = negative ? -value : value;
        return true;
      }
    }
    return this.#unusual(bytes, start, first, end, column);
  }

  /** More digits than usual, an exponent, or a word for no number. */
  #unusual(bytes: Buffer, start: number, first: number, end: number, column: number): boolean {
    let at = first;
    while (at < end && bytes[at] !== COMMA) at++;
    this.#at = at;
    if (at - start > MAX_NUMBER_BYTES) return false;
    const text = bytes.toString('latin1', start, at);
    if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text)) {
      this.#values[column] = Number.NaN;
      return /^nan$/i.test(text);
    }
    this.#values[column] = Number(text);
    return true;
  }

  /** Whether this number of columns is to be believed; then it is the layout from now on. */
  #accept(columns: number, version: 1 | 3): boolean {
    if (this.#layout !== undefined && this.#suspected !== columns) {
      this.#suspected = columns;
      return false;
    }
    const header = version === 3 && this.#header?.columns === columns ? this.#header : undefined;
    const layout = header ?? (version === 1 ? v1Layout(columns) : v3Layout(columns));
    if (layout === undefined) return false;
    this.#version = version;
    this.#use(layout);
    return true;
  }

  #use(layout: Layout): void {
    this.#layout = layout;
    this.#events.onLayout(layout);
  }

  #grow(): void {
    const values = new Float64Array(this.#values.length * 2);
    values.set(this.#values);
    this.#values = values;
  }

  #fault(fault: LineFault, bytes: Buffer, start: number, end: number): void {
    this.#events.onFault(fault, () => quote(bytes.toString('latin1', start, Math.min(end, start + 100))));
  }
}

function isWord(bytes: Buffer, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) if (bytes[start + index] !== word[index]) return false;
  return true;
}

function v1Layout(columns: number): Layout {
  const power = Array.from({ length: columns }, (_, port) => port);
  return { version: 1, columns, power, current: [], voltage: [] };
}

/** Three voltages, then current and power of each port. */
function v3Layout(columns: number): Layout | undefined {
  const ports = (columns - 3) / 2;
  if (!Number.isInteger(ports) || ports < 1) return undefined;
  return {
    version: 3,
    columns,
    voltage: [0, 1, 2],
    current: Array.from({ length: ports }, (_, port) => 3 + 2 * port),
    power: Array.from({ length: ports }, (_, port) => 4 + 2 * port),
  };
}

/** The layout that a header says, if the line is one; columns of other names are left alone. */
function v3Header(line: string): Layout | undefined {
  const [time, state, ...names] = line.split(',').map((name) => name.trim().replace(/^#/, ''));
  if (time !== 'timestamp' || state !== 'frame_is_ok' || names.length > MAX_COLUMNS) return undefined;
  const columns = (pattern: RegExp): number[] => {
    const found: number[] = [];
    for (const [column, name] of names.entries()) {
      const number = Number(pattern.exec(name)?.[1] ?? 0);
      if (number >= 1 && number <= MAX_COLUMNS) found[number - 1] = column;
    }
    return Array.from(found, (column) => column ?? -1);
  };
  const power = columns(/^activepow(\d+)$/);
  if (power.length === 0) return undefined;
  return {
    version: 3,
    columns: names.length,
    power,
    current: columns(/^current(\d+)$/),
    voltage: columns(/^U(\d+)$/),
  };
}

function sameLayout(a: Layout | undefined, b: Layout): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
