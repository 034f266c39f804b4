/**
 * The fleet: every target of one configuration. Applies a new configuration and new promotions by difference, so
 * that what did not change keeps its session, its instants and its counters.
 */
import { append } from '../append.ts';
import { diffEntries } from '../config/entryDiff.ts';
import type { MetricEntry } from '../config/model.ts';
import { isStreamDriver, type SessionContext } from '../devices/driver.ts';
import { PromotionSet, periodOf } from './promotions.ts';
import { type StreamSurroundings, StreamTarget } from './streamTarget.ts';
import { Target, type TargetSurroundings } from './target.ts';

export interface FleetChange {
  readonly started: number;
  readonly stopped: number;
  readonly changed: number;
  readonly unchanged: number;
}

export interface FleetSurroundings extends TargetSurroundings {
  readonly streams: StreamSurroundings;
  /** Where drivers may keep what they learned; undefined: nowhere. */
  readonly dataFolder?: string | undefined;
  /** The target is not configured any more: its counters are asked for the last time. */
  readonly onGone: (target: AnyTarget) => void;
}

export type AnyTarget = Target | StreamTarget;

/** How long readOnce() waits for a stream: a wattmeter has a mean after two seconds at the latest. */
const STREAM_PATIENCE_MS = 5_000;

export class Fleet {
  readonly targets = new Map<string, AnyTarget>();
  /** Not configured any more, and not closed yet: a stream may still hold readings. */
  readonly #leaving = new Set<AnyTarget>();
  readonly #surroundings: FleetSurroundings;
  #promotions = new PromotionSet();
  /** Names that users may not take for their own series: device, newline, metric. */
  #configured = new Set<string>();

  constructor(surroundings: FleetSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Starts, stops and changes targets so that exactly these entries are configured. */
  async configure(entries: readonly MetricEntry[]): Promise<FleetChange> {
    const byKey = new Map<string, MetricEntry[]>();
    for (const entry of entries) append(byKey, targetKey(entry), entry);
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
      this.#leaving.add(target);
      closing.push(target.close().finally(() => this.#leaving.delete(target)));
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
      if (target instanceof StreamTarget) target.configure(target.entries);
      else target.read(this.#periods(target.entries));
    }
    await Promise.all(closing);
    return { started, stopped, changed, unchanged };
  }

  /** Applies a new set of promotions, or the passing of time to the present one. What is new is read at once. */
  promote(promotions: PromotionSet = this.#promotions): void {
    this.#promotions = promotions;
    for (const target of this.targets.values()) {
      if (target instanceof StreamTarget) {
        target.promote(promotions);
        continue;
      }
      if (!target.entries.some((entry) => entry.optional || entry.optionalUpdateEveryMs !== undefined))
        continue;
      const before = new Set<MetricEntry>();
      for (const loop of target.loops) for (const entry of loop.entries) before.add(entry);
      const periods = this.#periods(target.entries);
      const atOnce = [...periods.values()].flat().filter((entry) => !before.has(entry));
      target.read(periods, atOnce);
    }
  }

  /** When the oldest poll that is under way, or reading that is held back, began; infinity when there is none. */
  oldestPollUs(): number {
    let oldestUs = Number.POSITIVE_INFINITY;
    for (const { pollingSinceUs } of [...this.targets.values(), ...this.#leaving]) {
      if (pollingSinceUs !== undefined && pollingSinceUs < oldestUs) oldestUs = pollingSinceUs;
    }
    return oldestUs;
  }

  /** Reads everything once. */
  async readOnce(): Promise<void> {
    await Promise.all([...this.targets.values()].map((target) => target.readOnce(STREAM_PATIENCE_MS)));
  }

  /** Stops every schedule and waits for the polls under way, but not longer than `patienceMs`. */
  async stopPolling(patienceMs: number): Promise<void> {
    await this.#patiently(patienceMs, (target) => target.stopPolling());
  }

  /** Lets everything that was due be read, but not for longer than `patienceMs`, and ends each session after that. */
  async finish(patienceMs: number): Promise<void> {
    await this.#patiently(patienceMs, (target) => target.finish());
  }

  async #patiently(patienceMs: number, end: (target: AnyTarget) => Promise<void>): Promise<void> {
    const idle = Promise.all([...this.targets.values()].map(end));
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

  /** Resolves when every target is a stream that has ended, for good; never when one is polled. */
  async streamsEnded(): Promise<void> {
    await Promise.all(
      Array.from(this.targets.values(), (target) =>
        target instanceof StreamTarget ? target.ended : new Promise(() => {}),
      ),
    );
  }

  #open(key: string, entries: readonly MetricEntry[]): AnyTarget {
    const first = entries[0] as MetricEntry;
    const { driver, deviceId, url } = first;
    const context: SessionContext = {
      nowUs: this.#surroundings.nowUs,
      isConfiguredMetric: (device, metric) =>
        this.#configured.has(`${device}\n${metric}`) || this.#isStreamed(device, metric),
      dataFolder: this.#surroundings.dataFolder,
    };
    if (isStreamDriver(driver)) {
      return new StreamTarget(key, driver, entries, context, this.#promotions, this.#surroundings.streams);
    }
    const phaseGridMs = Math.max(this.#surroundings.phaseGridMs, driver.phaseGridMs ?? 0);
    const target = new Target(key, driver.open(deviceId, url, context), {
      ...this.#surroundings,
      phaseGridMs,
    });
    target.entries = entries;
    return target;
  }

  #isStreamed(deviceId: string, metricId: string): boolean {
    for (const target of this.targets.values()) {
      if (target instanceof StreamTarget && target.gives(deviceId, metricId)) return true;
    }
    return false;
  }

  #periods(entries: readonly MetricEntry[]): Map<number, MetricEntry[]> {
    const nowUs = this.#surroundings.nowUs();
    const periods = new Map<number, MetricEntry[]>();
    for (const entry of entries) {
      const periodMs = periodOf(entry, this.#promotions.isPromoted(entry, nowUs));
      if (periodMs !== undefined) append(periods, periodMs, entry);
    }
    return periods;
  }
}

/** What shares a session: the endpoint. Several devices behind one agent (the ports of a PDU) are read together. */
function targetKey(entry: MetricEntry): string {
  return `${entry.url.scheme}\n${entry.url.endpointKey}`;
}
