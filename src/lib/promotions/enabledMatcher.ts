/** Whether what is configured on a device is enabled now. */
import type { Client } from 'pg';
import { append } from '../append.ts';
import { compileUsersPattern } from './candidates.ts';
import { listPromotions } from './listPromotions.ts';

/** An entry of the catalogue, under the name that patterns are matched with. */
export interface CatalogueEntry {
  readonly device_id: string;
  readonly alias: string;
  readonly entry_name: string;
}

/** Tells of an entry whether any pattern that is in force enables it, for its device or its alias. */
export async function enabledMatcher(client: Client): Promise<(entry: CatalogueEntry) => boolean> {
  const byDevice = new Map<string, { matches(name: string): boolean }[]>();
  for (const { device, pattern } of await listPromotions(client)) {
    // Somebody else's bad pattern enables nothing; it is no failure of this command.
    const compiled = await compileUsersPattern(pattern).catch(() => undefined);
    if (compiled) append(byDevice, device, compiled);
  }
  return ({ device_id, alias, entry_name }) =>
    [device_id, alias].some(
      (name) => byDevice.get(name)?.some((pattern) => pattern.matches(entry_name)) === true,
    );
}
