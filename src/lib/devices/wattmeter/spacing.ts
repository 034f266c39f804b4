/** The usual distance between frames: the median of the last ones, so that neither gaps nor jitter move it much. */

const KEPT = 15;
/** Below this many there is no telling. */
const ENOUGH = 5;

export class Spacing {
  readonly #kept = new Float64Array(KEPT);
  #seen = 0;
  /** Microseconds; infinite while it is not known. */
  usualUs = Number.POSITIVE_INFINITY;

  /** @param stepUs time since the frame before; what is no positive number is left out */
  add(stepUs: number): void {
    if (!(stepUs > 0)) return;
    this.#kept[this.#seen++ % KEPT] = stepUs;
    if (this.#seen < ENOUGH || (this.#seen > KEPT && this.#seen % KEPT !== 0)) return;
    const sorted = this.#kept.slice(0, Math.min(this.#seen, KEPT)).sort();
    this.usualUs = sorted[sorted.length >> 1] as number;
  }

  /** Another run may have another rate. */
  forget(): void {
    this.#seen = 0;
    this.usualUs = Number.POSITIVE_INFINITY;
  }
}
