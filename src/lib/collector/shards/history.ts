/**
 * Who owned what, and when: the epochs that are known, and the offers of their members. Answers for any time, since
 * what is replayed from a spool was read days ago.
 */
import type { ShardEpoch, ShardGroup, ShardOffer } from './model.ts';
import { highest } from './rendezvous.ts';

/** Epochs are kept in memory as the database keeps them. */
const MAX_EPOCHS = 10_000;

interface KnownOffer {
  readonly keys: ReadonlySet<string>;
  readonly keyOfDevice: ReadonlyMap<string, string>;
}

export class ShardHistory {
  /** By number, and so by time. */
  #epochs: ShardEpoch[] = [];
  readonly #offers = new Map<string, KnownOffer>();
  /** By epoch: whether a device is this collector's to store. */
  readonly #decided = new WeakMap<ShardEpoch, Map<string, boolean>>();
  readonly #self: string;
  /** Keys by which this collector knows its devices where no epoch says which it had. */
  #own: KnownOffer = { keys: new Set(), keyOfDevice: new Map() };

  constructor(self: string) {
    this.#self = self;
  }

  get last(): ShardEpoch | undefined {
    return this.#epochs.at(-1);
  }

  get epochs(): readonly ShardEpoch[] {
    return this.#epochs;
  }

  /** What this collector is configured to read from now on. */
  configure(offer: ShardOffer): void {
    this.#own = knownOffer(offer.groups);
    for (const epoch of this.#epochs) this.#decided.delete(epoch);
  }

  /** Takes epochs, known or not. Their offers must have been learned. */
  learn(epochs: readonly ShardEpoch[]): void {
    const lastKnown = this.last?.epoch ?? -1;
    const fresh = epochs.filter(({ epoch }) => epoch > lastKnown).sort((a, b) => a.epoch - b.epoch);
    if (fresh.length > 0) this.#epochs = [...this.#epochs, ...fresh].slice(-MAX_EPOCHS);
  }

  learnOffer(fingerprint: string, groups: readonly ShardGroup[]): void {
    this.#offers.set(fingerprint, knownOffer(groups));
  }

  /** Fingerprints of these epochs that are not known. */
  unknownOffers(epochs: readonly ShardEpoch[]): string[] {
    const named = new Set(epochs.flatMap(({ members }) => members.map(({ fingerprint }) => fingerprint)));
    return [...named].filter((fingerprint) => !this.#offers.has(fingerprint));
  }

  /** The database's word replaces what the disk remembered: it may be another database, or one that was restored. */
  forgetEpochs(): void {
    this.#epochs = [];
  }

  /** The epoch in force at a time of the database's clock. */
  at(timeUs: number): ShardEpoch | undefined {
    for (let index = this.#epochs.length - 1; index >= 0; index--) {
      const epoch = this.#epochs[index] as ShardEpoch;
      if (epoch.sinceUs <= timeUs) return epoch;
    }
    return undefined;
  }

  /** The epochs in force at some time from `fromUs` on; those that are yet to come too. */
  from(fromUs: number): readonly ShardEpoch[] {
    let first = this.#epochs.length;
    while (first > 0) {
      first--;
      if ((this.#epochs[first] as ShardEpoch).sinceUs <= fromUs) break;
    }
    return this.#epochs.slice(first);
  }

  /** Whether from `fromUs` on nobody but this collector read anything: then every row is its own. */
  isAloneFrom(fromUs: number): boolean {
    return this.from(fromUs).every(({ members }) =>
      members.every(({ collector }) => collector === this.#self),
    );
  }

  /**
   * Whether what this collector read of a device belongs to it: it owns the device's group, or nobody does.
   * @param epoch undefined: before all that is known
   */
  isOwn(device: string, epoch: ShardEpoch | undefined): boolean {
    if (epoch === undefined) return true;
    let decided = this.#decided.get(epoch);
    if (decided === undefined) {
      decided = new Map();
      this.#decided.set(epoch, decided);
    }
    let own = decided.get(device);
    if (own === undefined) {
      own = this.#decide(device, epoch);
      decided.set(device, own);
    }
    return own;
  }

  /** The collector that owns a group in an epoch; undefined when nobody offers it. */
  ownerOf(key: string, { members }: ShardEpoch): string | undefined {
    const offering = members.filter(({ fingerprint }) => this.#offers.get(fingerprint)?.keys.has(key));
    return highest(key, offering)?.collector;
  }

  #decide(device: string, epoch: ShardEpoch): boolean {
    const mine = epoch.members.find(({ collector }) => collector === this.#self);
    const offered = mine && this.#offers.get(mine.fingerprint);
    const key = (offered && keyOf(offered, device)) ?? keyOf(this.#own, device);
    if (key === undefined) return true;
    const owner = this.ownerOf(key, epoch);
    return owner === undefined || owner === this.#self;
  }
}

function knownOffer(groups: readonly ShardGroup[]): KnownOffer {
  const keyOfDevice = new Map<string, string>();
  for (const { key, devices } of groups) for (const device of devices) keyOfDevice.set(device, key);
  return { keys: new Set(groups.map(({ key }) => key)), keyOfDevice };
}

/** A wattmeter's ports are devices of their own, which its entry gives. */
function keyOf({ keyOfDevice }: KnownOffer, device: string): string | undefined {
  return keyOfDevice.get(device) ?? keyOfDevice.get(device.replace(/-port\d+$/, ''));
}
