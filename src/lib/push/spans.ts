/**
 * Values that reach over years. Each day is a partition or some chunks; a transaction that writes into them opens
 * and locks them all, and makes those that are missing. The table of locks is shared by everybody on the server,
 * collectors too, so a transaction writes into few days, and one that must be whole stays within a share of it.
 */
import type pg from 'pg';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';

/** Hourly chunks of so many days, made anew, take some 4,000 locks; a server has 6,400 unless told otherwise. */
const DAYS_PER_STATEMENT = 16;
/** The part of the table of locks that one transaction may take. */
const SHARE_OF_LOCKS = 1 / 4;

const DAY_US = 86_400e6;

interface Timed {
  readonly timestampUs: number;
}

/** The day (UTC) of a row, counted from 1970. */
export function dayOf({ timestampUs }: Timed): number {
  return Math.floor(timestampUs / DAY_US);
}

/** Runs of rows, in their order, none with more than `maxDays` different days. */
export function* splitByDays<T extends Timed>(
  rows: readonly T[],
  maxDays = DAYS_PER_STATEMENT,
): Generator<readonly T[]> {
  const days = new Set<number>();
  let start = 0;
  for (let index = 0; index < rows.length; index++) {
    const day = dayOf(rows[index] as T);
    if (days.size === maxDays && !days.has(day)) {
      yield rows.slice(start, index);
      start = index;
      days.clear();
    }
    days.add(day);
  }
  if (start < rows.length) yield start === 0 ? rows : rows.slice(start);
}

/**
 * Ends a transaction before it takes so many locks that other people's statements fail.
 * @param days that it has written into, for the message
 * @throws KwError PUSH_TOO_WIDE
 */
export async function checkLocks(client: pg.Client, days: number): Promise<void> {
  const { rows } = await client.query<{ held: number; room: number }>(readSql('queries/push_locks'));
  const { held, room } = rows[0] ?? { held: 0, room: 0 };
  if (held <= room * SHARE_OF_LOCKS) return;
  throw new KwError(
    `values of ${days} days and more are too many for one transaction: it took ${held} of the ${room} locks of the server`,
    {
      code: 'PUSH_TOO_WIDE',
      hint: 'nothing is stored; push fewer days at once, leave out --all-or-nothing, or raise max_locks_per_transaction on the server',
    },
  );
}
