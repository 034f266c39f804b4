/** `/rpc/...`: the functions of Kwollect's API, by their names and arguments, and those that kw adds. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readSql } from '../../packageRoot.ts';
import { compilePattern } from '../../pattern.ts';
import { formatUtc, nowUs } from '../../time.ts';
import type { ServerContext } from '../context.ts';
import { sendMetrics } from '../getMetrics.ts';
import { sendInserted } from '../insertMetrics.ts';
import { describeRoute } from '../openapi.ts';
import { Parameters } from '../parameters.ts';
import { HttpProblem } from '../problem.ts';
import { allParameters } from '../requestParameters.ts';
import * as described from './rpcDescriptions.ts';

const DEFAULT_JOBS = 1000;

export function registerRpc(app: FastifyInstance, context: ServerContext): void {
  for (const method of ['GET', 'POST'] as const) {
    app.route({
      method,
      url: '/rpc/get_metrics',
      ...describeRoute(described.getMetrics(method)),
      handler: (request, reply) => sendMetrics(context, request, reply, allParameters(request)),
    });
    app.route({
      method,
      url: '/rpc/available_metrics',
      ...describeRoute(described.availableMetrics(method)),
      handler: (request, reply) => availableMetrics(context, request, reply),
    });
    app.route({
      method,
      url: '/rpc/jobs',
      ...describeRoute(described.jobs(method)),
      handler: (request, reply) => jobs(context, request, reply),
    });
  }
  app.post('/rpc/insert_metrics', describeRoute(described.insertMetrics), (request, reply) =>
    sendInserted(context, request, reply),
  );
  app.post('/rpc/enable_metrics', describeRoute(described.enableMetrics), (request, reply) =>
    enableMetrics(context, request, reply),
  );
  app.post('/rpc/disable_metrics', describeRoute(described.disableMetrics), (request, reply) =>
    disableMetrics(context, request, reply),
  );
  app.post('/rpc/update_promoted_metrics', describeRoute(described.updatePromotedMetrics), (request, reply) =>
    answer(context, request, reply, 'update_promoted_metrics', [], { readOnly: false }),
  );
}

/** Sends what a function of the schema `api` gives, which is JSON already. */
async function answer(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  values: readonly unknown[],
  options: { readonly readOnly: boolean },
): Promise<FastifyReply> {
  const sql = readSql(`queries/server_${name}`);
  const { rows } = await context.withCaller(
    request,
    (client) => client.query<{ answer: string }>(sql, [...values]),
    options,
  );
  return reply.type('application/json; charset=utf-8').send(rows[0]?.answer);
}

function availableMetrics(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const raw = allParameters(request);
  const given = new Parameters(raw, ['at', 'params']);
  const now = nowUs();
  const at = given.timeUs('at', { nowUs: now, timeZone: context.settings.timeZone }) ?? now;
  const values = [formatUtc(at), readParams(raw.params)];
  return answer(context, request, reply, 'available_metrics', values, { readOnly: true });
}

/** An object, in a query as JSON text. */
function readParams(params: unknown): string {
  if (params === undefined || params === null || params === '') return '{}';
  let object: unknown = params;
  try {
    if (typeof params === 'string') object = JSON.parse(params) as unknown;
  } catch {
    object = undefined;
  }
  if (typeof object === 'object' && object !== null && !Array.isArray(object)) return JSON.stringify(object);
  throw new HttpProblem(400, 'BAD_PARAMETER', 'params is no JSON object', {
    hint: 'write {"devices": ["taurus-1"]} or {"job_id": 1234}',
  });
}

function jobs(context: ServerContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const given = new Parameters(allParameters(request), ['job_id', 'owner', 'all_states', 'max_jobs']);
  const values = [
    given.integer('job_id') ?? null,
    given.text('owner') ?? null,
    given.boolean('all_states'),
    Math.min(given.integer('max_jobs') ?? DEFAULT_JOBS, 100_000),
  ];
  return answer(context, request, reply, 'jobs', values, { readOnly: true });
}

const ENABLE_PARAMETERS = ['metrics', 'job_id', 'nodes', 'devices', 'source'];

function enableMetrics(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const given = new Parameters(allParameters(request), [...ENABLE_PARAMETERS, 'seconds']);
  const pattern = given.text('metrics');
  if (pattern === undefined) {
    throw new HttpProblem(400, 'BAD_PARAMETER', 'metrics: there is no pattern', {
      hint: 'write metrics=wattmetre.* for all that begin so',
    });
  }
  // A pattern that collectors cannot read would enable nothing.
  compilePattern(pattern);
  const values = [pattern, ...readTarget(given), given.number('seconds') ?? null];
  return answer(context, request, reply, 'enable_metrics', values, { readOnly: false });
}

function disableMetrics(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const given = new Parameters(allParameters(request), ENABLE_PARAMETERS);
  const values = [given.text('metrics') ?? null, ...readTarget(given)];
  return answer(context, request, reply, 'disable_metrics', values, { readOnly: false });
}

/** Job, nodes, devices and source. */
function readTarget(given: Parameters): (string | number | null)[] {
  return [
    given.integer('job_id') ?? null,
    given.names('nodes', 'device')?.join(',') ?? null,
    given.names('devices', 'device')?.join(',') ?? null,
    given.text('source') ?? null,
  ];
}
