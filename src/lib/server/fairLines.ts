/**
 * Who is next, where there are fewer places than requests: a line for each user, and the lines in turn. A user holds no
 * more than a share of the places, so that whoever sends many requests, or slow ones, leaves some to the others.
 *
 *   join --> in line --next--> holds a place --giveBack--> gone
 *               `--leave--> gone
 *
 * The server's own questions (holder undefined) go first, and a place is kept for them.
 */

export interface FairBounds {
  /** Places. */
  readonly places: number;
  /** That one user may hold. */
  readonly each: number;
  /** That the server's own questions find when users hold all others. */
  readonly kept: number;
}

/** Whose request it is; undefined is the server itself. */
export type Holder = string | undefined;

export class FairLines<T> {
  readonly #bounds: FairBounds;
  /** In the order of their turns: who was served last stands last. */
  readonly #lines = new Map<Holder, T[]>();
  readonly #held = new Map<Holder, number>();
  #taken = 0;
  #waiting = 0;

  constructor(bounds: FairBounds) {
    this.#bounds = bounds;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Whether it is this holder's own requests that keep it waiting. */
  isAtBound(holder: Holder): boolean {
    return holder !== undefined && (this.#held.get(holder) ?? 0) >= this.#bounds.each;
  }

  join(holder: Holder, waiter: T): void {
    const line = this.#lines.get(holder);
    if (line === undefined) this.#lines.set(holder, [waiter]);
    else line.push(waiter);
    this.#waiting++;
  }

  leave(holder: Holder, waiter: T): void {
    const line = this.#lines.get(holder) ?? [];
    const at = line.indexOf(waiter);
    if (at < 0) return;
    line.splice(at, 1);
    this.#waiting--;
    if (line.length === 0) this.#lines.delete(holder);
  }

  /** Who would be served next; undefined when nobody waits, or nobody who waits may have a place. */
  peek(): T | undefined {
    const holder = this.#turn();
    return holder === 'none' ? undefined : this.#lines.get(holder.of)?.[0];
  }

  /** Gives a place to who is next. */
  next(): T | undefined {
    const turn = this.#turn();
    if (turn === 'none') return undefined;
    const holder = turn.of;
    const line = this.#lines.get(holder) ?? [];
    const waiter = line.shift();
    this.#lines.delete(holder);
    if (line.length > 0) this.#lines.set(holder, line);
    this.#waiting--;
    this.#taken++;
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + 1);
    return waiter;
  }

  giveBack(holder: Holder): void {
    this.#taken--;
    const left = (this.#held.get(holder) ?? 1) - 1;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
  }

  /** Everybody in line, who then is in line no more. */
  clear(): T[] {
    const all = [...this.#lines.values()].flat();
    this.#lines.clear();
    this.#waiting = 0;
    return all;
  }

  #turn(): { readonly of: Holder } | 'none' {
    const { places, kept } = this.#bounds;
    if (this.#taken >= places) return 'none';
    if (this.#lines.has(undefined)) return { of: undefined };
    const byUsers = this.#taken - (this.#held.get(undefined) ?? 0);
    if (byUsers >= places - kept) return 'none';
    for (const holder of this.#lines.keys()) if (!this.isAtBound(holder)) return { of: holder };
    return 'none';
  }
}
