/**
 * The forms in which many values can be pushed, each one reader of lines, and how to tell them apart.
 *
 *   ndjson       {"timestamp": "2026-11-22T10:00:00Z", "device_id": "node-1", "metric_id": "m", "value": 1, "labels": {}}
 *   csv          timestamp,device_id,metric_id,value,labels        the form that kw exports
 *   prometheus   m{run="3"} 1 1795341600000
 *   openmetrics  m{run="3"} 1 1795341600.5
 */
import { KwError } from '../errors.ts';
import { CsvReader } from './csv.ts';
import { NdjsonReader } from './ndjson.ts';
import { PrometheusTextReader } from './prometheusText.ts';
import type { ReaderOptions, RowReader } from './rowReader.ts';

export const PUSH_FORMATS = ['ndjson', 'csv', 'prometheus', 'openmetrics'] as const;
export type PushFormat = (typeof PUSH_FORMATS)[number];

export function rowReader(format: PushFormat, options: ReaderOptions): RowReader {
  switch (format) {
    case 'ndjson':
      return new NdjsonReader(options);
    case 'csv':
      return new CsvReader(options);
    case 'prometheus':
      return new PrometheusTextReader(options, 'text');
    case 'openmetrics':
      return new PrometheusTextReader(options, 'openmetrics');
  }
}

const BY_EXTENSION: ReadonlyMap<string, PushFormat> = new Map([
  ['ndjson', 'ndjson'],
  ['jsonl', 'ndjson'],
  ['csv', 'csv'],
  ['prom', 'prometheus'],
]);

/** The format of an input from its file name or, failing that, its first line that is not empty. */
export function guessFormat(fileName: string | undefined, firstLine: string): PushFormat {
  const extension = /\.([a-z]+)$/i.exec(fileName ?? '')?.[1]?.toLowerCase() ?? '';
  const named = BY_EXTENSION.get(extension);
  if (named !== undefined) return named;
  const text = firstLine.trim();
  if (text.startsWith('{') && !/^\{\s*"(?:[^"\\]|\\.)*"\s*[,}]/.test(text)) return 'ndjson';
  if (text.startsWith('[')) {
    throw new KwError('the input is a JSON array, and kw push reads one JSON object a line', {
      code: 'PUSH_FORMAT',
      hint: "turn it into lines: jq -c '.[]'",
    });
  }
  if (/^(#|[A-Za-z_:][A-Za-z0-9_:]*\s*[{ \t]|\{)/.test(text) && !text.includes(',value')) return 'prometheus';
  if (/(^|,)"?value"?(,|$)/.test(text)) return 'csv';
  throw new KwError('the format of the input cannot be told from its first line', {
    code: 'PUSH_FORMAT',
    hint: `give --format ${PUSH_FORMATS.join('|')}; CSV needs a header with the column value`,
  });
}
