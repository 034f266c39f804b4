/** Reads SNMP URLs in tests as the collector does: parse, open, plan, read. */
import type { PollResult } from '../../src/lib/devices/driver.ts';
import type { SnmpPoll } from '../../src/lib/devices/snmp/poll.ts';
import { SnmpSession } from '../../src/lib/devices/snmp/session.ts';
import type { UdpTransport } from '../../src/lib/devices/snmp/transport.ts';
import { parseSnmpUrl } from '../../src/lib/devices/snmp/url.ts';
import { nowUs } from '../../src/lib/time.ts';

export interface Reader {
  readonly session: SnmpSession;
  readonly poll: SnmpPoll;
  /** One read, 1 s at most unless told. */
  read(timeoutMs?: number): Promise<PollResult>;
  close(): Promise<void>;
}

/** One session for the first URL, and one poll of all: metrics m0, m1, ... of device `device`. */
export function openReader(
  urls: readonly string[],
  options: { transport?: UdpTransport; scale?: number } = {},
): Reader {
  const parsed = urls.map((url) => parseSnmpUrl(url, { resolveSecret: (text) => text }));
  const [first] = parsed;
  if (!first) throw new Error('no URL');
  const context = { nowUs, isConfiguredMetric: () => false };
  const session = new SnmpSession(first, context, options.transport);
  const poll = session.plan(
    parsed.map((url, index) => ({
      url,
      deviceId: 'device',
      metricId: `m${index}`,
      labels: {},
      scaleFactor: options.scale,
    })),
  );
  return { session, poll, read: (timeoutMs = 1000) => poll.read(timeoutMs), close: () => session.close() };
}

/** What a read gave, without its time: values (or texts) by metric, and problems as `kind: message`. */
export function summary(result: PollResult): {
  up: boolean;
  values: Record<string, unknown>;
  problems: string[];
} {
  return {
    up: result.up,
    values: Object.fromEntries(
      result.samples.map(({ series, value }) => [series.metricId, series.labels.value_str ?? value]),
    ),
    problems: result.problems.map(({ kind, message }) => `${kind}: ${message}`),
  };
}
