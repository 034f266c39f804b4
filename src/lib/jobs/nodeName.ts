/**
 * Nodes are devices. Schedulers give full names (`taurus-1.lyon.grid5000.fr`), devices have short ones
 * (`taurus-1`): as in Kwollect, names are cut at the first dot, but not IP addresses; the statements that take
 * both spellings prefer the full one where a device of that name is known.
 */
import { isIP } from 'node:net';

export function shortNodeName(name: string): string {
  const dot = name.indexOf('.');
  return dot <= 0 || isIP(name) !== 0 ? name : name.slice(0, dot);
}

/** Names for people: `node-2` before `node-10`. */
export const byNodeName: (a: string, b: string) => number = new Intl.Collator('en', {
  numeric: true,
}).compare;
