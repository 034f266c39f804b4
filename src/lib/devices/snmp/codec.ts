/**
 * The part of BER (X.690) that SNMP needs: requests are written once and patched for each attempt, answers
 * are read in place. Reading allocates nothing per varbind: results go into arrays of numbers that the
 * request owns. Every length is checked against what encloses it; a datagram that is not exactly a response
 * PDU is refused as a whole.
 *
 * RFC 3416 (PDUs), RFC 1901 and 1157 (messages of v2c and v1).
 */
import type { Oid } from './oid.ts';

/** BER tags of what an answer may hold (RFC 2578, RFC 3416). */
export const Tag = {
  integer: 0x02,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  ipAddress: 0x40,
  counter32: 0x41,
  gauge32: 0x42,
  timeTicks: 0x43,
  opaque: 0x44,
  counter64: 0x46,
  noSuchObject: 0x80,
  noSuchInstance: 0x81,
  endOfMibView: 0x82,
  getRequest: 0xa0,
  getNextRequest: 0xa1,
  response: 0xa2,
  getBulkRequest: 0xa5,
  report: 0xa8,
} as const;

/** error-status of RFC 3416 that kw tells apart, and the names of all. */
export const ErrorStatus = { noError: 0, tooBig: 1, noSuchName: 2 } as const;
const ERROR_NAMES = [
  'noError',
  'tooBig',
  'noSuchName',
  'badValue',
  'readOnly',
  'genErr',
  'noAccess',
  'wrongType',
  'wrongLength',
  'wrongEncoding',
  'wrongValue',
  'noCreation',
  'inconsistentValue',
  'resourceUnavailable',
  'commitFailed',
  'undoFailed',
  'authorizationError',
  'notWritable',
  'inconsistentName',
];

export function errorName(status: number): string {
  return ERROR_NAMES[status] ?? `error ${status}`;
}

/**
 * Request ids are drawn from this range: four octets in every encoding, so that a new id is patched into a
 * request without moving anything.
 */
export const MIN_REQUEST_ID = 0x0100_0000;
export const MAX_REQUEST_ID = 0x7fff_ffff;

// ---- writing ----------------------------------------------------------------------------------------------

/** One TLV with the given contents. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, Math.floor(length / 256), length % 256];
  if (length > 0xffff) throw new RangeError('an SNMP message has at most 65,535 octets');
  return Buffer.concat([Uint8Array.from(header), ...contents]);
}

/** A non-negative INTEGER below 2^31, in its shortest form. */
export function integer(value: number): Buffer {
  const bytes = [value & 0xff];
  for (let rest = value >>> 8; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  if ((bytes[0] as number) >= 0x80) bytes.unshift(0);
  return tlv(Tag.integer, Uint8Array.from(bytes));
}

/** A request PDU with a place for its id. */
export interface RequestPdu {
  readonly bytes: Buffer;
  /** Where the four octets of the request id begin in `bytes`. */
  readonly idOffset: number;
  readonly oids: readonly Oid[];
}

/** GET or GETNEXT of some OIDs. */
export function encodeGet(
  tag: typeof Tag.getRequest | typeof Tag.getNextRequest,
  oids: readonly Oid[],
): RequestPdu {
  return encodePdu(tag, 0, 0, oids);
}

/** GETBULK from one OID on: up to `maxRepetitions` of what follows it. */
export function encodeGetBulk(oid: Oid, maxRepetitions: number): RequestPdu {
  return encodePdu(Tag.getBulkRequest, 0, maxRepetitions, [oid]);
}

/** `first` and `second`: error-status and error-index, or for GETBULK non-repeaters and max-repetitions. */
function encodePdu(tag: number, first: number, second: number, oids: readonly Oid[]): RequestPdu {
  const empty = Uint8Array.of(Tag.null, 0);
  const varbinds = oids.map((oid) => tlv(Tag.sequence, tlv(Tag.oid, oid), empty));
  const rest = Buffer.concat([integer(first), integer(second), tlv(Tag.sequence, ...varbinds)]);
  const bytes = tlv(tag, integer(MIN_REQUEST_ID), rest);
  return { bytes, idOffset: bytes.length - rest.length - 4, oids };
}

/** A whole message of v1 or v2c around a PDU, again with a place for the id. */
export function encodeCommunityMessage(
  version: '1' | '2c',
  community: string,
  pdu: RequestPdu,
): { bytes: Buffer; idOffset: number } {
  const bytes = tlv(
    Tag.sequence,
    integer(version === '1' ? 0 : 1),
    tlv(Tag.octetString, Buffer.from(community)),
    pdu.bytes,
  );
  return { bytes, idOffset: bytes.length - pdu.bytes.length + pdu.idOffset };
}

/** Writes a request id into an encoded request. */
export function patchId(bytes: Uint8Array, offset: number, id: number): void {
  bytes[offset] = id >>> 24;
  bytes[offset + 1] = (id >>> 16) & 0xff;
  bytes[offset + 2] = (id >>> 8) & 0xff;
  bytes[offset + 3] = id & 0xff;
}

// ---- reading ----------------------------------------------------------------------------------------------

/** A cursor over BER. After `next` the content of the TLV lies at `start` to `end`. */
export class BerReader {
  data: Uint8Array = new Uint8Array(0);
  /** Where the next TLV begins. */
  position = 0;
  /** Content of the last TLV. */
  start = 0;
  end = 0;

  reset(data: Uint8Array, position = 0): void {
    this.data = data;
    this.position = position;
    this.start = position;
    this.end = position;
  }

  /**
   * Reads a tag and a length. The content must end at or before `limit`. Returns the tag, or -1 when there is
   * no sound TLV. `position` is set behind the content; set it to `start` to read what is inside.
   */
  next(limit: number): number {
    const { data } = this;
    let position = this.position;
    if (position + 2 > limit || limit > data.length) return -1;
    const tag = data[position] as number;
    let length = data[position + 1] as number;
    position += 2;
    if (length >= 0x80) {
      // The long form with up to four octets; the indefinite form (0x80) is not allowed in SNMP.
      const octets = length - 0x80;
      if (octets < 1 || octets > 4 || position + octets > limit) return -1;
      length = 0;
      for (let index = 0; index < octets; index++) length = length * 256 + (data[position + index] as number);
      position += octets;
    }
    if (length > limit - position) return -1;
    this.start = position;
    this.end = position + length;
    this.position = this.end;
    return tag;
  }

  /** Enters a constructed TLV of this tag: returns where its content ends, or -1. */
  enter(tag: number, limit: number): number {
    if (this.next(limit) !== tag) return -1;
    this.position = this.start;
    return this.end;
  }

  /** Goes behind a tag and its length without a look at where the content ends: for datagrams that may be cut. */
  skipHeader(tag: number): boolean {
    if (this.data[this.position] !== tag) return false;
    const length = this.data[this.position + 1] ?? 0;
    this.position += length > 0x80 ? 2 + (length - 0x80) : 2;
    return this.position <= this.data.length;
  }

  /** An INTEGER of one to four octets, or NaN. */
  integer(limit: number): number {
    if (this.next(limit) !== Tag.integer) return Number.NaN;
    const length = this.end - this.start;
    if (length < 1 || length > 4) return Number.NaN;
    return signed(this.data, this.start, this.end);
  }
}

function signed(data: Uint8Array, start: number, end: number): number {
  let value = (data[start] as number) >= 0x80 ? -1 : 0;
  for (let position = start; position < end; position++) value = value * 256 + (data[position] as number);
  return value;
}

/** High and low halves apart and one rounding: exact up to 2^53, the nearest double above. */
function unsigned(data: Uint8Array, start: number, end: number): number {
  const middle = Math.max(start, end - 4);
  let high = 0;
  for (let position = start; position < middle; position++) high = high * 256 + (data[position] as number);
  let low = 0;
  for (let position = middle; position < end; position++) low = low * 256 + (data[position] as number);
  return high * 4294967296 + low;
}

/**
 * The number of a varbind's value, or NaN when the type has none or the octets are not a value of it.
 * Unsigned types are read as such also when the agent forgot the leading zero octet.
 */
function numberOf(tag: number, data: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 1) return Number.NaN;
  if (tag === Tag.integer) return length <= 4 ? signed(data, start, end) : Number.NaN;
  if (tag === Tag.counter64)
    return length <= 8 || (length === 9 && data[start] === 0) ? unsigned(data, start, end) : Number.NaN;
  if (tag === Tag.counter32 || tag === Tag.gauge32 || tag === Tag.timeTicks)
    return length <= 4 || (length === 5 && data[start] === 0) ? unsigned(data, start, end) : Number.NaN;
  return Number.NaN;
}

/** Types whose value is a number. */
export function isNumeric(tag: number): boolean {
  return (
    tag === Tag.integer ||
    tag === Tag.counter32 ||
    tag === Tag.gauge32 ||
    tag === Tag.timeTicks ||
    tag === Tag.counter64
  );
}

/** What a response PDU said. Owned by a request and overwritten by each answer to it. */
export class Response {
  /** `Tag.response` or `Tag.report`. */
  pduTag = 0;
  requestId = 0;
  errorStatus = 0;
  /** Counted from 1; 0 means none. */
  errorIndex = 0;
  /** Varbinds in the answer, at most `capacity`. */
  count = 0;
  readonly capacity: number;
  /**
   * The octets that the positions below point into, maybe with others behind them: valid until the next answer.
   * A copy, so that the datagram can go at once: one kept until the next poll grows old in V8's heap, and a
   * thousand of them a second made it collect the whole heap every few seconds.
   */
  data: Uint8Array = new Uint8Array(0);
  readonly tag: Uint8Array;
  /** NaN where the type is not numeric or its octets are wrong. */
  readonly number: Float64Array;
  readonly oidStart: Int32Array;
  readonly oidEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.tag = new Uint8Array(capacity);
    this.number = new Float64Array(capacity);
    this.oidStart = new Int32Array(capacity);
    this.oidEnd = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
  }

  /** Whether varbind `index` is of this OID. */
  hasOid(index: number, oid: Oid): boolean {
    const start = this.oidStart[index] as number;
    const length = (this.oidEnd[index] as number) - start;
    if (length !== oid.length) return false;
    const { data } = this;
    // From the end: OIDs of one request differ in their last numbers.
    for (let offset = length - 1; offset >= 0; offset--)
      if (data[start + offset] !== oid[offset]) return false;
    return true;
  }

  /**
   * Reads a PDU at the reader's position that must end at `limit`.
   * Returns false, with nothing usable in it, when the octets are not a sound response or report.
   */
  read(reader: BerReader, limit: number): boolean {
    this.count = 0;
    const tag = reader.next(limit);
    if ((tag !== Tag.response && tag !== Tag.report) || reader.end !== limit) return false;
    this.pduTag = tag;
    reader.position = reader.start;
    this.requestId = reader.integer(limit);
    this.errorStatus = reader.integer(limit);
    this.errorIndex = reader.integer(limit);
    if (Number.isNaN(this.requestId + this.errorStatus + this.errorIndex)) return false;
    if (reader.enter(Tag.sequence, limit) !== limit) return false;
    if (!this.#readVarbinds(reader, limit)) return false;
    if (this.data.length < limit) this.data = new Uint8Array(limit);
    this.data.set(limit === reader.data.length ? reader.data : reader.data.subarray(0, limit));
    return true;
  }

  #readVarbinds(reader: BerReader, limit: number): boolean {
    const { data } = reader;
    let count = 0;
    while (reader.position < limit) {
      if (count >= this.capacity) return false;
      const end = reader.enter(Tag.sequence, limit);
      if (end === -1 || reader.next(end) !== Tag.oid) return false;
      this.oidStart[count] = reader.start;
      this.oidEnd[count] = reader.end;
      const tag = reader.next(end);
      if (tag === -1 || reader.position !== end) return false;
      this.tag[count] = tag;
      this.valueStart[count] = reader.start;
      this.valueEnd[count] = reader.end;
      this.number[count] = numberOf(tag, data, reader.start, reader.end);
      count++;
    }
    this.count = count;
    return true;
  }
}

/**
 * The request id of a datagram (for v3 the message id), or -1 when it does not begin like an SNMP message.
 * It tells whose answer this may be before anything else is believed, also when the end is missing.
 */
export function peekRequestId(reader: BerReader, datagram: Uint8Array): number {
  reader.reset(datagram);
  const limit = datagram.length;
  if (!reader.skipHeader(Tag.sequence)) return -1;
  const version = reader.integer(limit);
  if (version === 3) return reader.skipHeader(Tag.sequence) ? orNone(reader.integer(limit)) : -1;
  if (version !== 0 && version !== 1) return -1;
  if (reader.next(limit) !== Tag.octetString) return -1;
  return reader.skipHeader(Tag.response) ? orNone(reader.integer(limit)) : -1;
}

function orNone(id: number): number {
  return id >= 0 ? id : -1;
}

/** Reads a message of v1 or v2c. The version must be the one asked with. */
export function readCommunityMessage(
  reader: BerReader,
  datagram: Uint8Array,
  version: '1' | '2c',
  response: Response,
): boolean {
  reader.reset(datagram);
  const limit = reader.enter(Tag.sequence, datagram.length);
  if (limit !== datagram.length) return false;
  if (reader.integer(limit) !== (version === '1' ? 0 : 1)) return false;
  if (reader.next(limit) !== Tag.octetString) return false;
  return response.read(reader, limit) && response.pduTag === Tag.response;
}
