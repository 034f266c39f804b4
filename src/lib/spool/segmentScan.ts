/** Goes through one segment file without changing it: whose it is, and what of it is whole. */
import { basename } from 'node:path';
import { codeOf } from '../errors.ts';
import type { Crc32c } from './crc32c.ts';
import type { SpoolFile, SpoolFiles } from './files.ts';
import { decodeHeader, HEADER_BYTES, RecordCodec, type SegmentHeader, segmentOf } from './format.ts';
import type { SetAsideReason } from './model.ts';
import { type Damage, type Found, RecordReader } from './recordReader.ts';

export interface SegmentScan {
  readonly kind: 'segment';
  readonly segment: number;
  /** UUID, of the header; of whoever asks where that is damaged. */
  readonly ownerId: string;
  /** Of the file, in bytes. */
  readonly size: number;
  readonly createdAtUs: number;
  readonly changedAtMs: number;
  readonly isHeaderDamaged: boolean;
  /** Nothing is in it but zeros, as a file system leaves a file whose data never came to the disk. */
  readonly isZero: boolean;
  readonly parts: readonly Found[];
  /** How much of it was on the disk before its last write. */
  readonly synced: number;
}

export type Scan =
  | SegmentScan
  | {
      readonly kind: SetAsideReason | 'unreadable';
      readonly segment: number;
      readonly size: number;
    };

export interface ScanOptions {
  /** Whose segments are read; undefined reads anybody's. */
  readonly ownerId: string | undefined;
  /** Also whether what records hold is as it was written. */
  readonly withBodies: boolean;
}

/** @returns undefined where there is no file, as when it was removed meanwhile */
export async function scanSegment(
  files: SpoolFiles,
  path: string,
  { ownerId, withBodies }: ScanOptions,
  crc32c: Crc32c,
): Promise<Scan | undefined> {
  const segment = segmentOf(basename(path)) as number;
  let size = 0;
  let file: SpoolFile | undefined;
  try {
    file = await files.open(path, 'read');
    size = await file.size();
    const changedAtMs = await file.changedAtMs();
    const header = await readHeader(file, crc32c);
    if (header === 'unknown version') return { kind: 'unknown-version', segment, size };
    const isHeaderDamaged = header === 'damaged';
    if (!isHeaderDamaged && ownerId !== undefined && header.ownerId !== ownerId.toLowerCase()) {
      return { kind: 'other-owner', segment, size };
    }
    if (!isHeaderDamaged && header.segment !== segment) return { kind: 'misnamed', segment, size };
    const owner = isHeaderDamaged ? ownerId : header.ownerId;
    if (owner === undefined) return { kind: 'damaged', segment, size };
    const reader = new RecordReader(file, new RecordCodec(owner, segment, crc32c), HEADER_BYTES, size);
    return {
      kind: 'segment',
      segment,
      ownerId: owner,
      size,
      createdAtUs: isHeaderDamaged ? Math.round(changedAtMs * 1000) : header.createdAtUs,
      changedAtMs,
      isHeaderDamaged,
      isZero: isHeaderDamaged && (await isZero(file, size)),
      ...(await readAll(reader, withBodies)),
    };
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : { kind: 'unreadable', segment, size };
  } finally {
    await file?.close();
  }
}

export function damagesIn(parts: readonly Found[]): Damage[] {
  return parts.filter(({ kind }) => kind !== 'record');
}

/** Of the last segment: what is left without what a crash cut off, or what is being written at this moment. */
export function withoutCutOff({ parts, synced }: SegmentScan): { kept: readonly Found[]; damages: Damage[] } {
  const cutOff = parts.findIndex(({ kind, start }) => kind !== 'record' && start >= synced);
  const kept = cutOff < 0 ? parts : parts.slice(0, cutOff);
  return { kept, damages: damagesIn(kept) };
}

/** The header of a file; what the disk cannot read is damage. */
export async function readHeader(
  file: SpoolFile,
  crc32c: Crc32c,
): Promise<SegmentHeader | 'unknown version' | 'damaged'> {
  const bytes = Buffer.alloc(HEADER_BYTES);
  try {
    return decodeHeader(bytes.subarray(0, await file.read(bytes, 0)), crc32c);
  } catch {
    return 'damaged';
  }
}

/** Damaged bodies are damage. */
async function readAll(
  reader: RecordReader,
  withBodies: boolean,
): Promise<{ parts: Found[]; synced: number }> {
  const parts: Found[] = [];
  let synced = 0;
  for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
    if (found.kind === 'record') synced = Math.max(synced, found.synced);
    if (found.kind !== 'record' || !withBodies || (await reader.body(found))) parts.push(found);
    else parts.push({ kind: 'damage', start: found.start, end: found.end, rows: found.rows });
  }
  return { parts, synced };
}

async function isZero(file: SpoolFile, size: number): Promise<boolean> {
  const block = Buffer.alloc(64 * 1024);
  for (let position = 0; position < size; position += block.length) {
    const bytes = await file.read(block, position);
    if (block.subarray(0, bytes).some((byte) => byte !== 0)) return false;
  }
  return true;
}
