/** Which format of rows a request accepts (RFC 9110, section 12.5.1). */
import { readWeights } from './weighted.ts';

export type Format = 'json' | 'csv' | 'ndjson';

export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

const FORMATS = new Map<string, Format>([
  ['application/json', 'json'],
  ['text/csv', 'csv'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
]);

/** JSON, unless another format is named with a higher weight, or first with the same one. */
export function formatOf(accept: string | undefined): Format {
  let best: { format: Format; weight: number } | undefined;
  for (const { name, weight } of readWeights(accept)) {
    const format = FORMATS.get(name);
    if (format !== undefined && weight > (best?.weight ?? 0)) best = { format, weight };
  }
  return best?.format ?? 'json';
}
