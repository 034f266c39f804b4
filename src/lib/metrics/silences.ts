/**
 * Devices that have rows, but fell silent within the time: switched off, dead, or not answering. A silence is a hole of
 * at least three periods, and five times the usual distance of rows: periods may have been others when they were read.
 */
import { byNodeName } from '../jobs/nodeName.ts';
import { formatUtc } from '../time.ts';
import { type Interval, intersections } from './interval.ts';
import { nameList } from './nameList.ts';
import type { Selection } from './selection.ts';
import { type Spacing, sourceOf, usualDistanceUs } from './spacing.ts';

/** What a collector is configured to read. */
export interface Configured {
  readonly metric_id: string;
  readonly optional: boolean;
  readonly period_ms: number;
  readonly since_us: number;
}

export interface SilenceEvidence<C extends Configured> {
  readonly selection: Selection;
  readonly spacings: readonly Spacing[];
  /** By the names asked for. */
  readonly configured: ReadonlyMap<string, readonly C[]>;
  /** Up to when everything that was read is stored. */
  readonly completeUpToUs: number;
  /** Times in which rows are missing for reasons that are told already. */
  readonly told: readonly Interval[];
  /** Why something is silent now, if that is known. */
  readonly whyNow: (entry: C) => string | undefined;
}

const MAX_LINES = 5;
const LEAST_PERIODS = 3;
const LEAST_DISTANCES = 5;

interface Silence extends Interval {
  readonly device: string;
  readonly sources: string[];
  readonly why: string;
}

/** Sentences for people, the longest silence first. */
export function silenceLines<C extends Configured>(evidence: SilenceEvidence<C>): string[] {
  const silences = new Map<string, Silence>();
  for (const spacing of evidence.spacings) {
    for (const silence of silencesOf(spacing, evidence)) {
      const key = JSON.stringify([silence.device, silence.fromUs, silence.toUs, silence.why]);
      const same = silences.get(key);
      if (same === undefined) silences.set(key, silence);
      else same.sources.push(...silence.sources);
    }
  }
  const sorted = [...silences.values()].sort(
    (a, b) => b.toUs - b.fromUs - (a.toUs - a.fromUs) || byNodeName(a.device, b.device),
  );
  const lines = sorted
    .slice(0, MAX_LINES)
    .map(
      ({ device, sources, fromUs, toUs, why }) =>
        `no ${nameList(sources.sort())} of ${device} from ${formatUtc(fromUs)} to ${formatUtc(toUs)}${why}`,
    );
  return sorted.length > MAX_LINES
    ? [...lines, `and ${sorted.length - MAX_LINES} more such gaps, which are shorter`]
    : lines;
}

function silencesOf<C extends Configured>(spacing: Spacing, evidence: SilenceEvidence<C>): Silence[] {
  const { deviceId, source, firstUs, lastUs } = spacing;
  const times = evidence.selection.devices?.get(deviceId);
  const time = times?.[0];
  // Between the times of a job that was queued again there is nothing to miss.
  if (time === undefined || times?.length !== 1) return [];
  const entries = (evidence.configured.get(deviceId) ?? []).filter(
    ({ metric_id, optional }) => !optional && sourceOf(metric_id) === source,
  );
  const entry = entries[0];
  if (entry === undefined) return [];
  const periodUs = 1000 * Math.max(...entries.map(({ period_ms }) => period_ms));
  const sinceUs = Math.min(...entries.map(({ since_us }) => since_us));
  const distanceUs = spacing.holes.length > 1 ? (usualDistanceUs(spacing) ?? periodUs) : periodUs;
  const leastUs = Math.max(LEAST_PERIODS * periodUs, LEAST_DISTANCES * distanceUs);
  const endUs = Math.min(time.toUs, evidence.completeUpToUs);
  const holes = [{ fromUs: time.fromUs, toUs: firstUs }, ...spacing.holes, { fromUs: lastUs, toUs: endUs }];
  return holes
    .map(({ fromUs, toUs }) => ({ fromUs: Math.max(fromUs, sinceUs), toUs }))
    .filter(({ fromUs, toUs }) => toUs - fromUs > leastUs)
    .filter((hole) => intersections([hole], evidence.told).every(({ fromUs, toUs }) => fromUs === toUs))
    .map((hole) => {
      const why = hole.fromUs === lastUs ? evidence.whyNow(entry) : undefined;
      return { ...hole, device: deviceId, sources: [source], why: why === undefined ? '' : `: ${why}` };
    });
}
