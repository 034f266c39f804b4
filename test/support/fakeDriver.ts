/** A device without a network: a driver whose answers a test decides. */
import type { MetricEntry } from '../../src/lib/config/model.ts';
import type {
  AnyDriver,
  DeviceUrl,
  Driver,
  MetricRequest,
  PollResult,
  Session,
  SessionContext,
} from '../../src/lib/devices/driver.ts';
import type { Series } from '../../src/lib/sample.ts';
import { ENTRY_DEFAULTS } from './entryDefaults.ts';

export interface FakeRead {
  readonly host: string;
  readonly metrics: readonly string[];
  readonly timeoutMs: number;
}

export class FakeDriver implements Driver {
  readonly schemes = ['fake'];
  readonly urlForm = 'fake://host';
  readonly reads: FakeRead[] = [];
  readonly opened: string[] = [];
  readonly closed: string[] = [];
  plans = 0;
  phaseGridMs = 1;
  /** What happens between request and answer of a device. */
  delay: (host: string) => Promise<void> = async () => {};
  /** Whether a device answers at all. */
  up: (host: string) => boolean = () => true;

  parseUrl(text: string): DeviceUrl {
    const host = text.replace('fake://', '');
    return { scheme: 'fake', endpointKey: host, safeUrl: text, hostPort: host };
  }

  open(_deviceId: string, url: DeviceUrl, context: SessionContext): Session {
    const host = url.hostPort;
    this.opened.push(host);
    return {
      plan: (metrics) => {
        this.plans++;
        const series = metrics.map(seriesOf);
        return { read: (timeoutMs) => this.#read(host, series, timeoutMs, context) };
      },
      close: async () => {
        this.closed.push(host);
      },
    };
  }

  async #read(
    host: string,
    series: readonly Series[],
    timeoutMs: number,
    context: SessionContext,
  ): Promise<PollResult> {
    const timestampUs = context.nowUs();
    this.reads.push({ host, metrics: series.map(({ metricId }) => metricId), timeoutMs });
    await this.delay(host);
    if (!this.up(host)) {
      const problems = [{ kind: 'timeout', message: `${host} did not answer` }] as const;
      return { up: false, timestampUs, samples: [], problems };
    }
    return {
      up: true,
      timestampUs,
      samples: series.map((s) => ({ series: s, timestampUs, value: 1 })),
      problems: [],
    };
  }
}

function seriesOf({ deviceId, metricId, labels }: MetricRequest): Series {
  return { deviceId, metricId, labels };
}

/** An entry as the configuration would make it. */
export function fakeEntry(
  driver: AnyDriver,
  name: string,
  deviceId: string,
  options: Partial<MetricEntry> & { host?: string } = {},
): MetricEntry {
  const { host, ...rest } = options;
  return {
    name,
    deviceId,
    url: driver.parseUrl(`fake://${host ?? deviceId}`, { resolveSecret: (text) => text }),
    driver,
    ...ENTRY_DEFAULTS,
    ...rest,
  };
}
