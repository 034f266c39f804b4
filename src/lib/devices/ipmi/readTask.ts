/** One question of a pass over a BMC, and the metrics that its answer feeds. */
import { labelsProblem } from '../../limits.ts';
import type { Sample, Series } from '../../sample.ts';
import type { Fact, MetricRequest, Problem } from '../driver.ts';
import type { Command, Reply, Requester } from './requester.ts';
import type { IpmiUrl } from './url.ts';

/** What is gathered in one read of a poll. */
export interface Pass {
  readonly samples: Sample[];
  readonly problems: Problem[];
}

export interface ReadTask {
  readonly items: readonly Item[];
  /** For messages: which sensor, or what of the BMC. */
  readonly name: string;
  /** It was not answered the last time: such ones are asked last. */
  isSilent: boolean;
  readonly command: Command;
  /** Keeps what was answered. Returns the request that the answer calls for besides, of few sensors. */
  keep(reply: Reply): FollowUp | undefined;
  /** Samples and problems of the last answer. */
  take(timestampUs: number, pass: Pass): void;
  /** The last answer in the protocol's own terms. */
  describe(): readonly Fact[];
}

/** A request whose answer is part of the reading. */
export interface FollowUp {
  readonly command: Command;
  keep(reply: Reply): void;
}

/**
 * Asks, and keeps what was answered.
 * @returns the answer to the command itself
 * @throws IpmiError (rejects) when there is no answer or no session
 */
export function readTask(task: ReadTask, bmc: Requester, timeoutMs: number): Promise<Reply> {
  const deadlineMs = performance.now() + timeoutMs;
  // Hardly ever more than this: an async function would cost every reading two promises more.
  return bmc.request(task.command, timeoutMs).then((reply) => {
    const more = task.keep(reply);
    return more ? followUp(reply, more, bmc, deadlineMs) : reply;
  });
}

async function followUp(reply: Reply, more: FollowUp, bmc: Requester, deadlineMs: number): Promise<Reply> {
  more.keep(await bmc.request(more.command, Math.max(1, deadlineMs - performance.now())));
  return reply;
}

/** One configured metric. */
export interface Item {
  readonly metric: MetricRequest<IpmiUrl>;
  readonly series: Series;
  readonly scale: number;
  /** Series of the texts of a discrete sensor, by text. */
  texts: Map<string, Series> | undefined;
}

export function makeItem(metric: MetricRequest<IpmiUrl>): Item {
  const { deviceId, metricId, labels, scaleFactor } = metric;
  return { metric, series: { deviceId, metricId, labels }, scale: scaleFactor ?? 1, texts: undefined };
}

/** The states of a sensor have few texts; more than these are forgotten and made anew. */
const MAX_TEXTS = 64;

/** The series of a text value: the metric's own with the label value_str, as in Kwollect; or why it has none. */
export function textSeries(item: Item, text: string): Series | string {
  item.texts ??= new Map();
  const known = item.texts.get(text);
  if (known) return known;
  const labels = { ...item.series.labels, value_str: text };
  const problem = labelsProblem(labels);
  if (problem) return problem;
  const series = { ...item.series, labels };
  if (item.texts.size >= MAX_TEXTS) item.texts.clear();
  item.texts.set(text, series);
  return series;
}

/** The same problem for every metric of a task. */
export function problemOfAll(
  items: readonly Item[],
  kind: Problem['kind'],
  message: string,
  { problems }: Pass,
): void {
  for (const { metric } of items) problems.push({ kind, message, metricId: metric.metricId });
}
