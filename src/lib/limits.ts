/**
 * What may be stored. TimescaleDB puts the segment keys of a compressed chunk into a btree index, and one
 * 5 kB label makes the compression of a whole chunk fail; hence the limits, checked before anything is sent.
 */
import type { Labels } from './sample.ts';

export const MAX_NAME_BYTES = 255;
const MAX_LABELS_BYTES = 1024;

/** Timestamps further away than this are refused: each stray date would make a chunk of its own. */
export const DEFAULT_MAX_PAST_US = 10 * 365.25 * 86_400 * 1e6;
export const DEFAULT_MAX_FUTURE_US = 3_600 * 1e6;

/**
 * Why a device or metric name cannot be stored, or undefined if it can.
 * PostgreSQL's text has no NUL; lone surrogates have no UTF-8 form.
 */
export function nameProblem(kind: 'device' | 'metric', name: string): string | undefined {
  if (name === '') return `the ${kind} name is empty`;
  if (name.includes('\0')) return `the ${kind} name contains a NUL character`;
  if (!name.isWellFormed()) return `the ${kind} name is not valid Unicode`;
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_NAME_BYTES)
    return `the ${kind} name has ${bytes} bytes, and at most ${MAX_NAME_BYTES} can be stored`;
  return undefined;
}

/** Why labels cannot be stored, or undefined if they can. Their size is that of their JSON text in UTF-8. */
export function labelsProblem(labels: Labels): string | undefined {
  for (const [name, value] of Object.entries(labels)) {
    if (name.includes('\0') || value.includes('\0')) return 'a label contains a NUL character';
    if (!name.isWellFormed() || !value.isWellFormed()) return 'a label is not valid Unicode';
  }
  const bytes = Buffer.byteLength(JSON.stringify(labels));
  if (bytes > MAX_LABELS_BYTES)
    return `the labels have ${bytes} bytes as JSON, and at most ${MAX_LABELS_BYTES} can be stored`;
  return undefined;
}

/** Why a timestamp cannot be stored, or undefined if it can. `nowUs` is the clock's reading to compare with. */
export function timestampProblem(
  timestampUs: number,
  nowUs: number,
  maxPastUs = DEFAULT_MAX_PAST_US,
  maxFutureUs = DEFAULT_MAX_FUTURE_US,
): string | undefined {
  if (!Number.isFinite(timestampUs)) return 'the timestamp is not a number';
  if (timestampUs > nowUs + maxFutureUs) {
    const inMilliseconds = timestampUs / 1000 >= nowUs - maxPastUs;
    const hint =
      inMilliseconds && timestampUs / 1000 <= nowUs + maxFutureUs
        ? ' (milliseconds instead of seconds?)'
        : '';
    return `the timestamp lies too far in the future${hint}`;
  }
  if (timestampUs < nowUs - maxPastUs) return 'the timestamp lies too far in the past';
  return undefined;
}
