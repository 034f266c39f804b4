/**
 * Values as one JSON object a line, with the names that kw's own export has. `timestamp` may be text or epoch
 * seconds; `value` a number, or text such as "NaN" where JSON has no number for it.
 */
import { isUtf8 } from 'node:buffer';
import { parseValue } from '../devices/prometheus/numbers.ts';
import { closest } from '../didYouMean.ts';
import type { Line } from './lines.ts';
import { makeRow, type PushFields, type PushRow, type Refusal } from './pushRow.ts';
import {
  LineError,
  parseJson,
  quoted,
  type ReaderOptions,
  type RowReader,
  readLabels,
  readTime,
} from './rowReader.ts';

const KEYS = ['timestamp', 'device_id', 'metric_id', 'value', 'labels'];

export class NdjsonReader implements RowReader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  read({ number, bytes }: Line): (PushRow | Refusal)[] {
    if (!isUtf8(bytes)) return [{ line: number, reason: 'the line is not UTF-8' }];
    const text = bytes.toString('utf8').trim();
    if (text === '') return [];
    try {
      return [makeRow(number, this.#fields(parseJson(text)), this.#options.defaults)];
    } catch (error) {
      if (error instanceof LineError) return [{ line: number, reason: error.message }];
      throw error;
    }
  }

  end(): [] {
    return [];
  }

  #fields(json: unknown): PushFields {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new LineError('the line is not a JSON object');
    const { timestamp, device_id, metric_id, value, labels, ...others } = json as Record<string, unknown>;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) {
      const [near] = closest(unknown, KEYS);
      const hint = near === undefined ? `the keys are ${KEYS.join(', ')}` : `did you mean ${near}?`;
      throw new LineError(`unknown key ${quoted(unknown)}: ${hint}`);
    }
    return {
      timestampUs: this.#timestamp(timestamp),
      deviceId: text('device_id', device_id),
      metricId: text('metric_id', metric_id),
      value: number(value),
      labels: readLabels(labels),
    };
  }

  #timestamp(value: unknown): number | undefined {
    if (value === undefined || value === null) return undefined;
    // The shortest text of a double has the digits that were written, as long as they are microseconds.
    if (typeof value === 'number') return readTime(String(value), this.#options);
    if (typeof value === 'string') return readTime(value, this.#options);
    throw new LineError('the timestamp is neither text nor a number');
  }
}

function text(key: string, value: unknown): string | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  throw new LineError(`${key} is not text`);
}

function number(value: unknown): number | undefined {
  if (value === undefined || value === null || typeof value === 'number') return value ?? undefined;
  const written = typeof value === 'string' ? value : JSON.stringify(value);
  const parsed = typeof value === 'string' ? parseValue(value.trim()) : undefined;
  if (parsed === undefined) throw new LineError(`the value ${quoted(written)} is not a number`);
  return parsed;
}
