/** Counts problems of one page by kind, so that a page with a million bad lines is still one line in `kw status`. */
import type { Problem, ProblemKind } from '../driver.ts';

const MAX_QUOTED = 60;

/** Text from outside for a message: control characters escaped, cut. */
export function quote(text: string): string {
  const cut = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}...` : text;
  return JSON.stringify(cut.toWellFormed());
}

export class Tally {
  readonly #counts = new Map<string, { kind: ProblemKind; message: string; count: number }>();

  /** One more of `reason`; `example` is asked only the first time and becomes the message. */
  add(kind: ProblemKind, reason: string, example: () => string, count = 1): void {
    const known = this.#counts.get(reason);
    if (known) known.count += count;
    else this.#counts.set(reason, { kind, message: example(), count });
  }

  problems(): Problem[] {
    return [...this.#counts.values()].map(({ kind, message, count }) => ({
      kind,
      message: (count > 1 ? `${message} (${count} times)` : message).slice(0, 300),
      count,
    }));
  }
}
