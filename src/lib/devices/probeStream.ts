/** Listens to a stream for a while, for `kw device probe`: the last value of each series, and what was told. */
import { append } from '../append.ts';
import type { Sample } from '../sample.ts';
import type { DeviceUrl, Fact, PollResult, Problem, SessionContext, StreamDriver } from './driver.ts';

/** A wattmeter gives its first mean after two seconds at the latest. */
const LISTEN_MS = 3_000;

/** What a probe asks of a stream. */
export interface StreamProbe {
  readonly deviceId: string;
  readonly url: DeviceUrl;
  readonly metricId: string;
  readonly context: SessionContext;
  readonly timeoutMs: number;
}

/**
 * Listens for three seconds once something came, for `timeoutMs` at most, and no longer than the stream lives.
 * Never rejects for anything that a device can cause.
 */
export async function probeStream(
  driver: StreamDriver,
  { deviceId, url, metricId, context, timeoutMs }: StreamProbe,
): Promise<{ result: PollResult; facts: readonly Fact[] }> {
  const last = new Map<unknown, Sample>();
  const problems: Problem[] = [];
  let readings = 0;
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const timers = [setTimeout(stop, timeoutMs)];
  let samples: readonly Sample[] = [];
  const stream = driver.openStream(deviceId, url, context, {
    channel: (_request, series) => ({
      promoted: false,
      add: (timestampUs, value) => void last.set(series, { series, timestampUs, value }),
      close: () => {},
    }),
    samples: (_request, samples) => {
      for (const sample of samples) last.set(sample.series, sample);
    },
    readings: (count) => {
      if (readings === 0) timers.push(setTimeout(stop, LISTEN_MS));
      readings += count;
    },
    down: (problem) => {
      problems.push(problem);
      stop();
    },
    problems: (told) => void problems.push(...told),
    missed: () => {},
    remark: (text) => void problems.push({ kind: 'protocol', message: text }),
    ended: stop,
  });
  try {
    const request = { url, deviceId, metricId, labels: {}, scaleFactor: undefined };
    stream.configure([
      { ...request, optional: false, updateEveryMs: driver.defaultPeriodsMs?.usual ?? 1_000 },
    ]);
    await stopped;
    // Closing gives what was gathered of the present second, which is less than a value.
    samples = [...last.values()];
  } finally {
    for (const timer of timers) clearTimeout(timer);
    await stream.close();
  }
  const timestampUs = samples.reduce((latest, sample) => Math.max(latest, sample.timestampUs), 0);
  if (readings === 0 && problems.length === 0) {
    problems.push({ kind: 'timeout', message: `nothing came for ${timeoutMs / 1000} s` });
  }
  const facts = [...(stream.describe?.() ?? []), { name: 'readings', text: String(readings) }];
  return {
    result: {
      up: readings > 0,
      timestampUs: timestampUs || context.nowUs(),
      samples,
      problems: together(problems),
    },
    facts,
  };
}

/**
 * Each problem once: a stream tells every second what came since, with the number in the sentence. As there, what is
 * quoted may differ.
 */
function together(problems: readonly Problem[]): Problem[] {
  const groups = new Map<string, Problem[]>();
  for (const problem of problems) {
    const key = `${problem.kind} ${problem.metricId} ${sentenceOf(problem).replace(/".*"/, '')}`;
    append(groups, key, problem);
  }
  return [...groups.values()].map((group) => {
    const first = group[0] as Problem;
    if (group.length === 1) return first;
    const count = group.reduce((sum, problem) => sum + (problem.count ?? 1), 0);
    return { ...first, message: `${sentenceOf(first)} (${count} times)`, count };
  });
}

function sentenceOf({ message, count = 1 }: Problem): string {
  return message.replace(` (${count} times)`, '');
}
