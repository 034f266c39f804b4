/** Lists by key, where Map.groupBy (Node 21) is still to come. */

/** Puts an item behind those of its key. */
export function append<K, V>(lists: Map<K, V[]>, key: K, item: V): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}
