/** Jobs as text for people and as JSON for programs. */
import { listing } from '../output/listing.ts';
import { formatLocal, formatUtc, localTimeZone } from '../time.ts';
import { foldHostList } from './hostList.ts';
import type { ListedJob, ShownJob } from './listJobs.ts';
import { type Job, jobLabel } from './model.ts';

const NODES_SHOWN = 60;

/** Heading and rows of `kw job list`. */
export function jobRows(
  jobs: readonly ListedJob[],
  timeZone: string = localTimeZone(),
): [heading: string[], rows: string[][]] {
  const time = (us: number | undefined) => (us === undefined ? '-' : formatLocal(us, timeZone, 0));
  const rows = jobs.map((job) => {
    const nodes = foldHostList(job.nodes);
    return [
      label(job),
      job.owner,
      job.state,
      time(job.startedUs),
      time(job.stoppedUs),
      nodes.length > NODES_SHOWN ? `${job.nodes.length} nodes` : nodes,
    ];
  });
  return [['JOB', 'USER', 'STATE', 'STARTED', 'STOPPED', 'NODES'], rows];
}

function label(job: Job): string {
  return job.nameId === String(job.jobId) ? jobLabel(job) : `${jobLabel(job)} (${job.nameId})`;
}

/** A pattern of optional metrics that is enabled for a job. */
export interface EnabledForJob {
  readonly pattern: string;
  readonly owner: string;
  /** Undefined is until the job ends. */
  readonly expiresUs: number | undefined;
  /** Folded, such as `node-[1-3]`. */
  readonly devices: string;
}

/** All that `kw job show` tells. */
export interface JobPage extends ShownJob {
  readonly enabled: readonly EnabledForJob[];
}

/** The text of `kw job show`. */
export function describeJob(job: JobPage, timeZone: string = localTimeZone()): string {
  const time = (us: number | undefined) => (us === undefined ? '-' : formatLocal(us, timeZone, 3));
  const head = listing(
    ['JOB', 'USER', 'STATE', 'STARTED', 'STOPPED'],
    [[label(job), job.owner, job.state, time(job.startedUs), time(job.stoppedUs)]],
  );
  const stays = new Map<string, { nodes: string[]; from: string; to: string }>();
  for (const { node, startedUs, stoppedUs } of job.nodes) {
    const key = `${startedUs} ${stoppedUs}`;
    const stay = stays.get(key) ?? { nodes: [], from: time(startedUs), to: time(stoppedUs) };
    stays.set(key, stay);
    stay.nodes.push(node);
  }
  const nodes = listing(
    ['FROM', 'TO', 'NODES'],
    [...stays.values()].map((stay) => [stay.from, stay.to, foldHostList(stay.nodes)]),
  );
  const enabled =
    job.enabled.length === 0
      ? 'no optional metrics are enabled for it'
      : listing(
          ['ENABLED', 'UNTIL', 'DEVICES'],
          job.enabled.map(({ pattern, expiresUs, devices }) => [
            pattern,
            expiresUs === undefined ? 'the job ends' : time(expiresUs),
            devices,
          ]),
        );
  const values =
    job.values === undefined
      ? []
      : job.values.length === 0
        ? ['no values yet']
        : [
            listing(
              ['METRIC', 'DEVICES', 'VALUES', 'LAST'],
              job.values.map((row) => [
                row.metricId,
                String(row.devices),
                String(row.values),
                time(row.lastUs),
              ]),
            ),
          ];
  const comment = job.comment === undefined ? [] : [`comment: ${JSON.stringify(job.comment)}`];
  return [head, ...comment, nodes, enabled, ...values].join('\n\n');
}

/** Machine form: times in UTC, null for what is not there. */
export function jobJson(job: Job): Record<string, unknown> {
  return {
    source: job.source,
    job_id: job.jobId,
    name_id: job.nameId,
    owner: job.owner,
    state: job.state,
    comment: job.comment ?? null,
    started: utc(job.startedUs),
    stopped: utc(job.stoppedUs),
  };
}

export function shownJson(job: JobPage): Record<string, unknown> {
  return {
    ...jobJson(job),
    nodes: job.nodes.map(({ node, startedUs, stoppedUs }) => ({
      node,
      start_time: utc(startedUs),
      stop_time: utc(stoppedUs),
    })),
    enabled: job.enabled.map(({ pattern, owner, expiresUs, devices }) => ({
      pattern,
      owner,
      expires_at: utc(expiresUs),
      devices,
    })),
    values:
      job.values?.map(({ metricId, devices, values, lastUs }) => ({
        metric_id: metricId,
        devices,
        values,
        last: utc(lastUs),
      })) ?? null,
    problem: job.problem ?? null,
  };
}

function utc(us: number | undefined): string | null {
  return us === undefined ? null : formatUtc(us);
}
