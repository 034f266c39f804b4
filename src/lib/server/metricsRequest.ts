/**
 * Who, what and when of `get_metrics`, by Kwollect's rules: a job gives the devices and the times that are not given;
 * one missing bound lies 5 minutes beside the other; without any it is the last 5 minutes. Bounds are included.
 */
import type { Client } from 'pg';
import { cannotAsk, type UnaskedSource } from '../jobs/findJob.ts';
import { shortNodeName } from '../jobs/nodeName.ts';
import { withPatience } from '../jobs/patience.ts';
import { type Interval, span } from '../metrics/interval.ts';
import { wholeBuckets } from '../metrics/read.ts';
import { exactNames, type Selection } from '../metrics/selection.ts';
import { readSql } from '../packageRoot.ts';
import type { TimeContext } from '../time.ts';
import type { Parameters } from './parameters.ts';
import { HttpProblem } from './problem.ts';

export const GET_METRICS_PARAMETERS = [
  'job_id',
  'nodes',
  'devices',
  'metrics',
  'start_time',
  'end_time',
  'summary',
  'as_rate',
  'nan',
] as const;

export interface MetricsRequest {
  readonly jobId: number | undefined;
  readonly devices: readonly string[] | undefined;
  readonly metrics: readonly string[] | undefined;
  readonly fromUs: number | undefined;
  readonly toUs: number | undefined;
  readonly summary: boolean;
  readonly asRate: boolean;
  /** Also rows without a finite value, as null. */
  readonly allValues: boolean;
}

const BESIDE_US = 300 * 1e6;

/** @throws HttpProblem 400 */
export function readMetricsRequest(parameters: Parameters, time: TimeContext): MetricsRequest {
  const nodes = parameters.names('nodes', 'device');
  const devices = parameters.names('devices', 'device');
  const jobId = parameters.integer('job_id');
  if (jobId === undefined && nodes === undefined && devices === undefined) {
    throw new HttpProblem(400, 'NO_SELECTION', "Missing 'devices', 'nodes' or 'job_id' argument", {
      hint: 'write devices=taurus-1 or job_id=1234',
    });
  }
  return {
    jobId,
    devices: nodes || devices ? [...new Set([...(nodes ?? []), ...(devices ?? [])])] : undefined,
    metrics: parameters.names('metrics', 'metric'),
    fromUs: parameters.timeUs('start_time', time),
    toUs: parameters.timeUs('end_time', time),
    summary: parameters.boolean('summary'),
    asRate: parameters.boolean('as_rate'),
    allValues: readNan(parameters),
  };
}

function readNan(parameters: Parameters): boolean {
  const text = parameters.text('nan');
  if (text === undefined || text === 'omit') return false;
  if (text === 'null') return true;
  throw new HttpProblem(400, 'BAD_PARAMETER', `nan: there is no ${JSON.stringify(text.slice(0, 60))}`, {
    hint: 'write nan=null to see values that are no finite numbers as null, or nan=omit',
  });
}

/** @throws HttpProblem 404 for a job that is not there */
export async function selectMetrics(
  client: Client,
  asked: MetricsRequest,
  nowUs: number,
): Promise<Selection & { readonly devices: ReadonlyMap<string, readonly Interval[]> }> {
  const job = asked.jobId === undefined ? undefined : await findJobTimes(client, asked.jobId, nowUs);
  const given = boundsOf(asked, job?.times, nowUs);
  const bounds = asked.summary ? wholeBuckets(given) : given;
  const names = asked.devices ?? job?.nodes ?? [];
  const known = await exactNames(client, names, bounds);
  const devices = new Map(
    names.map((name) => [known.has(name) ? name : shortNodeName(name), [bounds] as const]),
  );
  return {
    devices,
    times: bounds.fromUs <= bounds.toUs ? [bounds] : [],
    metrics: asked.metrics && { names: asked.metrics, patterns: [] },
    labels: undefined,
    jobs: [],
    bounds,
    endIsNow: false,
    notInJobs: [],
  };
}

function boundsOf({ fromUs, toUs }: MetricsRequest, job: Interval | undefined, nowUs: number): Interval {
  const from = fromUs ?? job?.fromUs;
  const to = toUs ?? job?.toUs;
  if (from === undefined) return { fromUs: (to ?? nowUs) - BESIDE_US, toUs: to ?? nowUs };
  return { fromUs: from, toUs: to ?? from + BESIDE_US };
}

interface JobTimesRow extends UnaskedSource {
  node: string;
  start_us: number;
  stop_us: number | null;
}

async function findJobTimes(
  client: Client,
  jobId: number,
  nowUs: number,
): Promise<{ nodes: string[]; times: Interval }> {
  const answer = await withPatience(client, () =>
    client.query<JobTimesRow>(readSql('queries/api_job_times'), [jobId]),
  );
  const rows = answer.rows.filter(({ problem }) => problem === null);
  const times = span(rows.map((row) => ({ fromUs: row.start_us, toUs: row.stop_us ?? nowUs })));
  const [away] = answer.rows.filter(({ problem }) => problem !== null);
  if (times === undefined && away !== undefined) {
    throw new HttpProblem(503, 'SOURCE_AWAY', `no job ${jobId} is known here, and ${cannotAsk(away)}`, {
      hint: 'ask again when it is back; with devices and times its metrics can be read now',
    });
  }
  if (times === undefined) {
    throw new HttpProblem(404, 'NO_SUCH_JOB', `there is no job ${jobId}`, {
      hint: 'GET /rpc/jobs lists the jobs',
    });
  }
  return { nodes: [...new Set(rows.map(({ node }) => node))], times };
}
