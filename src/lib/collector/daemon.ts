/**
 * Runs a collector as a process: takes its identity, opens its endpoint, follows changes of the configuration, and
 * obeys signals. The first SIGINT or SIGTERM stops reading and writes what was read; the second exits at once.
 * SIGHUP, or a changed file, reloads. SIGPIPE is left alone: Node ignores it.
 */
import { hostname } from 'node:os';
import type { MetricEntry } from '../config/model.ts';
import type { Settings } from '../config/settingsModel.ts';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { explainIfDatabase } from '../database/errors.ts';
import { checkSchema } from '../database/migrate.ts';
import { KwError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { firstSignal } from '../signals.ts';
import { systemdNotifier } from '../systemd.ts';
import { nowUs } from '../time.ts';
import { Collector } from './collector.ts';
import { CollectorSpool, spoolFolder } from './collectorSpool.ts';
import { watchConfig } from './configWatcher.ts';
import { type Endpoint, openEndpoint } from './endpoint.ts';
import { type HeldIdentity, holdIdentity } from './identity.ts';
import { selfMetrics } from './selfMetrics.ts';
import { collectorReport } from './statusReport.ts';

export interface DaemonOptions {
  readonly settings: Settings;
  readonly entries: readonly MetricEntry[];
  readonly database: DatabaseTarget;
  readonly logger: Logger;
  /** Version of kw. */
  readonly version: string;
  /** Read everything once, store it, and end. */
  readonly once: boolean;
  /** Reads the configuration again; throws KwError when it is no good. Undefined: it does not change. */
  readonly loadEntries?: () => readonly MetricEntry[];
  /** Name of the identity's folder, for collectors beside the main one of a machine. */
  readonly identityName?: string;
  /** End when every stream has ended: their input does not come again. */
  readonly untilStreamsEnd?: boolean;
}

/** How long to write what is left at the end: a supervisor waits some 90 s before it kills. */
const DRAIN_MS = 30_000;
/** The same while the database is away. */
const DRAIN_AWAY_MS = 5_000;
const SCHEMA_CHECK_MS = 5_000;

/** Resolves when the collector has ended, to the values that it stored and lost. */
export async function runDaemon(options: DaemonOptions): Promise<{ stored: number; lost: number }> {
  const { settings, entries, database, logger, version, once } = options;
  await checkDatabase(database, logger);
  const held = await holdIdentity(settings.dataFolder, options.identityName);
  let endpoint: Endpoint | undefined;
  let spool: CollectorSpool | undefined;
  try {
    spool = await openSpool(settings, held, options.identityName);
    let collector: Collector | undefined;
    const running = () => {
      if (!collector) throw new Error('not yet');
      return collector;
    };
    if (!once) endpoint = await tryEndpoint(settings, logger, running);
    const host = hostname();
    collector = new Collector({
      settings,
      database,
      logger,
      once,
      spool,
      identity: {
        id: held.id,
        segment: held.segment,
        name: settings.collector.name ?? host,
        host,
        version,
        startedAtUs: nowUs(),
        endpoint: endpoint?.url,
      },
    });
    await collector.start(entries);
    const targets = collector.fleet.targets.size;
    logger.info(
      { metrics: entries.length, targets, database: database.label, endpoint: endpoint?.url },
      'collecting',
    );
    if (once) await collector.readOnce();
    else await untilStopped(collector, options);
    return await stop(collector, logger, once);
  } finally {
    await endpoint?.close();
    await spool?.spool.close();
    held.release();
  }
}

/** A schema that does not fit is told at once; a database that is away may come. */
async function checkDatabase(database: DatabaseTarget, logger: Logger): Promise<void> {
  try {
    const client = await openClient(database, {
      applicationName: 'kw-collect-check',
      connectTimeoutMs: SCHEMA_CHECK_MS,
      statementTimeoutMs: SCHEMA_CHECK_MS,
    });
    try {
      await checkSchema(client);
    } catch (error) {
      throw explainIfDatabase(error, database);
    } finally {
      await client.end().catch(() => {});
    }
  } catch (error) {
    if (!(error instanceof KwError) || error.code !== 'DATABASE_AWAY') throw error;
    logger.warn({ problem: error.message }, 'the database is away: values wait here until it comes');
  }
}

async function tryEndpoint(
  settings: Settings,
  logger: Logger,
  collector: () => Collector,
): Promise<Endpoint | undefined> {
  if (!settings.listen) return undefined;
  let registry: ReturnType<typeof selfMetrics> | undefined;
  try {
    return await openEndpoint(
      settings.listen,
      () => {
        registry ??= selfMetrics(collector());
        return registry;
      },
      () => collectorReport(collector()),
    );
  } catch (error) {
    const { host, port } = settings.listen;
    logger.warn(
      { problem: (error as Error).message },
      `no local endpoint: cannot listen on ${host} port ${port}`,
    );
    return undefined;
  }
}

/** Follows configuration and signals; resolves at the first SIGINT or SIGTERM, or when every stream has ended. */
function untilStopped(collector: Collector, options: DaemonOptions): Promise<void> {
  const { settings, logger, loadEntries } = options;
  const systemd = systemdNotifier(process.env, () => collector.writer.state !== 'closed');
  let reloading = Promise.resolve();
  const reload = () => {
    if (!loadEntries) return;
    reloading = reloading.then(async () => {
      try {
        const change = await collector.reload(loadEntries());
        logger.info(change, 'configuration reloaded');
      } catch (error) {
        const problem = (error as Error).message;
        collector.refuseReload(problem);
        logger.error({ problem }, 'the new configuration is refused; the old one stays');
      }
    });
  };
  const watcher =
    loadEntries && watchConfig(settings, reload, (message) => logger.warn(`${message}; SIGHUP reloads`));
  process.on('SIGHUP', reload);
  systemd.notify('READY=1');
  return new Promise((resolve) => {
    void firstSignal().then((signal) => {
      process.off('SIGHUP', reload);
      process.on('SIGHUP', () => {});
      watcher?.close();
      systemd.stop();
      systemd.notify('STOPPING=1');
      logger.info(
        { waiting: collector.counters().waiting },
        `${signal}: writing what was read; again to exit at once`,
      );
      void reloading.then(resolve);
    });
    if (options.untilStreamsEnd) void collector.fleet.streamsEnded().then(resolve);
  });
}

async function openSpool(
  { spool, dataFolder }: Settings,
  { id, segment }: HeldIdentity,
  identityName?: string,
): Promise<CollectorSpool | undefined> {
  if (!spool.enabled) return undefined;
  return CollectorSpool.open(spoolFolder({ spool, dataFolder }, identityName), {
    ownerId: id,
    firstSegment: segment,
    maxBytes: spool.maxBytes,
    maxAgeMs: spool.maxAgeMs,
  });
}

async function stop(
  collector: Collector,
  logger: Logger,
  once: boolean,
): Promise<{ stored: number; lost: number }> {
  const patienceMs = () => {
    if (collector.writer.awayMs === undefined) return DRAIN_MS;
    return collector.isSafe ? 0 : DRAIN_AWAY_MS;
  };
  const lost = await collector.stop(patienceMs, once ? DRAIN_MS : undefined);
  const { stored, spool } = collector.counters();
  const waiting = spool?.waiting ?? 0;
  if (lost > 0) logger.error({ stored, lost }, `${lost} values could not be written and are lost`);
  if (waiting > 0) {
    logger.warn(
      { stored, waiting },
      `stopped: ${waiting} values wait in the spool and are stored at the next start`,
    );
  } else if (lost === 0) {
    logger.info({ stored }, 'stopped: every value that was read is stored');
  }
  return { stored, lost };
}
