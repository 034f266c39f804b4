/** Reads devices and prints what would be stored: nothing is written, and no database is needed. */
import type { MetricEntry } from '../config/model.ts';
import type { Settings } from '../config/settingsModel.ts';
import { TemplateCache } from '../database/rowEncoder.ts';
import type { Problem } from '../devices/driver.ts';
import { EXIT_FAILURE } from '../errors.ts';
import { timestampProblem } from '../limits.ts';
import { printable } from '../printable.ts';
import type { Sample } from '../sample.ts';
import { formatUtc } from '../time.ts';
import { type Clock, systemClock, WallClock } from './clock.ts';
import { type AnyTarget, Fleet } from './fleet.ts';
import { Schedule } from './schedule.ts';

interface DryRunOptions {
  readonly entries: readonly MetricEntry[];
  readonly settings: Pick<Settings, 'collector' | 'limits'> & Partial<Pick<Settings, 'dataFolder'>>;
  /** Read everything once instead of at the configured periods. */
  readonly once: boolean;
  readonly onSample: (sample: Sample) => void;
  /** One sentence about something that was not read or would not be stored. */
  readonly onProblem: (message: string) => void;
  readonly clock?: Clock;
}

interface DryRun {
  /** Resolves when everything was read once; without `once`, when it is stopped. */
  readonly finished: Promise<void>;
  stop(): void;
}

export async function dryRun(options: DryRunOptions): Promise<DryRun> {
  const { entries, settings, once, onSample, onProblem, clock = systemClock } = options;
  const wallClock = new WallClock(clock);
  const schedule = new Schedule(clock);
  const templates = new TemplateCache();
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const show = (sample: Sample) => {
    const problem = problemOf(sample, templates, wallClock.nowUs(), settings.limits);
    if (problem) onProblem(`${sample.series.deviceId} ${sample.series.metricId}: not stored, ${problem}`);
    else onSample(sample);
  };
  const tell = (target: AnyTarget, problems: readonly Problem[]) => {
    for (const { message, metricId } of problems) {
      onProblem(`${target.deviceIds[0]}${metricId ? ` ${metricId}` : ''}: ${message}`);
    }
  };
  const fleet = new Fleet({
    schedule: once ? { add: () => ({ cancel() {} }) } : schedule,
    phaseGridMs: settings.collector.phaseGridMs,
    monotonicMs: () => clock.monotonicMs(),
    nowUs: () => wallClock.nowUs(),
    dataFolder: settings.dataFolder,
    onGone: () => {},
    onDefect: (target, error) =>
      onProblem(`${target.hostPort}: a driver failed, which is a defect of kw: ${error}`),
    onResult: (target, _loop, { samples, problems }) => {
      for (const sample of samples) show(sample);
      tell(target, problems);
    },
    streams: {
      nowUs: () => wallClock.nowUs(),
      openChannel: (series, _entry, onClose) => ({
        promoted: false,
        add: (timestampUs, value) => show({ series, timestampUs, value }),
        close: onClose,
      }),
      onChannelClosed: () => {},
      onSamples: (_target, samples) => {
        for (const sample of samples) show(sample);
      },
      onReadings: () => {},
      onState: (target, _up, problems) => tell(target, problems),
      onRemark: (target, text) => onProblem(`${target.deviceIds[0]}: ${text}`),
    },
  });
  await fleet.configure(entries);
  const finished = (
    once ? Promise.race([fleet.readOnce(), stopped]) : Promise.race([fleet.streamsEnded(), stopped])
  ).then(async () => {
    schedule.stop();
    await fleet.close();
  });
  return { finished, stop };
}

/** Where a dry run prints: a command. */
interface Printer {
  log(format: string, text: string): void;
  logToStderr(format: string, text: string): void;
}

/**
 * Prints what would be stored until a signal, the end of the output, or the end of every stream. With `once` the exit code
 * is 1 when no device gave anything, as that of `kw device probe`.
 */
export async function printDryRun(
  { entries, settings, once, json }: Pick<DryRunOptions, 'entries' | 'settings' | 'once'> & { json: boolean },
  printer: Printer,
): Promise<void> {
  const counts = { samples: 0, problems: 0 };
  const run = await dryRun({
    entries,
    settings,
    once,
    onSample: (sample) => {
      counts.samples++;
      printer.log('%s', json ? sampleJson(sample) : sampleLine(sample));
    },
    onProblem: (message) => {
      counts.problems++;
      printer.logToStderr('%s', message);
    },
  });
  process.once('SIGINT', run.stop);
  process.once('SIGTERM', run.stop);
  process.stdout.once('error', run.stop);
  await run.finished;
  if (once && counts.samples === 0 && counts.problems > 0) process.exitCode = EXIT_FAILURE;
}

function problemOf(
  { series, timestampUs }: Sample,
  templates: TemplateCache,
  nowUs: number,
  limits: Settings['limits'],
): string | undefined {
  const template = templates.get(series);
  if (typeof template === 'string') return template;
  return timestampProblem(timestampUs, nowUs, limits.maxPastUs, limits.maxFutureUs);
}

/** A sample for people: time, device, metric, value, labels. Control characters from devices are escaped. */
function sampleLine({ series, timestampUs, value }: Sample): string {
  const { deviceId, metricId, labels } = series;
  const words = [formatUtc(timestampUs), deviceId, metricId, String(value)];
  if (Object.keys(labels).length > 0) words.push(JSON.stringify(labels));
  return words.map(printable).join(' ');
}

/** A sample as one line of JSON; NaN and infinities as text, as PostgreSQL writes them. */
function sampleJson({ series, timestampUs, value }: Sample): string {
  return JSON.stringify({
    timestamp: formatUtc(timestampUs),
    device_id: series.deviceId,
    metric_id: series.metricId,
    value: Number.isFinite(value) ? value : String(value),
    labels: series.labels,
  });
}
