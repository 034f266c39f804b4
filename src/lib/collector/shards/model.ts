/**
 * The terms in which collectors share their devices.
 *
 * A group is what one collector reads as a whole. A member is a collector that holds a lease, with its offer: the
 * groups that it is configured to read. An epoch is a list of members and the instant from which on it holds. Who
 * owns a group at an instant follows from the epoch of that instant alone, so all who know the epochs agree.
 */

export interface ShardGroup {
  /** The same for all collectors that are configured to read the same things of it. */
  readonly key: string;
  /** Sorted. */
  readonly devices: readonly string[];
}

export interface ShardOffer {
  /** Hash of the groups. */
  readonly fingerprint: string;
  readonly groups: readonly ShardGroup[];
}

export interface ShardMember {
  /** UUID. */
  readonly collector: string;
  readonly fingerprint: string;
  /** It has a list of its own: what it offers is its as long as it lives. */
  readonly fixed: boolean;
}

export interface ShardEpoch {
  readonly epoch: number;
  /** Microseconds since the epoch of Unix, on the database's clock. */
  readonly sinceUs: number;
  readonly members: readonly ShardMember[];
}
