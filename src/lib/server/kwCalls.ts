/** What the command line may ask of the server (src/lib/remote/), and what its requests must look like. */
import type { Client } from 'pg';
import { z } from 'zod';
import { AGGREGATES } from '../metrics/every.ts';
import type { PushColumns } from '../push/columns.ts';
import type { SpooledPart } from '../push/spooledPart.ts';
import type { Call } from '../remote/call.ts';
import { deleteCall, enabledCall, jobListCall, jobShowCall, metricsCall } from '../remote/calls.ts';
import { disableCall, enableCall, jobStartCall, jobStopCall } from '../remote/prologCalls.ts';
import type { RemoteQuery } from '../remote/remoteAnswer.ts';
import type { PushEnd, PushPart } from '../remote/remoteStore.ts';

/** A call whose request is checked before it is run. */
export interface ServedCall {
  readonly name: string;
  readonly readOnly: boolean;
  /** @throws ZodError */
  run(client: Client, request: unknown): Promise<unknown>;
}

/** Longest text, and longest list of names: what users write is shorter. */
const MAX_TEXT = 8 * 1024;
const MAX_NAMES = 65_536;
const YEAR_US = 366 * 86_400 * 1e6;

const text = z.string().max(MAX_TEXT);
const texts = z.array(text).max(MAX_NAMES);
const timeUs = z
  .number()
  .int()
  .min(-400 * YEAR_US)
  .max(400 * YEAR_US);
const jobNumber = z.number().int().nonnegative();
const ref = z.strictObject({
  source: text.optional(),
  jobId: jobNumber.optional(),
  nameId: text.optional(),
  text,
});
const target = z.union([z.strictObject({ devices: texts }), z.strictObject({ job: ref })]);
/** `current` is a job of the process that asks, and never of the server. */
const jobs = z.array(text.refine((job) => job !== 'current')).max(MAX_NAMES);

const querySchema: z.ZodType<Loose<RemoteQuery>> = z.strictObject({
  request: z.strictObject({
    jobs: jobs.optional(),
    devices: texts.optional(),
    metrics: texts.optional(),
    labels: texts.optional(),
    from: text.optional(),
    to: text.optional(),
    timeZone: text.optional(),
    rate: z.boolean(),
    every: z
      .strictObject({ periodUs: z.number().int().positive(), aggregate: z.enum(AGGREGATES) })
      .optional(),
    summary: z.boolean(),
    wide: z.boolean(),
    waitMs: z.number().nonnegative().max(86_400_000),
  }),
  options: z.strictObject({ limit: z.number().int().nonnegative().optional(), units: z.boolean() }),
});

/** @throws ZodError */
export function readQuery(body: unknown): RemoteQuery {
  return querySchema.parse(body) as RemoteQuery;
}

const pushId = z.uuid();
/** As JavaScript writes them. */
const NUMBER = /^(-?(\d+(\.\d+)?(e[+-]\d+)?|Infinity)|NaN)$/;
const columns = {
  timestampsUs: z.array(timeUs),
  devices: z.array(text),
  metrics: z.array(text),
  values: z.array(z.string().max(40).regex(NUMBER)),
  labels: z.array(z.record(text, text)),
};
const sameLength = ({ timestampsUs, devices, metrics, values, labels }: PushColumns) =>
  [devices, metrics, values, labels].every((column) => column.length === timestampsUs.length);
const DIFFERENT_LENGTHS = 'the arrays differ in length';

const partSchema: z.ZodType<PushPart> = z
  .strictObject({
    push: pushId,
    part: z
      .number()
      .int()
      .min(0)
      .max(2 ** 31 - 1),
    whole: z.boolean(),
    ...columns,
  })
  .refine(sameLength, DIFFERENT_LENGTHS);

const place = z.number().int().nonnegative();
const spooledSchema: z.ZodType<SpooledPart> = z
  .strictObject({ spool: pushId, segment: place, after: place, upto: place, ...columns })
  .refine(sameLength, DIFFERENT_LENGTHS);

/** @throws ZodError */
export function readSpooledPart(body: unknown): SpooledPart {
  return spooledSchema.parse(body);
}

/** @throws ZodError */
export function readPushPart(body: unknown): PushPart {
  return partSchema.parse(body);
}

/** @throws ZodError */
export function readPushEnd(body: unknown): PushEnd {
  return z.strictObject({ push: pushId, commit: z.boolean() }).parse(body);
}

export const SERVED_CALLS: readonly ServedCall[] = [
  serve(enabledCall, true, z.strictObject({})),
  serve(
    metricsCall,
    true,
    z.strictObject({ jobs: jobs.optional(), devices: texts.optional(), metrics: texts.optional() }),
  ),
  serve(
    jobListCall,
    true,
    z.strictObject({ all: z.boolean(), owner: text.optional(), limit: z.number().int().min(1).max(100_000) }),
  ),
  serve(jobShowCall, true, z.strictObject({ ref, values: z.boolean() })),
  serve(
    deleteCall,
    false,
    z.strictObject({
      metrics: texts,
      devices: texts.optional(),
      fromUs: timeUs.optional(),
      toUs: timeUs.optional(),
      labels: z.record(text, text),
      dryRun: z.boolean(),
    }),
  ),
  serve(
    enableCall,
    false,
    z.strictObject({ pattern: text, target, forMs: z.number().positive().optional(), force: z.boolean() }),
  ),
  serve(disableCall, false, z.strictObject({ pattern: text.optional(), target: target.optional() })),
  serve(
    jobStartCall,
    false,
    z.strictObject({
      job: z.strictObject({
        source: text,
        jobId: jobNumber,
        nodes: texts,
        owner: text.optional(),
        user: text,
        startedUs: timeUs.optional(),
        nameId: text.optional(),
        comment: text.optional(),
        monitor: z.boolean().optional(),
      }),
      patterns: texts,
    }),
  ),
  serve(jobStopCall, false, z.strictObject({ ref, stoppedUs: timeUs.optional(), nodes: texts.optional() })),
];

function serve<Request, Result>(
  call: Call<Request, Result>,
  readOnly: boolean,
  schema: z.ZodType<Loose<Request>>,
): ServedCall {
  return {
    name: call.name,
    readOnly,
    run: (client, request) => call.run(client, schema.parse(request) as Request),
  };
}

/** JSON leaves members out that are undefined; so whatever may be undefined may be left out. */
type Loose<T> = T extends readonly (infer Item)[]
  ? readonly Loose<Item>[]
  : T extends object
    ? { readonly [Key in keyof T as undefined extends T[Key] ? never : Key]: Loose<T[Key]> } & {
        readonly [Key in keyof T as undefined extends T[Key] ? Key : never]?: Loose<T[Key]> | undefined;
      }
    : T;
