/** Reads URLs of one device once, or again and again, through a driver: what a collector does, without a schedule. */
import type {
  DeviceUrl,
  Driver,
  Poll,
  PollResult,
  Session,
  TraceStep,
  UrlContext,
} from '../../src/lib/devices/driver.ts';
import type { Labels } from '../../src/lib/sample.ts';

export interface Entry {
  readonly url: string;
  readonly name?: string;
  readonly labels?: Labels;
  readonly scaleFactor?: number;
}

export interface OpenDevice {
  readonly poll: Poll;
  readonly session: Session;
  /** What was traced since the start. */
  readonly steps: readonly TraceStep[];
  read(timeoutMs?: number): Promise<PollResult>;
  close(): Promise<void>;
}

export const PLAIN: UrlContext = { resolveSecret: (text) => text };

/** Opens one session for entries of one device; `start` is the clock in microseconds, which stands still if given. */
export function openDevice<U extends DeviceUrl>(
  driver: Driver<U>,
  entries: readonly (Entry | string)[],
  { context = PLAIN, nowUs = () => Date.now() * 1000 }: { context?: UrlContext; nowUs?: () => number } = {},
): OpenDevice {
  const requests = entries.map((entry, index) => {
    const {
      url,
      name = `metric${index}`,
      labels = {},
      scaleFactor,
    } = typeof entry === 'string' ? { url: entry } : entry;
    return { url: driver.parseUrl(url, context), deviceId: 'device', metricId: name, labels, scaleFactor };
  });
  const [first] = requests;
  if (first === undefined) throw new Error('no entries');
  const steps: TraceStep[] = [];
  const session = driver.open('device', first.url, {
    nowUs,
    isConfiguredMetric: () => false,
    trace: (step) => steps.push(step),
  });
  const poll = session.plan(requests);
  return {
    poll,
    session,
    steps,
    read: (timeoutMs = 5000) => poll.read(timeoutMs),
    close: () => session.close(),
  };
}

/** `name{label=text,...} value` of each sample, and `kind: message` of each problem. */
export function lines({ samples, problems }: PollResult): string[] {
  return [
    ...samples.map(({ series: { metricId, labels }, value }) => {
      const text = Object.entries(labels).map(([name, label]) => `${name}=${label}`);
      return `${metricId}${text.length > 0 ? `{${text.join(',')}}` : ''} ${value}`;
    }),
    ...problems.map(({ kind, message }) => `${kind}: ${message}`),
  ];
}
