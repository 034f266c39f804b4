/**
 * A crash-safe queue of records in segment files (format.ts), for what must outlive the process and the database.
 *
 *   append -> waiting -> [one write, one fdatasync for all that wait] -> on the disk -> read -> acknowledge -> removed
 *
 * States of the disk:
 *   taking     appends are written.
 *   refusing   one failed: it and all that waited were rejected, and what it may have left in the file is cut away again
 *              (in memory at once: nobody reads behind the last whole record). Appends are rejected without a try.
 *
 * Transitions:
 *   taking   -> refusing   a system call failed
 *   refusing -> taking     the first append a second or more later: what was left over is cut, a new segment is
 *                          made, and the append is on the disk. Otherwise it is rejected and another second begins.
 *
 * A new segment after each failure, since Linux forgets unwritten pages after a failed fdatasync: a second one on the
 * same file would succeed without them. After a start, nothing is appended to a segment of an earlier run.
 *
 * Order of what is done, so that a crash between any two of them is harmless:
 *   new segment   file with its header, fdatasync, fsync of the folder, and only then the first record
 *   append        write, fdatasync, then it resolves and the next write begins
 *   removal       acknowledged first; a file that comes back after a power cut is acknowledged again by the ledger
 *   drop          the caller has counted the loss, then the file goes
 */
import { join } from 'node:path';
import { codeOf } from '../errors.ts';
import { type Crc32c, loadCrc32c } from './crc32c.ts';
import { SpoolDiskError } from './diskError.ts';
import { realFiles, type SpoolFile, type SpoolFiles } from './files.ts';
import {
  encodeHeader,
  HEADER_BYTES,
  MAX_META_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_SEGMENT_BYTES,
  RECORD_HEADER_BYTES,
  RecordCodec,
  segmentFile,
} from './format.ts';
import type {
  DropReason,
  JsonValue,
  Place,
  RecordContent,
  RefusedRow,
  SegmentInfo,
  SpoolEvents,
  SpoolOptions,
  StoredRecord,
} from './model.ts';
import { RecordReader } from './recordReader.ts';
import { recover } from './recovery.ts';
import { RefusedFile } from './refusedFile.ts';
import { Segment } from './segment.ts';
import { SegmentNumbers } from './segmentNumbers.ts';

const GIB = 2 ** 30;
const DEFAULT_MAX_BYTES = 10 * GIB;
const DEFAULT_SEGMENT_BYTES = 64 << 20;
/** Losses are counted in segments: at least so many fit into the spool. */
const LEAST_SEGMENTS = 8;
/** What is written with one fdatasync. */
const GROUP_BYTES = 8 << 20;
const GROUP_RECORDS = 256;
const DEFAULT_RETRY_MS = 1_000;

export interface SpoolCounters {
  recordsAppended: number;
  /** fdatasync of segments. */
  syncs: number;
  /** Parts of segments that could not be read. */
  damages: number;
  damagedBytes: number;
  /** Rows in them, as far as it is known. */
  damagedRows: number;
  /** What crashes had cut off, found at the start. */
  tornBytes: number;
  /** Files that were renamed instead of read. */
  filesSetAside: number;
  /** Files that could not be opened at the start. */
  filesUnreadable: number;
  segmentsDropped: number;
  rowsDropped: number;
  rowsSetAside: number;
  /** Appends that the disk refused. */
  appendsRefused: number;
}

interface Waiting {
  readonly content: RecordContent;
  readonly meta: Uint8Array;
  /** Records of different generations lie in different segments. */
  readonly generation: number;
  readonly resolve: (place: Place) => void;
  readonly reject: (error: unknown) => void;
}

/** The segment that is being written. */
interface OpenSegment {
  readonly segment: Segment;
  readonly file: SpoolFile;
  readonly codec: RecordCodec;
  readonly generation: number;
}

export class Spool {
  readonly counters: SpoolCounters = {
    recordsAppended: 0,
    syncs: 0,
    damages: 0,
    damagedBytes: 0,
    damagedRows: 0,
    tornBytes: 0,
    filesSetAside: 0,
    filesUnreadable: 0,
    segmentsDropped: 0,
    rowsDropped: 0,
    rowsSetAside: 0,
    appendsRefused: 0,
  };
  /** What the disk refuses since the last append that failed; undefined while it takes them. */
  problem: SpoolDiskError | undefined;

  readonly #folder: string;
  readonly #files: SpoolFiles;
  readonly #crc32c: Crc32c;
  readonly #ownerId: string;
  readonly #events: SpoolEvents;
  readonly #maxAgeMs: number;
  readonly #wantedSegmentBytes: number;
  readonly #retryMs: number;
  readonly #numbers: SegmentNumbers;
  readonly #refused: RefusedFile;
  #maxBytes: number | undefined;
  #isRecovered = false;
  /** By number, oldest first. */
  readonly #segments = new Map<number, Segment>();
  #current: OpenSegment | undefined;
  #generation = 0;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #retryAtMs = 0;
  /** What could not be cut (bytes to keep) or removed (undefined) yet, by path. */
  readonly #leftovers = new Map<string, number | undefined>();
  /** Files that are being closed and removed. */
  #tidying: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(folder: string, options: SpoolOptions, files: SpoolFiles, crc32c: Crc32c) {
    this.#folder = folder;
    this.#files = files;
    this.#crc32c = crc32c;
    this.#ownerId = options.ownerId;
    this.#events = options.events ?? {};
    this.#maxBytes = options.maxBytes;
    this.#maxAgeMs = options.maxAgeMs ?? Number.POSITIVE_INFINITY;
    this.#wantedSegmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
    this.#retryMs = options.retryMs ?? DEFAULT_RETRY_MS;
    this.#numbers = new SegmentNumbers(files, folder, options.firstSegment ?? 1);
    this.#refused = new RefusedFile(files, folder);
  }

  /**
   * Opens the spool in a folder, which is made if need be, and puts in order what a crash left there. One process at a
   * time may have a folder open; the caller sees to that.
   * Never fails for what the disk says: then `problem` is set, and appends are rejected until it takes them.
   */
  static async open(folder: string, options: SpoolOptions, files: SpoolFiles = realFiles): Promise<Spool> {
    const spool = new Spool(folder, options, files, await loadCrc32c());
    try {
      await spool.#prepare();
    } catch (error) {
      spool.#fail(folder, error);
    }
    return spool;
  }

  get folder(): string {
    return this.#folder;
  }

  /** Bytes that all segments may have together. */
  get maxBytes(): number {
    return this.#maxBytes ?? DEFAULT_MAX_BYTES;
  }

  /** Of all segments. */
  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments.values()) bytes += segment.bytes;
    return bytes;
  }

  /** Oldest first. */
  segments(): readonly SegmentInfo[] {
    return [...this.#segments.values()].map(({ info }) => info);
  }

  /** A number for what is kept in memory only: never given to a segment or a second time. */
  newSegmentNumber(): number {
    return this.#numbers.next();
  }

  /**
   * Writes a record; its bytes must not change until then. Several that wait share one fdatasync.
   * @returns its place, once it is on the disk
   * @throws SpoolDiskError when the disk does not take it: it is not in the spool then
   */
  append(content: RecordContent): Promise<Place> {
    if (this.#isClosed) return Promise.reject(new Error('the spool is closed'));
    const meta = Buffer.from(JSON.stringify(content.meta));
    if (meta.length > MAX_META_BYTES || content.payload.length > MAX_PAYLOAD_BYTES) {
      return Promise.reject(new RangeError('the record is too large for the spool'));
    }
    if (this.problem && performance.now() < this.#retryAtMs) {
      this.counters.appendsRefused++;
      return Promise.reject(this.problem);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ content, meta, generation: this.#generation, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Appends that follow go to a new segment; this one is closed when those that wait are in it. */
  rotate(): void {
    this.#generation++;
    if (this.#flushing === undefined) this.#closeCurrent();
  }

  /**
   * The records behind an offset, in order, as far as they are on the disk. Damage is skipped and counted.
   * @throws SpoolDiskError when the file cannot be opened
   */
  async *read(segmentNumber: number, afterOffset = 0): AsyncGenerator<StoredRecord, void, undefined> {
    const segment = this.#segments.get(segmentNumber);
    if (segment === undefined) return;
    segment.readers++;
    let file: SpoolFile | undefined;
    try {
      try {
        file = await this.#files.open(segment.path, 'read');
      } catch (error) {
        throw new SpoolDiskError(segment.path, error, 'read');
      }
      const codec = new RecordCodec(this.#ownerId, segmentNumber, this.#crc32c);
      let position = Math.max(afterOffset, HEADER_BYTES);
      while (position < segment.bytes) {
        const limit = segment.bytes;
        const reader = new RecordReader(file, codec, position, limit);
        for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
          const record = found.kind === 'record' ? await reader.body(found) : undefined;
          const meta = record && readMeta(record, found.kind === 'record' ? found.metaBytes : 0);
          if (record === undefined || meta === undefined || found.kind !== 'record') {
            this.#tellDamage(segment, found.start, found.end, found.rows);
            continue;
          }
          const payload = record.subarray(RECORD_HEADER_BYTES + found.metaBytes);
          yield { place: { segment: segmentNumber, offset: found.end }, rows: found.rows, meta, payload };
        }
        position = limit;
      }
    } finally {
      segment.readers--;
      await file?.close();
      if (segment.closed && segment.isDone) this.#remove(segment);
    }
  }

  /** Everything of the segment up to that place is stored. A closed segment without anything else is removed. */
  acknowledge({ segment: number, offset }: Place): void {
    const segment = this.#segments.get(number);
    if (segment === undefined) return;
    segment.acknowledge(offset);
    if (segment.closed && segment.isDone) this.#remove(segment);
  }

  /**
   * Writes rows that cannot be stored into refused.ndjson, where they wait for a person.
   * @returns once they are on the disk
   * @throws SpoolDiskError when it does not take them
   */
  async setAside(rows: readonly RefusedRow[]): Promise<void> {
    try {
      await this.#files.makeFolder(this.#folder);
      await this.#refused.add(rows);
    } catch (error) {
      throw new SpoolDiskError(this.#folder, error);
    }
    this.counters.rowsSetAside += rows.length;
  }

  /** Waits until everything that was appended is written or rejected. What was not acknowledged stays on the disk. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#flushing) await this.#flushing;
    this.#closeCurrent();
    await this.#tidying;
  }

  async #flush(): Promise<void> {
    // Whatever is appended in the same turn of the event loop is written together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        const places = await this.#write(group);
        this.#succeed();
        for (const [index, { resolve }] of group.entries()) resolve(places[index] as Place);
      } catch (error) {
        this.#reject(group, error);
      }
    }
    if (this.#current && this.#current.generation !== this.#generation) this.#closeCurrent();
    this.#flushing = undefined;
  }

  /** The oldest of those that wait, of one segment, as many as one write may have. */
  #takeGroup(): Waiting[] {
    const generation = this.#waiting[0]?.generation;
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += recordBytes(waiting);
      if (waiting.generation !== generation || count === GROUP_RECORDS || (count > 0 && bytes > GROUP_BYTES))
        break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(group: readonly Waiting[]): Promise<Place[]> {
    await this.#prepare();
    const groupBytes = group.reduce((sum, waiting) => sum + recordBytes(waiting), 0);
    await this.#makeRoom(groupBytes + HEADER_BYTES);
    const generation = group[0]?.generation ?? this.#generation;
    if (this.#current && (this.#current.generation !== generation || this.#isFull(this.#current.segment))) {
      this.#closeCurrent();
    }
    this.#current ??= await this.#create(generation);
    const { segment, file, codec } = this.#current;
    const parts: Uint8Array[] = [];
    const ends: number[] = [];
    let end = segment.bytes;
    for (const { content, meta } of group) {
      const { rows, payload } = content;
      parts.push(codec.encodeHeader(rows, meta, payload, end, segment.bytes), meta, payload);
      end += RECORD_HEADER_BYTES + meta.length + payload.length;
      ends.push(end);
    }
    try {
      await file.write(parts, segment.bytes);
      await file.sync();
    } catch (error) {
      await this.#abandon(this.#current);
      throw new SpoolDiskError(segment.path, error);
    }
    this.counters.syncs++;
    segment.bytes = end;
    segment.changedAtMs = Date.now();
    for (const [index, { content }] of group.entries()) segment.add(ends[index] as number, content.rows);
    this.counters.recordsAppended += group.length;
    return ends.map((offset) => ({ segment: segment.number, offset }));
  }

  #isFull(segment: Segment): boolean {
    return segment.bytes >= this.#segmentBytes;
  }

  get #segmentBytes(): number {
    return Math.min(this.#wantedSegmentBytes, MAX_SEGMENT_BYTES, Math.ceil(this.maxBytes / LEAST_SEGMENTS));
  }

  async #create(generation: number): Promise<OpenSegment> {
    const number = this.#numbers.next();
    const path = join(this.#folder, segmentFile(number));
    const segment = new Segment(number, path, Date.now() * 1000, Date.now());
    const file = await this.#files.open(path, 'create');
    const open = { segment, file, codec: new RecordCodec(this.#ownerId, number, this.#crc32c), generation };
    const header = { ownerId: this.#ownerId, segment: number, createdAtUs: segment.createdAtUs };
    try {
      await file.write([encodeHeader(header, this.#crc32c)], 0);
      await file.sync();
      await this.#files.syncFolder(this.#folder);
    } catch (error) {
      await this.#abandon(open);
      throw new SpoolDiskError(path, error);
    }
    this.#segments.set(number, segment);
    return open;
  }

  /** A write failed, of which some may be in the file: it must never be read. */
  async #abandon({ segment, file }: OpenSegment): Promise<void> {
    this.#current = undefined;
    segment.closed = true;
    this.#leftovers.set(segment.path, segment.bytes);
    if (segment.isDone) this.#leftovers.set(segment.path, undefined);
    if (segment.isDone) this.#segments.delete(segment.number);
    await attempt(() => file.close());
    await attempt(() => this.#clearLeftovers());
  }

  async #clearLeftovers(): Promise<void> {
    for (const [path, bytes] of this.#leftovers) {
      // Cut also what will be removed: a power cut may bring the name back, and must not bring the rejected records.
      await this.#cut(path, bytes ?? 0);
      if (bytes === undefined) await this.#removeFile(path);
      this.#leftovers.delete(path);
    }
  }

  async #cut(path: string, bytes: number): Promise<void> {
    let file: SpoolFile;
    try {
      file = await this.#files.open(path, 'write');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    try {
      await file.truncate(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #removeFile(path: string): Promise<void> {
    try {
      await this.#files.remove(path);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Everything that must be so before something is written. */
  async #prepare(): Promise<void> {
    try {
      if (!this.#isRecovered) await this.#recover();
      if (this.#leftovers.size > 0) await this.#clearLeftovers();
      await this.#numbers.reserve();
    } catch (error) {
      throw new SpoolDiskError(this.#folder, error);
    }
  }

  async #recover(): Promise<void> {
    await this.#files.makeFolder(this.#folder);
    const found = await recover(this.#files, this.#folder, this.#ownerId, this.#crc32c);
    this.#isRecovered = true;
    for (const segment of found.segments) this.#segments.set(segment.number, segment);
    this.#numbers.used(found.lastNumber);
    await this.#numbers.load();
    this.counters.tornBytes = found.tornBytes;
    this.counters.filesUnreadable = found.unreadable.length;
    for (const { file, reason } of found.setAside) {
      this.counters.filesSetAside++;
      this.#events.onSetAside?.(file, reason);
    }
    for (const { segment, damage } of found.damages) {
      this.#tellDamage(segment, damage.start, damage.end, damage.rows);
    }
    if (this.#maxBytes !== undefined) return;
    const free = await this.#files.freeBytes(this.#folder);
    this.#maxBytes = Math.min(DEFAULT_MAX_BYTES, Math.floor((free + this.bytes) / 2));
  }

  /** Drops what is too old, and the oldest until so many bytes fit. */
  async #makeRoom(bytes: number): Promise<void> {
    const oldestMs = Date.now() - this.#maxAgeMs;
    for (const segment of [...this.#segments.values()]) {
      if (segment.changedAtMs >= oldestMs) break;
      if (segment.closed && segment.readers === 0) await this.#drop(segment, 'old');
    }
    while (this.#segments.size > 0 && this.bytes + bytes > this.maxBytes) {
      const victim = this.#oldestUnread();
      if (victim === undefined) break;
      if (victim === this.#current?.segment) this.#closeCurrent();
      await this.#drop(victim, 'full');
    }
  }

  /** A segment that is being read is on its way to be stored: it would be counted as lost and stored all the same. */
  #oldestUnread(): Segment | undefined {
    for (const segment of this.#segments.values()) if (segment.readers === 0) return segment;
    return undefined;
  }

  async #drop(segment: Segment, reason: DropReason): Promise<void> {
    const { info } = segment;
    if (!segment.isDone) {
      await this.#events.onDropped?.(info, this.read(segment.number, segment.acknowledged), reason);
      this.counters.segmentsDropped++;
      this.counters.rowsDropped += info.waitingRows;
    }
    this.#remove(segment);
  }

  #tellDamage(segment: Segment, start: number, end: number, announcedRows: number | undefined): void {
    if (segment.damaged.has(start)) return;
    segment.damaged.add(start);
    const knownRows = segment.forget(start, end);
    const rows = knownRows > 0 ? knownRows : announcedRows;
    this.counters.damages++;
    this.counters.damagedBytes += end - start;
    this.counters.damagedRows += rows ?? 0;
    this.#events.onDamaged?.({ segment: segment.number, offset: start, bytes: end - start, rows });
  }

  #closeCurrent(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    current.segment.closed = true;
    this.#tidy(() => current.file.close());
    if (current.segment.isDone) this.#remove(current.segment);
  }

  #remove({ number, path }: Segment): void {
    if (!this.#segments.delete(number)) return;
    this.#tidy(async () => {
      try {
        await this.#removeFile(path);
      } catch {
        this.#leftovers.set(path, undefined);
      }
    });
  }

  #tidy(work: () => Promise<void>): void {
    this.#tidying = this.#tidying.then(() => attempt(work));
  }

  #succeed(): void {
    if (this.problem === undefined) return;
    this.problem = undefined;
    this.#events.onProblemOver?.();
  }

  #fail(path: string, error: unknown): SpoolDiskError {
    const problem = error instanceof SpoolDiskError ? error : new SpoolDiskError(path, error);
    const isFirst = this.problem === undefined;
    this.problem = problem;
    this.#retryAtMs = performance.now() + this.#retryMs;
    if (isFirst) this.#events.onProblem?.(problem);
    return problem;
  }

  /** The disk refuses: nothing of what waits would fare better now. */
  #reject(group: readonly Waiting[], error: unknown): void {
    const all = [...group, ...this.#waiting.splice(0)];
    const problem = this.#fail(this.#folder, error);
    this.counters.appendsRefused += all.length;
    for (const { reject } of all) reject(problem);
  }
}

function recordBytes({ meta, content }: Waiting): number {
  return RECORD_HEADER_BYTES + meta.length + content.payload.length;
}

function readMeta(record: Buffer, bytes: number): JsonValue | undefined {
  try {
    return JSON.parse(record.toString('utf8', RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + bytes)) as JsonValue;
  } catch {
    return undefined;
  }
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch {}
}
