/** `/kw/choices/...`: what the page offers to choose from: jobs, devices, and metrics that devices have. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Client } from 'pg';
import { parseJobRef } from '../../jobs/jobRef.ts';
import { type ListedJob, listJobs, showJob } from '../../jobs/listJobs.ts';
import { jobLabel } from '../../jobs/model.ts';
import { readMetricChoices, searchDevices } from '../../metrics/choices.ts';
import { nowUs } from '../../time.ts';
import type { ServerContext } from '../context.ts';
import { Parameters } from '../parameters.ts';
import { queryParameters } from '../requestParameters.ts';
import { selectionOf } from '../selectionParameters.ts';

/** Of the newest so many, those that match; a job of another time is found by its number. */
const JOBS_SEARCHED = 500;
const JOBS_SHOWN = 50;
const DEVICES_SHOWN = 50;
const HIDDEN = { schema: { hide: true } };

export function registerChoices(app: FastifyInstance, context: ServerContext): void {
  const ask = <T>(request: FastifyRequest, use: (client: Client) => Promise<T>) =>
    context.withCaller(request, use, { readOnly: true });
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store');
  });
  app.get('/kw/choices/jobs', HIDDEN, async (request) => {
    const search = searchOf(request);
    return { jobs: (await ask(request, (client) => searchJobs(client, search))).map(jobBody) };
  });
  app.get('/kw/choices/devices', HIDDEN, async (request) => {
    const search = searchOf(request);
    return await ask(request, (client) => searchDevices(client, search, DEVICES_SHOWN));
  });
  app.get('/kw/choices/metrics', HIDDEN, async (request) => {
    const raw = queryParameters(request);
    new Parameters(raw, ['devices', 'from', 'to']);
    const time = { nowUs: nowUs(), timeZone: context.settings.timeZone };
    const metrics = await ask(request, async (client) =>
      readMetricChoices(client, await selectionOf(client, raw, time)),
    );
    return { metrics };
  });
}

function searchOf(request: FastifyRequest): string {
  return (new Parameters(queryParameters(request), ['search']).text('search') ?? '').trim();
}

async function searchJobs(client: Client, search: string): Promise<ListedJob[]> {
  const wanted = search.toLowerCase();
  const { jobs } = await listJobs(client, { all: true, limit: JOBS_SEARCHED });
  const matching = jobs.filter((job) =>
    [jobLabel(job), job.nameId, job.owner, job.comment ?? '', ...job.nodes].some((text) =>
      text.toLowerCase().includes(wanted),
    ),
  );
  if (!/^([\w-]+:)?\d+(_\d+)?$/.test(search)) return matching.slice(0, JOBS_SHOWN);
  const exact = matching.filter((job) => jobLabel(job) === search || job.nameId === search);
  const others = matching.filter((job) => !exact.includes(job));
  if (exact.length === 0) exact.push(...(await findByNumber(client, search)));
  return [...exact, ...others].slice(0, JOBS_SHOWN);
}

async function findByNumber(client: Client, search: string): Promise<ListedJob[]> {
  try {
    const { nodes, ...job } = await showJob(client, parseJobRef(search), false);
    return [{ ...job, nodes: [...new Set(nodes.map(({ node }) => node))] }];
  } catch {
    return [];
  }
}

function jobBody(job: ListedJob): object {
  return {
    id: jobLabel(job),
    owner: job.owner,
    state: job.state,
    comment: job.comment ?? null,
    nodes: job.nodes,
    started: job.startedUs === undefined ? null : job.startedUs / 1e6,
    stopped: job.stoppedUs === undefined ? null : job.stoppedUs / 1e6,
  };
}
