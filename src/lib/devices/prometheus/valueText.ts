/** Reads the part of a sample line behind the series: value, perhaps a timestamp, perhaps an exemplar (left out). */
import { parseMillisecondsUs, parseSecondsUs, parseValue } from './numbers.ts';

/** The text format has timestamps in whole milliseconds, OpenMetrics in seconds with a fraction. */
export type ExpositionFormat = 'text' | 'openmetrics';

export interface ValueText {
  readonly value: number;
  /** Undefined when the line gives none. */
  readonly timestampUs: number | undefined;
}

const VALUE = /^([^ \t#]+)(?:[ \t]+([^ \t#]+))?[ \t]*(?:#.*)?$/;

/** Value and time, or one sentence saying what is wrong. */
export function parseValueText(text: string, format: ExpositionFormat): ValueText | string {
  const parts = VALUE.exec(text);
  const value = parts?.[1] === undefined ? undefined : parseValue(parts[1]);
  if (parts === null || value === undefined) return 'the value is not a number';
  const time = parts[2];
  if (time === undefined) return { value, timestampUs: undefined };
  const timestampUs = format === 'text' ? parseMillisecondsUs(time) : parseSecondsUs(time);
  return timestampUs === undefined ? 'the timestamp is malformed' : { value, timestampUs };
}
