/** Data Center Manageability Interface, DCMI 1.5: the power of the whole system without a sensor (section 6.6.1). */

/** Every message of the group begins with it (section 6). */
export const DCMI_GROUP = 0xdc;
export const GET_POWER_READING = 0x02;
/** Mode 1: system power statistics; the rest is reserved. */
export const POWER_READING_REQUEST = Uint8Array.of(DCMI_GROUP, 0x01, 0x00, 0x00);

export interface PowerReading {
  readonly currentWatts: number;
  /** Over the period. */
  readonly minimumWatts: number;
  readonly maximumWatts: number;
  readonly averageWatts: number;
  /** The BMC's clock, seconds since 1970; many count from their start. */
  readonly timestampSeconds: number;
  readonly periodMs: number;
  /** Whether the BMC measures at the moment; if not, the numbers mean nothing. */
  readonly isActive: boolean;
}

/**
 * The answer of Get Power Reading behind the completion code (table 6-16).
 * @returns undefined for what is too short or of another group
 */
export function decodePowerReading(data: Buffer): PowerReading | undefined {
  if (data.length < 18 || data[0] !== DCMI_GROUP) return undefined;
  return {
    currentWatts: data.readUInt16LE(1),
    minimumWatts: data.readUInt16LE(3),
    maximumWatts: data.readUInt16LE(5),
    averageWatts: data.readUInt16LE(7),
    timestampSeconds: data.readUInt32LE(9),
    periodMs: data.readUInt32LE(13),
    isActive: ((data[17] as number) & 0x40) !== 0,
  };
}
