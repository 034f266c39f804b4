/** The words of the spool: places, records, segments, and what it tells whoever uses it. */
import type { SpoolDiskError } from './diskError.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** Where a record is: unique among all that the owner ever wrote. */
export interface Place {
  readonly segment: number;
  /** Bytes from the start of the segment to the end of the record: grows with each record. */
  readonly offset: number;
}

export interface RecordContent {
  /** How many rows the payload holds: what losses are counted in. */
  readonly rows: number;
  /** Small; understood by whoever wrote it. */
  readonly meta: JsonValue;
  readonly payload: Uint8Array;
}

export interface StoredRecord extends RecordContent {
  readonly place: Place;
}

export interface SegmentInfo {
  readonly segment: number;
  /** Of its file, as far as records are whole. */
  readonly bytes: number;
  readonly rows: number;
  readonly records: number;
  /** Nothing is appended to it any more. */
  readonly closed: boolean;
  /** Everything up to this offset is stored. */
  readonly acknowledged: number;
  /** Rows behind it. */
  readonly waitingRows: number;
  readonly createdAtUs: number;
}

/** Why a segment was dropped before it was stored. */
export type DropReason = 'full' | 'old';

/** Why a file was renamed instead of read: what is behind the last point of its new name. */
export type SetAsideReason = 'unknown-version' | 'other-owner' | 'misnamed' | 'damaged';

export interface SpoolEvents {
  /**
   * The spool is full, or the segment too old: it is removed when this has resolved. `records` are those that were not
   * acknowledged. Until then a crash leaves the segment where it is. It must not wait for an append, which waits for it.
   */
  onDropped?(
    segment: SegmentInfo,
    records: AsyncIterable<StoredRecord>,
    reason: DropReason,
  ): void | Promise<void>;
  /** A part of a segment cannot be read and is skipped; `rows` if it is known how many it had. */
  onDamaged?(damage: { segment: number; offset: number; bytes: number; rows: number | undefined }): void;
  /** A file that is not this spool's to read got another name. It is never removed. */
  onSetAside?(file: string, reason: SetAsideReason): void;
  /** The disk takes nothing any more. Once, until it does again. */
  onProblem?(error: SpoolDiskError): void;
  onProblemOver?(): void;
}

export interface SpoolOptions {
  /** UUID, in the header of each file: files of another owner are not read. */
  readonly ownerId: string;
  /** Of all segments; by default 10 GiB or half of what is free at the start, whichever is less. */
  readonly maxBytes?: number | undefined;
  /** Segments to which nothing was appended for longer are dropped; by default none. */
  readonly maxAgeMs?: number | undefined;
  /** When a segment has this size, the next one begins; at most an eighth of maxBytes. */
  readonly segmentBytes?: number | undefined;
  /** Numbers of segments are at least this. */
  readonly firstSegment?: number | undefined;
  /** How long after a failure the disk is not tried again. */
  readonly retryMs?: number | undefined;
  readonly events?: SpoolEvents | undefined;
}

/** A row that could not be stored, and why. */
export interface RefusedRow {
  readonly reason: string;
  readonly device: string;
  readonly metric: string;
  readonly timestamp: string;
  readonly value: number;
  readonly labels: JsonValue;
  /** Of the record that it came in. */
  readonly place: Place;
}
