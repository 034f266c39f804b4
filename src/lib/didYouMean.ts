/** "Did you mean ...?": names near a mistyped one. */

/** Longer texts are cut before they are compared: a name from a user may be a megabyte long. */
const MAX_COMPARED = 64;

/**
 * The candidates that a person may have meant by `name`, nearest first, at most `max`.
 * Near is at most one edit (insert, delete, replace, swap neighbours) for every three characters, case aside.
 */
export function closest(name: string, candidates: Iterable<string>, max = 1): string[] {
  const wanted = name.slice(0, MAX_COMPARED).toLowerCase();
  const allowed = Math.max(1, Math.floor(wanted.length / 3));
  const near: { candidate: string; distance: number }[] = [];
  for (const candidate of candidates) {
    const other = candidate.slice(0, MAX_COMPARED).toLowerCase();
    if (Math.abs(other.length - wanted.length) > allowed) continue;
    const distance = editDistance(wanted, other, allowed);
    if (distance <= allowed) near.push({ candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1));
  return near.slice(0, max).map(({ candidate }) => candidate);
}

/**
 * Damerau-Levenshtein distance (optimal string alignment: no part is edited twice), or anything above `limit`
 * as soon as it cannot be below.
 */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    let best = row;
    for (let column = 1; column <= b.length; column++) {
      const replace = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let cost = Math.min(replace, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(cost);
      best = Math.min(best, cost);
    }
    if (best > limit) return best;
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
