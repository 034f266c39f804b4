/**
 * Gathers samples into batches, and encodes each batch once, as the COPY stream that the database will get.
 * What cannot be stored is refused here, by itself, so that it never costs the batch that it came in.
 */
import {
  COPY_HEADER,
  COPY_TRAILER,
  type RowTemplate,
  TemplateCache,
  writeRow,
} from '../database/rowEncoder.ts';
import { DEFAULT_MAX_FUTURE_US, DEFAULT_MAX_PAST_US, timestampProblem } from '../limits.ts';
import type { Sample, Series } from '../sample.ts';

/** One COPY stream with what must be known about it. */
export interface Batch {
  /** Number of the batch in this run of the collector, from 1: the ledger's offset. */
  readonly sequence: number;
  readonly rows: number;
  /** Header, rows grouped by device, trailer. */
  readonly copy: Buffer;
  /** The UTC days that rows fall into, as days since 1970-01-01: the storage that must exist. */
  readonly days: readonly number[];
  /** Everything that the collector measured before this instant is in this batch or in an earlier one. */
  readonly horizonUs: number;
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
}

export const DAY_US = 86_400_000_000;

/** The samples of one device in the batch that is being gathered. */
interface DeviceRows {
  readonly templates: RowTemplate[];
  readonly samples: Sample[];
}

export class BatchBuilder {
  readonly #options: BatchBuilderOptions;
  readonly #limits: BatchLimits;
  readonly #templates = new TemplateCache();
  #devices = new Map<string, DeviceRows>();
  #rows = 0;
  #bytes = 0;
  #earliestUs = Number.POSITIVE_INFINITY;
  #latestUs = Number.NEGATIVE_INFINITY;
  #sequence = 0;

  constructor(options: BatchBuilderOptions) {
    this.#options = options;
    this.#limits = options.limits ?? { maxPastUs: DEFAULT_MAX_PAST_US, maxFutureUs: DEFAULT_MAX_FUTURE_US };
  }

  /** Rows gathered since the last batch. */
  get rows(): number {
    return this.#rows;
  }

  add(samples: readonly Sample[]): void {
    const { maxPastUs, maxFutureUs } = this.#limits;
    const nowUs = this.#options.nowUs();
    const firstUs = nowUs - maxPastUs;
    const lastUs = nowUs + maxFutureUs;
    let device: DeviceRows | undefined;
    let deviceId: string | undefined;
    for (const sample of samples) {
      const { series, timestampUs } = sample;
      const template = this.#templates.get(series, this.#options.onNewSeries);
      if (typeof template === 'string') {
        this.#options.onRefused(sample, template);
        continue;
      }
      // Written so that NaN is refused too.
      if (!(timestampUs >= firstUs && timestampUs <= lastUs)) {
        const problem = timestampProblem(timestampUs, nowUs, maxPastUs, maxFutureUs);
        this.#options.onRefused(sample, problem ?? 'the timestamp is out of bounds');
        continue;
      }
      if (device === undefined || deviceId !== series.deviceId) {
        deviceId = series.deviceId;
        device = this.#devices.get(deviceId);
        if (device === undefined) {
          device = { templates: [], samples: [] };
          this.#devices.set(deviceId, device);
        }
      }
      device.templates.push(template);
      device.samples.push(sample);
      this.#rows++;
      this.#bytes += template.length;
      if (timestampUs < this.#earliestUs) this.#earliestUs = timestampUs;
      if (timestampUs > this.#latestUs) this.#latestUs = timestampUs;
    }
  }

  /**
   * Encodes what was gathered, or nothing if there is nothing. Rows are grouped by device and devices sorted: the
   * server then walks the index in order, which was measured to save it a third of its work.
   */
  close(horizonUs: number): Batch | undefined {
    if (this.#rows === 0) return undefined;
    // A buffer of its own, not a slice of Node's pool: its size is what the backlog accounts for.
    const copy = Buffer.allocUnsafeSlow(COPY_HEADER.length + this.#bytes + COPY_TRAILER.length);
    const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    let offset = COPY_HEADER.copy(copy);
    for (const deviceId of [...this.#devices.keys()].sort()) {
      const { templates, samples } = this.#devices.get(deviceId) as DeviceRows;
      for (let index = 0; index < samples.length; index++) {
        const sample = samples[index] as Sample;
        const template = templates[index] as RowTemplate;
        offset = writeRow(copy, view, offset, template, sample.timestampUs, sample.value);
      }
    }
    COPY_TRAILER.copy(copy, offset);
    const batch: Batch = {
      sequence: ++this.#sequence,
      rows: this.#rows,
      copy,
      days: this.#days(),
      horizonUs,
    };
    this.#devices = new Map();
    this.#rows = 0;
    this.#bytes = 0;
    this.#earliestUs = Number.POSITIVE_INFINITY;
    this.#latestUs = Number.NEGATIVE_INFINITY;
    return batch;
  }

  #days(): number[] {
    const first = Math.floor(this.#earliestUs / DAY_US);
    if (first === Math.floor(this.#latestUs / DAY_US)) return [first];
    const days = new Set<number>();
    for (const { samples } of this.#devices.values()) {
      for (const sample of samples) days.add(Math.floor(sample.timestampUs / DAY_US));
    }
    return [...days].sort((a, b) => a - b);
  }
}
