/** The decoder and the stream of a wattmeter, fed by a test. */
import { PassThrough } from 'node:stream';
import type { Problem, StreamRequest, StreamSink } from '../../../../src/lib/devices/driver.ts';
import { inputDriver } from '../../../../src/lib/devices/wattmeter/driver.ts';
import { FrameDecoder, type Layout, type LineFault } from '../../../../src/lib/devices/wattmeter/lines.ts';
import { type Quantity, stdinUrl } from '../../../../src/lib/devices/wattmeter/url.ts';
import type { Series } from '../../../../src/lib/sample.ts';

export interface Decoded {
  /** Time in microseconds, and the watts of each port; null where there is none. */
  readonly frames: [number, ...(number | null)[]][];
  readonly faults: LineFault[];
  readonly layouts: Layout[];
}

/** Decodes bytes in chunks of that size. */
export function decode(input: string | Buffer, chunkBytes = 65_536): Decoded {
  const decoded: Decoded = { frames: [], faults: [], layouts: [] };
  const decoder = new FrameDecoder({
    onLayout: (layout) => decoded.layouts.push(layout),
    onFrame: (timestampUs, values) => {
      const { power } = decoded.layouts.at(-1) as Layout;
      const watts = power.map((column) => values[column] as number);
      decoded.frames.push([timestampUs, ...watts.map((watt) => (Number.isFinite(watt) ? watt : null))]);
    },
    onFault: (fault, text) => {
      text();
      decoded.faults.push(fault);
    },
  });
  const bytes = Buffer.from(input);
  // A copy, since a source may use its buffers again.
  for (let at = 0; at < bytes.length; at += chunkBytes)
    decoder.push(Buffer.from(bytes.subarray(at, at + chunkBytes)));
  decoder.end();
  return decoded;
}

/** A v1 line: time in seconds as text, watts as text. */
export const v1 = (time: string, ...watts: string[]): string => `17,42,${time},OK,${watts.join(',')}\n`;

export interface Row {
  readonly device: string;
  readonly metric: string;
  readonly timestampUs: number;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** A wattmeter `w` whose lines a test writes, with everything that it told. */
export class TestStream {
  readonly rows: Row[] = [];
  readonly problems: Problem[] = [];
  readonly downs: Problem[] = [];
  missed = 0;
  readings = 0;
  ended = false;
  /** Metrics by device that are promoted. */
  readonly promoted = new Set<string>();
  readonly open = new Map<string, Series>();
  nowUs = 1_700_000_000_000_000;
  readonly #input = new PassThrough();
  readonly stream;

  constructor(
    options: {
      quantities?: readonly Quantity[];
      updateEveryMs?: number;
      optional?: boolean;
      mapping?: string;
      scaleFactor?: number;
    } = {},
  ) {
    const { quantities = ['power'], updateEveryMs = 1_000, optional = false, mapping, scaleFactor } = options;
    const url = stdinUrl(mapping);
    const context = { nowUs: () => this.nowUs, isConfiguredMetric: () => false };
    this.stream = inputDriver(this.#input).openStream('w', url, context, this.#sink());
    this.requests = quantities.map((quantity) => ({
      url: { ...url, quantity },
      deviceId: 'w',
      metricId: quantity,
      labels: {},
      scaleFactor,
      optional,
      updateEveryMs,
    }));
    this.stream.configure(this.requests);
  }

  readonly requests: StreamRequest<ReturnType<typeof stdinUrl>>[];

  /** Writes text and waits until it was read. */
  async write(text: string): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#input.write(text);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async end(): Promise<void> {
    this.#input.end();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await this.stream.close();
  }

  /** Rows as `device seconds value`, the seconds from `baseS` on. */
  lines(baseS = 0): string[] {
    return this.rows.map(
      ({ device, timestampUs, value }) => `${device} ${(timestampUs - baseS * 1e6) / 1e6} ${value}`,
    );
  }

  #sink(): StreamSink {
    return {
      channel: (_request, series) => {
        const { deviceId: device, metricId: metric, labels } = series;
        const key = JSON.stringify(series);
        if (this.open.has(key)) throw new Error(`${key} is open already`);
        this.open.set(key, series);
        const { promoted } = this;
        return {
          get promoted() {
            return promoted.has(device);
          },
          add: (timestampUs, value) => void this.rows.push({ device, metric, timestampUs, value, labels }),
          close: () => void this.open.delete(key),
        };
      },
      samples: () => {},
      readings: (count) => {
        this.readings += count;
      },
      down: (problem) => void this.downs.push(problem),
      problems: (problems) => void this.problems.push(...problems),
      missed: (count) => {
        this.missed += count;
      },
      remark: () => {},
      ended: () => {
        this.ended = true;
      },
    };
  }
}
