/** Reads BMCs through kw's driver, as a collector does. */
import type { PollResult, SessionContext } from '../../src/lib/devices/driver.ts';
import { ipmiDriver } from '../../src/lib/devices/ipmi/driver.ts';
import type { IpmiUrl } from '../../src/lib/devices/ipmi/url.ts';
import type { BmcAddress } from './ipmiTools.ts';

export interface ReadOptions {
  readonly user?: string;
  readonly password?: string;
  /** Behind the name, such as `?cipher=17`. */
  readonly query?: string;
  readonly context?: Partial<SessionContext>;
}

/** `sensor` as in a URL, or a whole `ipmi-dcmi:power`. */
function urlOf(
  { address, port }: BmcAddress,
  sensor: string,
  { user = 'root', password = 'calvin', query = '' }: ReadOptions = {},
): string {
  const [, scheme = 'ipmisensor', target = sensor] = /^(ipmi-dcmi):(.*)$/.exec(sensor) ?? [];
  return `${scheme}://${user}:${password}@${address}:${port}/${target.replaceAll('%', '%25').replaceAll('?', '%3F')}${query}`;
}

export interface BmcReader {
  read(timeoutMs?: number): Promise<PollResult>;
  /** Values by sensor, of one read; NaN with a text gives the text. */
  values(): Promise<Map<string, number | string>>;
  describe(): string[];
  close(): Promise<void>;
}

/** A poll of these sensors; each metric is named after its sensor. */
export function readerOf(bmc: BmcAddress, sensors: readonly string[], options: ReadOptions = {}): BmcReader {
  const context: SessionContext = {
    nowUs: () => Date.now() * 1000,
    isConfiguredMetric: () => false,
    ...options.context,
  };
  const urls = sensors.map(
    (sensor): IpmiUrl => ipmiDriver.parseUrl(urlOf(bmc, sensor, options), { resolveSecret: (text) => text }),
  );
  const session = ipmiDriver.open('bmc', urls[0] as IpmiUrl, context);
  const poll = session.plan(
    urls.map((url, index) => ({
      url,
      deviceId: 'bmc',
      metricId: sensors[index] as string,
      labels: {},
      scaleFactor: undefined,
    })),
  );
  const read = (timeoutMs = 10_000) => poll.read(timeoutMs);
  return {
    read,
    async values() {
      const { samples } = await read();
      return new Map(
        samples.map(({ series, value }) => [series.metricId, series.labels.value_str ?? value] as const),
      );
    },
    describe: () => (poll.describe?.() ?? []).map(({ name, text }) => `${name}: ${text}`),
    close: () => session.close(),
  };
}
