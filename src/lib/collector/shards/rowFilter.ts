/** Takes the rows out of an encoded batch that another collector stores. */
import {
  COPY_HEADER,
  COPY_TRAILER,
  deviceBytesAt,
  rowOffsets,
  timestampAt,
} from '../../database/rowEncoder.ts';

export interface KeptRows {
  /** The same buffer when every row stays. */
  readonly copy: Buffer;
  readonly rows: number;
}

/**
 * Rows of a device lie together, so `keeps` is asked with a name that is decoded once for all of them.
 * @param copy a COPY stream with header and trailer
 */
export function keepRows(copy: Buffer, keeps: (device: string, timestampUs: number) => boolean): KeptRows {
  const offsets = rowOffsets(copy);
  const count = offsets.length - 1;
  const parts: Buffer[] = [COPY_HEADER];
  let kept = 0;
  /** Where the rows begin that stay and are not in `parts` yet. */
  let from: number | undefined;
  let bytes: Buffer | undefined;
  let device = '';
  for (let row = 0; row < count; row++) {
    const offset = offsets[row] as number;
    const here = deviceBytesAt(copy, offset);
    if (bytes === undefined || !here.equals(bytes)) {
      bytes = here;
      device = here.toString('utf8');
    }
    if (keeps(device, timestampAt(copy, offset))) {
      kept++;
      from ??= offset;
    } else if (from !== undefined) {
      parts.push(copy.subarray(from, offset));
      from = undefined;
    }
  }
  if (kept === count) return { copy, rows: count };
  if (from !== undefined) parts.push(copy.subarray(from, offsets[count]));
  parts.push(COPY_TRAILER);
  return { copy: Buffer.concat(parts), rows: kept };
}
