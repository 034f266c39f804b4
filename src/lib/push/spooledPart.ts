/** A part of a spool on its way into the database, which takes each part once: see sql/migrations/0027_push_spools.sql. */
import type pg from 'pg';
import { readSql } from '../packageRoot.ts';
import { type PushColumns, toParameters } from './columns.ts';

export interface SpooledPart extends PushColumns {
  /** UUID of the spool. */
  readonly spool: string;
  readonly segment: number;
  /** Place in the segment where it begins, and where it ends: the next one begins there. */
  readonly after: number;
  readonly upto: number;
}

/** Index in the part, and why that row is not stored. */
export type PartRefusal = readonly [index: number, reason: string];

/** Where parts go. */
export interface SpoolSink {
  /**
   * Stores a part, or tells what was refused of it when it was stored before.
   * @throws PartRefused when it will never be stored as it is; anything else: try again later
   */
  store(part: SpooledPart): Promise<readonly PartRefusal[]>;
  close(): Promise<void>;
}

/** Something in the part makes the whole of it fail, each time. */
export class PartRefused extends Error {}

/** One statement, and so one transaction. */
export async function storeSpooled(client: pg.Client, part: SpooledPart): Promise<PartRefusal[]> {
  const { spool, segment, after, upto } = part;
  const { rows } = await client.query<{ sample: number; reason: string }>(
    readSql('queries/push_insert_spooled'),
    [spool, segment, after, upto, ...toParameters(part)],
  );
  return rows.map(({ sample, reason }) => [sample - 1, reason]);
}
