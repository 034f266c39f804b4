/**
 * Numbers in registers. A register has 16 bits, high byte first (MODBUS Application Protocol 1.1b3, section 4.2); how
 * larger numbers lie in several registers is each maker's choice.
 */
import { shortestFloat } from '../shared/numbers.ts';

export type NumberType = 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'int64' | 'uint64' | 'float64';

/** Order of the bytes A (highest) to D on the wire. `abcd` is big endian; `cdab` has the low register first. */
export type ByteOrder = 'abcd' | 'cdab' | 'badc' | 'dcba';

/** Registers that a number takes. */
export const REGISTERS: Readonly<Record<NumberType, number>> = {
  int16: 1,
  uint16: 1,
  int32: 2,
  uint32: 2,
  float32: 2,
  int64: 4,
  uint64: 4,
  float64: 4,
};

/**
 * @param registers two bytes a register, as they came, exactly as many as the type takes
 * @returns 64-bit integers beyond 2^53 as the nearest double; NaN for a float that is none
 */
export function decodeNumber(registers: Buffer, type: NumberType, order: ByteOrder): number {
  const bytes = Buffer.from(registers);
  if (order === 'dcba') bytes.reverse();
  else {
    if (order === 'badc') bytes.swap16();
    if (order === 'cdab') {
      bytes.reverse();
      bytes.swap16();
    }
  }
  switch (type) {
    case 'int16':
      return bytes.readInt16BE();
    case 'uint16':
      return bytes.readUInt16BE();
    case 'int32':
      return bytes.readInt32BE();
    case 'uint32':
      return bytes.readUInt32BE();
    case 'float32':
      return shortestFloat(bytes.readFloatBE());
    case 'int64':
      return Number(bytes.readBigInt64BE());
    case 'uint64':
      return Number(bytes.readBigUInt64BE());
    case 'float64':
      return bytes.readDoubleBE();
  }
}
