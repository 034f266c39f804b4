/** Flags of every command that selects metrics, and what they mean together. */
import { Flags } from '@oclif/core';
import { KwError } from '../errors.ts';
import type { SelectionRequest } from './selection.ts';

/** The values of every.ts; that file is not loaded for `kw --help`. */
const AGGREGATES = ['mean', 'min', 'max', 'sum', 'count', 'last', 'first'] as const;

const SELECTION = 'SELECTION';
const VALUES = 'VALUES';

export const deviceFlags = {
  job: Flags.string({
    description:
      'its nodes and times; 1234, 1234_7, oar:1234, or current inside a job (repeatable, or a list)',
    helpGroup: SELECTION,
    helpValue: 'JOB',
    multiple: true,
    multipleNonGreedy: true,
  }),
  device: Flags.string({
    description: 'device or alias, such as a node; with --job one of its nodes (repeatable, or a list)',
    helpGroup: SELECTION,
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
  metric: Flags.string({
    description: "metric, or a pattern such as 'prom_*' (repeatable, or a list)",
    helpGroup: SELECTION,
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export const selectionFlags = {
  ...deviceFlags,
  label: Flags.string({
    description: 'only series with this label (repeatable)',
    helpGroup: SELECTION,
    helpValue: 'NAME=VALUE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  from: Flags.string({
    description: 'begin, included: ISO 8601, epoch seconds, -2h, today; default 5 minutes before the end',
    helpGroup: SELECTION,
    helpValue: 'TIME',
  }),
  to: Flags.string({ description: 'end, included; default now', helpGroup: SELECTION, helpValue: 'TIME' }),
  tz: Flags.string({
    description: 'time zone of times without an offset and of tables; default that of this machine',
    helpGroup: SELECTION,
    helpValue: 'ZONE',
  }),
  wait: Flags.string({
    description: 'wait at most so long until collectors have written everything up to the end',
    helpGroup: SELECTION,
    helpValue: 'DURATION',
  }),
};

/** Relations by `relationships`: from `exclusive` and `dependsOn` oclif makes a usage line with holes. */
export const valueFlags = {
  rate: Flags.boolean({
    description: 'counters as values per second; a counter that falls was reset',
    helpGroup: VALUES,
  }),
  every: Flags.string({
    description: 'one value for each period, such as 10s or 1m',
    helpGroup: VALUES,
    helpValue: 'DURATION',
  }),
  agg: Flags.string({
    description: 'how --every makes one value of many; default mean',
    helpGroup: VALUES,
    options: [...AGGREGATES],
    relationships: [{ type: 'all', flags: ['every'] }],
  }),
  summary: Flags.boolean({
    description:
      'the 5-minute summary (mean, min, max, count), which reaches back furthest and is quickest; ' +
      'not with --rate, --every or --wide',
    helpGroup: VALUES,
    relationships: [{ type: 'none', flags: ['rate', 'every', 'wide'] }],
  }),
  wide: Flags.boolean({
    description: 'one column for each device and metric; --every makes them share their times',
    helpGroup: VALUES,
  }),
};

export interface ParsedFlags {
  readonly job?: string[] | undefined;
  readonly device?: string[] | undefined;
  readonly metric?: string[] | undefined;
  readonly label?: string[] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly tz?: string | undefined;
  readonly wait?: string | undefined;
  readonly rate?: boolean | undefined;
  readonly every?: string | undefined;
  readonly agg?: string | undefined;
  readonly summary?: boolean | undefined;
  readonly wide?: boolean | undefined;
}

/** What to read, from parsed flags. */
export interface QueryRequest extends SelectionRequest {
  readonly rate: boolean;
  readonly every: { periodUs: number; aggregate: (typeof AGGREGATES)[number] } | undefined;
  readonly summary: boolean;
  readonly wide: boolean;
  readonly waitMs: number;
}

const MIN_PERIOD_MS = 1;

/**
 * Jobs as they were given, `current` replaced by its number: whoever looks them up may be another process.
 * @throws KwError NO_CURRENT_JOB
 */
export async function jobTexts(given: readonly string[] | undefined): Promise<string[] | undefined> {
  if (given === undefined) return undefined;
  const { splitList } = await import('./selectionText.ts');
  const { parseJobRef } = await import('../jobs/jobRef.ts');
  return given.flatMap(splitList).map((text) => (text === 'current' ? parseJobRef(text).text : text));
}

/** @throws KwError BAD_DURATION, BAD_TIME_ZONE, NO_CURRENT_JOB */
export async function readRequest(flags: ParsedFlags, timeZone: string | undefined): Promise<QueryRequest> {
  const { checkTimeZone, localTimeZone, parseDurationMs } = await import('../time.ts');
  const everyMs = flags.every === undefined ? undefined : parseDurationMs(flags.every);
  if (everyMs !== undefined && everyMs < MIN_PERIOD_MS) {
    throw new KwError('--every is at least 1ms', { code: 'BAD_DURATION' });
  }
  return {
    jobs: await jobTexts(flags.job),
    devices: flags.device,
    metrics: flags.metric,
    labels: flags.label,
    from: flags.from,
    to: flags.to,
    timeZone: flags.tz === undefined ? (timeZone ?? localTimeZone()) : checkTimeZone(flags.tz),
    rate: flags.rate ?? false,
    every:
      everyMs === undefined
        ? undefined
        : {
            periodUs: Math.round(everyMs * 1000),
            aggregate: AGGREGATES.find((name) => name === flags.agg) ?? 'mean',
          },
    summary: flags.summary ?? false,
    wide: flags.wide ?? false,
    waitMs: flags.wait === undefined ? 0 : parseDurationMs(flags.wait),
  };
}
