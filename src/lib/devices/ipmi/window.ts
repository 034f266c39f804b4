/**
 * Which packets of a session were received already (IPMI 2.0, section 6.12.13: sequence number tracking). A packet
 * is taken once, and one that comes late only if it is among the last 32.
 *
 * The specification also drops packets that run far ahead. Here they are taken: their authentication code has
 * been verified, so they are new, and answers that were lost must not end the session.
 */
const WIDTH = 32;

export class SequenceWindow {
  #highest = 0;
  /** Bit n: the packet `highest - n` was received. */
  #seen = 0;

  /** Whether a packet of this number would be new. Changes nothing: the packet may still be forged. */
  isNew(sequence: number): boolean {
    if (sequence === 0) return false;
    const ahead = (sequence - this.#highest) | 0;
    if (ahead > 0 || this.#highest === 0) return true;
    return ahead > -WIDTH && (this.#seen & (1 << -ahead)) === 0;
  }

  /** Notes an authentic packet for which `isNew` was true. */
  add(sequence: number): void {
    const ahead = (sequence - this.#highest) | 0;
    if (ahead > 0 || this.#highest === 0) {
      this.#seen = ahead < 0 || ahead >= WIDTH ? 1 : (this.#seen << ahead) | 1;
      this.#highest = sequence;
    } else {
      this.#seen |= 1 << -ahead;
    }
  }
}

/** The next number of an outbound packet: 0 stands for "outside of a session" and is never used. */
export function nextSequence(sequence: number): number {
  return sequence === 0xffff_ffff ? 1 : sequence + 1;
}
