/**
 * Which metrics are promoted: read although they are optional, or read faster. The set comes from
 * kw.promoted_metrics; while the database is away the last one stays, and expires by the local clock.
 */
import { append } from '../append.ts';
import type { MetricEntry } from '../config/model.ts';
import { compilePattern, type Pattern } from '../pattern.ts';
import type { Series } from '../sample.ts';

/** A row of kw.promoted_metrics that is in force. */
export interface Promotion {
  /** Matches an entry's device_id or its label `_device_alias`. */
  readonly deviceId: string;
  /** A pattern for metric names, anchored at the start. */
  readonly pattern: string;
  /** Undefined: until its job ends. */
  readonly expiresAtUs: number | undefined;
}

export class PromotionSet {
  readonly #byDevice = new Map<string, { pattern: Pattern; expiresAtUs: number }[]>();
  /** Patterns that cannot be used, with the reason: rows that someone wrote past `kw enable`. */
  readonly refused: { pattern: string; problem: string }[] = [];

  constructor(promotions: readonly Promotion[] = []) {
    const compiled = new Map<string, Pattern | undefined>();
    for (const { deviceId, pattern, expiresAtUs } of promotions) {
      if (!compiled.has(pattern)) {
        try {
          compiled.set(pattern, compilePattern(pattern));
        } catch (error) {
          compiled.set(pattern, undefined);
          this.refused.push({ pattern: pattern.slice(0, 100), problem: (error as Error).message });
        }
      }
      const usable = compiled.get(pattern);
      if (!usable) continue;
      const promotion = { pattern: usable, expiresAtUs: expiresAtUs ?? Number.POSITIVE_INFINITY };
      append(this.#byDevice, deviceId, promotion);
    }
  }

  isPromoted({ deviceId, name: metricId, labels }: MetricEntry, nowUs: number): boolean {
    return this.promotes({ deviceId, metricId, labels }, nowUs);
  }

  /** The same for one series of a stream, by its device or its alias. */
  promotes({ deviceId, metricId, labels }: Series, nowUs: number): boolean {
    return this.#matches(deviceId, metricId, nowUs) || this.#matches(labels._device_alias, metricId, nowUs);
  }

  /** When the next promotion ends by itself, or undefined. */
  nextExpiryUs(nowUs: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const promotions of this.#byDevice.values()) {
      for (const { expiresAtUs } of promotions) if (expiresAtUs > nowUs) next = Math.min(next, expiresAtUs);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  #matches(deviceId: string | undefined, metricId: string, nowUs: number): boolean {
    const promotions = deviceId === undefined ? undefined : this.#byDevice.get(deviceId);
    return promotions?.some((p) => p.expiresAtUs > nowUs && p.pattern.matches(metricId)) ?? false;
  }
}

/** How often an entry is read at the moment, in milliseconds; undefined when it is not. */
export function periodOf(entry: MetricEntry, promoted: boolean): number | undefined {
  if (promoted) return entry.optionalUpdateEveryMs ?? entry.updateEveryMs;
  return entry.optional ? undefined : entry.updateEveryMs;
}
