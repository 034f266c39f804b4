/** The answer of Get Sensor Reading, IPMI 2.0 section 35.14. */

export interface SensorReading {
  readonly raw: number;
  /** Why there is no reading at the moment, or undefined when there is one. */
  readonly absence: 'unavailable' | 'scanning disabled' | undefined;
  /** States asserted, bit by bit: offsets 0 to 14 of a discrete sensor, comparisons with thresholds of others. */
  readonly states: number;
}

/** Bits of the second byte. */
const SCANNING_ENABLED = 0x40;
/** "Reading/state unavailable", and in the same bit "initial update in progress" after a start. */
const UNAVAILABLE = 0x20;

/** @returns undefined for an answer without a second byte, which says nothing for sure */
export function decodeSensorReading(data: Uint8Array): SensorReading | undefined {
  const [raw, flags, low = 0, high = 0] = data;
  if (raw === undefined || flags === undefined) return undefined;
  let absence: SensorReading['absence'];
  if (flags & UNAVAILABLE) absence = 'unavailable';
  else if (!(flags & SCANNING_ENABLED)) absence = 'scanning disabled';
  return { raw, absence, states: low | ((high & 0x7f) << 8) };
}
