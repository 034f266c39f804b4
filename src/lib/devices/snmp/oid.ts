/**
 * Object identifiers: from text to the bytes that go into a PDU, and back.
 * An OID is kept as the content of its BER encoding (X.690 section 8.19): comparing bytes then suffices to
 * know an OID again in an answer.
 */

/** The content octets of an OBJECT IDENTIFIER, without tag and length. */
export type Oid = Uint8Array;

/** RFC 2578 section 3.5: at most 128 sub-identifiers, each below 2^32. */
export const MAX_ARCS = 128;
const MAX_ARC = 0xffff_ffff;

/** Why a text is no OID, and at which character. */
export class OidSyntaxError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = 'OidSyntaxError';
    this.offset = offset;
  }
}

/**
 * The OID of a dotted text such as `1.3.6.1.2.1.1.3.0`; one leading dot is allowed.
 * @throws OidSyntaxError
 */
export function parseOid(text: string): Oid {
  const arcs: number[] = [];
  let position = text.startsWith('.') ? 1 : 0;
  while (true) {
    const dot = text.indexOf('.', position);
    const end = dot === -1 ? text.length : dot;
    arcs.push(parseArc(text, position, end));
    if (arcs.length > MAX_ARCS) throw new OidSyntaxError(`an OID has at most ${MAX_ARCS} numbers`, position);
    if (dot === -1) break;
    position = dot + 1;
  }
  const [first = 0, second] = arcs;
  if (second === undefined) throw new OidSyntaxError('an OID needs at least two numbers', 0);
  if (first > 2) throw new OidSyntaxError('an OID begins with 0, 1 or 2', 0);
  if (first < 2 && second > 39)
    throw new OidSyntaxError('the second number of an OID is at most 39 here', text.indexOf('.', 1) + 1);
  const bytes: number[] = [];
  pushArc(bytes, first * 40 + second);
  for (let index = 2; index < arcs.length; index++) pushArc(bytes, arcs[index] as number);
  return Uint8Array.from(bytes);
}

function parseArc(text: string, start: number, end: number): number {
  const arc = text.slice(start, end);
  if (arc === '') throw new OidSyntaxError('a number is missing in the OID', start);
  if (!/^[0-9]{1,10}$/.test(arc)) throw new OidSyntaxError(`"${arc.slice(0, 40)}" is not a number`, start);
  const value = Number(arc);
  if (value > MAX_ARC)
    throw new OidSyntaxError(`${arc} is above ${MAX_ARC}, the most an OID can hold`, start);
  return value;
}

function pushArc(bytes: number[], arc: number): void {
  const groups: number[] = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    groups.push((rest % 128) + 128);
  bytes.push(...groups.reverse());
}

/**
 * The numbers of an encoded OID, or undefined when the bytes are not one: an unfinished or oversized number,
 * or too many of them.
 */
export function oidArcs(data: Uint8Array, start = 0, end = data.length): number[] | undefined {
  const arcs: number[] = [];
  let arc = 0;
  let unfinished = false;
  for (let position = start; position < end; position++) {
    const byte = data[position] as number;
    arc = arc * 128 + (byte & 0x7f);
    if (arc > MAX_ARC + 80) return undefined;
    unfinished = byte >= 0x80;
    if (unfinished) continue;
    if (arcs.length === 0) {
      const first = Math.min(Math.floor(arc / 40), 2);
      arcs.push(first, arc - first * 40);
    } else {
      if (arc > MAX_ARC || arcs.length >= MAX_ARCS) return undefined;
      arcs.push(arc);
    }
    arc = 0;
  }
  return unfinished || arcs.length === 0 ? undefined : arcs;
}

/** The dotted text of an encoded OID; `?` when the bytes are not one. */
export function formatOid(data: Uint8Array, start = 0, end = data.length): string {
  return oidArcs(data, start, end)?.join('.') ?? '?';
}

/** Lexicographic order of two OIDs: negative when the first comes first. */
export function compareArcs(left: readonly number[], right: readonly number[]): number {
  const common = Math.min(left.length, right.length);
  for (let index = 0; index < common; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Whether `arcs` lies below `prefix` in the tree. */
export function isBelow(prefix: readonly number[], arcs: readonly number[]): boolean {
  return arcs.length > prefix.length && prefix.every((arc, index) => arcs[index] === arc);
}
