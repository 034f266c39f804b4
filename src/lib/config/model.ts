/**
 * The typed configuration, after every check: what the rest of kw sees of kw.yaml and metrics.d/*.yaml.
 */
import type { AnyDriver, DeviceUrl } from '../devices/driver.ts';
import type { Labels } from '../sample.ts';

/** A place in a configuration file, for messages: `file:line:column`, both counted from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One entry of metrics.d: one metric of one device (or, for prometheus, one page of them). */
export interface MetricEntry {
  readonly name: string;
  readonly deviceId: string;
  readonly url: DeviceUrl;
  readonly driver: AnyDriver;
  /** Period in milliseconds, default 10000 as in Kwollect. */
  readonly updateEveryMs: number;
  /** The period while promoted, if it differs (`optional_update_every`). */
  readonly optionalUpdateEveryMs: number | undefined;
  readonly scaleFactor: number | undefined;
  /** May hold `_device_alias` and other `_` labels. */
  readonly labels: Labels;
  /** Read only while promoted. */
  readonly optional: boolean;
  readonly unit: string | undefined;
  readonly description: string | undefined;
  /** Bound on one poll; always below the period. */
  readonly timeoutMs: number | undefined;
  readonly place: Place;
}
