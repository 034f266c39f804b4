/**
 * A load on a real `kw collect`: polled devices and wattmeters at 50 frames a second, of which it is known what was
 * there to be read. 20 devices of 25 metrics at 1 s and a wattmeter of 42 ports are the 500 polled and 2,100 streamed
 * values a second of the tests.
 *
 *   const load = await startLoad({ database, ... });
 *   ...the fault...
 *   const outcome = await load.settle();
 *   expect(outcome).toMatchObject({ rows: outcome.read, twice: 0, outOfOrder: 0, ... });
 */
import type { Client } from 'pg';
import { openClient } from '../../../src/lib/database/connection.ts';
import { temporaryFolder } from '../temporaryFolder.ts';
import { waitUntil } from '../waitUntil.ts';
import { type CollectorProcess, collectorProcess } from './collectorProcess.ts';
import { type FrameFeed, startFrameFeed } from './frameFeed.ts';
import { type PolledAgents, startCountingAgents } from './polledAgents.ts';
import { type Stored, storedIn } from './stored.ts';

const TEST_DEVICES = 20;
const TEST_PORTS = 42;

export interface LoadOptions {
  /** The database without proxies, of a superuser. */
  readonly database: string;
  /** What the collector is told. Default: `database`. */
  readonly databaseUrl?: string;
  /** More lines of kw.yaml. */
  readonly settings?: string;
  /** Default: 20 counting agents. They are stopped with the load. */
  readonly agents?: PolledAgents;
  /** Default 1, of 42 ports. */
  readonly wattmeters?: number;
  /** SQL for the database, before the collector starts. */
  readonly prepare?: string | undefined;
  /**
   * How each frame comes to be stored: by promotions, which a collector hears from the database, or by a period of
   * one frame, which also holds for a collector that has not reached the database since its start.
   */
  readonly frames?: 'promoted' | 'period';
}

/** What came of it, once the collector has ended. */
export interface Outcome extends Stored {
  /** Exit code of the collector. */
  readonly code: number | null;
  /** What the last start of the collector counted. */
  readonly read: number;
  readonly missed: number;
  readonly refused: number;
  readonly lost: number;
  /** What `kw query` and `kw status` tell as lost, of all starts. */
  readonly lostTold: number;
  /** Frames that were sent and are not stored, of all ports. */
  readonly missingFrames: number;
}

export interface Load {
  readonly collector: CollectorProcess;
  readonly feed: FrameFeed;
  readonly agents: PolledAgents;
  /** Lets the frames end, waits until the collector has read them, ends it, and looks at what is stored. */
  settle(): Promise<Outcome>;
  remove(): Promise<void>;
}

export async function startLoad(options: LoadOptions): Promise<Load> {
  const { database, databaseUrl = database, settings, wattmeters = 1, frames = 'promoted' } = options;
  const { folder, remove } = temporaryFolder();
  const agents = options.agents ?? (await startCountingAgents(TEST_DEVICES));
  const feed = await startFrameFeed({ wattmeters, ports: TEST_PORTS });
  const frameMetrics = feed.urls
    .map((url, index) => {
      const period = frames === 'period' ? { update_every: 20 } : {};
      return `- ${JSON.stringify({ name: 'wattmetre_power_watt', device_id: feed.wattmeters[index], url, ...period })}\n`;
    })
    .join('');
  const collector = await collectorProcess({
    folder,
    metrics: agents.metrics(1000) + frameMetrics,
    databaseUrl,
    settings: settings ?? '',
  });
  const load: Load = {
    collector,
    feed,
    agents,
    async settle() {
      feed.pause();
      await untilFramesAreRead(collector, feed);
      return withClient(database, async (client) => {
        // The link by which the collector tells its counters comes back up to a second after the writer's.
        await waitUntil(async () => {
          const { rows } = await client.query("SELECT counters ? 'read' AS told FROM kw.collectors");
          return rows[0]?.told === true;
        });
        const code = await collector.stop();
        const stored = await storedIn(client);
        const { rows } = await client.query(
          `SELECT counters, (SELECT coalesce(sum(samples), 0)::int FROM kw.collector_losses) AS told FROM kw.collectors`,
        );
        const { read, missed, refused, lost } = rows[0].counters;
        const streamed = stored.streamed.reduce((total, device) => total + device.rows - device.twice, 0);
        return {
          ...stored,
          code,
          read,
          missed,
          refused,
          lost,
          lostTold: rows[0].told,
          missingFrames: feed.rowsSent() - streamed,
        };
      });
    },
    async remove() {
      await collector.kill();
      await Promise.all([feed.stop(), agents.stop()]);
      remove();
    },
  };
  try {
    const { prepare } = options;
    if (prepare !== undefined) await withClient(database, (client) => client.query(prepare));
    if (frames === 'promoted') await promoteAll(database, feed);
    await collector.start();
    if (frames === 'promoted') await untilPromotionsAreKnown(database);
    feed.flow();
    return load;
  } catch (error) {
    await load.remove();
    throw error;
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await openClient({ url, label: 'the database of the load', embedded: false });
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function promoteAll(database: string, { wattmeters, ports }: FrameFeed): Promise<void> {
  await withClient(database, (client) =>
    client.query(
      `INSERT INTO kw.promoted_metrics (device_id, metric_id, expires_at)
       SELECT w || '-port' || p, 'wattmetre_power_watt', now() + interval '1 hour'
       FROM unnest($1::text[]) w, generate_series(0, $2::int - 1) p`,
      [wattmeters, ports],
    ),
  );
}

/** A collector tells the database its counters after it has read the promotions. */
async function untilPromotionsAreKnown(database: string): Promise<void> {
  await withClient(database, (client) =>
    waitUntil(async () => {
      const { rows } = await client.query("SELECT 1 FROM kw.collectors WHERE counters ? 'polls'");
      return rows.length > 0;
    }),
  );
}

/** The readings of a stream are its frames: those of the last connection must all have come. */
async function untilFramesAreRead(collector: CollectorProcess, feed: FrameFeed): Promise<void> {
  const last = new Map(feed.sent().map(({ wattmeter, first, last }) => [wattmeter, last - first + 1]));
  await waitUntil(async () => {
    const devices = await collector.devices();
    return feed.wattmeters.every(
      (name) => (devices.find(({ device_id }) => device_id === name)?.polls ?? 0) >= (last.get(name) ?? 0),
    );
  });
}
