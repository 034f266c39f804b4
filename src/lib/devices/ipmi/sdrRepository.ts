/**
 * Reads the sensor data records of a BMC: from the SDR repository (IPMI 2.0 section 33), else from its device SDRs
 * (section 35.2 to 35.4), which speak alike.
 *
 * Each record is asked for whole, which needs no reservation and so disturbs no other reader. A BMC that cannot
 * return that many bytes is read in pieces under a reservation; what changes the repository, or another program that
 * reserves, ends the reservation, and the record is begun again under a new one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { IpmiError } from './errors.ts';
import { Code, codeText, NetFn, type Reply, type Requester } from './requester.ts';
import { HEADER_BYTES } from './sdrRecord.ts';

/** Where a BMC keeps its records, and the commands of that place. */
interface Place {
  readonly netFn: number;
  readonly info: number;
  readonly reserve: number;
  readonly get: number;
}

const REPOSITORY: Place = { netFn: NetFn.storage, info: 0x20, reserve: 0x22, get: 0x23 };
const DEVICE_SDRS: Place = { netFn: NetFn.sensorEvent, info: 0x20, reserve: 0x22, get: 0x21 };
const GET_DEVICE_ID = 0x01;

const REQUEST_TIMEOUT_MS = 2_000;
const LAST_RECORD = 0xffff;
const WHOLE = 0xff;
/** More than any BMC has; what is beyond is a loop. */
const MAX_RECORDS = 4_096;
/** A piece fits in any IPMB message with 20, and most BMCs can do more. */
const FIRST_PIECE = 32;
const SMALLEST_PIECE = 4;
const MAX_RESERVATIONS = 20;
/** After so many lost reservations on one record somebody else reads too: let them have a turn. */
const POLITE_AFTER = 3;
const POLITE_MS = 50;
const MAX_BUSY = 10;
const BUSY_MS = 50;

/** What a repository is like: two that are equal hold the same records. */
export interface RepositoryState {
  readonly place: Place;
  /** Device id with firmware, number of records, time of the last addition and erasure; in hexadecimal. */
  readonly fingerprint: string;
  /** Records that the BMC says it has; 0 when it does not say. */
  readonly count: number;
}

/** @throws IpmiError */
export async function readRepositoryState(bmc: Requester): Promise<RepositoryState> {
  const id = Buffer.from((await ask(bmc, NetFn.app, GET_DEVICE_ID)).data);
  // "Update in progress" is no other firmware.
  if (id.length > 2) id[2] = (id[2] as number) & 0x7f;
  const info = await ask(bmc, REPOSITORY.netFn, REPOSITORY.info);
  if (info.completionCode === Code.success && info.data.length >= 13)
    return state(REPOSITORY, id, info.data.subarray(0, 13), info.data.readUInt16LE(1));
  const device = await ask(bmc, DEVICE_SDRS.netFn, DEVICE_SDRS.info);
  if (device.completionCode === Code.success && device.data.length >= 2)
    return state(DEVICE_SDRS, id, device.data, 0);
  throw new IpmiError(
    'protocol',
    `the BMC does not tell its sensor data records: ${codeText(info.completionCode)}`,
  );
}

function state(place: Place, id: Buffer, info: Buffer, count: number): RepositoryState {
  const name = place === REPOSITORY ? 'repository' : 'device';
  return { place, fingerprint: `${name}-${id.toString('hex')}-${info.toString('hex')}`, count };
}

async function ask(bmc: Requester, netFn: number, command: number, data?: Uint8Array): Promise<Reply> {
  for (let attempt = 1; ; attempt++) {
    const reply = await bmc.request({ netFn, command, data }, REQUEST_TIMEOUT_MS);
    if (reply.completionCode !== Code.nodeBusy || attempt === MAX_BUSY) return reply;
    await sleep(BUSY_MS);
  }
}

/**
 * Every record, as it lies in the repository.
 * @throws IpmiError
 */
export async function readRecords(
  bmc: Requester,
  { place, count }: RepositoryState,
  onProgress: (read: number, count: number) => void = () => {},
): Promise<Buffer[]> {
  const reader = new RecordReader(bmc, place);
  const records: Buffer[] = [];
  const seen = new Set<number>();
  let id = 0;
  while (id !== LAST_RECORD) {
    if (seen.has(id) || records.length >= MAX_RECORDS)
      throw new IpmiError('protocol', `the SDR repository has no end: record ${id} comes again`);
    seen.add(id);
    const { record, next } = await reader.read(id);
    if (record) records.push(record);
    onProgress(records.length, count);
    id = next;
  }
  return records;
}

interface Read {
  /** Undefined for a last record that the BMC will not give (Dell FC830, as freeipmi's authors found). */
  readonly record: Buffer | undefined;
  readonly next: number;
}

class RecordReader {
  readonly #bmc: Requester;
  readonly #place: Place;
  #canReadWhole = true;
  #piece = FIRST_PIECE;
  /** 0: none. */
  #reservation = 0;

  constructor(bmc: Requester, place: Place) {
    this.#bmc = bmc;
    this.#place = place;
  }

  async read(id: number): Promise<Read> {
    if (this.#canReadWhole) {
      const whole = await this.#readWhole(id);
      if (whole) return whole;
      this.#canReadWhole = false;
    }
    for (let lost = 0; lost < MAX_RESERVATIONS; lost++) {
      if (lost >= POLITE_AFTER) await sleep(POLITE_MS * Math.random());
      if (this.#reservation === 0 || lost > 0) await this.#reserve();
      const read = await this.#readPieces(id);
      if (read) return read;
    }
    throw new IpmiError(
      'protocol',
      `the reservation of the SDR repository was lost ${MAX_RESERVATIONS} times`,
    );
  }

  async #readWhole(id: number): Promise<Read | undefined> {
    const reply = await this.#get(0, id, 0, WHOLE);
    if (reply.completionCode !== Code.success || reply.data.length < 2 + HEADER_BYTES) return undefined;
    const length = HEADER_BYTES + (reply.data[2 + 4] as number);
    // Some BMCs give less than the record has, some more.
    if (reply.data.length - 2 < length) return undefined;
    return { record: Buffer.from(reply.data.subarray(2, 2 + length)), next: reply.data.readUInt16LE(0) };
  }

  /** Undefined when the reservation was lost. */
  async #readPieces(id: number): Promise<Read | undefined> {
    const header = await this.#get(this.#reservation, id, 0, HEADER_BYTES);
    if (header.completionCode === Code.reservationLost) return undefined;
    if (header.completionCode !== Code.success || header.data.length < 2 + HEADER_BYTES)
      throw failure(id, header);
    const next = header.data.readUInt16LE(0);
    const length = HEADER_BYTES + (header.data[2 + 4] as number);
    const record = Buffer.alloc(length);
    header.data.copy(record, 0, 2, 2 + HEADER_BYTES);
    let offset = HEADER_BYTES;
    while (offset < length) {
      const bytes = Math.min(this.#piece, length - offset);
      const reply = await this.#get(this.#reservation, id, offset, bytes);
      if (reply.completionCode === Code.reservationLost) return undefined;
      if (reply.completionCode === Code.timeout && next === LAST_RECORD) return { record: undefined, next };
      if (isTooMuch(reply.completionCode) && bytes > SMALLEST_PIECE) {
        this.#piece = Math.max(SMALLEST_PIECE, bytes >> 1);
        continue;
      }
      const got = Math.min(reply.data.length - 2, bytes);
      if (reply.completionCode !== Code.success || got <= 0) throw failure(id, reply);
      reply.data.copy(record, offset, 2, 2 + got);
      offset += got;
    }
    return { record, next };
  }

  async #reserve(): Promise<void> {
    const reply = await ask(this.#bmc, this.#place.netFn, this.#place.reserve);
    if (reply.completionCode === Code.success && reply.data.length >= 2) {
      this.#reservation = reply.data.readUInt16LE(0);
      return;
    }
    // A BMC whose records never change need not know reservations.
    if (reply.completionCode === Code.invalidCommand) return;
    throw new IpmiError(
      'protocol',
      `the SDR repository cannot be reserved: ${codeText(reply.completionCode)}`,
    );
  }

  #get(reservation: number, id: number, offset: number, bytes: number): Promise<Reply> {
    const data = Buffer.allocUnsafe(6);
    data.writeUInt16LE(reservation, 0);
    data.writeUInt16LE(id, 2);
    data[4] = offset;
    data[5] = bytes;
    return ask(this.#bmc, this.#place.netFn, this.#place.get, data);
  }
}

/** The answers of BMCs that were asked for more bytes than they can send; 0xca is the one of the specification. */
function isTooMuch(code: number): boolean {
  return (
    code === Code.cannotReturnBytes ||
    code === Code.lengthInvalid ||
    code === Code.lengthExceeded ||
    code === Code.unspecified
  );
}

function failure(id: number, reply: Reply): IpmiError {
  const why =
    reply.completionCode === Code.success ? 'the answer is too short' : codeText(reply.completionCode);
  return new IpmiError('protocol', `record ${id} of the SDR repository cannot be read: ${why}`);
}
