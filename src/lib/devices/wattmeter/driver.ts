/** The wattmeter driver: streams of `wattmetre-read` at 50 frames a second. See stream.ts for how a frame flows. */
import type { Readable } from 'node:stream';
import type { StreamDriver } from '../driver.ts';
import { WattmeterStream } from './stream.ts';
import { parseWattmeterUrl, SCHEMES, URL_FORM, type WattmeterUrl } from './url.ts';

/** A mean a second, every frame while promoted: 20 ms is what the catalogue says about those. */
const PERIODS_MS = { usual: 1_000, promoted: 20 } as const;

export const wattmeterDriver: StreamDriver<WattmeterUrl> = {
  schemes: SCHEMES,
  urlForm: URL_FORM,
  defaultPeriodsMs: PERIODS_MS,
  parseUrl: parseWattmeterUrl,
  isLocal: ({ scheme }) => scheme !== 'wattmetre+tcp',
  openStream: (_deviceId, url, context, sink) => new WattmeterStream(url, context, sink),
};

/** For `kw collect wattmetre`: the lines come on `input`, and are read once. Its URL is stdinUrl(). */
export function inputDriver(input: Readable): StreamDriver<WattmeterUrl> {
  return {
    ...wattmeterDriver,
    openStream: (_deviceId, url, context, sink) => new WattmeterStream(url, context, sink, input),
  };
}
