/** Names of sensors in SDRs: the type/length byte and its four encodings (IPMI 2.0 section 43.15). */

const BCD_PLUS = '0123456789 -.:,_';
/** Of the type/length byte: the highest bit of the length is reserved. */
const LENGTH_MASK = 0x1f;
/** Longest ID string of a sensor, in bytes. */
const MAX_BYTES = 16;

/**
 * The ID string of a record.
 *
 * In 8-bit text, which is what nearly every BMC has, the name is what `ipmi-sensors` prints: the rest of the record
 * up to the first NUL. It prints the bytes of the packed encodings as they lie there; here they are unpacked.
 *
 * @param typeLength the type/length byte
 * @param data what follows it in the record, to the record's end
 */
export function decodeIdString(typeLength: number, data: Uint8Array): string {
  const length = typeLength & LENGTH_MASK;
  const bytes = data.subarray(0, MAX_BYTES);
  switch (typeLength >> 6) {
    case 0:
      return trimmed(unicodeText(bytes));
    case 1:
      return trimmed(bcdPlus(bytes, lengthOf(length, bytes.length, 2)));
    case 2:
      return trimmed(sixBit(bytes, lengthOf(length, bytes.length, 4 / 3)));
    default:
      return trimmed(eightBit(bytes));
  }
}

/** Blanks at the ends are no part of a name: Kwollect strips what `ipmi-sensors` pads. */
function trimmed(text: string): string {
  return text.trim();
}

/**
 * How many characters a packed text has. The specification counts characters, some BMCs count bytes: where the
 * record ends tells which.
 */
function lengthOf(length: number, available: number, perByte: number): number {
  if (length === 0) return 0;
  const asCharacters = Math.ceil(length / perByte);
  return asCharacters === available ? length : Math.floor(Math.min(length, available) * perByte);
}

function bcdPlus(bytes: Uint8Array, count: number): string {
  let text = '';
  for (let index = 0; index < count; index++) {
    const byte = bytes[index >> 1] as number;
    // The specification is silent on the order in a byte; ipmitool takes the upper half first.
    text += BCD_PLUS[index & 1 ? byte & 0x0f : byte >> 4] as string;
  }
  return text;
}

/** Six bits a character, the first in the lowest bits of the first byte; 0 is a blank. */
function sixBit(bytes: Uint8Array, count: number): string {
  let text = '';
  for (let index = 0; index < count; index++) {
    const bit = index * 6;
    const low = bytes[bit >> 3] as number;
    const high = bytes[(bit >> 3) + 1] ?? 0;
    text += String.fromCharCode(0x20 + (((low | (high << 8)) >> (bit & 7)) & 0x3f));
  }
  return text;
}

/** `Unicode` says no more: UTF-16 in Intel's order where every second byte is 0, else as 8-bit text. */
function unicodeText(bytes: Uint8Array): string {
  if (bytes.length >= 2 && bytes.length % 2 === 0 && bytes[0] !== 0) {
    const isWide = bytes.every((byte, index) => index % 2 === 0 || byte === 0);
    if (isWide) return untilNul(Buffer.from(bytes).toString('utf16le'));
  }
  return eightBit(bytes);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** ASCII with Latin-1; some BMCs write UTF-8, which Latin-1 text hardly ever looks like. */
function eightBit(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  const text = nul === -1 ? bytes : bytes.subarray(0, nul);
  try {
    return utf8.decode(text);
  } catch {
    return Buffer.from(text).toString('latin1');
  }
}

function untilNul(text: string): string {
  const nul = text.indexOf('\0');
  return nul === -1 ? text : text.slice(0, nul);
}

/** How a record that several sensors share numbers their names (tables 43-2 and 43-3). */
export interface Sharing {
  /** 0 and 1: the record is of one sensor. */
  readonly count: number;
  readonly modifier: 'numeric' | 'alpha';
  /** Of the first sensor's name. */
  readonly offset: number;
}

/**
 * The name of one of the sensors of a shared record: `Temp 5`, `Temp 6`, or `Temp A`, ..., `Temp Z`, `Temp AA`.
 * @param index 0 for the first sensor
 */
export function sharedName(name: string, { modifier, offset }: Sharing, index: number): string {
  const number = offset + index;
  if (modifier === 'numeric') return `${name} ${number}`.trim();
  const last = String.fromCharCode(0x41 + (number % 26));
  const first = number < 26 ? '' : String.fromCharCode(0x41 + Math.floor(number / 26) - 1);
  return `${name} ${first}${last}`.trim();
}
