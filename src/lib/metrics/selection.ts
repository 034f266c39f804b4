/**
 * Who, what and when of a query, by Kwollect's rules:
 * - a job gives the nodes and times that are not given; given ones narrow those of the job;
 * - a missing --to is now; a lone --to has 5 minutes before it; with no time and no job it is the last 5 minutes;
 * - bounds are included, to the microsecond;
 * - a device's name is cut at its first dot, unless it is an IP address or there is a device of exactly that name.
 * Nodes leave jobs early, and jobs are queued again: what a job has is a set of pieces, a node and an interval each.
 */
import type { Client } from 'pg';
import { append } from '../append.ts';
import { KwError } from '../errors.ts';
import { type FoundJob, findJob } from '../jobs/findJob.ts';
import { parseJobRef } from '../jobs/jobRef.ts';
import { nodesOfJob } from '../jobs/listJobs.ts';
import { type Job, jobLabel } from '../jobs/model.ts';
import { shortNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc, parseTimeUs } from '../time.ts';
import { type Interval, intersect, span, union } from './interval.ts';
import { type MetricFilter, parseDevices, parseLabels, parseMetrics, splitList } from './selectionText.ts';

/** As written by the user. */
export interface SelectionRequest {
  readonly jobs?: readonly string[] | undefined;
  readonly devices?: readonly string[] | undefined;
  readonly metrics?: readonly string[] | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Zone of times without an offset; default that of the process. */
  readonly timeZone?: string | undefined;
}

export interface Selection {
  /** Times of each device; undefined is every device, in `times`. */
  readonly devices: ReadonlyMap<string, readonly Interval[]> | undefined;
  /** All times in which any device is selected, disjoint and in order. Empty: nothing can be found. */
  readonly times: readonly Interval[];
  readonly metrics: MetricFilter | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly jobs: readonly FoundJob[];
  /** The bounds asked for, before a job narrowed them. */
  readonly bounds: Interval;
  /** The end is the present, because nobody gave one and no job has ended. */
  readonly endIsNow: boolean;
  /** Devices asked for that the jobs do not have. */
  readonly notInJobs: readonly string[];
}

const DEFAULT_LENGTH_US = 5 * 60 * 1e6;

/**
 * @throws KwError BAD_TIME, BAD_NAME, BAD_LABEL, BAD_JOB, NO_SUCH_JOB, AMBIGUOUS_JOB, EMPTY_TIME
 */
export async function resolveSelection(
  client: Client,
  request: SelectionRequest,
  nowUs: number,
): Promise<Selection> {
  const metrics = parseMetrics(request.metrics ?? []);
  const labels = parseLabels(request.labels ?? []);
  const deviceNames = parseDevices(request.devices ?? []);
  const bounds = parseBounds(request, nowUs);
  const jobs: FoundJob[] = [];
  for (const text of [...new Set((request.jobs ?? []).flatMap(splitList))]) {
    jobs.push(await findJob(client, parseJobRef(text)));
  }

  const pieces = new Map<string, Interval[]>();
  let running = false;
  for (const job of jobs) {
    for (const { node, startedUs, stoppedUs } of await nodesOfJob(client, job)) {
      running ||= stoppedUs === undefined;
      const piece = intersect({ fromUs: startedUs, toUs: stoppedUs ?? nowUs }, bounds);
      if (piece !== undefined) append(pieces, node, piece);
    }
  }
  const endIsNow = request.to === undefined && (jobs.length === 0 || running);
  const common = { metrics, labels, jobs, bounds, endIsNow };

  if (jobs.length === 0 && deviceNames === undefined) {
    return { ...common, devices: undefined, times: [bounds], notInJobs: [] };
  }
  const known = await exactNames(
    client,
    deviceNames ?? [...pieces.keys()],
    span([...pieces.values()].flat()) ?? bounds,
  );
  const devices = new Map<string, Interval[]>();
  const add = (name: string, intervals: readonly Interval[]) => {
    devices.set(name, union([...(devices.get(name) ?? []), ...intervals]));
  };
  const nodeName = (name: string) => (known.has(name) ? name : shortNodeName(name));
  const notInJobs: string[] = [];
  if (jobs.length === 0) {
    for (const name of deviceNames ?? []) add(nodeName(name), [bounds]);
  } else if (deviceNames === undefined) {
    for (const [node, intervals] of pieces) add(nodeName(node), intervals);
  } else {
    const ofJobs = new Map<string, Interval[]>();
    for (const [node, intervals] of pieces) {
      ofJobs.set(nodeName(node), [...(ofJobs.get(nodeName(node)) ?? []), ...intervals]);
    }
    for (const name of deviceNames) {
      const intervals = ofJobs.get(nodeName(name));
      if (intervals === undefined) notInJobs.push(name);
      else add(nodeName(name), intervals);
    }
  }
  return { ...common, devices, times: union([...devices.values()].flat()), notInJobs };
}

/** Sentence for people: when the jobs ran, for a hint. */
export function jobTimes(jobs: readonly Job[]): string {
  return jobs
    .map((job) => {
      const from = job.startedUs === undefined ? '?' : formatUtc(job.startedUs);
      const to = job.stoppedUs === undefined ? 'now' : formatUtc(job.stoppedUs);
      return `job ${jobLabel(job)} ran from ${from} to ${to}`;
    })
    .join(', ');
}

function parseBounds(request: SelectionRequest, nowUs: number): Interval {
  const context = { nowUs, timeZone: request.timeZone };
  const from = request.from === undefined ? undefined : parseTimeUs(request.from, context);
  const to = request.to === undefined ? undefined : parseTimeUs(request.to, context);
  const hasJobs = (request.jobs?.length ?? 0) > 0;
  const toUs = to ?? (hasJobs ? Number.MAX_SAFE_INTEGER : nowUs);
  const fromUs = from ?? (hasJobs ? -Number.MAX_SAFE_INTEGER : toUs - DEFAULT_LENGTH_US);
  if (fromUs > toUs) {
    const future = to === undefined;
    throw new KwError(
      future
        ? `--from ${formatUtc(fromUs)} lies in the future`
        : `--from ${formatUtc(fromUs)} is later than --to ${formatUtc(toUs)}`,
      { code: 'EMPTY_TIME', hint: future ? 'give a --to after it, or an earlier --from' : 'exchange them' },
    );
  }
  return { fromUs, toUs };
}

/** Those names with a dot that are devices as they are written. */
export async function exactNames(
  client: Client,
  names: readonly string[],
  times: Interval,
): Promise<Set<string>> {
  const doubtful = names.filter((name) => shortNodeName(name) !== name);
  if (doubtful.length === 0) return new Set();
  const { rows } = await client.query<{ name: string }>(readSql('queries/device_is_known'), [
    doubtful,
    formatUtc(times.fromUs),
    formatUtc(times.toUs),
  ]);
  return new Set(rows.map(({ name }) => name));
}
