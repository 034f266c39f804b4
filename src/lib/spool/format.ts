/**
 * The form of a segment file. Numbers are unsigned and little-endian; CRC is CRC32C.
 *
 * A file `<segment number, 16 digits>.seg` is a header and records, one behind the other:
 *
 *   header, 64 bytes, on the disk before the first record is written
 *     0   8   magic `KWSPOOL` and a line feed
 *     8   4   version of the format, 1
 *    12   4   zero
 *    16  16   UUID of the owner
 *    32   8   number of the segment, as in the name of the file
 *    40   8   when the file was made, microseconds since 1970
 *    48  12   zero
 *    60   4   CRC of bytes 0 to 59
 *
 *   record, 32 bytes and what they announce
 *     0   4   magic `REC` and 0xA7
 *     4   4   rows
 *     8   4   bytes of meta
 *    12   4   bytes of payload
 *    16   4   offset of this record in the file
 *    20   4   how many bytes of the file were on the disk (synced) when this record was written
 *    24   4   CRC of the owner's UUID, the number of the segment, and bytes 0 to 23
 *    28   4   CRC of bytes 0 to 27, meta and payload
 *    32       meta: JSON in UTF-8
 *     .       payload
 *
 * Why two CRCs in a record: the first one makes the lengths trustworthy before anything is allocated or skipped, so
 * that damage in a payload costs this record and no other. Where a header is damaged, the next record is found by
 * looking for its magic. Owner, segment and offset are part of that check: bytes that look like a record but are not
 * the one that belongs here (a payload that holds a copy of a segment, a block that was another file's before a power
 * cut) are no record.
 *
 * Why a record tells how far the file was synced: after a power cut the last write may be there in parts, in any order.
 * Damage behind what was synced before the last write is that, and no append of it had resolved; damage before it is a
 * disk that lost what it had promised to keep, and is counted.
 *
 * The place of a record is the offset of its end. A version to come keeps the header's size, magic, version and CRC, so
 * that it can be told from damage.
 */
import type { Crc32c } from './crc32c.ts';

export const HEADER_BYTES = 64;
export const RECORD_HEADER_BYTES = 32;
const FORMAT_VERSION = 1;

/** A record beyond these is refused when it is written, and no header may announce more. */
export const MAX_META_BYTES = 1 << 20;
export const MAX_PAYLOAD_BYTES = 64 << 20;

/** Offsets have 32 bits: a segment is closed well before. */
export const MAX_SEGMENT_BYTES = 2 ** 31;

const HEADER_MAGIC = Buffer.from('KWSPOOL\n', 'latin1');
export const RECORD_MAGIC = Buffer.from([0x52, 0x45, 0x43, 0xa7]);

const NAME = /^(\d{16})\.seg$/;

/** The name of a segment's file; the order of names is that of numbers. */
export function segmentFile(segment: number): string {
  return `${String(segment).padStart(16, '0')}.seg`;
}

/** The number of a segment's file, or undefined for any other name. */
export function segmentOf(name: string): number | undefined {
  const number = Number(NAME.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(number) ? number : undefined;
}

export interface SegmentHeader {
  /** UUID. */
  readonly ownerId: string;
  readonly segment: number;
  readonly createdAtUs: number;
}

export function encodeHeader({ ownerId, segment, createdAtUs }: SegmentHeader, crc32c: Crc32c): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  HEADER_MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 8);
  uuidBytes(ownerId).copy(header, 16);
  header.writeBigUInt64LE(BigInt(segment), 32);
  header.writeBigUInt64LE(BigInt(createdAtUs), 40);
  header.writeUInt32LE(crc32c(header.subarray(0, 60)), 60);
  return header;
}

/** What a file's first bytes are: a header, one of a version that this program does not know, or nothing of the kind. */
export function decodeHeader(bytes: Buffer, crc32c: Crc32c): SegmentHeader | 'unknown version' | 'damaged' {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(HEADER_MAGIC)) return 'damaged';
  if (bytes.readUInt32LE(60) !== crc32c(bytes.subarray(0, 60))) return 'damaged';
  if (bytes.readUInt32LE(8) !== FORMAT_VERSION) return 'unknown version';
  const segment = Number(bytes.readBigUInt64LE(32));
  const createdAtUs = Number(bytes.readBigUInt64LE(40));
  return { ownerId: uuidText(bytes.subarray(16, 32)), segment, createdAtUs };
}

export interface RecordHeader {
  readonly rows: number;
  readonly metaBytes: number;
  readonly payloadBytes: number;
  /** Where the record begins in its file. */
  readonly start: number;
  /** Where it ends: its place. */
  readonly end: number;
  /** Bytes of the file that were on the disk when it was written. */
  readonly synced: number;
}

/** Writes and reads the records of one segment. */
export class RecordCodec {
  readonly #crc32c: Crc32c;
  /** Owner and segment: part of the check of each record, in none of them. */
  readonly #salt: Buffer;

  constructor(ownerId: string, segment: number, crc32c: Crc32c) {
    this.#crc32c = crc32c;
    this.#salt = Buffer.alloc(24);
    uuidBytes(ownerId).copy(this.#salt);
    this.#salt.writeBigUInt64LE(BigInt(segment), 16);
  }

  /**
   * @param start where the record will begin in its file
   * @param synced how much of the file is on the disk
   */
  encodeHeader(rows: number, meta: Uint8Array, payload: Uint8Array, start: number, synced: number): Buffer {
    const header = Buffer.alloc(RECORD_HEADER_BYTES);
    RECORD_MAGIC.copy(header);
    header.writeUInt32LE(rows, 4);
    header.writeUInt32LE(meta.length, 8);
    header.writeUInt32LE(payload.length, 12);
    header.writeUInt32LE(start, 16);
    header.writeUInt32LE(synced, 20);
    header.writeUInt32LE(this.#crc32c(this.#salt, header.subarray(0, 24)), 24);
    header.writeUInt32LE(this.#crc32c(header.subarray(0, 28), meta, payload), 28);
    return header;
  }

  /** The header at `index` of `bytes`, which lie at `start` of the file; undefined if there is none that is right. */
  decodeHeader(bytes: Buffer, index: number, start: number): RecordHeader | undefined {
    if (index + RECORD_HEADER_BYTES > bytes.length) return undefined;
    const header = bytes.subarray(index, index + RECORD_HEADER_BYTES);
    if (!header.subarray(0, 4).equals(RECORD_MAGIC) || header.readUInt32LE(16) !== start) return undefined;
    if (header.readUInt32LE(24) !== this.#crc32c(this.#salt, header.subarray(0, 24))) return undefined;
    const rows = header.readUInt32LE(4);
    const metaBytes = header.readUInt32LE(8);
    const payloadBytes = header.readUInt32LE(12);
    if (metaBytes > MAX_META_BYTES || payloadBytes > MAX_PAYLOAD_BYTES) return undefined;
    const end = start + RECORD_HEADER_BYTES + metaBytes + payloadBytes;
    return { rows, metaBytes, payloadBytes, start, end, synced: header.readUInt32LE(20) };
  }

  /** Whether a record, header included, is as it was written. */
  isWhole(record: Buffer): boolean {
    const body = record.subarray(RECORD_HEADER_BYTES);
    return record.readUInt32LE(28) === this.#crc32c(record.subarray(0, 28), body);
  }
}

function uuidBytes(uuid: string): Buffer {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) throw new Error(`${uuid} is no UUID`);
  return bytes;
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
