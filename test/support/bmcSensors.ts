/**
 * The SDR repository and the sensors of a test BMC (IPMI 2.0, sections 33.9 to 33.12 and 35.14): a handler for
 * `startTestBmc`. Records are bytes, such as test/support/sdr.ts makes them.
 */
import type { CommandHandler } from './testBmc.ts';
import { DEVICE_ID } from './testBmc.ts';

/** What Get Sensor Reading gives behind the completion code: raw value, flags, states. */
export type RawReading = readonly number[];
/** Scanning is on, and the reading is good. */
export const READING_GOOD = 0x40 | 0x80;

export interface BmcSensorsOptions {
  readonly records: readonly Uint8Array[];
  /** By sensor number; a sensor without one answers "not present". */
  readonly readings: ReadonlyMap<number, RawReading>;
  /** Most octets of a record in one answer. Default 32. */
  readonly maxRead?: number;
  /** Time of the last addition, in seconds since 1970. */
  readonly changedS?: number;
}

export class BmcSensors {
  /** All may be changed at any time. */
  records: readonly Uint8Array[];
  readings: Map<number, RawReading>;
  maxRead: number;
  changedS: number;
  /** How often records were asked for. */
  recordReads = 0;
  #reservation = 0;

  constructor({ records, readings, maxRead = 32, changedS = 1_700_000_000 }: BmcSensorsOptions) {
    this.records = records;
    this.readings = new Map(readings);
    this.maxRead = maxRead;
    this.changedS = changedS;
  }

  /** Takes back what was reserved, as every change of the repository does. */
  cancelReservation(): void {
    this.#reservation++;
  }

  readonly handle: CommandHandler = ({ netFn, command, data }) => {
    const code = (netFn << 8) | command;
    if (code === 0x0601) return { code: 0, data: DEVICE_ID };
    if (code === 0x0a20) return { code: 0, data: this.#info() };
    if (code === 0x0a22) {
      this.#reservation = (this.#reservation + 1) & 0xffff;
      return { code: 0, data: [this.#reservation & 0xff, this.#reservation >> 8] };
    }
    if (code === 0x0a23) return this.#record(data);
    if (code === 0x042d) {
      const reading = this.readings.get(data[0] as number);
      return reading ? { code: 0, data: reading } : { code: 0xcb };
    }
    return { code: 0xc1 };
  };

  /** Section 33.9: version 1.5, reserve and Get SDR are there. */
  #info(): Buffer {
    const info = Buffer.alloc(14);
    info[0] = 0x51;
    info.writeUInt16LE(this.records.length, 1);
    info.writeUInt32LE(this.changedS, 5);
    info[13] = 0x02;
    return info;
  }

  /** Section 33.12. */
  #record(data: Buffer): ReturnType<CommandHandler> {
    this.recordReads++;
    if (data.length !== 6) return { code: 0xc7 };
    const id = data.readUInt16LE(2);
    const [offset = 0, count = 0] = data.subarray(4);
    if (offset !== 0 && data.readUInt16LE(0) !== (this.#reservation & 0xffff)) return { code: 0xc5 };
    const index =
      id === 0 ? 0 : this.records.findIndex((one) => ((one[0] ?? 0) | ((one[1] ?? 0) << 8)) === id);
    const record = this.records[index];
    if (!record) return { code: 0xcb };
    const length = count === 0xff ? record.length - offset : count;
    if (length > this.maxRead) return { code: 0xca };
    if (offset + length > record.length) return { code: 0xc9 };
    const next = this.records[index + 1];
    return {
      code: 0,
      data: [next?.[0] ?? 0xff, next?.[1] ?? 0xff, ...record.subarray(offset, offset + length)],
    };
  }
}
