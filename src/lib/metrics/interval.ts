/** Intervals of time in whole microseconds, both ends included. */

export interface Interval {
  readonly fromUs: number;
  readonly toUs: number;
}

export function intersect(a: Interval, b: Interval): Interval | undefined {
  const fromUs = Math.max(a.fromUs, b.fromUs);
  const toUs = Math.min(a.toUs, b.toUs);
  return fromUs <= toUs ? { fromUs, toUs } : undefined;
}

/** The same times as disjoint intervals in order; those that touch become one. */
export function union(intervals: readonly Interval[]): Interval[] {
  const result: { fromUs: number; toUs: number }[] = [];
  for (const { fromUs, toUs } of intervals.toSorted((a, b) => a.fromUs - b.fromUs)) {
    const last = result.at(-1);
    if (last !== undefined && fromUs <= last.toUs + 1) last.toUs = Math.max(last.toUs, toUs);
    else result.push({ fromUs, toUs });
  }
  return result;
}

/** What of `times` no interval of `covered` has: pieces of more than an instant. Both disjoint and in order. */
export function subtract(times: readonly Interval[], covered: readonly Interval[]): Interval[] {
  const left: Interval[] = [];
  for (const { fromUs, toUs } of times) {
    let atUs = fromUs;
    for (const one of covered) {
      if (one.toUs <= atUs) continue;
      if (one.fromUs >= toUs) break;
      if (one.fromUs > atUs) left.push({ fromUs: atUs, toUs: one.fromUs });
      atUs = one.toUs;
    }
    if (atUs < toUs) left.push({ fromUs: atUs, toUs });
  }
  return left;
}

export function intersections(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  return a.flatMap((one) => b.map((other) => intersect(one, other)).filter((both) => both !== undefined));
}

/** The smallest interval that has them all. */
export function span(intervals: readonly Interval[]): Interval | undefined {
  if (intervals.length === 0) return undefined;
  return {
    fromUs: intervals.reduce((least, { fromUs }) => Math.min(least, fromUs), Number.POSITIVE_INFINITY),
    toUs: intervals.reduce((most, { toUs }) => Math.max(most, toUs), Number.NEGATIVE_INFINITY),
  };
}

export function covers(intervals: readonly Interval[], us: number): boolean {
  for (const { fromUs, toUs } of intervals) if (us >= fromUs && us <= toUs) return true;
  return false;
}
