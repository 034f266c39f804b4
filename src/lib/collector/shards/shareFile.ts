/**
 * The last epochs that a collector heard of, on its disk: cut off from the database, a collector that starts goes on
 * with the share that it had.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { decodeGroup, encodeGroup } from './groups.ts';
import type { ShardEpoch, ShardGroup } from './model.ts';

export interface SavedShare {
  readonly epochs: readonly ShardEpoch[];
  readonly offers: ReadonlyMap<string, readonly ShardGroup[]>;
}

export const epochSchema = z.object({
  epoch: z.number().int(),
  since: z.number(),
  members: z.array(z.object({ collector: z.string(), fingerprint: z.string(), fixed: z.boolean() })),
});

const fileSchema = z.object({
  epochs: z.array(epochSchema),
  offers: z.record(z.string(), z.array(z.string())),
});

/** Undefined when there is none, or none that can be read: then everything is read. */
export function readShare(path: string): SavedShare | undefined {
  try {
    const { epochs, offers } = fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    return {
      epochs: epochs.map(epochOf),
      offers: new Map(Object.entries(offers).map(([name, groups]) => [name, groups.map(decodeGroup)])),
    };
  } catch {
    return undefined;
  }
}

/** A disk that takes nothing costs nothing but this. */
export function writeShare(path: string, { epochs, offers }: SavedShare): void {
  const content: z.infer<typeof fileSchema> = {
    epochs: epochs.map(({ epoch, sinceUs, members }) => ({ epoch, since: sinceUs, members: [...members] })),
    offers: Object.fromEntries(Array.from(offers, ([name, groups]) => [name, groups.map(encodeGroup)])),
  };
  try {
    writeFileSync(`${path}.new`, JSON.stringify(content), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch {}
}

export function epochOf({ epoch, since, members }: z.infer<typeof epochSchema>): ShardEpoch {
  return { epoch, sinceUs: since, members };
}
