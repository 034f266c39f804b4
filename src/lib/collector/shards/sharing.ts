/**
 * This collector's part in sharing devices with others: its lease, the epochs that it knows, what it is to read now
 * and which rows are its own to store.
 *
 *   unknown   nothing is known: everything is read. What others own is not stored (the guard asks before a COPY).
 *   member    beats each second; reads what it owns in the epochs in force and to come.
 *   cut off   no beat succeeds: reads its last share; its rows wait in the spool. When it is back the epochs say which
 *             of them were another's by then.
 *   leaving   told so; reads until the epoch without it begins.
 *
 * A share changes at an instant of the database's clock that old and new owner know beforehand. The new owner reads a
 * little before it and the old one until right after it; the guard gives each row to the one who owned the device when
 * it was read. Nothing here costs anything per row as long as the collector is alone.
 */
import type { Client } from 'pg';
import { z } from 'zod';
import type { MetricEntry } from '../../config/model.ts';
import { readSql } from '../../packageRoot.ts';
import { decodeGroup, encodeGroup, offerOf, shardGroups } from './groups.ts';
import { ShardHistory } from './history.ts';
import type { ShardEpoch, ShardGroup, ShardOffer } from './model.ts';
import { keepRows } from './rowFilter.ts';
import { ServerClock } from './serverClock.ts';
import { epochOf, epochSchema, readShare, writeShare } from './shareFile.ts';

export interface SharingOptions {
  /** Devices that are this collector's alone, as long as it lives; undefined: what falls to it of all. */
  readonly only?: readonly string[] | undefined;
  /** Where the last share is kept; undefined: nowhere. */
  readonly file?: string | undefined;
  /** The database's clock minus this machine's, if it is known already. */
  readonly databaseOffsetUs?: number | undefined;
}

export interface SharingSurroundings {
  /** UUID. */
  readonly collectorId: string;
  /** This machine's clock as it is, in microseconds. */
  readonly nowUs: () => number;
  readonly setTimer: (delayMs: number, callback: () => void) => () => void;
  /** What is to be read, or owned, may have changed; the latter at `sinceUs`, of the clock of timestamps. */
  readonly onChange: (sinceUs: number) => void;
  /** There is a new epoch, with so many members; in it this collector owns so many devices. */
  readonly onEpoch: (told: { epoch: number; members: number; owned: number }) => void;
  /** Timestamps are taken on the database's clock from now on (offset), or not any more (0). */
  readonly onClock: (correctionUs: number) => void;
}

/** What is asked of a batch. */
interface ReadRows {
  readonly rows: number;
  readonly copy: Buffer;
  /** Its earliest timestamp. */
  readonly fromUs: number;
  readonly databaseOffsetUs?: number | undefined;
}

export interface SharedEntries {
  readonly read: readonly MetricEntry[];
  /** Those whose rows this collector stores now. */
  readonly owned: readonly MetricEntry[];
}

/** The old owner reads on for that long: a poll that began before the instant is its own. */
const OVERLAP_US = 100_000;
const BEAT_EVERY_MS = 1_000;
const LEAVE_PATIENCE_MS = 3_000;
/** The same when there is nobody to leave the devices to: the lease may as well run out. */
const LEAVE_ALONE_PATIENCE_MS = 500;
const LONGEST_TIMER_MS = 60_000;

const answerSchema = z.object({
  now: z.number(),
  last: z.number().int(),
  missing: z.boolean(),
  since: z.number().nullish(),
  epochs: z.array(epochSchema),
});

export class Sharing {
  readonly clock: ServerClock;
  readonly #options: SharingOptions;
  readonly #around: SharingSurroundings;
  readonly #history: ShardHistory;
  readonly #offers = new Map<string, readonly ShardGroup[]>();
  #entries: readonly MetricEntry[] = [];
  #offer: ShardOffer = offerOf([]);
  /** Since this process began the epochs were heard of from the database. */
  #isCurrent = false;
  #owned = 0;
  #beatDueAtUs = 0;
  #state: 'staying' | 'leaving' | 'left' = 'staying';
  #whenLeft: ((sinceUs: number | undefined) => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: SharingOptions, around: SharingSurroundings) {
    this.#options = options;
    this.#around = around;
    this.#history = new ShardHistory(around.collectorId);
    this.clock = new ServerClock(options.databaseOffsetUs);
    const saved = options.file === undefined ? undefined : readShare(options.file);
    if (!saved) return;
    for (const [fingerprint, groups] of saved.offers) this.#learnOffer(fingerprint, groups);
    if (this.#history.unknownOffers(saved.epochs).length === 0) this.#history.learn(saved.epochs);
  }

  /** Called before the first share() and whenever the configuration changed. */
  configure(entries: readonly MetricEntry[]): void {
    const { only } = this.#options;
    this.#entries = entries;
    this.#offer = offerOf(shardGroups(entries, only && new Set(only)));
    this.#learnOffer(this.#offer.fingerprint, this.#offer.groups);
    this.#history.configure(this.#offer);
    this.#beatDueAtUs = 0;
  }

  /** What to read and what to store now. */
  share(): SharedEntries {
    const nowUs = this.#databaseNowUs();
    const inForce = this.#history.at(nowUs);
    const reading = this.#history.from(nowUs - OVERLAP_US);
    const epochs = reading.length === 0 ? [undefined] : reading;
    const owned = this.#ownedIn([inForce]);
    this.#owned = sharedDevices(owned);
    return { read: this.#ownedIn(epochs), owned };
  }

  /** What is this collector's in any of these epochs, and what hangs on its machine alone. */
  #ownedIn(epochs: readonly (ShardEpoch | undefined)[]): MetricEntry[] {
    const { only } = this.#options;
    const offered = only && new Set(this.#offer.groups.flatMap(({ devices }) => devices));
    return this.#entries.filter(({ deviceId, driver, url }) => {
      if (driver.isLocal?.(url)) return true;
      if (offered !== undefined && !offered.has(deviceId)) return false;
      return epochs.some((epoch) => this.#history.isOwn(deviceId, epoch));
    });
  }

  /** On the link to the database, whenever it has a moment: beats when it is due. */
  async beat(client: Client, first: boolean): Promise<void> {
    if (this.#state === 'left') return;
    const nowUs = this.#around.nowUs();
    // The clock may have been set back.
    const isDue = nowUs >= this.#beatDueAtUs || nowUs < this.#beatDueAtUs - 2_000 * BEAT_EVERY_MS;
    if (!first && !isDue && this.#state === 'staying') return;
    this.#beatDueAtUs = nowUs + BEAT_EVERY_MS * 1_000 - 50_000;
    let answer = await this.#ask(client, null);
    if (answer.missing) answer = await this.#ask(client, this.#offer.groups.map(encodeGroup));
    await this.#learn(client, answer.epochs.map(epochOf));
    this.#compare(answer.last);
    if (this.#state === 'leaving') {
      this.#state = 'left';
      this.#whenLeft?.(answer.since ?? undefined);
    }
  }

  /** The next beat is due at once: the epochs changed. */
  hurry(): void {
    this.#beatDueAtUs = 0;
  }

  /**
   * Gives the devices to the others. Resolves when these have them; at once when there are none, and soon when the
   * database does not answer.
   * @param hurry makes the link beat
   */
  async leave(hurry: () => void): Promise<void> {
    if (this.#state !== 'staying') return;
    const last = this.#history.last;
    if (!this.#isCurrent || !last?.members.some(({ collector }) => collector === this.#around.collectorId)) {
      this.#state = 'left';
      return;
    }
    const sinceUs = await new Promise<number | undefined>((resolve) => {
      const isAlone = last.members.length === 1;
      const patienceMs = isAlone ? LEAVE_ALONE_PATIENCE_MS : LEAVE_PATIENCE_MS;
      const cancel = this.#around.setTimer(patienceMs, () => resolve(undefined));
      this.#whenLeft = (since) => {
        cancel();
        resolve(since);
      };
      this.#state = 'leaving';
      hurry();
    });
    this.#state = 'left';
    const isTaken = sinceUs !== undefined && this.#offer.groups.some(({ key }) => this.#takerOf(key));
    if (!isTaken) return;
    const waitMs = Math.min(LEAVE_PATIENCE_MS, (sinceUs - this.#databaseNowUs() + OVERLAP_US) / 1_000);
    await new Promise<void>((resolve) => this.#around.setTimer(Math.max(0, waitMs), resolve));
    this.#around.onChange(this.#timestampOf(sinceUs));
  }

  /** Another process goes on as this collector: the lease stays. */
  handOver(): void {
    this.#state = 'left';
  }

  stop(): void {
    this.#cancelTimer?.();
  }

  /** What a record of the spool keeps: added to its timestamps the offset gives the database's clock. */
  stamp(): { epoch: number | undefined; databaseOffsetUs: number | undefined } {
    const { offsetUs, correctionUs } = this.clock;
    return {
      epoch: this.#history.last?.epoch,
      databaseOffsetUs: offsetUs === undefined ? undefined : Math.round(offsetUs - correctionUs),
    };
  }

  /** For the store; never the last epoch as long as the database was not asked. */
  get expectedEpoch(): number {
    return this.#known;
  }

  /** The batch without the rows that another collector owned when they were read. */
  async admit<B extends ReadRows>(batch: B): Promise<B | undefined> {
    const offsetUs = batch.databaseOffsetUs ?? this.stamp().databaseOffsetUs ?? 0;
    if (this.#history.isAloneFrom(batch.fromUs + offsetUs)) return batch;
    // Ahead of now nobody can have measured anything.
    const latestUs = this.#databaseNowUs();
    let epoch: ShardEpoch | undefined;
    let [fromUs, toUs] = [0, 0];
    const { copy, rows } = keepRows(batch.copy, (device, timestampUs) => {
      const atUs = Math.min(timestampUs + offsetUs, latestUs);
      if (!(atUs >= fromUs && atUs < toUs)) {
        const [inForce, next] = this.#history.from(atUs);
        epoch = inForce && inForce.sinceUs <= atUs ? inForce : undefined;
        fromUs = epoch?.sinceUs ?? Number.NEGATIVE_INFINITY;
        toUs = (epoch ? next : inForce)?.sinceUs ?? Number.POSITIVE_INFINITY;
      }
      return this.#history.isOwn(device, epoch);
    });
    if (rows === batch.rows) return batch;
    return rows === 0 ? undefined : { ...batch, copy, rows };
  }

  readonly holdStatement = readSql('queries/shards_hold');

  /** Learns the newer epochs if there are any. */
  async isHeld(client: Client, held: number, admitted: number): Promise<boolean> {
    if (held === admitted) return true;
    this.#compare(held);
    const { rows } = await client.query(readSql('queries/shards_epochs'), [this.#known]);
    await this.#learn(
      client,
      rows.map((row) => epochOf(epochSchema.parse(row))),
    );
    return false;
  }

  /** The last epoch that the database told; -1: none yet. */
  get #known(): number {
    return this.#isCurrent ? (this.#history.last?.epoch ?? 0) : -1;
  }

  /** A database whose epochs are fewer is another one, or was restored: what it told before is void. */
  #compare(last: number): void {
    if (last >= this.#known) return;
    this.#isCurrent = false;
    this.#beatDueAtUs = 0;
  }

  async #ask(client: Client, keys: string[] | null): Promise<z.infer<typeof answerSchema>> {
    const { only } = this.#options;
    const { collectorId } = this.#around;
    const values = [
      collectorId,
      this.#offer.fingerprint,
      keys,
      only !== undefined,
      this.#owned,
      this.#known,
      this.#state === 'leaving',
    ];
    const beforeUs = this.#around.nowUs();
    const { rows } = await client.query<{ answer: unknown }>(readSql('queries/shards_beat'), values);
    const answer = answerSchema.parse(rows[0]?.answer);
    const correctionUs = this.clock.correctionUs;
    this.clock.heard(beforeUs, answer.now, this.#around.nowUs());
    if (this.clock.correctionUs !== correctionUs) this.#around.onClock(this.clock.correctionUs);
    return answer;
  }

  async #learn(client: Client, epochs: readonly ShardEpoch[]): Promise<void> {
    if (epochs.length === 0 && this.#isCurrent) return;
    const unknown = this.#history.unknownOffers(epochs);
    if (unknown.length > 0) {
      const { rows } = await client.query<{ fingerprint: string; keys: string[] }>(
        readSql('queries/shards_offers'),
        [unknown],
      );
      for (const { fingerprint, keys } of rows) this.#learnOffer(fingerprint, keys.map(decodeGroup));
    }
    if (!this.#isCurrent) this.#history.forgetEpochs();
    const before = this.#history.last;
    this.#history.learn(epochs);
    this.#isCurrent = true;
    if (this.#history.last === before && before !== undefined) return;
    this.#save();
    this.#changed();
    const { last } = this.#history;
    if (last) {
      const owned = sharedDevices(this.#ownedIn([last]));
      this.#around.onEpoch({ epoch: last.epoch, members: last.members.length, owned });
    }
  }

  #learnOffer(fingerprint: string, groups: readonly ShardGroup[]): void {
    this.#offers.set(fingerprint, groups);
    this.#history.learnOffer(fingerprint, groups);
  }

  /** Tells that the share may have changed, now and at each instant at which it does. */
  #changed(): void {
    const nowUs = this.#databaseNowUs();
    this.#around.onChange(this.#timestampOf(this.#history.at(nowUs)?.sinceUs ?? nowUs));
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const instants = this.#history.epochs.flatMap(({ sinceUs }) => [sinceUs, sinceUs + OVERLAP_US]);
    const nextUs = Math.min(...instants.slice(-64).filter((instant) => instant > nowUs));
    if (nextUs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(LONGEST_TIMER_MS, (nextUs - nowUs) / 1_000 + 1);
    this.#cancelTimer = this.#around.setTimer(delayMs, () => this.#changed());
  }

  /** Whether somebody else has this group from the last epoch on. */
  #takerOf(key: string): boolean {
    const { last } = this.#history;
    return last !== undefined && this.#history.ownerOf(key, last) !== undefined;
  }

  #timestampOf(databaseUs: number): number {
    return databaseUs - (this.stamp().databaseOffsetUs ?? 0);
  }

  #databaseNowUs(): number {
    return this.#around.nowUs() + (this.clock.offsetUs ?? 0);
  }

  #save(): void {
    const { file } = this.#options;
    if (file === undefined) return;
    const epochs = this.#history.from(this.#databaseNowUs());
    const named = new Set(epochs.flatMap(({ members }) => members.map(({ fingerprint }) => fingerprint)));
    const offers = new Map([...this.#offers].filter(([fingerprint]) => named.has(fingerprint)));
    writeShare(file, { epochs, offers });
  }
}

/** How many devices that is, without those that hang on one machine alone. */
function sharedDevices(entries: readonly MetricEntry[]): number {
  const shared = entries.filter(({ driver, url }) => !driver.isLocal?.(url));
  return new Set(shared.map(({ deviceId }) => deviceId)).size;
}
