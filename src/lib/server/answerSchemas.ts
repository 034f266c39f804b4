/**
 * What the API answers, as JSON schemas for the OpenAPI document. They are for people and for those who generate clients:
 * nothing is checked or written by them, and test/integration/server/document.test.ts holds the answers to them.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface AnswerDescription {
  readonly description: string;
  /** Of a JSON answer; undefined for text. */
  readonly schema?: JsonSchema;
  /** Content types, the default first; JSON unless given. */
  readonly types?: readonly string[];
}

const TEXT = { type: 'string' };
const WHOLE = { type: 'integer' };
const TIME = {
  type: 'string',
  description: 'ISO 8601 with an offset',
  examples: ['2020-12-31T22:00:00+00:00'],
};
const ORIGIN = { device_id: TEXT, metric_id: TEXT };

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required };
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

function orNull({ type, ...rest }: JsonSchema): JsonSchema {
  return { ...rest, type: [type, 'null'] };
}

const ROW = object({
  timestamp: TIME,
  ...ORIGIN,
  value: { type: ['number', 'null'], description: 'null for what is no finite number' },
  labels: { type: 'object' },
});

export const ROWS: AnswerDescription = {
  description: 'the rows, in order of time',
  schema: list(ROW),
  types: ['application/json', 'text/csv', 'application/x-ndjson'],
};

export const EVENTS: AnswerDescription = {
  description:
    'rows as they come in; the data of an event are rows that came together, one JSON object a line as get_metrics writes them',
  types: ['text/event-stream'],
};

export const STORED: AnswerDescription = { description: 'the rows as they are stored', schema: list(ROW) };

export const AVAILABLE: AnswerDescription = {
  description: 'devices and their metrics',
  schema: list(object(ORIGIN)),
};

export const JOBS: AnswerDescription = {
  description: 'the jobs, the last started first',
  schema: list(
    object({
      job_id: WHOLE,
      source: TEXT,
      name_id: TEXT,
      owner: orNull(TEXT),
      state: TEXT,
      start_time: orNull(TIME),
      stop_time: orNull(TIME),
      nodes: list(TEXT),
    }),
  ),
};

export const ENABLED: AnswerDescription = {
  description: 'what is enabled: a pattern on a device',
  schema: list(object({ ...ORIGIN, job_id: orNull(WHOLE), source: orNull(TEXT), expires_at: orNull(TIME) })),
};

export const PROMOTED: AnswerDescription = {
  description: 'what is enabled now: patterns on devices',
  schema: list(object(ORIGIN)),
};

export const DISABLED: AnswerDescription = { description: 'how many were taken back', schema: WHOLE };

export const ENVELOPE: AnswerDescription = {
  description: 'a series for each device and metric; the lists of one belong together',
  schema: object({
    from: TIME,
    to: TIME,
    column_seconds: { type: 'number' },
    columns: WHOLE,
    source: { enum: ['values', 'summary'] },
    cut: { type: 'boolean', description: 'there are more series than are given' },
    series: list(
      object(
        {
          ...ORIGIN,
          labels: { type: 'object' },
          unit: TEXT,
          column: { ...list(WHOLE), description: 'numbers of the columns that have values' },
          min: list({ type: 'number' }),
          max: list({ type: 'number' }),
          mean: list({ type: 'number' }),
          count: list(WHOLE),
        },
        ['unit'],
      ),
    ),
  }),
};

export const HEALTH: AnswerDescription = {
  description: 'it does',
  schema: object({ status: { const: 'ok' }, version: TEXT }),
};

export const SERVER_METRICS: AnswerDescription = { description: 'the metrics', types: ['text/plain'] };

const SITE = object({ uid: TEXT, name: TEXT, type: { const: 'site' } });

export const SITES: AnswerDescription = { description: 'this site', schema: collection(SITE) };
export const ONE_SITE: AnswerDescription = { description: 'the site', schema: SITE };
export const CLUSTERS: AnswerDescription = {
  description: 'the clusters',
  schema: collection(object({ uid: TEXT, type: { const: 'cluster' } })),
};
export const CLUSTER: AnswerDescription = {
  description: 'its nodes, and the metrics that they are configured with',
  schema: object({
    uid: TEXT,
    type: { const: 'cluster' },
    nodes: list(TEXT),
    metrics: list(
      object(
        {
          name: TEXT,
          description: TEXT,
          period: { type: 'integer', description: 'ms' },
          optional_period: { type: 'integer', description: 'ms, while it is enabled' },
          source: object({ protocol: TEXT, id: list(TEXT) }, ['id']),
          unit: TEXT,
          only_for: list(TEXT),
        },
        ['unit', 'only_for'],
      ),
    ),
  }),
};

function collection(item: JsonSchema): JsonSchema {
  return object({ total: WHOLE, offset: WHOLE, items: list(item) });
}

/** Of every status that is an error. */
export const ERROR: AnswerDescription = {
  description: 'what is wrong, and what to change',
  schema: object({ message: TEXT, code: TEXT, hint: orNull(TEXT) }),
};
