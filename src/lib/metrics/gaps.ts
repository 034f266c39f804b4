/**
 * The times of an answer in which nothing can have been stored: no collector ran that was to read it, or the one that
 * did lost what it had read.
 *
 *   expected   when some collector was configured to read an entry of a device
 *   covered    when such a collector ran while it was: up to what it has written, or without end if it runs now
 *   gap        selected and expected and past, but not covered
 *
 * Judged entry by entry, since several collectors may read one device. What a collector that runs has not written yet
 * is no gap: see progress.ts.
 */
import type { Client } from 'pg';
import { append } from '../append.ts';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc, nowUs } from '../time.ts';
import { type Interval, intersections, span, subtract, union } from './interval.ts';
import { nameList } from './nameList.ts';
import type { SeenMetrics } from './read.ts';
import { resolveSelection, type Selection } from './selection.ts';
import { metricMatcher } from './selectionText.ts';

interface RunRow {
  readonly collector_id: string;
  readonly name: string;
  readonly is_last: boolean;
  readonly from_us: number;
  readonly to_us: number | null;
  readonly stopped: boolean;
}

interface SpanRow {
  readonly collector_id: string;
  readonly device_id: string;
  readonly alias: string;
  readonly metric_id: string;
  readonly optional: boolean;
  readonly protocol: string;
  readonly since_us: number;
  readonly until_us: number | null;
  readonly gives: readonly string[] | null;
}

interface LossRow {
  readonly collector_id: string;
  readonly name: string;
  readonly samples: number;
  readonly reason: 'memory' | 'full' | 'old' | 'damaged';
  readonly from_us: number;
  readonly to_us: number;
}

interface Run extends Interval {
  readonly collector: string;
  readonly stopped: boolean;
}

/** An entry of a device, or of several devices behind one alias, with those who were to read it. */
interface Entry {
  readonly metricId: string;
  readonly spans: SpanRow[];
}

const MAX_LINES = 10;
/** More pieces than this are told as a number. */
const MAX_PIECES = 3;

export interface Gaps {
  /** Sentences for people. */
  readonly warnings: readonly string[];
  /** The times that they name. */
  readonly times: readonly Interval[];
}

const NO_GAPS: Gaps = { warnings: [], times: [] };

/**
 * Call it in the snapshot that was read.
 * @param seen which metrics had rows: optional ones without any were not enabled, and what had none at all in a time
 *   that is one gap is told as absent. Undefined: not known
 */
export async function findGaps(
  client: Client,
  selection: Selection,
  atUs: number,
  seen: SeenMetrics | undefined,
): Promise<Gaps> {
  const bounds = span(selection.times);
  if (bounds === undefined || bounds.fromUs >= atUs) return NO_GAPS;
  const period = [formatUtc(bounds.fromUs), formatUtc(Math.min(bounds.toUs, atUs))];
  const { rows: runRows } = await client.query<RunRow>(readSql('queries/collector_runs_between'), period);
  const { rows: losses } = await client.query<LossRow>(readSql('queries/collector_losses_between'), period);
  const runs = runsByCollector(runRows);
  const past = intersections(selection.times, [{ fromUs: bounds.fromUs, toUs: atUs }]);
  // Mostly every collector ran all the time: then nobody needs to know what each was to read.
  const whole = [...runs.values()].every((own) => subtract(past, own).length === 0);
  if (whole && losses.length === 0) return NO_GAPS;
  const names = selection.devices && [...selection.devices.keys()];
  const { rows: spans } = await client.query<SpanRow>(readSql('queries/catalogue_spans'), [
    names ?? null,
    ...period,
    selection.metrics !== undefined,
  ]);
  const matches = metricMatcher(selection.metrics);
  const wanted = spans.filter(
    ({ metric_id, gives }) => matches(metric_id) || gives?.some((metricId) => matches(metricId)) === true,
  );
  const concerned = lossesOf(selection, losses, wanted);
  const gaps = gapLines({ selection, atUs, seen, runs, spans: wanted });
  const lines = [...gaps.lines, ...concerned.map(describeLoss)];
  const more = lines.length - MAX_LINES;
  return {
    warnings: more > 0 ? [...lines.slice(0, MAX_LINES), `and ${more} more such gaps`] : lines,
    times: union([
      ...gaps.times,
      ...concerned.map(({ from_us, to_us }) => ({ fromUs: from_us, toUs: to_us })),
    ]),
  };
}

/** The gaps of all that was to be read for a job, given as users write it. */
export async function jobGaps(client: Client, job: string): Promise<string[]> {
  const now = nowUs();
  const selection = await resolveSelection(client, { jobs: [job] }, now);
  return [...(await findGaps(client, selection, now, undefined)).warnings];
}

function runsByCollector(rows: readonly RunRow[]): Map<string, Run[]> {
  const runs = new Map<string, Run[]>();
  for (const { collector_id, name, from_us, to_us, stopped } of rows) {
    const run = { fromUs: from_us, toUs: to_us ?? Number.POSITIVE_INFINITY, collector: name, stopped };
    append(runs, collector_id, run);
  }
  return runs;
}

interface Evidence {
  readonly selection: Selection;
  readonly atUs: number;
  readonly seen: SeenMetrics | undefined;
  readonly runs: ReadonlyMap<string, readonly Run[]>;
  readonly spans: readonly SpanRow[];
}

function gapLines(evidence: Evidence): { lines: string[]; times: Interval[] } {
  const { selection, seen, spans } = evidence;
  const byName = entriesByName(spans, selection);
  const gapsOf = memoised(evidence);
  /** Names and metrics by what is to be said of them. */
  const devices = new Map<string, Set<string>>();
  const metrics = new Map<string, Map<string, Set<string>>>();
  const told = new Map<string, readonly Interval[]>();
  for (const [name, entries] of byName) {
    const times = selection.devices?.get(name) ?? selection.times;
    const had = seen && (seen.get(name) ?? new Set<string>());
    const sentences = new Map<string, string[]>();
    let judged = 0;
    for (const entry of entries.values()) {
      const hasRows = had && givesAny(entry, had);
      if (!hasRows && entry.spans.every(({ optional }) => optional)) continue;
      judged++;
      const { gaps, isAll, sentence } = gapsOf(entry, times);
      if (gaps.length === 0) continue;
      // absent.ts names it with the reason.
      if (isAll && hasRows === false && selection.devices !== undefined) continue;
      told.set(sentence, gaps);
      append(sentences, sentence, entry.metricId);
    }
    for (const [sentence, metricIds] of sentences) {
      if (metricIds.length === judged) {
        devices.set(sentence, (devices.get(sentence) ?? new Set()).add(name));
      } else {
        const key = nameList([...new Set(metricIds)].sort());
        const group = metrics.get(sentence) ?? new Map<string, Set<string>>();
        metrics.set(sentence, group.set(key, (group.get(key) ?? new Set()).add(name)));
      }
    }
  }
  const sorted = (names: ReadonlySet<string>) => nameList([...names].sort(byNodeName));
  const lines = [
    ...[...devices].map(([sentence, names]) => `no collector ran for ${sorted(names)} ${sentence}`),
    ...[...metrics].flatMap(([sentence, group]) =>
      [...group].map(([ids, names]) => `no collector ran for ${ids} of ${sorted(names)} ${sentence}`),
    ),
  ];
  return { lines, times: [...told.values()].flat() };
}

/** By the names that were asked for, which may be devices or aliases; or by device. */
function entriesByName(spans: readonly SpanRow[], { devices }: Selection): Map<string, Map<string, Entry>> {
  const byName = new Map<string, Map<string, Entry>>();
  for (const row of spans) {
    const names = devices === undefined ? [row.device_id] : [row.device_id, row.alias];
    for (const name of new Set(names)) {
      if (devices !== undefined && !devices.has(name)) continue;
      const entries = byName.get(name) ?? new Map<string, Entry>();
      byName.set(name, entries);
      const key = JSON.stringify([row.device_id, row.alias, row.metric_id]);
      const entry = entries.get(key);
      if (entry === undefined) entries.set(key, { metricId: row.metric_id, spans: [row] });
      else entry.spans.push(row);
    }
  }
  return byName;
}

function givesAny({ metricId, spans }: Entry, had: ReadonlySet<string>): boolean {
  if (had.has(metricId)) return true;
  if (spans.some(({ gives }) => gives?.some((id) => had.has(id)) === true)) return true;
  const isPage = spans.some(({ protocol }) => protocol.startsWith('prometheus'));
  return isPage && [...had].some((id) => id.startsWith('prom_'));
}

/** Most entries are read by the same collectors in the same times: each such case is worked out once. */
function memoised({ runs, atUs }: Evidence) {
  const known = new Map<string, { gaps: Interval[]; isAll: boolean; sentence: string }>();
  return ({ spans }: Entry, times: readonly Interval[]) => {
    const key = JSON.stringify([times, spans.map((row) => [row.collector_id, row.since_us, row.until_us])]);
    const before = known.get(key);
    if (before) return before;
    const readers = spans.map((row) => ({
      configured: [{ fromUs: row.since_us, toUs: Math.min(row.until_us ?? atUs, atUs) }],
      runs: runs.get(row.collector_id) ?? [],
    }));
    const expected = union(readers.flatMap(({ configured }) => configured));
    const covered = union(readers.flatMap(({ configured, runs }) => intersections(runs, configured)));
    const gaps = subtract(intersections(times, expected), covered);
    const past = intersections(times, [{ fromUs: Number.NEGATIVE_INFINITY, toUs: atUs }]);
    const isAll = lengthUs(gaps) === lengthUs(past);
    const own = readers.flatMap((reader) => reader.runs);
    const result = { gaps, isAll, sentence: gaps.length === 0 ? '' : describeGaps(gaps, own, atUs) };
    known.set(key, result);
    return result;
  };
}

function describeGaps(gaps: readonly Interval[], runs: readonly Run[], atUs: number): string {
  const first = gaps[0] as Interval;
  const last = gaps.at(-1) as Interval;
  // Who ended there; or, of a gap that begins with the answer, who ended last before it.
  const begins = new Set(gaps.map(({ fromUs }) => fromUs));
  const ended = runs.filter(({ toUs }) => begins.has(toUs));
  const before = runs.filter(({ toUs }) => toUs < first.fromUs).sort((a, b) => a.toUs - b.toUs);
  const culprits = ended.length > 0 ? ended : before.slice(-1);
  const reasons = culprits.map(({ collector, stopped }) =>
    stopped ? `${collector} was stopped` : `${collector} ended without a word`,
  );
  const why = reasons.length === 0 ? '' : ` (${[...new Set(reasons)].join(', ')})`;
  if (gaps.length > MAX_PIECES) {
    const seconds = lengthUs(gaps) / 1e6;
    return `in ${gaps.length} times between ${formatUtc(first.fromUs)} and ${formatUtc(last.toUs)}, ${seconds.toFixed(1)} s in all${why}`;
  }
  const pieces = gaps.map(({ fromUs, toUs }) =>
    toUs === atUs ? `since ${formatUtc(fromUs)}` : `from ${formatUtc(fromUs)} to ${formatUtc(toUs)}`,
  );
  return `${pieces.join(' and ')}${why}`;
}

function lengthUs(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { fromUs, toUs }) => sum + toUs - fromUs, 0);
}

/** Losses of collectors that were to read something of the selection at that time. */
function lossesOf(
  selection: Selection,
  losses: readonly LossRow[],
  spans: readonly SpanRow[],
): readonly LossRow[] {
  const timesOf = ({ device_id, alias }: SpanRow) =>
    selection.devices === undefined
      ? selection.times
      : [device_id, alias].flatMap((name) => selection.devices?.get(name) ?? []);
  return losses.filter(({ collector_id, from_us, to_us }) =>
    spans.some((row) => {
      if (row.collector_id !== collector_id) return false;
      const configured = { fromUs: row.since_us, toUs: row.until_us ?? Number.POSITIVE_INFINITY };
      const lost = intersections([{ fromUs: from_us, toUs: to_us }], [configured]);
      return intersections(lost, timesOf(row)).length > 0;
    }),
  );
}

const LOSS_REASONS: Readonly<Record<LossRow['reason'], string>> = {
  memory: 'the database was away for longer than the buffer holds',
  full: 'the database was away for longer than the spool holds',
  old: 'they waited for the database for longer than spool.max_age',
  damaged: 'records of its spool are damaged',
};

function describeLoss({ name, samples, reason, from_us, to_us }: LossRow): string {
  const when = `between ${formatUtc(from_us)} and ${formatUtc(to_us)}`;
  const howMany = reason === 'damaged' ? `at least ${samples}` : samples;
  return `${howMany} values of the collector ${name} were lost ${when}: ${LOSS_REASONS[reason]}`;
}
