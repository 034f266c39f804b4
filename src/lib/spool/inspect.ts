/** Looks into the folder of a spool from outside: changes nothing, so that a collector may be writing to it. */
import { join } from 'node:path';
import { codeOf, KwError, systemWords } from '../errors.ts';
import { loadCrc32c } from './crc32c.ts';
import { realFiles, type SpoolFile, type SpoolFiles } from './files.ts';
import { HEADER_BYTES, segmentOf } from './format.ts';
import type { SetAsideReason } from './model.ts';
import type { Damage } from './recordReader.ts';
import { OLDER_REFUSED_FILE, REFUSED_FILE } from './refusedFile.ts';
import { damagesIn, readHeader, scanSegment, withoutCutOff } from './segmentScan.ts';

export interface InspectedSegment {
  readonly segment: number;
  readonly file: string;
  readonly bytes: number;
  readonly createdAtUs: number;
  readonly changedAtUs: number;
  readonly records: number;
  readonly rows: number;
  /** Of them, those that are not stored, as far as the caller knows. */
  readonly waitingRecords: number;
  readonly waitingRows: number;
  readonly damages: readonly Damage[];
}

export interface InspectedSpool {
  readonly folder: string;
  /** Oldest first. */
  readonly segments: readonly InspectedSegment[];
  /** Segment files that cannot be read, and that a start will rename (except those that cannot be opened). */
  readonly strange: readonly {
    readonly file: string;
    readonly problem: SetAsideReason | 'unreadable';
    readonly bytes: number;
  }[];
  /** Files that starts have renamed. */
  readonly setAside: readonly { readonly file: string; readonly bytes: number }[];
  readonly refused: { readonly rows: number; readonly bytes: number };
}

export interface InspectOptions {
  /** Reads what records hold, and checks it; otherwise headers alone. */
  readonly withBodies: boolean;
  /** Up to which offset a segment is known to be stored, 0 for nothing. */
  readonly storedUpTo?: ((segment: number) => number) | undefined;
}

const ASIDE = /^\d{16}\.seg\..+$/;

/** @throws KwError SPOOL_FOLDER when the folder cannot be listed */
export async function inspectSpool(
  folder: string,
  { withBodies, storedUpTo = () => 0 }: InspectOptions,
  files: SpoolFiles = realFiles,
): Promise<InspectedSpool> {
  const crc32c = await loadCrc32c();
  const names = await list(files, folder);
  const ours = names.filter((name) => segmentOf(name) !== undefined);
  const ownerId = await ownerOf(folder, files);
  const segments: InspectedSegment[] = [];
  const strange: { file: string; problem: SetAsideReason | 'unreadable'; bytes: number }[] = [];
  for (const file of ours) {
    const scan = await scanSegment(files, join(folder, file), { ownerId, withBodies }, crc32c);
    if (scan === undefined) continue;
    const { size: bytes, segment } = scan;
    if (scan.kind !== 'segment') {
      // One that was just begun has no header yet.
      if (scan.kind !== 'damaged' || bytes > HEADER_BYTES) strange.push({ file, problem: scan.kind, bytes });
      continue;
    }
    const isLast = file === ours.at(-1);
    const { kept, damages } = isLast
      ? withoutCutOff(scan)
      : { kept: scan.parts, damages: damagesIn(scan.parts) };
    if (scan.isHeaderDamaged && bytes > HEADER_BYTES) {
      damages.unshift({ start: 0, end: HEADER_BYTES, rows: undefined });
    }
    const records = kept.filter(({ kind }) => kind === 'record');
    const waiting = records.filter(({ end }) => end > storedUpTo(segment));
    segments.push({
      segment,
      file,
      bytes,
      createdAtUs: scan.createdAtUs,
      changedAtUs: Math.round(scan.changedAtMs * 1000),
      records: records.length,
      rows: sumOfRows(records),
      waitingRecords: waiting.length,
      waitingRows: sumOfRows(waiting),
      damages,
    });
  }
  return {
    folder,
    segments,
    strange,
    setAside: await sizesOf(
      files,
      folder,
      names.filter((name) => ASIDE.test(name)),
    ),
    refused: await refusedIn(folder, files, names),
  };
}

/** The UUID whose segments lie in the folder: that of the first header that is right. */
export async function ownerOf(folder: string, files: SpoolFiles = realFiles): Promise<string | undefined> {
  const crc32c = await loadCrc32c();
  for (const name of await list(files, folder)) {
    if (segmentOf(name) === undefined) continue;
    const header = await withFile(files, join(folder, name), (file) => readHeader(file, crc32c));
    if (typeof header === 'object') return header.ownerId;
  }
  return undefined;
}

async function list(files: SpoolFiles, folder: string): Promise<string[]> {
  try {
    return (await files.list(folder)).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new KwError(`cannot read the folder ${folder}: ${systemWords(error as Error)}`, {
      code: 'SPOOL_FOLDER',
      hint: 'run this as the user that kw collect runs as',
      cause: error,
    });
  }
}

/** Undefined where the file cannot be opened. */
async function withFile<T>(
  files: SpoolFiles,
  path: string,
  use: (file: SpoolFile) => Promise<T>,
): Promise<T | undefined> {
  let file: SpoolFile;
  try {
    file = await files.open(path, 'read');
  } catch {
    return undefined;
  }
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function sizesOf(
  files: SpoolFiles,
  folder: string,
  names: readonly string[],
): Promise<{ file: string; bytes: number }[]> {
  const sizes: { file: string; bytes: number }[] = [];
  for (const file of names) {
    const bytes = await withFile(files, join(folder, file), (opened) => opened.size());
    sizes.push({ file, bytes: bytes ?? 0 });
  }
  return sizes;
}

/** Rows that were set aside: lines of the two files. */
async function refusedIn(
  folder: string,
  files: SpoolFiles,
  names: readonly string[],
): Promise<{ rows: number; bytes: number }> {
  let rows = 0;
  let bytes = 0;
  const block = Buffer.alloc(256 * 1024);
  for (const name of [OLDER_REFUSED_FILE, REFUSED_FILE].filter((file) => names.includes(file))) {
    await withFile(files, join(folder, name), async (file) => {
      let position = 0;
      for (let read = await file.read(block, 0); read > 0; read = await file.read(block, position)) {
        position += read;
        for (let at = block.indexOf(0x0a); at >= 0 && at < read; at = block.indexOf(0x0a, at + 1)) rows++;
      }
      bytes += position;
    });
  }
  return { rows, bytes };
}

function sumOfRows(records: readonly { readonly rows?: number | undefined }[]): number {
  return records.reduce((sum, { rows }) => sum + (rows ?? 0), 0);
}
