/**
 * The collector: reads the devices of a configuration at their instants, and stores every value.
 *
 *   Schedule --tick--> Loop --poll--> Target --result--> Collector --samples--> BatchBuilder --batch--> Lanes <-> spool
 *                  (one period)   (one session)             |                                             |
 *                        Fleet: all targets                 +--> Catalogue, counters --> Reporter      Writer
 *                          ^   ^                                                            |             |
 *           configuration -+   +- promotions <------------- DatabaseLink <------------------+--> database <+
 *
 * Three nouns, one direction: the Fleet is all targets of one configuration, a Target is one endpoint with its
 * session, a Loop is the metrics of a target that share a period. The Collector ties them to the database. It stops
 * from left to right, so that what was read is written.
 */
import { type Client, DatabaseError } from 'pg';
import type { MetricEntry } from '../config/model.ts';
import type { Settings } from '../config/settingsModel.ts';
import type { DatabaseTarget } from '../database/connection.ts';
import { type DeviceUrl, isStreamDriver, type PollResult, type Problem } from '../devices/driver.ts';
import type { Logger } from '../logger.ts';
import type { Sample, Series } from '../sample.ts';
import type { Spool } from '../spool/spool.ts';
import { formatUtc } from '../time.ts';
import { BatchBuilder, type ClosedBatch } from './batch.ts';
import { Catalogue } from './catalogue.ts';
import { type Clock, systemClock, WallClock } from './clock.ts';
import type { CollectorSpool } from './collectorSpool.ts';
import { Complaints } from './complaints.ts';
import { DatabaseLink } from './databaseLink.ts';
import { type CollectorIdentity, DatabaseStore } from './databaseStore.ts';
import { type AnyTarget, Fleet, type FleetChange } from './fleet.ts';
import { JobSync } from './jobSync.ts';
import { Lanes } from './lanes.ts';
import { SPOOLED_BYTES } from './liveLane.ts';
import { type Loss, Losses } from './losses.ts';
import { Maintenance } from './maintenance.ts';
import { type Promotion, PromotionSet } from './promotions.ts';
import { Reporter } from './reporter.ts';
import { type Grid, Schedule } from './schedule.ts';
import { Sharing, type SharingOptions, type SharingSurroundings } from './shards/sharing.ts';
import { type CollectorCounters, type DeviceStatus, deviceStatuses, type SpoolCounters } from './status.ts';
import type { RefusedRow } from './store.ts';
import type { StreamSurroundings } from './streamTarget.ts';
import type { Inheritance } from './takeOver/successor.ts';
import type { Target } from './target.ts';
import { Writer } from './writer.ts';

export interface CollectorOptions {
  readonly settings: Pick<Settings, 'collector' | 'limits'> & Partial<Pick<Settings, 'dataFolder' | 'spool'>>;
  readonly database: DatabaseTarget;
  readonly identity: CollectorIdentity;
  readonly logger: Logger;
  /** Where batches are kept until they are stored; undefined: in memory only. Closed by who opened it. */
  readonly spool?: CollectorSpool | undefined;
  /** How it shares its devices with other collectors; undefined: it reads and stores everything. */
  readonly sharing?: SharingOptions | undefined;
  /** Nothing is read on a schedule: only by readOnce(). */
  readonly once?: boolean;
  /** How long the database may be silent before its connection is dropped. */
  readonly writeTimeoutMs?: number;
  readonly clock?: Clock;
  /** Another process reads until then: nothing is written before own(). */
  readonly inheritance?: Inheritance | undefined;
}

/** What writes: there is nothing of the kind as long as another process is this collector. */
interface Output {
  readonly lanes: Lanes;
  readonly writer: Writer;
  readonly spool: Spool | undefined;
}

/** How long stop() waits for polls that are under way: they are worth storing, but not worth much waiting. */
const POLL_PATIENCE_MS = 1_000;
/** The same when another process reads on: of these polls each is the only one of its interval. */
const LAST_POLL_PATIENCE_MS = 10_000;
/** How long before its first instant a successor opens its sessions: thousands of entries take a moment. */
const CONFIGURE_MS = 250;
/** How long readOnce() waits to hear which metrics are promoted. */
const PROMOTION_PATIENCE_MS = 2_000;
/** What is said of values that are lost. */
const LOSSES: Readonly<Record<Loss['reason'], string>> = {
  memory: 'the buffer is full: the oldest values are lost',
  full: 'the spool is full: the oldest values are lost',
  old: 'values waited for longer than spool.max_age: they are lost',
  damaged: 'records of the spool are damaged: their values are lost',
};
/** Timers of Node hold at most 2^31 ms. */
const LONGEST_TIMER_MS = 86_400_000;

interface FoundSeries {
  readonly series: Series;
  readonly url: DeviceUrl;
}

export class Collector {
  readonly fleet: Fleet;
  readonly #options: CollectorOptions;
  #identity: CollectorIdentity;
  #output: Output | undefined;
  /** Closed before there is an output. */
  #early: ClosedBatch[] = [];
  readonly #settings: CollectorOptions['settings'];
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #wallClock: WallClock;
  readonly #schedule: Schedule;
  readonly #builder: BatchBuilder;
  readonly #complaints: Complaints;
  readonly #reporter: Reporter;
  readonly #link: DatabaseLink;
  readonly #maintenance: Maintenance;
  readonly #jobs: JobSync;
  readonly #sharing: Sharing | undefined;
  #entries: readonly MetricEntry[] = [];
  /** What the catalogue has: the entries whose values this collector stores. */
  #owned: readonly MetricEntry[] = [];
  #ownedDevices = new Set<string>();
  /** New series of devices that are read and not owned yet. */
  #ahead: FoundSeries[] = [];
  readonly #catalogue = new Catalogue();
  /** Counters of targets that are not configured any more. */
  readonly #gone = { missed: 0 };
  readonly #counted = { polls: 0, read: 0 };
  readonly #reloads = { taken: 0, refused: 0, problem: undefined as string | undefined };
  /** Where the samples come from that are being added to the batch. */
  #reading: AnyTarget | undefined;
  #promotions = new PromotionSet();
  #promotionList: readonly Promotion[] = [];
  #cancelExpiry: (() => void) | undefined;
  #stopping = false;
  #promotionsAreKnown = () => {};
  readonly #promotionsKnown = new Promise<void>((resolve) => {
    this.#promotionsAreKnown = resolve;
  });

  constructor(options: CollectorOptions) {
    const { settings, database, identity, logger, once, inheritance, sharing, clock = systemClock } = options;
    this.#options = options;
    this.#identity = identity;
    this.#settings = settings;
    this.#logger = logger;
    this.#clock = clock;
    this.#wallClock = new WallClock(clock);
    this.#schedule = new Schedule(clock, inheritance?.grid);
    this.#complaints = new Complaints(clock);
    this.#sharing = sharing && new Sharing(sharing, this.#sharingSurroundings(identity.id));
    this.#wallClock.correctionUs = this.#sharing?.clock.correctionUs ?? 0;
    const nowUs = () => this.#wallClock.nowUs();
    const monotonicMs = () => clock.monotonicMs();
    this.#builder = new BatchBuilder({
      nowUs,
      limits: settings.limits,
      streamsFromUs: inheritance?.atUs,
      onRefused: (sample, problem) => this.#refuse(sample, problem),
      onNewSeries: (series) => {
        const url = this.#reading?.entries[0]?.url;
        if (!url) return;
        this.#catalogue.discover(series, url);
        // Read a little before it is this collector's: to be discovered then.
        if (this.#sharing && !this.#ownedDevices.has(series.deviceId)) this.#ahead.push({ series, url });
      },
    });
    this.fleet = new Fleet({
      schedule: once ? { add: () => ({ cancel() {} }) } : this.#schedule,
      phaseGridMs: settings.collector.phaseGridMs,
      monotonicMs,
      nowUs,
      streams: this.#streamSurroundings(nowUs),
      dataFolder: settings.dataFolder,
      onResult: (target, _loop, result) => this.#accept(target, result),
      onGone: ({ counters }) => {
        this.#gone.missed += counters.missed;
      },
      onDefect: (target, error) => {
        logger.error({ target: target.hostPort, err: error }, 'a driver failed, which is a defect of kw');
      },
    });
    this.#reporter = new Reporter({
      collectorId: identity.id,
      catalogue: this.#catalogue,
      monotonicMs,
      configuredDevices: () => this.#configuredDevices(),
      deviceStatuses: () => this.deviceStatuses(),
      counters: () => this.counters(),
    });
    this.#link = new DatabaseLink(database, {
      collectorId: identity.id,
      onPromotions: (promotions) => this.#hearPromotions(promotions),
      onSources: (sources) => this.#jobs.configure(sources),
      onJobs: () => this.#jobs.notified(),
      onProblem: (problem) => logger.debug({ problem }, 'no link to the database'),
      publish: async (client, first) => {
        // The row of this collector is another process's until then.
        if (this.#output) await this.#reporter.publish(client, first);
      },
      ...(this.#sharing
        ? { beat: (client, first) => this.#beat(client, first), onEpoch: () => this.#sharing?.hurry() }
        : {}),
    });
    this.#maintenance = new Maintenance(database, logger);
    this.#jobs = new JobSync(database, logger);
    if (inheritance) this.#hearPromotions(inheritance.promotions);
    else this.#open(identity, options.spool);
  }

  get identity(): CollectorIdentity {
    return this.#identity;
  }

  get writer(): Writer {
    return this.#out.writer;
  }

  get #out(): Output {
    if (!this.#output) throw new Error('another process is this collector still');
    return this.#output;
  }

  /** Reads and writes. */
  async start(entries: readonly MetricEntry[]): Promise<void> {
    await this.#read(entries);
    this.#link.start();
    this.#write();
  }

  /**
   * Hears what is promoted, and when it knows, or `patienceMs` are over, that is enough: the last ones are inherited.
   * For a collector that takes over; read() comes next.
   */
  async listen(patienceMs: number): Promise<void> {
    this.#link.start();
    await this.#patiently(patienceMs, this.#link.heard);
  }

  /** Reads from the inherited instant on: to be called before it. Streams begin when it comes. */
  async readFrom({ grid }: Inheritance, entries: readonly MetricEntry[]): Promise<void> {
    // No earlier: what is promoted meanwhile is read at once by the other process.
    await this.#until(grid.fromMs - CONFIGURE_MS);
    await this.#read(entries.filter(({ driver }) => !isStreamDriver(driver)));
    await this.#until(grid.fromMs);
    await this.#configure(entries, this.#identity.startedAtUs);
  }

  /** Writes from now on: no other process is this collector any more. */
  own(identity: CollectorIdentity, spool: CollectorSpool | undefined): void {
    this.#identity = identity;
    this.#open(identity, spool);
    for (const batch of this.#early.splice(0)) this.writer.push(batch);
    this.#write();
  }

  async #read(entries: readonly MetricEntry[]): Promise<void> {
    await this.#configure(entries, this.#identity.startedAtUs);
    // Between two instants of the grid: answers to the polls of an instant must not wait for it to be read.
    const { flushIntervalMs, phaseGridMs } = this.#settings.collector;
    this.#schedule.add(flushIntervalMs, phaseGridMs / 2, () => this.flush());
  }

  #write(): void {
    this.writer.start();
    this.#maintenance.start();
  }

  /** Reads everything once: what is optional, too, if the database says soon that it is promoted. */
  async readOnce(): Promise<void> {
    await this.#patiently(PROMOTION_PATIENCE_MS, this.#promotionsKnown);
    await this.fleet.readOnce();
  }

  /** Takes over a new configuration, by difference. */
  async reload(entries: readonly MetricEntry[]): Promise<FleetChange> {
    const change = await this.#configure(entries, this.#wallClock.nowUs());
    this.#reloads.taken++;
    this.#reloads.problem = undefined;
    this.#reporter.statusChanged();
    return change;
  }

  /** A new configuration is no good: the old one stays, and `kw status` tells. */
  refuseReload(problem: string): void {
    this.#reloads.refused++;
    this.#reloads.problem = problem;
    this.#reporter.statusChanged();
  }

  /** Closes the batch that is being gathered, and hands it to the writer. */
  flush(): void {
    // What a poll that is under way will give was measured after it began, at the earliest.
    const horizonUs = Math.min(this.#wallClock.nowUs(), this.fleet.oldestPollUs());
    const batch = this.#builder.close(horizonUs);
    if (!this.#output) {
      if (batch) this.#early.push(batch);
    } else if (batch) this.writer.push(batch);
    else this.writer.advance(horizonUs);
  }

  /** Where another process can take over from this one: a whole second, `leadMs` ahead at least. */
  offer(leadMs: number): { atUs: number; grid: Grid; promotions: readonly Promotion[] } {
    const nowUs = this.#wallClock.nowUs();
    const atUs = Math.ceil((nowUs + leadMs * 1000) / 1e6) * 1e6;
    const { anchorMs } = this.#schedule;
    const fromMs = this.#clock.monotonicMs() + anchorMs + (atUs - nowUs) / 1000;
    return { atUs, grid: { anchorMs, fromMs }, promotions: this.#promotionList };
  }

  /** Leaves all instants of the grid from `fromMs` on to another process; infinity takes that back. Resolves then. */
  endAt(fromMs: number): Promise<void> {
    return this.#schedule.endAt(fromMs);
  }

  /** Ends what is under way, after endAt(). stop() comes next. */
  async finish(atUs: number): Promise<void> {
    this.#sharing?.handOver();
    this.#builder.endStreamsAt(atUs);
    await this.fleet.finish(LAST_POLL_PATIENCE_MS);
  }

  /**
   * Stops reading, then writes what was read, for as long as `patienceMs` says when asked then.
   * Resolves to the number of values that could not be written.
   */
  async stop(patienceMs: () => number, backlogPatienceMs?: number): Promise<number> {
    // The others begin to read before this one ends.
    await this.#sharing?.leave(() => this.#link.wake());
    this.#sharing?.stop();
    this.#stopping = true;
    this.#cancelExpiry?.();
    await this.fleet.stopPolling(POLL_PATIENCE_MS);
    this.#schedule.stop();
    await this.fleet.close();
    this.flush();
    const lost = await this.writer.stop(patienceMs(), backlogPatienceMs);
    this.#reporter.statusChanged();
    await Promise.all([this.#link.stop(), this.#maintenance.stop(), this.#jobs.stop()]);
    return lost;
  }

  /** Nothing would be lost if the process ended now. */
  get isSafe(): boolean {
    return this.#out.lanes.isSafe && this.#builder.rows === 0;
  }

  /** The clock of its timestamps, in microseconds since the epoch. */
  nowUs(): number {
    return this.#wallClock.nowUs();
  }

  counters(): CollectorCounters {
    const { lanes, writer } = this.#out;
    const { counters } = writer;
    let missed = this.#gone.missed;
    for (const target of this.fleet.targets.values()) missed += target.counters.missed;
    return {
      polls: this.#counted.polls,
      missed,
      read: this.#counted.read + this.#builder.streamed,
      stored: counters.rowsWritten,
      waiting: lanes.rows + this.#builder.rows,
      waitingBytes: lanes.bytes,
      spool: this.#spoolCounters(),
      replayed: counters.rowsReplayed,
      refused: this.#complaints.refused,
      lost: counters.rowsLost,
      refusals: this.#complaints.reasons(),
      targets: this.fleet.targets.size,
      flushIntervalMs: this.#settings.collector.flushIntervalMs,
      clockSteps: this.#wallClock.steps,
      clockCorrectionS: Math.round(this.#wallClock.correctionUs / 1e6),
      reloads: this.#reloads.taken,
      reloadsRefused: this.#reloads.refused,
      reloadProblem: this.#reloads.problem,
    };
  }

  #spoolCounters(): SpoolCounters | undefined {
    const { lanes, spool } = this.#out;
    if (spool === undefined) return undefined;
    const { counters, bytes, maxBytes, problem } = spool;
    return {
      waiting: lanes.spooledRows,
      backlog: lanes.backlogRows,
      drainRate: Math.round(lanes.drainRate),
      bytes,
      maxBytes,
      segments: spool.segments().length,
      dropped: counters.rowsDropped,
      damaged: counters.damages,
      setAside: counters.rowsSetAside,
      problem: problem?.message,
    };
  }

  deviceStatuses(): DeviceStatus[] {
    return deviceStatuses(this.fleet);
  }

  async #configure(entries: readonly MetricEntry[], atUs: number): Promise<FleetChange> {
    this.#entries = entries;
    this.#sharing?.configure(entries);
    this.#link.wake();
    return this.#apply(atUs, true);
  }

  /** Reads and tells what is this collector's share; the catalogue has what is new in it since `atUs`. */
  async #apply(atUs: number, isReload: boolean): Promise<FleetChange> {
    const share = this.#sharing?.share();
    const { read, owned } = share ?? { read: this.#entries, owned: this.#entries };
    const changing = this.fleet.configure(read);
    if (isReload || !sameEntries(owned, this.#owned)) {
      this.#owned = owned;
      this.#ownedDevices = new Set(owned.map(({ deviceId }) => deviceId));
      this.#catalogue.configure(owned);
      this.#discoverOwn(read);
      this.#reporter.catalogueChanged(atUs);
    }
    return changing;
  }

  #discoverOwn(read: readonly MetricEntry[]): void {
    const devices = new Set(read.map(({ deviceId }) => deviceId));
    const waiting: FoundSeries[] = [];
    for (const one of this.#ahead) {
      if (this.#ownedDevices.has(one.series.deviceId)) this.#catalogue.discover(one.series, one.url);
      else if (devices.has(one.series.deviceId)) waiting.push(one);
    }
    this.#ahead = waiting;
  }

  #sharingSurroundings(collectorId: string): SharingSurroundings {
    return {
      collectorId,
      nowUs: () => this.#wallClock.ownUs(),
      setTimer: (delayMs, callback) => this.#clock.setTimer(delayMs, callback),
      onChange: (sinceUs) => {
        if (this.#entries.length > 0) void this.#apply(sinceUs, false);
      },
      onEpoch: ({ epoch, members, owned }) => {
        this.#logger.info({ epoch, collectors: members, devices: owned }, 'devices are shared');
      },
      onClock: (correctionUs) => this.#follow(correctionUs),
    };
  }

  /** What the database says against a beat must not end the link: promotions come by it. */
  async #beat(client: Client, first: boolean): Promise<void> {
    // The lease of this collector is another process's until then.
    if (!this.#output) return;
    try {
      await this.#sharing?.beat(client, first);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      this.#complaints.tell('beat', () =>
        this.#logger.warn({ problem: error.message }, 'devices are not shared: the database refuses it'),
      );
    }
  }

  /** Clocks that are far apart would put this collector's values elsewhere in time than those of the others. */
  #follow(correctionUs: number): void {
    const { correctionUs: before } = this.#wallClock;
    this.#wallClock.correctionUs = correctionUs;
    const seconds = Math.round(correctionUs / 1e6);
    if (correctionUs === 0) this.#logger.info('the clock agrees with that of the database again');
    else if (Math.abs(correctionUs - before) > 1e6) {
      this.#logger.warn(
        { seconds },
        'the clock differs from that of the database, by which timestamps are taken now',
      );
    }
  }

  #accept(target: Target, result: PollResult): void {
    this.#counted.polls++;
    this.#counted.read += result.samples.length;
    if (result.problems.length > 0 || result.up !== target.counters.up) this.#tell(target, result);
    if (result.samples.length > 0) this.#add(target, result.samples);
  }

  #add(target: AnyTarget, samples: readonly Sample[]): void {
    this.#reading = target;
    this.#builder.add(samples);
    this.#flushIfFull();
  }

  #flushIfFull(): void {
    if (this.#builder.rows >= this.#settings.collector.batchRows) this.flush();
  }

  #streamSurroundings(nowUs: () => number): StreamSurroundings {
    return {
      nowUs,
      openChannel: (series, entry, onClose) => {
        this.#catalogue.streams(series, entry);
        return this.#builder.column(series, onClose);
      },
      onChannelClosed: (series) => {
        this.#catalogue.streamsNoMore(series);
        this.#reporter.catalogueChanged(nowUs());
      },
      onSamples: (target, samples) => {
        this.#counted.read += samples.length;
        this.#add(target, samples);
      },
      onReadings: (_target, count) => {
        this.#counted.polls += count;
        this.#flushIfFull();
      },
      onState: (target, up, problems) => {
        if (problems.length > 0 || up !== target.counters.up) this.#tell(target, { up, problems });
      },
      onRemark: ({ hostPort, protocol }, text) => this.#logger.warn({ target: hostPort, protocol }, text),
    };
  }

  #tell(target: AnyTarget, { up, problems }: { up: boolean; problems: readonly Problem[] }): void {
    const { counters, hostPort, protocol } = target;
    if (up !== counters.up) {
      this.#reporter.statusChanged();
      const problem = problems[0]?.message;
      if (!up) this.#logger.warn({ target: hostPort, protocol, problem }, 'device does not answer');
      else if (counters.up === false)
        this.#logger.info({ target: hostPort, protocol }, 'device answers again');
    }
    if (!up) return;
    for (const { kind, message, metricId } of problems) {
      this.#complaints.tell(`${hostPort} ${protocol} ${kind} ${metricId ?? ''}`, (times) =>
        this.#logger.warn({ target: hostPort, protocol, kind, metric: metricId, times }, message),
      );
    }
  }

  #refuse({ series, timestampUs }: Sample, problem: string): void {
    this.#complaints.refuse(problem);
    const device = series.deviceId.slice(0, 100);
    const metric = series.metricId.slice(0, 100);
    this.#complaints.tell(`refused ${device} ${metric}`, (times) =>
      this.#logger.warn({ device, metric, timestampUs, times }, `value refused: ${problem}`),
    );
  }

  #lose({ rows, reason, fromUs, toUs }: Loss): void {
    this.writer.counters.rowsLost += rows;
    const times = { from: formatUtc(fromUs), to: formatUtc(toUs) };
    this.#complaints.tell(`lost ${reason}`, () =>
      this.#logger.error({ rows, ...times, lost: this.writer.counters.rowsLost }, LOSSES[reason]),
    );
  }

  /** A disk that takes nothing must not block the rows that are well. */
  async #setAside(spool: CollectorSpool, refused: readonly RefusedRow[]): Promise<void> {
    try {
      await spool.setAside(refused);
    } catch (error) {
      this.#complaints.tell('set aside', () =>
        this.#logger.error({ problem: (error as Error).message }, 'refused values are not kept'),
      );
    }
  }

  #hearPromotions(promotions: readonly Promotion[]): void {
    this.#promotionList = promotions;
    this.#promote(new PromotionSet(promotions));
  }

  /** Waits for an instant of the schedule. */
  #until(gridMs: number): Promise<void> {
    const waitMs = Math.max(0, gridMs - this.#schedule.anchorMs - this.#clock.monotonicMs());
    return new Promise((resolve) => void this.#clock.setTimer(waitMs, resolve));
  }

  async #patiently(patienceMs: number, what: Promise<void>): Promise<void> {
    let cancel = () => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#clock.setTimer(patienceMs, resolve);
    });
    await Promise.race([what, patience]);
    cancel();
  }

  /** Applies promotions, and again whenever one of them expires. */
  #promote(promotions: PromotionSet): void {
    if (this.#stopping) return;
    for (const { pattern, problem } of promotions.refused) {
      this.#complaints.tell(`pattern ${pattern}`, () =>
        this.#logger.warn({ pattern }, `promotion ignored: ${problem}`),
      );
    }
    this.#promotions = promotions;
    this.#promotionsAreKnown();
    this.fleet.promote(promotions);
    this.#cancelExpiry?.();
    const nowUs = this.#wallClock.nowUs();
    const expiryUs = promotions.nextExpiryUs(nowUs);
    if (expiryUs === undefined) return;
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.ceil((expiryUs - nowUs) / 1000));
    this.#cancelExpiry = this.#clock.setTimer(delayMs, () => this.#promote(this.#promotions));
  }

  #open(identity: CollectorIdentity, spool: CollectorSpool | undefined): void {
    const { settings, database, logger, writeTimeoutMs } = this.#options;
    const guard = this.#sharing;
    const clock = this.#clock;
    const lanes = new Lanes({
      spool: spool?.spool,
      losses: spool?.losses ?? new Losses(),
      memorySegment: identity.segment,
      runUs: identity.startedAtUs,
      memoryBytes: settings.collector.bufferBytes,
      // Memory lets go before the disk does: what a full spool drops is in neither.
      spooledBytes: spool && Math.min(SPOOLED_BYTES, spool.spool.maxBytes / 2),
      drainShare: settings.spool?.drainShare ?? 0.5,
      monotonicMs: () => clock.monotonicMs(),
      stamp: guard && (() => guard.stamp()),
      onLost: (loss) => this.#lose(loss),
      onChange: () => writer.wake(),
    });
    const writer = new Writer({
      clock,
      lanes,
      runUs: identity.startedAtUs,
      store: new DatabaseStore(database, identity, {
        ends: spool?.ends,
        guard,
        setAside: spool && ((refused) => this.#setAside(spool, refused)),
      }),
      ...(writeTimeoutMs === undefined ? {} : { timeoutMs: writeTimeoutMs }),
      events: {
        onAway: (problem) => {
          logger.warn({ problem }, 'the database takes no values now: they wait here');
        },
        onBack: (awayMs) => {
          const waiting = lanes.rows;
          logger.info({ awayMs: Math.round(awayMs), waiting }, 'the database takes values again');
        },
        onRefused: (rows) => {
          for (const { sample, problem } of rows) this.#refuse(sample, `the database refused it: ${problem}`);
        },
      },
    });
    this.#output = { lanes, writer, spool: spool?.spool };
    spool?.listen({
      onDropped: (segment, records, reason) => lanes.dropped(segment, records, reason),
      onDamaged: ({ segment, offset, bytes, rows }) => lanes.damaged(segment, offset, bytes, rows),
      onSetAside: (file, reason) => logger.warn({ file, reason }, 'a file of the spool cannot be read: kept'),
      onProblem: ({ message, hint }) => {
        logger.error({ problem: message, hint }, 'the disk takes nothing: values wait in memory only');
        this.#reporter.statusChanged();
      },
      onProblemOver: () => {
        logger.info('the disk takes values again');
        this.#reporter.statusChanged();
      },
    });
  }

  #configuredDevices(): { device: string; protocol: string }[] {
    const devices = new Map<string, { device: string; protocol: string }>();
    for (const target of this.fleet.targets.values()) {
      const { protocol } = target;
      for (const device of target.deviceIds) devices.set(`${device}\n${protocol}`, { device, protocol });
    }
    return [...devices.values()];
  }
}

function sameEntries(a: readonly MetricEntry[], b: readonly MetricEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}
