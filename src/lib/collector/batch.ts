/**
 * Gathers samples into batches, and encodes each batch once, as the COPY stream that the database will get.
 * What cannot be stored is refused here, by itself, so that it never costs the batch that it came in.
 */
import { COPY_HEADER, COPY_TRAILER, RowGroup, TemplateCache } from '../database/rowEncoder.ts';
import { DEFAULT_MAX_FUTURE_US, DEFAULT_MAX_PAST_US, timestampProblem } from '../limits.ts';
import type { Sample, Series } from '../sample.ts';
import type { Place } from '../spool/model.ts';
import type { Column } from './column.ts';
import { type BatchTimes, Columns } from './columns.ts';

/** One COPY stream with what must be known about it. */
export interface ClosedBatch {
  readonly rows: number;
  /** Header, rows grouped by device, trailer. */
  readonly copy: Buffer;
  /** The UTC days that rows fall into, as days since 1970-01-01: the storage that must exist. */
  readonly days: readonly number[];
  /** First and last timestamp. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Everything that the collector measured before this instant is in this batch or in an earlier one. */
  readonly horizonUs: number;
}

/** What a record of the spool keeps beside the rows. */
export interface BatchStamp {
  /** The epoch of shards by which the collector read its devices. */
  readonly epoch?: number | undefined;
  /** What must be added to the batch's timestamps to have them on the database's clock. */
  readonly databaseOffsetUs?: number | undefined;
}

/** A batch that has its place in the ledger: what the lanes hold and the database stores. */
export interface Batch extends ClosedBatch, BatchStamp {
  /** In this order batches of a segment are stored; the ledger knows by it what it has. */
  readonly place: Place;
  /** It is on the disk: memory may forget it. */
  readonly spooled: boolean;
  /** Start of the run of the collector that read it. */
  readonly runUs: number;
  /** What was measured since then may have been in memory alone when this was written to the disk. */
  readonly safeUs?: number | undefined;
}

export interface BatchLimits {
  readonly maxPastUs: number;
  readonly maxFutureUs: number;
}

export interface BatchBuilderOptions {
  /** Wall clock in microseconds. */
  readonly nowUs: () => number;
  readonly limits?: BatchLimits;
  /** Called for each sample that cannot be stored, with the reason. */
  readonly onRefused: (sample: Sample, problem: string) => void;
  /** Called for each Series object when it is seen for the first time. */
  readonly onNewSeries?: (series: Series) => void;
  /** Until then another process read the streams. */
  readonly streamsFromUs?: number | undefined;
}

const DAY_US = 86_400_000_000;

/** A device without rows in that many batches is forgotten. */
const IDLE_BATCHES = 100;

/** The rows of one device in the batch that is being gathered. */
interface DeviceRows {
  readonly group: RowGroup;
  idleBatches: number;
}

export class BatchBuilder {
  readonly #options: BatchBuilderOptions;
  readonly #limits: BatchLimits;
  readonly #templates = new TemplateCache();
  readonly #columns: Columns;
  readonly #devices = new Map<string, DeviceRows>();
  /** Names of #devices, sorted; undefined when it must be made anew. */
  #sorted: string[] | undefined;
  #rows = 0;
  #bytes = 0;
  #times: BatchTimes = noTimes();
  /** Values of columns in all batches that were closed. */
  #streamed = 0;

  constructor(options: BatchBuilderOptions) {
    this.#options = options;
    this.#limits = options.limits ?? { maxPastUs: DEFAULT_MAX_PAST_US, maxFutureUs: DEFAULT_MAX_FUTURE_US };
    this.#columns = new Columns(options.streamsFromUs);
  }

  /** Of streams, what is measured from then on is left to another process. */
  endStreamsAt(untilUs: number): void {
    this.#columns.endAt(untilUs);
  }

  /** Rows gathered since the last batch. */
  get rows(): number {
    return this.#rows + this.#columns.rows;
  }

  /**
   * A column for the values of one series of a stream. They are checked when the batch is closed; until then
   * nothing bounds their number, so whoever adds many must look at `rows`.
   */
  column(series: Series, onClose: () => void): Column {
    return this.#columns.open(series, onClose);
  }

  /** Values that came by columns, since the start. */
  get streamed(): number {
    return this.#streamed + this.#columns.rows;
  }

  /** Takes times and values out of the samples: the objects can go at once. */
  add(samples: readonly Sample[]): void {
    const { maxPastUs, maxFutureUs } = this.#limits;
    const nowUs = this.#options.nowUs();
    const firstUs = nowUs - maxPastUs;
    const lastUs = nowUs + maxFutureUs;
    let group: RowGroup | undefined;
    let deviceId: string | undefined;
    let dayEndsUs = 0;
    let dayBeginsUs = 0;
    for (const { series, timestampUs, value } of samples) {
      if (group === undefined || deviceId !== series.deviceId) {
        deviceId = series.deviceId;
        group = this.#groupOf(deviceId);
      }
      const template = group.expected(series) ?? this.#templates.get(series, this.#options.onNewSeries);
      if (typeof template === 'string') {
        this.#options.onRefused({ series, timestampUs, value }, template);
        continue;
      }
      // Written so that NaN is refused too.
      if (!(timestampUs >= firstUs && timestampUs <= lastUs)) {
        const problem = timestampProblem(timestampUs, nowUs, maxPastUs, maxFutureUs);
        this.#options.onRefused({ series, timestampUs, value }, problem ?? 'the timestamp is out of bounds');
        continue;
      }
      if (timestampUs >= dayEndsUs || timestampUs < dayBeginsUs) {
        const day = Math.floor(timestampUs / DAY_US);
        dayBeginsUs = day * DAY_US;
        dayEndsUs = dayBeginsUs + DAY_US;
        this.#times.days.add(day);
      }
      if (timestampUs < this.#times.fromUs) this.#times.fromUs = timestampUs;
      if (timestampUs > this.#times.toUs) this.#times.toUs = timestampUs;
      group.add(series, template, timestampUs, value);
      this.#rows++;
      this.#bytes += template.length;
    }
  }

  /**
   * Encodes what was gathered, or nothing if there is nothing. Rows are grouped by device and devices sorted: the
   * server then walks the index in order, which was measured to save it a third of its work.
   */
  close(horizonUs: number): ClosedBatch | undefined {
    this.#streamed += this.#columns.rows;
    const columnBytes = this.#checkColumns();
    const rows = this.rows;
    if (rows === 0) return undefined;
    // A buffer of its own, not a slice of Node's pool: its size is what the backlog accounts for.
    const copy = Buffer.allocUnsafeSlow(COPY_HEADER.length + this.#bytes + columnBytes + COPY_TRAILER.length);
    const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    let offset = COPY_HEADER.copy(copy);
    this.#sorted ??= [...this.#devices.keys()].sort();
    for (const deviceId of this.#sorted) {
      const device = this.#devices.get(deviceId) as DeviceRows;
      if (device.group.rows > 0) {
        offset = device.group.write(copy, view, offset);
        device.idleBatches = 0;
      } else if (++device.idleBatches > IDLE_BATCHES) {
        this.#devices.delete(deviceId);
        this.#sorted = undefined;
      }
    }
    offset = this.#columns.write(this.#templates, copy, view, offset);
    COPY_TRAILER.copy(copy, offset);
    const { fromUs, toUs } = this.#times;
    const days = [...this.#times.days].sort((a, b) => a - b);
    this.#rows = 0;
    this.#bytes = 0;
    this.#times = noTimes();
    return { rows, copy, days, fromUs, toUs, horizonUs };
  }

  #checkColumns(): number {
    if (this.#columns.rows === 0) return 0;
    const { nowUs, onRefused } = this.#options;
    const check = { nowUs: nowUs(), limits: this.#limits, templates: this.#templates, onRefused };
    return this.#columns.check(check, this.#times);
  }

  #groupOf(deviceId: string): RowGroup {
    let device = this.#devices.get(deviceId);
    if (device === undefined) {
      device = { group: new RowGroup(), idleBatches: 0 };
      this.#devices.set(deviceId, device);
      this.#sorted = undefined;
    }
    return device.group;
  }
}

function noTimes(): BatchTimes {
  return { days: new Set(), fromUs: Number.POSITIVE_INFINITY, toUs: Number.NEGATIVE_INFINITY };
}
