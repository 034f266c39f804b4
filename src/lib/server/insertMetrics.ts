/**
 * `insert_metrics`: values that users push over HTTP, one object or an array of them. All or nothing, unless
 * `?partial=true`: then what is good is stored. The database decides what is good (kw.store_samples).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Client } from 'pg';
import { nameProblem } from '../limits.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtcShort, nowUs, parseTimeUs } from '../time.ts';
import type { ServerContext } from './context.ts';
import { mendTime, Parameters } from './parameters.ts';
import { HttpProblem } from './problem.ts';
import { queryParameters } from './requestParameters.ts';

/** A value as it is stored, and as it is answered. */
interface PushedRow {
  readonly timestamp: string;
  readonly device_id: string;
  readonly metric_id: string;
  /** Null for a text: see the label `value_str`. */
  readonly value: number | null;
  readonly labels: unknown;
}

interface Refusal {
  /** Its place in the array, from 0 on. */
  readonly index: number;
  readonly reason: string;
}

const MAX_ROWS = 100_000;
const KEYS = ['timestamp', 'device_id', 'metric_id', 'value', 'labels'];

/**
 * Answers 200 with the rows that were stored; with `partial=true` the header `kw-refused` counts the others.
 * @throws HttpProblem 400 with `refused`: the rows that cannot be stored, each with its index and the reason
 */
export async function sendInserted(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  check: (client: Client) => Promise<void> = async () => undefined,
): Promise<FastifyReply> {
  const { stored, refused } = await insertMetrics(context, request, check);
  if (refused > 0) void reply.header('kw-refused', String(refused));
  return reply.code(200).send(stored);
}

async function insertMetrics(
  context: ServerContext,
  request: FastifyRequest,
  check: (client: Client) => Promise<void>,
): Promise<{ stored: PushedRow[]; refused: number }> {
  const partial = new Parameters(queryParameters(request), ['partial']).boolean('partial');
  const given = readBody(request.body);
  const refused: Refusal[] = [];
  const rows: (PushedRow & { readonly index: number })[] = [];
  const time = { nowUs: nowUs(), timeZone: context.settings.timeZone };
  given.forEach((item, index) => {
    const row = readRow(item, time);
    if (typeof row === 'string') refused.push({ index, reason: row });
    else rows.push({ ...row, index });
  });
  if (refused.length > 0 && !partial) throw refusal(refused, given.length);

  return await context.withCaller(request, async (client) => {
    await check(client);
    const stored: PushedRow[] = [];
    if (rows.length === 0) return { stored, refused: refused.length };
    const { rows: verdicts } = await client.query<{ reason: string | null; stored_labels: unknown }>(
      readSql('queries/server_insert'),
      [
        rows.map(({ timestamp }) => timestamp),
        rows.map(({ device_id }) => device_id),
        rows.map(({ metric_id }) => metric_id),
        rows.map(({ value }) => value ?? Number.NaN),
        rows.map(({ labels }) => JSON.stringify(labels)),
      ],
    );
    rows.forEach(({ index, ...row }, i) => {
      const { reason = 'it was not stored', stored_labels } = verdicts[i] ?? {};
      if (reason === null) stored.push({ ...row, labels: stored_labels });
      else refused.push({ index, reason });
    });
    if (refused.length > 0 && !partial) throw refusal(refused, given.length);
    return { stored, refused: refused.length };
  });
}

function readBody(body: unknown): unknown[] {
  if (Array.isArray(body)) {
    if (body.length <= MAX_ROWS) return body;
    throw new HttpProblem(413, 'TOO_MANY_ROWS', `${body.length} rows are too many for one request`, {
      hint: `send at most ${MAX_ROWS} at once`,
    });
  }
  if (typeof body === 'object' && body !== null) return [body];
  throw new HttpProblem(400, 'BAD_BODY', 'the body is no JSON object and no array of them', {
    hint: 'write {"device_id": "node-1", "metric_id": "my_metric", "value": 42}, with Content-Type: application/json',
  });
}

/** A row, or why there is none. */
function readRow(item: unknown, time: { nowUs: number; timeZone: string | undefined }): PushedRow | string {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return 'it is no JSON object';
  const fields = item as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fields).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    return `there is no column ${JSON.stringify(unknown.slice(0, 60))}: columns are ${KEYS.join(', ')}`;
  }
  const { device_id: device, metric_id: metric, value, labels = {}, timestamp } = fields;
  if (typeof device !== 'string') return 'device_id is no text';
  if (typeof metric !== 'string') return 'metric_id is no text';
  const problem = nameProblem('device', device) ?? nameProblem('metric', metric);
  if (problem !== undefined) return problem;
  if (labels !== null && (typeof labels !== 'object' || Array.isArray(labels)))
    return 'labels is no JSON object';
  if (isDeep(labels)) return 'labels is nested too deeply';
  const number = readValue(value, labels);
  if (typeof number === 'string') return number;
  const at = readTimestamp(timestamp, time);
  if (typeof at === 'string') return at;
  return {
    timestamp: formatUtcShort(at),
    device_id: device,
    metric_id: metric,
    value: number,
    labels: labels ?? {},
  };
}

const MAX_DEPTH = 8;

/** What is nested by the thousand cannot be written as JSON again. */
function isDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return level.length > 0;
}

/** Missing for texts, as in Kwollect: their label value_str has the value. */
function readValue(value: unknown, labels: object | null): number | null | string {
  if (typeof value === 'number') return Number.isFinite(value) ? value : 'the value is no finite number';
  if (value === undefined || value === null) {
    return labels !== null && 'value_str' in labels ? null : 'there is no value';
  }
  const isNumber = typeof value === 'string' && /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value);
  if (isNumber && Number.isFinite(Number(value))) return Number(value);
  return 'the value is no number; a text goes into the label value_str';
}

/** Microseconds since the epoch; the present when there is none. */
function readTimestamp(
  timestamp: unknown,
  time: { nowUs: number; timeZone: string | undefined },
): number | string {
  if (timestamp === undefined || timestamp === null) return time.nowUs;
  if (typeof timestamp !== 'number' && typeof timestamp !== 'string') return 'the timestamp is no time';
  try {
    return parseTimeUs(mendTime(String(timestamp)), time);
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return hint === undefined ? `timestamp: ${message}` : `timestamp: ${message}; ${hint}`;
  }
}

/** How many refusals are listed; the others are counted. */
const MAX_LISTED = 100;

function refusal(refused: readonly Refusal[], of: number): HttpProblem {
  const sorted = refused.toSorted((a, b) => a.index - b.index);
  const [first] = sorted;
  const more = refused.length > 1 ? `, and ${refused.length - 1} more` : '';
  return new HttpProblem(
    400,
    'ROWS_REFUSED',
    `row ${first?.index} of ${of} cannot be stored: ${first?.reason}${more}; nothing was stored`,
    {
      hint: 'mend the rows that are listed in refused, or store the others with ?partial=true',
      details: { refused: sorted.slice(0, MAX_LISTED), refused_count: refused.length },
    },
  );
}
