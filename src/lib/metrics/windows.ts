/**
 * In what portions a selection is read, so that rows come in order of time without waiting for a sort of all:
 * - a compressed chunk whole: TimescaleDB gives its rows in order as it unpacks them, and cutting it would unpack
 *   the same segments again for every portion (measured: up to 12 times slower);
 * - everything else in slices short enough to sort at once, their length following the density of rows.
 * All portions are read in one snapshot.
 */
import { type Interval, intersect } from './interval.ts';

export interface Window extends Interval {
  readonly compressed: boolean;
}

const FIRST_SLICE_US = 20 * 1e6;
/** Sorted within 30 ms or so. */
const ROWS_PER_SLICE = 30_000;
const MIN_SLICE_US = 50_000;
const MAX_GROWTH = 8;
/** Asked for at once, so that the server reads the next slice while we write the last one. */
const SLICES_PER_BATCH = 6;

/**
 * Yields batches of windows that together cover `times` exactly, in order; the first batch is one slice, so that
 * its rows come soon. `next(rows)` tells how many rows the batch before had.
 * @param compressed chunks, disjoint and in order
 */
export function* windows(
  times: readonly Interval[],
  compressed: readonly Interval[],
  firstSliceUs = FIRST_SLICE_US,
): Generator<readonly Window[], void, number> {
  let lengthUs = firstSliceUs;
  let most = 1;
  for (const segment of segments(times, compressed)) {
    if (segment.compressed) {
      yield [segment];
      continue;
    }
    for (let fromUs = segment.fromUs; fromUs <= segment.toUs; ) {
      const batch: Window[] = [];
      const beginUs = fromUs;
      while (batch.length < most && fromUs <= segment.toUs) {
        const toUs = Math.min(fromUs + lengthUs - 1, segment.toUs);
        batch.push({ fromUs, toUs, compressed: false });
        fromUs = toUs + 1;
      }
      const rows = yield batch;
      // Judged by the time that was read, which may be shorter than wanted.
      const fitting = ((fromUs - beginUs) * ROWS_PER_SLICE) / Math.max(rows, 1);
      lengthUs = Math.ceil(Math.min(Math.max(fitting, MIN_SLICE_US), lengthUs * MAX_GROWTH));
      most = SLICES_PER_BATCH;
    }
  }
}

/** `times` cut where compressed chunks begin and end. */
function* segments(times: readonly Interval[], compressed: readonly Interval[]): Generator<Window> {
  for (const time of times) {
    let fromUs = time.fromUs;
    for (const chunk of compressed) {
      const part = intersect(chunk, time);
      if (part === undefined) continue;
      if (part.fromUs > fromUs) yield { fromUs, toUs: part.fromUs - 1, compressed: false };
      yield { ...part, compressed: true };
      fromUs = part.toUs + 1;
    }
    if (fromUs <= time.toUs) yield { fromUs, toUs: time.toUs, compressed: false };
  }
}
