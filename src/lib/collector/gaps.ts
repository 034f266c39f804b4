/** When collectors read nothing, or lost what they had read: the gaps of the last day, for `kw status`. */
import type { Client } from 'pg';
import { listing } from '../output/listing.ts';
import { readSql } from '../packageRoot.ts';
import { formatLocal, formatUtc, localTimeZone, parseTimeUs } from '../time.ts';

/** `stopped`, `killed`, `silent`: nothing was read. The others: why values were lost. */
export type GapCause = 'stopped' | 'killed' | 'silent' | 'memory' | 'full' | 'old' | 'damaged';

export interface GapReport {
  readonly collector_id: string;
  /** Name of the collector. */
  readonly collector: string;
  readonly cause: GapCause;
  readonly from: string;
  /** Null as long as the collector was not started again. */
  readonly until: string | null;
  /** How many values were lost; null when nobody read any. Of damaged records of a spool: how many records. */
  readonly values: number | null;
}

const WORDS: Readonly<Record<GapCause, string>> = {
  stopped: 'it was stopped',
  killed: 'it was killed, or its machine was',
  silent: 'it is not heard of',
  memory: 'the buffer was full',
  full: 'the spool was full',
  old: 'they waited for too long',
  damaged: 'records of the spool are damaged',
};
/** The latest are shown unless all are asked for. */
const FEW = 10;

interface GapRow {
  collector_id: string;
  collector: string;
  cause: GapCause;
  samples: number | null;
  from_us: number;
  until_us: number | null;
}

/** The latest first. */
export async function readGaps(client: Pick<Client, 'query'>): Promise<GapReport[]> {
  const { rows } = await client.query<GapRow>(readSql('queries/status_gaps'));
  return rows.map(({ from_us, until_us, samples, ...row }) => ({
    ...row,
    from: formatUtc(from_us),
    until: until_us === null ? null : formatUtc(until_us),
    values: samples,
  }));
}

/** For people, in their time zone. */
export function gapTable(
  gaps: readonly GapReport[],
  { all, width, timeZone = localTimeZone() }: { all: boolean; width?: number | undefined; timeZone?: string },
): string {
  const local = (text: string) => formatLocal(parseTimeUs(text, { nowUs: 0 }), timeZone, 3);
  return listing(
    ['GAP OF', 'FROM', 'UNTIL', 'VALUES LOST', 'BECAUSE'],
    (all ? gaps : gaps.slice(0, FEW)).map(({ collector, from, until, values, cause }) => [
      collector,
      local(from),
      until === null ? 'not yet' : local(until),
      values === null ? '-' : String(values),
      WORDS[cause],
    ]),
    width,
  );
}

/** What gapTable() leaves out. */
export function gapsLeftOut(gaps: readonly GapReport[], all: boolean): number {
  return all ? 0 : Math.max(0, gaps.length - FEW);
}
