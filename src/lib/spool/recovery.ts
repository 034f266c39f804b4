/**
 * What a start finds in the folder of a spool, after whatever ended the run before.
 *
 *   the last segment   is read wholly. What is not whole behind the part that was on the disk before the last write is
 *                      what a crash cut off: the file is cut there. No append of it had resolved, since a write is only
 *                      begun when the one before is on the disk.
 *   segments before    their headers are read, so that 10 GiB take a second; bodies are checked when they are drained.
 *                      What is not whole in either is damage: skipped and counted. A damaged header is written anew.
 *   no longer than a header: removed; a crash came before the first record was on the disk.
 *   of another owner, of a version to come, under another name than its own, or with nothing to recognise: renamed,
 *                      never removed.
 *
 * Nothing here refuses to start: what the disk does not let be cut, removed or renamed stays, and is not read.
 */
import { join } from 'node:path';
import type { Crc32c } from './crc32c.ts';
import type { SpoolFiles } from './files.ts';
import { encodeHeader, HEADER_BYTES, segmentOf } from './format.ts';
import type { SetAsideReason } from './model.ts';
import type { Damage } from './recordReader.ts';
import { Segment } from './segment.ts';
import { damagesIn, type Scan, scanSegment, withoutCutOff } from './segmentScan.ts';

export interface Recovered {
  /** Oldest first; all closed. */
  readonly segments: readonly Segment[];
  readonly damages: readonly { readonly segment: Segment; readonly damage: Damage }[];
  /** What a crash had cut off. */
  readonly tornBytes: number;
  readonly setAside: readonly { readonly file: string; readonly reason: SetAsideReason }[];
  /** Names of files that could not be opened. */
  readonly unreadable: readonly string[];
  /** The highest number in any name, 0 without any. */
  readonly lastNumber: number;
}

interface Findings {
  readonly segment?: Segment;
  readonly damages?: readonly Damage[];
  readonly size?: number;
  /** In place of the one that is damaged. */
  readonly newHeader?: Buffer | undefined;
  /** The file cannot be opened: it stays, for a start that can. */
  readonly isUnreadable?: true;
  readonly verdict?: 'remove' | SetAsideReason;
}

/** Looks through the folder and puts it in order. Throws only when it cannot be listed. */
export async function recover(
  files: SpoolFiles,
  folder: string,
  ownerId: string,
  crc32c: Crc32c,
): Promise<Recovered> {
  const names = (await files.list(folder)).sort();
  const ours = names.filter((name) => segmentOf(name) !== undefined);
  const segments: Segment[] = [];
  const damages: { segment: Segment; damage: Damage }[] = [];
  const setAside: { file: string; reason: SetAsideReason }[] = [];
  const unreadable: string[] = [];
  let tornBytes = 0;
  for (const name of ours) {
    const path = join(folder, name);
    const isLast = name === ours.at(-1);
    const scan = await scanSegment(files, path, { ownerId, withBodies: isLast }, crc32c);
    if (scan === undefined) continue;
    const findings = judge(path, ownerId, isLast, scan, crc32c);
    const { segment, verdict, newHeader, size = 0 } = findings;
    if (findings.isUnreadable) {
      unreadable.push(name);
    } else if (verdict === 'remove') {
      tornBytes += size;
      await attempt(() => files.remove(path));
    } else if (verdict !== undefined) {
      const to = asideName(names, name, verdict);
      await attempt(() => files.rename(path, join(folder, to)));
      setAside.push({ file: to, reason: verdict });
    } else if (segment !== undefined) {
      segments.push(segment);
      for (const damage of findings.damages ?? []) damages.push({ segment, damage });
      tornBytes += size - segment.bytes;
      if (newHeader || segment.bytes < size) await attempt(() => mend(files, path, segment.bytes, newHeader));
    }
  }
  if (tornBytes > 0 || setAside.length > 0) await attempt(() => files.syncFolder(folder));
  const numbers = names.map((name) => segmentOf(name.slice(0, 20)) ?? 0);
  return { segments, damages, tornBytes, setAside, unreadable, lastNumber: Math.max(0, ...numbers) };
}

/** What must be done about a file, and what it holds. */
function judge(path: string, ownerId: string, isLast: boolean, scan: Scan, crc32c: Crc32c): Findings {
  const { segment: number, size } = scan;
  if (scan.kind !== 'segment')
    return scan.kind === 'unreadable' ? { isUnreadable: true } : { verdict: scan.kind };
  const { changedAtMs, createdAtUs, isHeaderDamaged, parts } = scan;
  const segment = new Segment(number, path, createdAtUs, changedAtMs);
  segment.closed = true;
  const { kept, damages } = isLast ? withoutCutOff(scan) : { kept: parts, damages: damagesIn(parts) };
  for (const { kind, end, rows } of kept) {
    if (kind === 'record') segment.add(end, rows ?? 0);
    segment.bytes = end;
  }
  if (segment.records === 0) {
    const isCutOff = size <= HEADER_BYTES || scan.isZero || (!isHeaderDamaged && damages.length === 0);
    return { verdict: isCutOff ? 'remove' : 'damaged', size };
  }
  if (!isHeaderDamaged) return { segment, damages, size };
  return {
    segment,
    damages: [{ start: 0, end: HEADER_BYTES, rows: undefined }, ...damages],
    size,
    newHeader: encodeHeader({ ownerId, segment: number, createdAtUs }, crc32c),
  };
}

async function mend(
  files: SpoolFiles,
  path: string,
  bytes: number,
  header: Buffer | undefined,
): Promise<void> {
  const file = await files.open(path, 'write');
  try {
    if (header) await file.write([header], 0);
    await file.truncate(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** `0000000000000007.seg.other-owner`, or with a number behind it where that exists. */
function asideName(names: readonly string[], name: string, reason: SetAsideReason): string {
  let aside = `${name}.${reason}`;
  for (let number = 2; names.includes(aside); number++) aside = `${name}.${reason}.${number}`;
  return aside;
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch {}
}
