/** Spools for people: `kw spool status` and `kw spool verify`. */
import { listing } from '../output/listing.ts';
import { countText, sizeText } from '../output/progress.ts';
import type { InspectedSegment } from '../spool/inspect.ts';
import { formatLocal, localTimeZone } from '../time.ts';
import type { SpoolReport } from './spoolReport.ts';

/** Sums over the segments of a spool. */
export interface SpoolTotals {
  readonly segments: number;
  readonly bytes: number;
  readonly values: number;
  readonly waitingValues: number;
  readonly waitingSegments: number;
  /** When the oldest segment in which something waits was begun, and the newest last written to. */
  readonly oldestUs: number | undefined;
  readonly newestUs: number | undefined;
  readonly damages: number;
  readonly damagedBytes: number;
}

export function totalsOf({ segments }: SpoolReport): SpoolTotals {
  const waiting = segments.filter(({ waitingRecords }) => waitingRecords > 0);
  const damages = segments.flatMap((segment) => segment.damages);
  return {
    segments: segments.length,
    bytes: sum(segments, ({ bytes }) => bytes),
    values: sum(segments, ({ rows }) => rows),
    waitingValues: sum(segments, ({ waitingRows }) => waitingRows),
    waitingSegments: waiting.length,
    oldestUs: waiting[0]?.createdAtUs,
    newestUs: waiting.at(-1)?.changedAtUs,
    damages: damages.length,
    damagedBytes: sum(damages, ({ start, end }) => end - start),
  };
}

/** Whether there is anything that a disk or a program broke. */
export function isDamaged({ segments, strange }: SpoolReport): boolean {
  return strange.length > 0 || segments.some(({ damages }) => damages.length > 0);
}

/** One spool, a line for each thing that is to be said. */
export function spoolText(report: SpoolReport, timeZone: string | undefined, withSegments: boolean): string {
  const totals = totalsOf(report);
  const time = (us: number) => formatLocal(us, timeZone ?? localTimeZone(), 0);
  const lines: [string, string][] = [['spool', `${report.name}, in ${report.folder}`]];
  lines.push(['waiting', waitingText(report, totals)]);
  if (totals.oldestUs !== undefined && totals.newestUs !== undefined) {
    lines.push(['since', `${time(totals.oldestUs)}, last written to ${time(totals.newestUs)}`]);
  }
  if (totals.damages > 0) {
    lines.push(['damaged', `${places(totals.damages)}, ${sizeText(totals.damagedBytes)}`]);
  }
  for (const { file, problem, bytes } of report.strange) {
    lines.push(['not read', `${file}: ${PROBLEMS[problem]}, ${sizeText(bytes)}`]);
  }
  for (const { file, bytes } of report.setAside) lines.push(['renamed', `${file}, ${sizeText(bytes)}`]);
  if (report.refused.rows > 0) {
    lines.push([
      'refused',
      `${values(report.refused.rows)} in refused.ndjson, ${sizeText(report.refused.bytes)}`,
    ]);
  }
  const text = lines.map(([head, body]) => `${head.padEnd(13)}${body}`).join('\n');
  if (!withSegments || report.segments.length === 0) return text;
  return `${text}\n\n${segmentTable(report.segments, time)}`;
}

function waitingText({ isStoredKnown }: SpoolReport, totals: SpoolTotals): string {
  if (totals.values === 0 || (isStoredKnown && totals.waitingValues === 0)) return 'nothing';
  const upTo = isStoredKnown ? '' : 'at most ';
  return `${upTo}${values(totals.waitingValues)} in ${segmentsText(totals.waitingSegments)} (${sizeText(totals.bytes)} on the disk)`;
}

function segmentTable(segments: readonly InspectedSegment[], time: (us: number) => string): string {
  return listing(
    ['segment', 'begun', 'size', 'records', 'values', 'waiting', 'damaged'],
    segments.map(({ segment, createdAtUs, bytes, records, rows, waitingRows, damages }) => [
      String(segment),
      time(createdAtUs),
      sizeText(bytes),
      countText(records),
      countText(rows),
      countText(waitingRows),
      damages.length === 0 ? '' : places(damages.length),
    ]),
  );
}

/** What `kw spool verify` found in one spool: a line for each problem, and one for the whole. */
export function verifyText(report: SpoolReport): string {
  const { name, segments, strange, isStoredKnown } = report;
  const lines: string[] = [];
  for (const { file, damages } of segments) {
    for (const { start, end, rows } of damages) {
      const lost = rows === undefined ? 'how many values is not known' : values(rows);
      lines.push(`${name}/${file}: ${sizeText(end - start)} at ${start} are damaged: ${lost}`);
    }
  }
  for (const { file, problem } of strange) lines.push(`${name}/${file}: not read: ${PROBLEMS[problem]}`);
  const totals = totalsOf(report);
  const records = countText(sum(segments, (segment) => segment.records));
  const stored = isStoredKnown
    ? `, of which ${countText(totals.values - totals.waitingValues)} are stored already`
    : '';
  lines.push(
    `${name}: ${records} records of ${values(totals.values)} in ${segmentsText(totals.segments)} are whole${stored}`,
  );
  return lines.join('\n');
}

const PROBLEMS = {
  'unknown-version': 'written by a newer kw',
  'other-owner': "another collector's",
  misnamed: 'a copy under another number',
  damaged: 'nothing in it can be recognised',
  unreadable: 'it cannot be opened',
} as const;

function values(count: number): string {
  return `${countText(count)} value${count === 1 ? '' : 's'}`;
}

function segmentsText(count: number): string {
  return `${count} segment${count === 1 ? '' : 's'}`;
}

function places(count: number): string {
  return `${count} place${count === 1 ? '' : 's'}`;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
