/**
 * A batch as a record of the spool, and back. What comes back was written by this program or by an older one, perhaps
 * years ago: its CRC says that the disk kept it, not that it makes sense.
 */
import { COPY_HEADER, COPY_TRAILER } from '../database/rowEncoder.ts';
import type { JsonValue, RecordContent, StoredRecord } from '../spool/model.ts';
import type { Batch, BatchStamp, ClosedBatch } from './batch.ts';

/** Days of the years 1 to 9999: what PostgreSQL and JavaScript both can name. */
const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;
const MOST_DAYS = 100_000;

/**
 * @param runUs start of the run that read the batch
 * @param safeUs what was measured since then may be in memory alone: a later run must not claim that it is stored
 */
export function recordOf(batch: ClosedBatch & BatchStamp, runUs: number, safeUs?: number): RecordContent {
  const { rows, copy, days, fromUs, toUs, horizonUs, epoch, databaseOffsetUs } = batch;
  const meta: Record<string, JsonValue> = { run: runUs, horizon: horizonUs, from: fromUs, to: toUs, days };
  if (safeUs !== undefined) meta.safe = safeUs;
  if (epoch !== undefined) meta.epoch = epoch;
  if (databaseOffsetUs !== undefined) meta.databaseOffsetUs = databaseOffsetUs;
  return { rows, meta, payload: copy };
}

/** The batch that a record holds; undefined when it holds none. */
export function batchOf({ rows, meta, payload, place }: StoredRecord): Batch | undefined {
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) return undefined;
  const { run, horizon, safe, from, to, days, epoch, databaseOffsetUs } = meta as Readonly<
    Record<string, unknown>
  >;
  const whole = (value: unknown): value is number => Number.isSafeInteger(value);
  const time = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
  const optional = (value: unknown): value is number | undefined => value === undefined || time(value);
  if (!whole(run) || !time(horizon) || !time(from) || !time(to)) return undefined;
  if (!optional(safe) || !optional(epoch) || !optional(databaseOffsetUs)) return undefined;
  if (!Array.isArray(days) || days.length > MOST_DAYS) return undefined;
  if (!days.every((day) => whole(day) && day >= FIRST_DAY && day <= LAST_DAY)) return undefined;
  const copy = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (rows < 1 || !copy.subarray(0, COPY_HEADER.length).equals(COPY_HEADER)) return undefined;
  if (!copy.subarray(-COPY_TRAILER.length).equals(COPY_TRAILER)) return undefined;
  return {
    place,
    spooled: true,
    rows,
    copy,
    days: days as number[],
    fromUs: from,
    toUs: to,
    horizonUs: horizon,
    safeUs: safe,
    runUs: run,
    epoch,
    databaseOffsetUs,
  };
}
