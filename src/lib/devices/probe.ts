/** One read of one URL, for `kw device probe`: what was read, and everything that the driver can say about it. */
import type { Labels, Sample } from '../sample.ts';
import { formatUtc, nowUs } from '../time.ts';
import {
  type DeviceUrl,
  type Fact,
  isStreamDriver,
  type PollResult,
  type TraceStep,
  type UrlContext,
} from './driver.ts';
import { probeStream } from './probeStream.ts';
import { driverOf, hostOf, readUrl } from './urlText.ts';

export interface ProbeOptions {
  readonly urlContext: UrlContext;
  readonly timeoutMs: number;
  /** Default: the host of the URL. */
  readonly deviceId?: string | undefined;
  /** Where drivers may keep what they learned; undefined: nowhere. */
  readonly dataFolder?: string | undefined;
  /** Called at each step that the driver tells, for `--verbose`. */
  readonly onStep?: ((step: ProbeStep) => void) | undefined;
}

/** One step on the way to the value. */
export interface ProbeStep extends TraceStep {
  /** Milliseconds since the URL was read. */
  readonly at_ms: number;
}

export interface ProbeReport {
  readonly url: string;
  readonly device_id: string;
  readonly up: boolean;
  /** UTC, with microseconds. */
  readonly timestamp: string;
  readonly duration_ms: number;
  readonly facts: readonly Fact[];
  readonly samples: readonly ProbeSample[];
  readonly problems: readonly { kind: string; message: string; metric_id?: string; count?: number }[];
  /** With `onStep` only. */
  readonly steps?: readonly ProbeStep[];
}

export interface ProbeSample {
  /** Where it is another one than the device that was asked: a port of a wattmeter. */
  readonly device_id?: string;
  readonly timestamp: string;
  readonly metric_id: string;
  /** JSON has no NaN and no infinities: these are texts, as PostgreSQL writes them. */
  readonly value: number | string;
  readonly labels: Labels;
}

/** The metric's name where the protocol leaves it to the configuration. */
const METRIC_ID = 'value';

/** @throws KwError BAD_URL when the URL cannot be read; what the device does is in the report */
export async function probe(text: string, options: ProbeOptions): Promise<ProbeReport> {
  const driver = driverOf(text);
  const url = readUrl(driver, () => driver.parseUrl(text, options.urlContext));
  const deviceId = options.deviceId ?? hostOf(url);
  const { onStep, dataFolder } = options;
  const steps: ProbeStep[] = [];
  const startMs = performance.now();
  const trace = ({ step, text: what }: TraceStep) => {
    const at_ms = roundMs(performance.now() - startMs);
    steps.push({ step, text: what, at_ms });
    onStep?.({ step, text: what, at_ms });
  };
  const context = { nowUs, isConfiguredMetric: () => false, dataFolder, ...(onStep && { trace }) };
  if (isStreamDriver(driver)) {
    const asked = { deviceId, url, metricId: METRIC_ID, context, timeoutMs: options.timeoutMs };
    const { result, facts } = await probeStream(driver, asked);
    const probed = report(url, deviceId, result, performance.now() - startMs, facts);
    return onStep ? { ...probed, steps } : probed;
  }
  const session = driver.open(deviceId, url, context);
  try {
    const poll = session.plan([{ url, deviceId, metricId: METRIC_ID, labels: {}, scaleFactor: undefined }]);
    const readMs = performance.now();
    const result = await poll.read(options.timeoutMs);
    const durationMs = performance.now() - readMs;
    const facts = poll.describe?.() ?? [];
    await session.close();
    const probed = report(url, deviceId, result, durationMs, facts);
    return onStep ? { ...probed, steps } : probed;
  } finally {
    await session.close();
  }
}

/** The step as a line: `+12.3 ms  read  ...`. */
export function formatStep({ step, text, at_ms }: ProbeStep): string {
  return `${`+${at_ms.toFixed(1)} ms`.padStart(12)}  ${step.padEnd(12)}  ${text}`;
}

function report(
  url: DeviceUrl,
  deviceId: string,
  result: PollResult,
  durationMs: number,
  facts: readonly Fact[],
): ProbeReport {
  return {
    url: url.safeUrl,
    device_id: deviceId,
    up: result.up,
    timestamp: formatUtc(result.timestampUs),
    duration_ms: roundMs(durationMs),
    facts,
    samples: result.samples.map((sample) => probeSample(sample, deviceId)),
    problems: result.problems.map(({ kind, message, metricId, count }) => ({
      kind,
      message,
      ...(metricId !== undefined && { metric_id: metricId }),
      ...(count !== undefined && { count }),
    })),
  };
}

function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function probeSample({ series, timestampUs, value }: Sample, deviceId: string): ProbeSample {
  return {
    ...(series.deviceId !== deviceId && { device_id: series.deviceId }),
    timestamp: formatUtc(timestampUs),
    metric_id: series.metricId,
    value: Number.isFinite(value) ? value : numberText(value),
    labels: series.labels,
  };
}

function numberText(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/** More samples than these are counted only: a page of an exporter has hundreds. */
const SHOWN_SAMPLES = 20;

/** The report as lines for people: a name, and what there is to say. */
export function formatProbe(probed: ProbeReport): string {
  const lines: [string, string][] = [['url', probed.url]];
  for (const { name, text } of probed.facts) lines.push([name, text]);
  for (const sample of probed.samples.slice(0, SHOWN_SAMPLES)) lines.push(['value', sampleText(sample)]);
  const rest = probed.samples.length - SHOWN_SAMPLES;
  if (rest > 0) lines.push(['', `and ${rest} more; --json shows all`]);
  if (probed.up) lines.push(['timestamp', probed.timestamp]);
  lines.push(['duration', `${probed.duration_ms.toFixed(1)} ms`]);
  // A message that stands for several says itself how many.
  for (const { kind, message } of probed.problems) lines.push(['problem', `${kind}: ${message}`]);
  if (!probed.up) lines.push(['answer', 'none']);
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, text]) => `${name.padEnd(width)}${text}`).join('\n');
}

function sampleText({ device_id, metric_id, value, labels }: ProbeSample): string {
  const names = Object.entries(labels);
  if (metric_id === METRIC_ID && names.length === 0 && device_id === undefined) return String(value);
  const text = names.map(([name, label]) => `${name}=${JSON.stringify(label)}`).join(', ');
  const series = `${device_id === undefined ? '' : `${device_id} `}${metric_id === METRIC_ID ? '' : `${metric_id} `}`;
  return names.length === 0 ? `${series}${value}` : `${series}${value} {${text}}`;
}
