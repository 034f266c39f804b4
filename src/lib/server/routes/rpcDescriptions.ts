/** What the OpenAPI document says about `/rpc/...`. */
import * as answers from '../answerSchemas.ts';
import type { ParameterDescription, RouteDescription } from '../openapi.ts';

type Parameters = Readonly<Record<string, ParameterDescription>>;

/** A function that may be called with its arguments in the query or in a body. */
function either(method: 'GET' | 'POST', parameters: Parameters) {
  return method === 'GET' ? { query: parameters } : { body: parameters };
}

const SELECTION: Parameters = {
  job_id: {
    type: 'integer',
    description: 'gives the devices and times that are not given',
    example: 1234,
  },
  nodes: {
    type: 'string',
    description: 'devices, as a,b; names are cut at the first dot',
    example: 'taurus-1',
  },
  devices: { type: 'string', description: 'further devices, or aliases' },
  metrics: {
    type: 'string',
    description: 'names, as a,b; all unless given',
    example: 'wattmetre_power_watt',
  },
  start_time: {
    type: 'string',
    description: 'included; ISO 8601, in the time zone of the site without an offset, or epoch seconds',
    example: '2026-11-22T10:00:00',
  },
  end_time: {
    type: 'string',
    description: 'included; a lone bound has 5 minutes beside it, and without any it is the last 5 minutes',
  },
  summary: { type: 'boolean', description: 'the mean of each 5 minutes (last value for counters)' },
  as_rate: { type: 'boolean', description: 'change per second; a counter that falls was reset' },
  nan: {
    type: 'string',
    description: 'null: also rows whose value is no finite number, with the value null',
  },
};

export const getMetrics = (method: 'GET' | 'POST'): RouteDescription => ({
  tag: 'metrics',
  summary: 'values of devices or of a job, in order of time',
  description:
    'Streams an array of {timestamp, device_id, metric_id, value, labels}. A value of several origins with the same alias ' +
    'is their sum; _device_orig lists them. Texts (label value_str) are shown when their metric is named.',
  ...either(method, SELECTION),
  answer: answers.ROWS,
});

export const availableMetrics = (method: 'GET' | 'POST'): RouteDescription => ({
  tag: 'metrics',
  summary: 'which metrics devices had in the minute before a time',
  answer: answers.AVAILABLE,
  ...either(method, {
    at: { type: 'string', description: 'end of the minute; now unless given' },
    params: {
      type: 'object',
      description: '{"devices": [...]} or {"job_id": 1234}',
      example: { devices: ['taurus-1'] },
    },
  }),
});

export const jobs = (method: 'GET' | 'POST'): RouteDescription => ({
  tag: 'jobs',
  summary: 'jobs that run, with their nodes',
  answer: answers.JOBS,
  ...either(method, {
    job_id: { type: 'integer', description: 'this one, whatever its state' },
    owner: { type: 'string', description: 'those of this user' },
    all_states: { type: 'boolean', description: 'also those that ended' },
    max_jobs: { type: 'integer', description: 'at most so many, the last started first' },
  }),
});

export const insertMetrics: RouteDescription = {
  tag: 'push',
  summary: 'store own values: one object or an array of them',
  answer: answers.STORED,
  description:
    'For devices of the token, and nodes of own running jobs. A bad row is refused with its index and the reason, and then ' +
    'nothing is stored unless partial=true is in the query.',
  body: {
    device_id: { type: 'string', description: 'device', example: 'taurus-1' },
    metric_id: { type: 'string', description: 'a name that no collector reads', example: 'my_metric' },
    value: {
      type: 'number',
      description: 'none for a text, which goes into the label value_str',
      example: 42,
    },
    timestamp: { type: 'string', description: 'as start_time of get_metrics; now unless given' },
    labels: { type: 'object', description: 'texts by name; none begins with _', example: { phase: 'a' } },
  },
};

const TARGET: Parameters = {
  job_id: { type: 'integer', description: 'on its nodes, until it ends', example: 1234 },
  nodes: { type: 'string', description: 'on these nodes, as a,b' },
  devices: { type: 'string', description: 'on these devices, as a,b' },
  source: { type: 'string', description: 'scheduler of the job, where several have the number' },
};

export const enableMetrics: RouteDescription = {
  tag: 'optional metrics',
  summary: 'have collectors read optional metrics',
  answer: answers.ENABLED,
  body: {
    metrics: {
      type: 'string',
      description: 'regular expression, matched from the beginning of a name',
      example: 'wattmetre.*',
    },
    ...TARGET,
    seconds: { type: 'number', description: 'how long; without a job 24 hours unless given' },
  },
};

export const disableMetrics: RouteDescription = {
  tag: 'optional metrics',
  summary: 'take back what was enabled',
  answer: answers.DISABLED,
  body: {
    metrics: { type: 'string', description: 'that pattern, as it was enabled; any unless given' },
    ...TARGET,
  },
};

export const updatePromotedMetrics: RouteDescription = {
  tag: 'optional metrics',
  summary: 'ask the schedulers what their running jobs want enabled; answers what is enabled',
  answer: answers.PROMOTED,
};
