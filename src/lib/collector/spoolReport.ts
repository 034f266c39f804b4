/**
 * What waits in the spools of this machine, as `kw spool status` and `kw spool verify` tell it: read from the folders,
 * whether or not a collector runs; what of it is stored already, from the database where that answers.
 */
import { readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Settings } from '../config/settingsModel.ts';
import { embeddedStatus } from '../database/embedded/server.ts';
import { withClient } from '../database/resolve.ts';
import { codeOf, KwError, systemWords } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { type InspectedSpool, inspectSpool, ownerOf } from '../spool/inspect.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;

export interface SpoolReport extends InspectedSpool {
  /** `collector`, `push-spool/node-1-1`; the folder itself where that was asked for. */
  readonly name: string;
  /** Of the collector or push that writes it; undefined without a segment to tell. */
  readonly ownerId: string | undefined;
  /** The database said what is stored: what waits is exact. Otherwise all values count as waiting. */
  readonly isStoredKnown: boolean;
}

export interface SpoolsRequest {
  /** Only this one. */
  readonly folder?: string | undefined;
  /** Reads and checks all that records hold. */
  readonly withBodies: boolean;
}

/**
 * All spools of this machine in which there is anything, or the one that is asked for. Starts nothing and changes
 * nothing.
 * @param onUnknown told why the database does not say what is stored
 * @throws KwError SPOOL_FOLDER where a folder cannot be read
 */
export async function readSpools(
  settings: Settings,
  { folder, withBodies }: SpoolsRequest,
  onUnknown: (problem: string) => void,
): Promise<SpoolReport[]> {
  if (folder !== undefined) await mustBeSpool(folder);
  const places = folder === undefined ? await spoolPlaces(settings) : [{ name: folder, folder }];
  const owned = await Promise.all(
    places.map(async (place) => ({ ...place, ownerId: await ownerOf(place.folder) })),
  );
  const ownerIds = owned.flatMap(({ ownerId }) => ownerId ?? []);
  const stored = ownerIds.length === 0 ? undefined : await readStored(settings, ownerIds, onUnknown);
  const reports: SpoolReport[] = [];
  for (const { ownerId, ...place } of owned) {
    const of = ownerId === undefined ? undefined : stored?.get(ownerId);
    const inspected = await inspectSpool(place.folder, { withBodies, storedUpTo: of });
    reports.push({ name: place.name, ownerId, isStoredKnown: of !== undefined, ...inspected });
  }
  return reports.filter((report) => folder !== undefined || isWorthTelling(report));
}

/** Where the spools of collectors and pushes are: one a folder. */
async function spoolPlaces({
  dataFolder,
  spool,
}: Pick<Settings, 'dataFolder' | 'spool'>): Promise<{ name: string; folder: string }[]> {
  const pushes = join(dataFolder, 'push-spool');
  const collectors =
    spool.folder === undefined
      ? (await foldersIn(dataFolder)).map((name) => ({ name, folder: join(dataFolder, name, 'spool') }))
      : (await foldersIn(spool.folder)).map((name) => ({ name, folder: join(spool.folder ?? '', name) }));
  return [
    ...collectors,
    ...(await foldersIn(pushes)).map((name) => ({ name: `push-spool/${name}`, folder: join(pushes, name) })),
  ];
}

/** Or else the folder beside a spool would seem to hold nothing that waits, and be thrown away. */
async function mustBeSpool(folder: string): Promise<void> {
  const folders = await foldersIn(folder, true);
  if (isSpool(folder)) return;
  const within = folders.map((name) => join(folder, name)).find(isSpool);
  throw new KwError(`${folder} is not the folder of a spool`, {
    code: 'SPOOL_FOLDER',
    hint:
      within === undefined ? 'name a folder with segments (*.seg)' : `there is one in it: --folder ${within}`,
  });
}

/** An empty one has the number of its next segment. */
function isSpool(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => /^\d+\.seg|^next-segment$|^refused.*\.ndjson$/.test(name));
  } catch {
    return false;
  }
}

async function foldersIn(folder: string, mustExist = false): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (!mustExist && codeOf(error) === 'ENOENT') return [];
    throw new KwError(`cannot read the folder ${folder}: ${systemWords(error as Error)}`, {
      code: 'SPOOL_FOLDER',
      hint: mustExist ? 'name the folder of a spool' : 'run this as the user that kw collect runs as',
      cause: error,
    });
  }
}

function isWorthTelling({ segments, strange, setAside, refused }: InspectedSpool): boolean {
  return segments.length + strange.length + setAside.length + refused.rows > 0;
}

const storedRows = z.array(
  z.object({
    owner_id: z.string(),
    spool_floor: z.coerce.number().nullable(),
    segment: z.coerce.number().nullable(),
    offset: z.coerce.number().nullable(),
  }),
);

/** By owner: up to which offset a segment is stored. Undefined, and told, where the database does not say. */
async function readStored(
  settings: Settings,
  ownerIds: readonly string[],
  onUnknown: (problem: string) => void,
): Promise<ReadonlyMap<string, (segment: number) => number> | undefined> {
  try {
    if (!settings.databaseUrl && !embeddedStatus(settings.dataFolder).running) {
      onUnknown('no database that runs is named');
      return undefined;
    }
    return await withClient(
      settings,
      async (client) => {
        const { rows } = await client.query(readSql('queries/spool_stored'), [ownerIds]);
        return storedOf(storedRows.parse(rows));
      },
      { connectTimeoutMs: CONNECT_TIMEOUT_MS, statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    );
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    onUnknown(error.message);
    return undefined;
  }
}

function storedOf(rows: z.infer<typeof storedRows>): Map<string, (segment: number) => number> {
  const owners = new Map<string, { floor: number; offsets: Map<number, number> }>();
  for (const { owner_id, spool_floor, segment, offset } of rows) {
    const owner = owners.get(owner_id) ?? { floor: spool_floor ?? 0, offsets: new Map() };
    owners.set(owner_id, owner);
    if (segment !== null && offset !== null) owner.offsets.set(segment, offset);
  }
  return new Map(
    [...owners].map(([id, { floor, offsets }]) => [
      id,
      (segment) => (segment < floor ? Number.POSITIVE_INFINITY : (offsets.get(segment) ?? 0)),
    ]),
  );
}
