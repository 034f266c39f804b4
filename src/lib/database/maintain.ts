/** Looking after storage at once, instead of waiting for a collector or for TimescaleDB's own jobs. */
import type { Flavour, SqlClient } from './flavour.ts';

/** What kw.maintain() answers. Fields of partitions are of the plain flavour. */
interface MaintainAnswer {
  /** Somebody else is at it. */
  readonly busy: boolean;
  /** The summary was not finished within the time of one call. */
  readonly more: boolean;
  readonly partitions_made?: number;
  readonly partitions_dropped?: number;
}

export interface MaintainResult {
  readonly flavour: Flavour;
  readonly busy: boolean;
  readonly partitionsMade: number;
  /** Partitions or chunks of raw values that were older than the retention. */
  readonly partsDropped: number;
}

/**
 * Refreshes the summary up to some minutes ago, late rows included, makes partitions, applies the retention,
 * ends what has expired. Needs kw_admin. May take long after a long pause.
 */
export async function maintain(
  client: SqlClient,
  flavour: Flavour,
  onProgress: (message: string) => void = () => {},
): Promise<MaintainResult> {
  let partitionsMade = 0;
  let partsDropped = 0;
  for (;;) {
    const { rows } = await client.query('SELECT kw.maintain() AS answer');
    const answer = rows[0]?.answer as MaintainAnswer;
    if (answer.busy) return { flavour, busy: true, partitionsMade, partsDropped };
    partitionsMade += answer.partitions_made ?? 0;
    partsDropped += answer.partitions_dropped ?? 0;
    if (!answer.more) break;
    onProgress('the summary is not complete yet, going on');
  }
  if (flavour === 'timescaledb') {
    const before = await countChunks(client);
    onProgress('refreshing the summary');
    await client.query('CALL kw.refresh_summary()');
    partsDropped += Math.max(0, before - (await countChunks(client)));
  }
  return { flavour, busy: false, partitionsMade, partsDropped };
}

async function countChunks(client: SqlClient): Promise<number> {
  const { rows } = await client.query(
    "SELECT count(*)::int AS n FROM timescaledb_information.chunks WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics'",
  );
  return rows[0]?.n as number;
}
