/**
 * Runs a collector as a process: takes its identity, opens its endpoint, follows changes of the configuration, and
 * obeys signals. The first SIGINT or SIGTERM stops reading and writes what was read; the second exits at once.
 * SIGHUP, or a changed file, reloads. SIGUSR2 starts a successor from the same command line, which takes over without
 * a missed interval (takeOver/). SIGPIPE is left alone: Node ignores it.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { MetricEntry } from '../config/model.ts';
import type { Settings } from '../config/settingsModel.ts';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { explainIfDatabase } from '../database/errors.ts';
import { checkSchema } from '../database/migrate.ts';
import { KwError } from '../errors.ts';
import { expandHostList } from '../jobs/hostList.ts';
import type { Logger } from '../logger.ts';
import { readAllSql, readSql } from '../packageRoot.ts';
import { firstSignal } from '../signals.ts';
import { systemdNotifier } from '../systemd.ts';
import { nowUs } from '../time.ts';
import { Collector } from './collector.ts';
import { CollectorSpool, spoolFolder } from './collectorSpool.ts';
import { watchConfig } from './configWatcher.ts';
import type { CollectorIdentity } from './databaseStore.ts';
import { type Endpoint, openEndpoint } from './endpoint.ts';
import { type HeldIdentity, holdIdentity } from './identity.ts';
import { raisePriority } from './priority.ts';
import { selfMetrics } from './selfMetrics.ts';
import { ServerClock } from './shards/serverClock.ts';
import type { SharingOptions } from './shards/sharing.ts';
import { collectorReport } from './statusReport.ts';
import { awaitSuccessor, type Given } from './takeOver/predecessor.ts';
import { askForTakeOver, type Successor } from './takeOver/successor.ts';
import { startSuccessorOnSignal } from './takeOver/successorProcess.ts';

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
  /** It reads a part of the configuration, or once: it shares its devices with no other collector. */
  readonly apart?: boolean;
  /** End when every stream has ended: their input does not come again. */
  readonly untilStreamsEnd?: boolean;
  /** Take over from the collector that runs. */
  readonly takeOver?: boolean;
}

/** How long to write what is left at the end: a supervisor waits some 90 s before it kills. */
const DRAIN_MS = 30_000;
/** The same while the database is away. */
const DRAIN_AWAY_MS = 5_000;
/** The same when a successor waits, for what is in the spool: it stores the rest. */
const HAND_OVER_MS = 2_000;
const SCHEMA_CHECK_MS = 5_000;

/** Resolves when the collector has ended, to the values that it stored and lost. */
export async function runDaemon(options: DaemonOptions): Promise<{ stored: number; lost: number }> {
  const { database, logger, takeOver, settings, version, once } = options;
  if (!once) raisePriority(settings.collector.nice);
  readAllSql();
  const databaseOffsetUs = await checkDatabase(database, logger);
  if (!takeOver) {
    const held = await holdIdentity(settings.dataFolder, options.identityName);
    return run(options, held, databaseOffsetUs);
  }
  const successor = await askForTakeOver(settings.dataFolder, version, logger);
  return run(options, successor, databaseOffsetUs);
}

async function run(
  options: DaemonOptions,
  start: HeldIdentity | Successor,
  databaseOffsetUs: number | undefined,
): Promise<{ stored: number; lost: number }> {
  const { settings, entries, database, logger, version, once, identityName } = options;
  let held: HeldIdentity | undefined;
  let endpoint: Endpoint | undefined;
  let spool: CollectorSpool | undefined;
  let collector: Collector | undefined;
  const running = () => {
    if (!collector) throw new Error('not yet');
    return collector;
  };
  const host = hostname();
  const base = { id: start.id, name: settings.collector.name ?? host, host, version };
  /** What one process at a time may have. */
  const hold = async (identity: HeldIdentity, startedAtUs: number): Promise<CollectorIdentity> => {
    held = identity;
    spool = await openSpool(settings, identity, identityName);
    if (!once) endpoint = await tryEndpoint(settings, logger, running);
    return { ...base, segment: identity.segment, startedAtUs, endpoint: endpoint?.url };
  };
  const sharing = sharingOf(options, databaseOffsetUs);
  const startUs = () => nowUs() + new ServerClock(sharing?.databaseOffsetUs).correctionUs;
  let signalled: Promise<NodeJS.Signals> | undefined;
  let given: Given | undefined;
  let result: { stored: number; lost: number };
  try {
    if ('atUs' in start) {
      const { atUs } = start;
      const identity = { ...base, segment: 0, startedAtUs: atUs, endpoint: undefined };
      collector = new Collector({ settings, database, logger, identity, sharing, inheritance: start });
      await collector.listen(start.leftMs);
      await start.go();
      await collector.readFrom(start, entries);
      // Until now a signal ended this process, and the other one would have gone on.
      signalled = firstSignal();
      await start.untilReleased();
      collector.own(await hold(await holdIdentity(settings.dataFolder), atUs), spool);
    } else {
      const identity = await hold(start, startUs());
      collector = new Collector({ settings, database, logger, once, identity, spool, sharing });
      await collector.start(entries);
    }
    logger.info(
      {
        metrics: entries.length,
        targets: collector.fleet.targets.size,
        database: database.label,
        endpoint: endpoint?.url,
      },
      'collecting',
    );
    if (once || held === undefined) await collector.readOnce();
    else given = await untilStopped(collector, held, options, signalled ?? firstSignal(), start);
    result = await stop(collector, options, given, spool);
  } finally {
    await endpoint?.close();
    await spool?.spool.close();
    held?.release();
  }
  if (given === undefined || (await given.release())) return result;
  logger.error('the other collector is gone before it had taken over: this one goes on');
  return runDaemon({ ...options, entries: options.loadEntries?.() ?? entries, takeOver: false });
}

/** Undefined: it reads and stores everything. What hangs on this process alone is shared with nobody. */
function sharingOf(options: DaemonOptions, databaseOffsetUs: number | undefined): SharingOptions | undefined {
  const { once, apart, untilStreamsEnd, identityName } = options;
  const { dataFolder, collector } = options.settings;
  const isApart = once || apart || untilStreamsEnd || identityName !== undefined;
  if (isApart || collector.shards === 'off') return undefined;
  return {
    only: Array.isArray(collector.shards) ? collector.shards.flatMap(expandHostList) : undefined,
    file: join(dataFolder, 'collector', 'share.json'),
    databaseOffsetUs,
  };
}

/**
 * A schema that does not fit is told at once; a database that is away may come. Resolves to its clock minus this
 * machine's, in microseconds.
 */
async function checkDatabase(database: DatabaseTarget, logger: Logger): Promise<number | undefined> {
  try {
    const client = await openClient(database, {
      applicationName: 'kw-collect-check',
      connectTimeoutMs: SCHEMA_CHECK_MS,
      statementTimeoutMs: SCHEMA_CHECK_MS,
    });
    try {
      await checkSchema(client);
      const { rows } = await client.query<{ now: number }>(readSql('queries/collector_clock'));
      return Number(rows[0]?.now) - nowUs();
    } catch (error) {
      throw explainIfDatabase(error, database);
    } finally {
      await client.end().catch(() => {});
    }
  } catch (error) {
    if (!(error instanceof KwError) || error.code !== 'DATABASE_AWAY') throw error;
    logger.warn({ problem: error.message }, 'the database is away: values wait here until it comes');
    return undefined;
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

/**
 * Follows configuration and signals; resolves at the first SIGINT or SIGTERM, when every stream has ended, or when a
 * successor begins to read.
 */
async function untilStopped(
  collector: Collector,
  held: HeldIdentity,
  options: DaemonOptions,
  signalled: Promise<NodeJS.Signals>,
  start: HeldIdentity | Successor,
): Promise<Given | undefined> {
  const { settings, logger, loadEntries, version } = options;
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
  const stopStarting = startSuccessorOnSignal(logger, loadEntries !== undefined);
  // The predecessor ends then: systemd must know by which process the unit goes on.
  void systemd.notify('READY=1').then(() => 'settled' in start && start.settled());
  const predecessor = loadEntries && awaitSuccessor({ folder: held.folder, logger, version, collector });
  const ended = new Promise<void>((resolve) => {
    if (options.untilStreamsEnd) void collector.fleet.streamsEnded().then(resolve);
  });
  const reason = await Promise.race([ended, signalled, predecessor?.given ?? new Promise<never>(() => {})]);
  predecessor?.close();
  stopStarting();
  process.off('SIGHUP', reload);
  process.on('SIGHUP', () => {});
  watcher?.close();
  const told = systemd.stop();
  await reloading;
  if (typeof reason === 'object') {
    await told;
    await collector.finish(reason.atUs);
    return reason;
  }
  if (reason !== undefined) {
    void systemd.notify('STOPPING=1');
    logger.info(
      { waiting: collector.counters().waiting },
      `${reason}: writing what was read; again to exit at once`,
    );
  }
  return undefined;
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
  { logger, once }: DaemonOptions,
  given: Given | undefined,
  spool: CollectorSpool | undefined,
): Promise<{ stored: number; lost: number }> {
  const isKept = given !== undefined && spool !== undefined && spool.spool.problem === undefined;
  const patienceMs = () => {
    if (isKept) return HAND_OVER_MS;
    if (collector.writer.awayMs === undefined) return DRAIN_MS;
    return collector.isSafe ? 0 : DRAIN_AWAY_MS;
  };
  const lost = await collector.stop(patienceMs, once ? DRAIN_MS : given && 0);
  if (collector.writer.awayMs !== undefined)
    spool?.ends.add({ runUs: collector.identity.startedAtUs, endUs: collector.nowUs() });
  const { stored, spool: spooled } = collector.counters();
  const waiting = spooled?.waiting ?? 0;
  if (lost > 0) logger.error({ stored, lost }, `${lost} values could not be written and are lost`);
  if (waiting > 0) {
    logger.warn(
      { stored, waiting },
      `stopped: ${waiting} values wait in the spool and are stored ${given ? 'by the next process' : 'at the next start'}`,
    );
  } else if (lost === 0) {
    logger.info({ stored }, 'stopped: every value that was read is stored');
  }
  return { stored, lost };
}
