/**
 * Values of varbinds: numbers where Kwollect sees numbers, text otherwise. Kwollect applies Python's float() to
 * what an agent says, so "230.5" in an OCTET STRING is a number, and so are "nan" and "Infinity".
 */
import { parsePythonFloat, shortestFloat } from '../shared/numbers.ts';
import { isNumeric, Tag } from './codec.ts';
import { formatOid } from './oid.ts';

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [Tag.integer]: 'INTEGER',
  [Tag.octetString]: 'OCTET STRING',
  [Tag.null]: 'NULL',
  [Tag.oid]: 'OBJECT IDENTIFIER',
  [Tag.ipAddress]: 'IpAddress',
  [Tag.counter32]: 'Counter32',
  [Tag.gauge32]: 'Gauge32',
  [Tag.timeTicks]: 'TimeTicks',
  [Tag.opaque]: 'Opaque',
  [Tag.counter64]: 'Counter64',
  [Tag.noSuchObject]: 'noSuchObject',
  [Tag.noSuchInstance]: 'noSuchInstance',
  [Tag.endOfMibView]: 'endOfMibView',
};

export function typeName(tag: number): string {
  return TYPE_NAMES[tag] ?? `type 0x${tag.toString(16)}`;
}

/** The agent has no value there: the exceptions of RFC 3416, and a NULL. */
export function isMissing(tag: number): boolean {
  return (
    tag === Tag.noSuchInstance || tag === Tag.noSuchObject || tag === Tag.endOfMibView || tag === Tag.null
  );
}

export type Value =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'text'; readonly text: string }
  /** "N/A": the device says that it has no reading. */
  | { readonly kind: 'missing'; readonly text: string }
  | { readonly kind: 'bad'; readonly message: string };

/**
 * The value of a varbind whose type is not a plain number (those are in `Response.number`), and of one whose
 * octets are not a number of its type.
 */
export function readValue(tag: number, data: Uint8Array, start: number, end: number): Value {
  if (tag === Tag.octetString) return readText(octetText(data, start, end));
  if (tag === Tag.opaque) return readOpaque(data, start, end);
  const text = plainText(tag, data, start, end);
  if (text !== undefined) return { kind: 'text', text };
  return { kind: 'bad', message: `${typeName(tag)} of ${end - start} octets is not a value` };
}

function readText(text: string): Value {
  const number = parsePythonFloat(text);
  if (number !== undefined) return { kind: 'number', number };
  if (/^\s{0,20}n\/a\s{0,20}$/i.test(text)) return { kind: 'missing', text };
  return { kind: 'text', text };
}

/** The value as text, for templates and for people; undefined when there is none. */
export function valueText(tag: number, data: Uint8Array, start: number, end: number): string | undefined {
  if (tag === Tag.octetString) return octetText(data, start, end);
  if (isNumeric(tag) && end - start <= 9) return exactInteger(tag, data, start, end);
  return plainText(tag, data, start, end);
}

function plainText(tag: number, data: Uint8Array, start: number, end: number): string | undefined {
  if (tag === Tag.ipAddress && end - start === 4) return data.subarray(start, end).join('.');
  if (tag === Tag.oid) {
    const text = formatOid(data, start, end);
    return text === '?' ? undefined : text;
  }
  return undefined;
}

function exactInteger(tag: number, data: Uint8Array, start: number, end: number): string | undefined {
  if (end === start) return undefined;
  let value = tag === Tag.integer && (data[start] as number) >= 0x80 ? -1n : 0n;
  for (let position = start; position < end; position++)
    value = value * 256n + BigInt(data[position] as number);
  return value.toString();
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Octets as text: UTF-8 without the NULs that some agents send at the end, else (an address, say) hexadecimal
 * digits as `0x001b21...`, since the text could not be stored.
 */
function octetText(data: Uint8Array, start: number, end: number): string {
  let textEnd = end;
  while (textEnd > start && data[textEnd - 1] === 0) textEnd--;
  // All NUL: octets, not an empty text.
  if (textEnd === start && end > start) return hexText(data, start, end);
  try {
    const text = utf8.decode(data.subarray(start, textEnd));
    if (!text.includes('\0')) return text;
  } catch {
    // Not UTF-8.
  }
  return hexText(data, start, end);
}

function hexText(data: Uint8Array, start: number, end: number): string {
  return `0x${Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('hex')}`;
}

/** net-snmp's floats: a BER value of its own tags (0x9f78 float, 0x9f79 double) inside an Opaque. */
function readOpaque(data: Uint8Array, start: number, end: number): Value {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data[start] === 0x9f && end - start >= 3) {
    const tag = data[start + 1];
    const length = data[start + 2];
    if (tag === 0x78 && length === 4 && end - start === 7)
      return { kind: 'number', number: shortestFloat(view.getFloat32(start + 3)) };
    if (tag === 0x79 && length === 8 && end - start === 11)
      return { kind: 'number', number: view.getFloat64(start + 3) };
  }
  return { kind: 'bad', message: `Opaque of ${end - start} octets is neither a float nor a double` };
}

/** Text from a device for a message: printable, cut. */
export function quote(text: string, limit = 60): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}...` : text;
  return JSON.stringify(cut);
}
