/**
 * The fleet: every target of one configuration. Applies a new configuration and new promotions by difference, so
 * that what did not change keeps its session, its instants and its counters.
 */
import { diffEntries } from '../config/entryDiff.ts';
import type { MetricEntry } from '../config/model.ts';
import type { SessionContext } from '../devices/driver.ts';
import { PromotionSet, periodOf } from './promotions.ts';
import { Target, type TargetSurroundings } from './target.ts';

export interface FleetChange {
  readonly started: number;
  readonly stopped: number;
  readonly changed: number;
  readonly unchanged: number;
}

export class Fleet {
  readonly targets = new Map<string, Target>();
  readonly #surroundings: TargetSurroundings;
  #promotions = new PromotionSet();
  /** Names that users may not take for their own series: device, newline, metric. */
  #configured = new Set<string>();

  constructor(surroundings: TargetSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Starts, stops and changes targets so that exactly these entries are configured. */
  async configure(entries: readonly MetricEntry[]): Promise<FleetChange> {
    const byKey = new Map<string, MetricEntry[]>();
    for (const entry of entries) {
      const key = targetKey(entry);
      const group = byKey.get(key);
      if (group) group.push(entry);
      else byKey.set(key, [entry]);
    }
    // An aliased metric is one of its alias too: a node may not forge what its PDU says about it.
    this.#configured = new Set(
      entries.flatMap(({ deviceId, name, labels }) =>
        [deviceId, labels._device_alias].flatMap((device) => (device ? [`${device}\n${name}`] : [])),
      ),
    );

    let [started, stopped, changed, unchanged] = [0, 0, 0, 0];
    const closing: Promise<void>[] = [];
    for (const [key, target] of this.targets) {
      if (byKey.has(key)) continue;
      this.targets.delete(key);
      this.#surroundings.onGone(target);
      closing.push(target.close());
      stopped++;
    }
    for (const [key, group] of byKey) {
      let target = this.targets.get(key);
      if (target) {
        const { added, removed, kept } = diffEntries(target.entries, group);
        if (added.length === 0 && removed.length === 0) {
          unchanged++;
          continue;
        }
        target.entries = [...kept, ...added];
        changed++;
      } else {
        target = this.#open(key, group);
        this.targets.set(key, target);
        started++;
      }
      target.read(this.#periods(target.entries));
    }
    await Promise.all(closing);
    return { started, stopped, changed, unchanged };
  }

  /** Applies a new set of promotions, or the passing of time to the present one. What is new is read at once. */
  promote(promotions: PromotionSet = this.#promotions): void {
    this.#promotions = promotions;
    for (const target of this.targets.values()) {
      if (!target.entries.some((entry) => entry.optional || entry.optionalUpdateEveryMs !== undefined))
        continue;
      const before = new Set<MetricEntry>();
      for (const loop of target.loops) for (const entry of loop.entries) before.add(entry);
      const periods = this.#periods(target.entries);
      const atOnce = [...periods.values()].flat().filter((entry) => !before.has(entry));
      target.read(periods, atOnce);
    }
  }

  /** When the oldest poll that is under way began; infinity when there is none. */
  oldestPollUs(): number {
    let oldestUs = Number.POSITIVE_INFINITY;
    for (const { pollingSinceUs } of this.targets.values()) {
      if (pollingSinceUs !== undefined && pollingSinceUs < oldestUs) oldestUs = pollingSinceUs;
    }
    return oldestUs;
  }

  /** Reads everything once. */
  async readOnce(): Promise<void> {
    await Promise.all([...this.targets.values()].map((target) => target.readOnce()));
  }

  /** Stops every schedule and waits for the polls under way, but not longer than `patienceMs`. */
  async stopPolling(patienceMs: number): Promise<void> {
    const idle = Promise.all([...this.targets.values()].map((target) => target.stopPolling()));
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([idle, patience]);
    clearTimeout(timer);
  }

  /** Ends every session. The targets can still be asked for their counters. */
  async close(): Promise<void> {
    await Promise.all([...this.targets.values()].map((target) => target.close()));
  }

  #open(key: string, entries: readonly MetricEntry[]): Target {
    const first = entries[0] as MetricEntry;
    const context: SessionContext = {
      nowUs: this.#surroundings.nowUs,
      isConfiguredMetric: (deviceId, metricId) => this.#configured.has(`${deviceId}\n${metricId}`),
    };
    const target = new Target(key, first.driver.open(first.deviceId, first.url, context), this.#surroundings);
    target.entries = entries;
    return target;
  }

  #periods(entries: readonly MetricEntry[]): Map<number, MetricEntry[]> {
    const nowUs = this.#surroundings.nowUs();
    const periods = new Map<number, MetricEntry[]>();
    for (const entry of entries) {
      const periodMs = periodOf(entry, this.#promotions.isPromoted(entry, nowUs));
      if (periodMs === undefined) continue;
      const group = periods.get(periodMs);
      if (group) group.push(entry);
      else periods.set(periodMs, [entry]);
    }
    return periods;
  }
}

/** What shares a session: the endpoint. Several devices behind one agent (the ports of a PDU) are read together. */
function targetKey(entry: MetricEntry): string {
  return `${entry.url.scheme}\n${entry.url.endpointKey}`;
}
