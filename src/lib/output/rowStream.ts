/**
 * Rows on their way from one kw to another, such as from `kw serve` to `kw query`: exact, and a fifth of the bytes of
 * CSV. A stream of frames, each with its kind, the length of what follows (4 bytes, little endian) and that:
 *
 *   H  head   JSON: what is known before the first row
 *   S  series JSON: [id, device, metric, labels]; the rows that follow know it by its id
 *   R  rows   20 bytes each: id (uint32), microseconds since the epoch (double), value (double), little endian
 *   Q  rows of the summary, 52 bytes each: as R, then min, max, count, count_not_finite (doubles)
 *   E  error  JSON: the answer cannot be finished, and why
 *   T  trailer JSON: what is known after the last row
 *
 * A stream ends with E or T. One that ends otherwise was cut: its rows are not all.
 */
import type { RowSeries, RowSink, RowWriter, SummaryFields } from './row.ts';

export const ROW_STREAM_TYPE = 'application/vnd.kw.rows';

const HEAD = 0x48;
const SERIES = 0x53;
const ROWS = 0x52;
const SUMMARY_ROWS = 0x51;
const ERROR = 0x45;
const TRAILER = 0x54;

const FRAME_BYTES = 5;
const ROW_BYTES = 20;
const SUMMARY_ROW_BYTES = 52;
const CHUNK_BYTES = 128 * 1024;
/** Longer than any frame that is made here: what claims to be longer is no stream of rows. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

export class RowStreamWriter implements RowWriter {
  rows = 0;
  #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #length = 0;
  /** Where the frame of rows begins that is being written; -1 is none. */
  #rowsAt = -1;
  /** By id. */
  readonly #known: RowSeries[] = [];

  get pendingBytes(): number {
    return this.#length;
  }

  head(value: unknown): void {
    this.#json(HEAD, value);
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    const { id } = series;
    if (this.#known[id] !== series) {
      this.#known[id] = series;
      this.#json(SERIES, [id, series.deviceId, series.metricId, series.labels]);
    }
    const size = summary === undefined ? ROW_BYTES : SUMMARY_ROW_BYTES;
    this.#reserve(FRAME_BYTES + size);
    if (this.#rowsAt < 0) this.#begin(summary === undefined ? ROWS : SUMMARY_ROWS);
    const buffer = this.#buffer;
    const at = this.#length;
    buffer.writeUInt32LE(id, at);
    buffer.writeDoubleLE(timestampUs, at + 4);
    buffer.writeDoubleLE(value, at + 12);
    if (summary !== undefined) {
      buffer.writeDoubleLE(summary.min, at + 20);
      buffer.writeDoubleLE(summary.max, at + 28);
      buffer.writeDoubleLE(summary.count, at + 36);
      buffer.writeDoubleLE(summary.countNotFinite, at + 44);
    }
    this.#length += size;
    this.rows++;
  }

  end(): void {}

  trailer(value: unknown): void {
    this.#json(TRAILER, value);
  }

  error(value: unknown): void {
    this.#json(ERROR, value);
  }

  take(): Buffer | undefined {
    if (this.#length === 0) return undefined;
    this.#closeRows();
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#length = 0;
    return taken;
  }

  #begin(kind: number): void {
    this.#rowsAt = this.#length;
    this.#buffer[this.#length] = kind;
    this.#length += FRAME_BYTES;
  }

  #closeRows(): void {
    if (this.#rowsAt < 0) return;
    this.#buffer.writeUInt32LE(this.#length - this.#rowsAt - FRAME_BYTES, this.#rowsAt + 1);
    this.#rowsAt = -1;
  }

  #json(kind: number, value: unknown): void {
    this.#closeRows();
    const bytes = Buffer.from(JSON.stringify(value));
    this.#reserve(FRAME_BYTES + bytes.length);
    this.#buffer[this.#length] = kind;
    this.#buffer.writeUInt32LE(bytes.length, this.#length + 1);
    this.#buffer.set(bytes, this.#length + FRAME_BYTES);
    this.#length += FRAME_BYTES + bytes.length;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + size));
    this.#buffer.copy(bigger, 0, 0, this.#length);
    this.#buffer = bigger;
  }
}

/** What a stream says beside its rows. */
export interface RowStreamEvents {
  /** Gives where the rows go. */
  head(value: unknown): RowSink | Promise<RowSink>;
  error(value: unknown): void;
  trailer(value: unknown): void;
}

/** These bytes are no stream of rows, or one of another kw. */
export class BadRowStream extends Error {}

export class RowStreamReader {
  readonly #events: RowStreamEvents;
  #partial: Buffer | undefined;
  #sink: RowSink | undefined;
  /** By id. */
  readonly #series: RowSeries[] = [];
  /** E or T was there. */
  ended = false;

  constructor(events: RowStreamEvents) {
    this.#events = events;
  }

  /** Takes any piece of the stream. @throws BadRowStream */
  async read(piece: Buffer): Promise<void> {
    const bytes = this.#partial === undefined ? piece : Buffer.concat([this.#partial, piece]);
    let at = 0;
    while (bytes.length - at >= FRAME_BYTES) {
      const length = bytes.readUInt32LE(at + 1);
      if (length > MAX_FRAME_BYTES || this.ended) throw new BadRowStream('this is no stream of rows');
      const end = at + FRAME_BYTES + length;
      if (end > bytes.length) break;
      const pending = this.#frame(bytes[at] as number, bytes.subarray(at + FRAME_BYTES, end));
      if (pending !== undefined) await pending;
      at = end;
    }
    this.#partial = at < bytes.length ? bytes.subarray(at) : undefined;
  }

  #frame(kind: number, payload: Buffer): Promise<void> | undefined {
    switch (kind) {
      case ROWS:
        this.#rows(payload, ROW_BYTES);
        return;
      case SUMMARY_ROWS:
        this.#rows(payload, SUMMARY_ROW_BYTES);
        return;
      case SERIES: {
        const [id, deviceId, metricId, labels] = parseJson(payload) as [number, string, string, string];
        this.#series[id] = { id, deviceId, metricId, labels };
        return;
      }
      case HEAD:
        return this.#head(parseJson(payload));
      case ERROR:
        this.ended = true;
        this.#events.error(parseJson(payload));
        return;
      case TRAILER:
        this.ended = true;
        this.#sink?.end();
        this.#events.trailer(parseJson(payload));
        return;
      default:
        throw new BadRowStream('this is no stream of rows');
    }
  }

  async #head(value: unknown): Promise<void> {
    this.#sink = await this.#events.head(value);
  }

  #rows(payload: Buffer, size: number): void {
    const sink = this.#sink;
    if (sink === undefined || payload.length % size !== 0)
      throw new BadRowStream('this is no stream of rows');
    for (let at = 0; at < payload.length; at += size) {
      const series = this.#series[payload.readUInt32LE(at)];
      if (series === undefined) throw new BadRowStream('a row has a series that nobody named');
      const summary =
        size === ROW_BYTES
          ? undefined
          : {
              min: payload.readDoubleLE(at + 20),
              max: payload.readDoubleLE(at + 28),
              count: payload.readDoubleLE(at + 36),
              countNotFinite: payload.readDoubleLE(at + 44),
            };
      sink.row(payload.readDoubleLE(at + 4), series, payload.readDoubleLE(at + 12), summary);
    }
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    throw new BadRowStream('this is no stream of rows');
  }
}
