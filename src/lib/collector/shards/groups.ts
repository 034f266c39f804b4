/**
 * What is read as a whole: a device that is read through two endpoints, or an endpoint that gives several devices,
 * cannot be divided between collectors. So the groups are the connected components of devices and endpoints.
 */
import { createHash } from 'node:crypto';
import { append } from '../../append.ts';
import type { MetricEntry } from '../../config/model.ts';
import type { ShardGroup, ShardOffer } from './model.ts';

/**
 * The groups of a configuration, of what may be read by any collector.
 * @param only devices whose groups alone are meant; undefined: all
 */
export function shardGroups(entries: readonly MetricEntry[], only?: ReadonlySet<string>): ShardGroup[] {
  const parents = new Map<string, string>();
  const rootOf = (node: string): string => {
    let root = node;
    for (let up = parents.get(root); up !== undefined && up !== root; up = parents.get(root)) root = up;
    for (let at = node; at !== root; ) {
      const next = parents.get(at) as string;
      parents.set(at, root);
      at = next;
    }
    return root;
  };
  const shared = entries.filter(isShareable);
  for (const { deviceId, url } of shared) {
    const device = `d${deviceId}`;
    const endpoint = `e${url.scheme}\n${url.endpointKey}`;
    if (!parents.has(device)) parents.set(device, device);
    if (!parents.has(endpoint)) parents.set(endpoint, endpoint);
    parents.set(rootOf(endpoint), rootOf(device));
  }
  const members = new Map<string, MetricEntry[]>();
  for (const entry of shared) append(members, rootOf(`d${entry.deviceId}`), entry);
  const groups = Array.from(members.values(), groupOf);
  const wanted = only ? groups.filter(({ devices }) => devices.some((device) => only.has(device))) : groups;
  return wanted.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** What hangs on this machine (a serial line, a program, standard input) is nobody else's. */
function isShareable({ driver, url }: MetricEntry): boolean {
  return driver.isLocal?.(url) !== true;
}

/**
 * The key names the smallest device, and has a hash of what is read where: a collector that reads other metrics of
 * the device, or reads it by another protocol, does something else, which this one could not do for it. Periods and
 * labels are not in it, so that a change of these, which comes to one collector before the other, takes no device
 * from its owner.
 */
function groupOf(entries: readonly MetricEntry[]): ShardGroup {
  const devices = [...new Set(entries.map(({ deviceId }) => deviceId))].sort();
  const what = [
    ...new Set(
      entries.map(({ deviceId, name, url }) => JSON.stringify([deviceId, name, url.scheme, url.hostPort])),
    ),
  ].sort();
  const hash = createHash('sha256').update(what.join('\n')).digest('hex').slice(0, 12);
  return { key: `${devices[0]} ${hash}`, devices };
}

export function offerOf(groups: readonly ShardGroup[]): ShardOffer {
  return { fingerprint: fingerprintOf(groups.map(encodeGroup)), groups };
}

/** As kw.shard_beat() computes it. */
function fingerprintOf(keys: readonly string[]): string {
  return createHash('sha256').update(keys.join('\u0001')).digest('hex').slice(0, 32);
}

/** A group as an element of kw.shard_offers.keys: its key and its devices, one a line. */
export function encodeGroup({ key, devices }: ShardGroup): string {
  return [key, ...devices].join('\n');
}

export function decodeGroup(text: string): ShardGroup {
  const [key = '', ...devices] = text.split('\n');
  return { key, devices };
}
