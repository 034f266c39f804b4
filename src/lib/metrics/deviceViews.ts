/**
 * Stored series as devices see them: under their own name, and under their alias, where `_device_orig` names the origin.
 * Origins of one alias are not added up here: a sum needs the rows of all of them, and some come late.
 */
import type { RowSeries } from '../output/row.ts';
import { ALIAS_LABEL, withOrigins } from './aliasLabels.ts';

/** Series with labels that change in every row would fill the memory. */
const MAX_SERIES = 20_000;

export class DeviceViews {
  readonly #devices: ReadonlySet<string> | undefined;
  readonly #views = new Map<string, readonly RowSeries[]>();
  #nextId = 0;

  /** `devices` undefined: every series is shown as it is stored. */
  constructor(devices: readonly string[] | undefined) {
    this.#devices = devices && new Set(devices);
  }

  /** None, one or two; the same objects for the same series. Their ids are of their own. */
  of(stored: RowSeries): readonly RowSeries[] {
    const key = JSON.stringify([stored.deviceId, stored.metricId, stored.labels]);
    let views = this.#views.get(key);
    if (views === undefined) {
      if (this.#views.size >= MAX_SERIES) {
        this.#views.clear();
        this.#nextId = 0;
      }
      views = this.#make(stored);
      this.#views.set(key, views);
    }
    return views;
  }

  #make(stored: RowSeries): RowSeries[] {
    const { deviceId, metricId } = stored;
    if (this.#devices === undefined) return [{ ...stored, id: this.#nextId++ }];
    const { [ALIAS_LABEL]: alias, ...labels } = JSON.parse(stored.labels) as Record<string, unknown>;
    const views: RowSeries[] = [];
    if (this.#devices.has(deviceId)) {
      views.push({ id: this.#nextId++, deviceId, metricId, labels: JSON.stringify(labels) });
    }
    if (typeof alias === 'string' && this.#devices.has(alias)) {
      const shown = withOrigins(labels, [deviceId]);
      views.push({ id: this.#nextId++, deviceId: alias, metricId, labels: shown });
    }
    return views;
  }
}
