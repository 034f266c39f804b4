/**
 * Values in Prometheus's text format or in OpenMetrics, as textfiles for node_exporter have them. Metrics keep their
 * names; `kwollect_custom{_metric_id="m",_timestamp="..."}` means the metric m, so that one file serves for both ways.
 */
import { parseSecondsUs } from '../devices/prometheus/numbers.ts';
import { CUSTOM_NAME } from '../devices/prometheus/selection.ts';
import { parseSeriesText } from '../devices/prometheus/seriesText.ts';
import { type ExpositionFormat, parseValueText } from '../devices/prometheus/valueText.ts';
import type { Line } from './lines.ts';
import { makeRow, type PushRow, type Refusal } from './pushRow.ts';
import { quoted, type ReaderOptions, type RowReader } from './rowReader.ts';

const HASH = 0x23;

export class PrometheusTextReader implements RowReader {
  readonly #options: ReaderOptions;
  readonly #format: ExpositionFormat;

  constructor(options: ReaderOptions, format: ExpositionFormat) {
    this.#options = options;
    this.#format = format;
  }

  read({ number: line, bytes }: Line): (PushRow | Refusal)[] {
    if (bytes[0] === HASH) return [];
    const text = bytes.toString('latin1');
    if (text.trim() === '') return [];
    const series = parseSeriesText(text);
    if (typeof series === 'string') return [{ line, reason: series }];
    const found = parseValueText(text.slice(series.valueStart), this.#format);
    if (typeof found === 'string') return [{ line, reason: found }];
    const labels = new Map(series.labels);
    let metricId = series.name;
    let { timestampUs } = found;
    if (metricId === CUSTOM_NAME) {
      metricId = labels.get('_metric_id') || metricId;
      const stamp = labels.get('_timestamp');
      if (stamp) {
        timestampUs = parseSecondsUs(stamp.trim());
        if (timestampUs === undefined)
          return [{ line, reason: `_timestamp ${quoted(stamp)} is not a number of seconds since 1970` }];
      }
      labels.delete('_metric_id');
      labels.delete('_timestamp');
    }
    const fields = { metricId, timestampUs, value: found.value, labels: Object.fromEntries(labels) };
    return [makeRow(line, fields, this.#options.defaults)];
  }

  end(): [] {
    return [];
  }
}
