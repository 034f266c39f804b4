/** A BMC in memory that answers what the reading of sensors asks, with the faults that a test gives it. */
import type { Command, Reply, Requester } from '../../src/lib/devices/ipmi/requester.ts';

export interface SdrBmcOptions {
  records: Buffer[];
  /** Longest answer to Get SDR, record bytes only; more is refused with 0xca. */
  maxBytes?: number;
  additionTime?: number;
  firmware?: number;
  /** Device SDRs instead of a repository. */
  isDeviceSdrs?: boolean;
  /** Every so many Get SDR the reservation is lost. */
  loseReservationEvery?: number;
  /** The body of the last record is answered with 0xc3. */
  lastTimesOut?: boolean;
}

export class SdrBmc implements Requester {
  readonly options: SdrBmcOptions;
  /** Command codes asked, as `0a:23`. */
  readonly asked: string[] = [];
  /** Answers that replace the usual ones: completion code and data, or an error to throw. */
  readonly answers = new Map<string, (command: Command) => [number, Buffer] | Error>();
  #reservation = 0;
  #gets = 0;
  nowUs = 1_000_000;

  constructor(options: SdrBmcOptions) {
    this.options = options;
  }

  async request(command: Command): Promise<Reply> {
    const key = `${command.netFn.toString(16).padStart(2, '0')}:${command.command.toString(16).padStart(2, '0')}`;
    this.asked.push(key);
    const answer = this.answers.get(key)?.(command) ?? this.#answer(key, Buffer.from(command.data ?? []));
    if (answer instanceof Error) throw answer;
    const [completionCode, data] = answer;
    const requestUs = this.nowUs;
    this.nowUs += 1000;
    return { completionCode, data, requestUs, answerUs: this.nowUs };
  }

  count(key: string): number {
    return this.asked.filter((one) => one === key).length;
  }

  #answer(key: string, data: Buffer): [number, Buffer] {
    const { records, additionTime = 0x5f00_0000, firmware = 1, isDeviceSdrs = false } = this.options;
    switch (key) {
      case '06:01':
        return [0, Buffer.from([0x20, 1, firmware, 0, 0x51, 0xbf, 0, 0, 0, 1, 0])];
      case '0a:20': {
        if (isDeviceSdrs) return [0xc1, Buffer.alloc(0)];
        const info = Buffer.alloc(14);
        info[0] = 0x51;
        info.writeUInt16LE(records.length, 1);
        info.writeUInt32LE(additionTime, 5);
        info[13] = 0x02;
        return [0, info];
      }
      case '04:20':
        return isDeviceSdrs ? [0, Buffer.from([records.length, 1])] : [0xc1, Buffer.alloc(0)];
      case '0a:22':
      case '04:22': {
        this.#reservation++;
        const reply = Buffer.alloc(2);
        reply.writeUInt16LE(this.#reservation);
        return [0, reply];
      }
      case '0a:23':
      case '04:21':
        return this.#get(data);
      default:
        return [0xc1, Buffer.alloc(0)];
    }
  }

  #get(data: Buffer): [number, Buffer] {
    const { records, maxBytes = 255, loseReservationEvery, lastTimesOut } = this.options;
    this.#gets++;
    const [reservation, id, offset, wanted] = [
      data.readUInt16LE(0),
      data.readUInt16LE(2),
      data[4] as number,
      data[5] as number,
    ];
    if (loseReservationEvery !== undefined && this.#gets % loseReservationEvery === 0) this.#reservation++;
    const isPartial = wanted !== 0xff;
    if (isPartial && reservation !== this.#reservation) return [0xc5, Buffer.alloc(0)];
    const index = id === 0 ? 0 : records.findIndex((record) => record.readUInt16LE(0) === id);
    const record = records[index];
    if (!record) return [0xcb, Buffer.alloc(0)];
    if (lastTimesOut && record === records.at(-1) && offset > 0) return [0xc3, Buffer.alloc(0)];
    const bytes = record.subarray(offset, isPartial ? offset + wanted : undefined);
    if (bytes.length > maxBytes) return [0xca, Buffer.alloc(0)];
    const next = Buffer.alloc(2);
    next.writeUInt16LE(records[index + 1]?.readUInt16LE(0) ?? 0xffff);
    return [0, Buffer.concat([next, bytes])];
  }
}
