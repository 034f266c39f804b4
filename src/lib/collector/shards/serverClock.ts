/**
 * How far the database's clock is ahead of this machine's, from what it said between two readings of the latter. The
 * answer that came quickest bounds it best, so of the last few that one counts.
 */

const ANSWERS = 8;
/** Clocks that differ by more than this are not two clocks of one time. */
const FAR_US = 5_000_000;
/** An offset in use moves when the estimate is that far from it: a timestamp should not jump with each answer. */
const DRIFT_US = 20_000;

interface Answer {
  readonly offsetUs: number;
  readonly roundTripUs: number;
}

export class ServerClock {
  #answers: Answer[] = [];
  #correctionUs = 0;

  /** @param offsetUs what is known from before, to begin with */
  constructor(offsetUs?: number) {
    if (offsetUs !== undefined) this.#take({ offsetUs, roundTripUs: 1_000_000 });
  }

  /** The server said `serverUs` between `beforeUs` and `afterUs` of this machine's clock, as it is without correction. */
  heard(beforeUs: number, serverUs: number, afterUs: number): void {
    const roundTripUs = afterUs - beforeUs;
    const offsetUs = serverUs - (beforeUs + afterUs) / 2;
    // Further apart than both answers allow: a clock was set meanwhile, and what was heard before says nothing.
    const known = this.#best();
    if (known && Math.abs(offsetUs - known.offsetUs) > (roundTripUs + known.roundTripUs) / 2 + DRIFT_US) {
      this.#answers = [];
    }
    this.#take({ offsetUs, roundTripUs });
  }

  /** Added to this machine's clock, gives the database's; undefined until it was heard. */
  get offsetUs(): number | undefined {
    return this.#best()?.offsetUs;
  }

  /** What timestamps are corrected by: 0 unless the clocks are far apart. */
  get correctionUs(): number {
    return this.#correctionUs;
  }

  #take(answer: Answer): void {
    this.#answers = [...this.#answers.slice(1 - ANSWERS), answer];
    const offsetUs = Math.round((this.#best() as Answer).offsetUs);
    if (Math.abs(offsetUs) <= FAR_US) this.#correctionUs = 0;
    else if (Math.abs(offsetUs - this.#correctionUs) > DRIFT_US) this.#correctionUs = offsetUs;
  }

  #best(): Answer | undefined {
    let best: Answer | undefined;
    for (const answer of this.#answers) if (!best || answer.roundTripUs <= best.roundTripUs) best = answer;
    return best;
  }
}
