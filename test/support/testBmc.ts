/**
 * A BMC written from the IPMI 2.0 specification, for what ipmi_sim has not: cipher suite 17, a K_g key of 20 octets,
 * passwords of 20 octets or cut to 16, few sessions, and faults on purpose. It shares no code with kw's own codec,
 * is strict about what it takes, and counts what it does not take.
 *
 *   const bmc = await startTestBmc({ kg: 'k', handle: ({ netFn, command }) => ({ code: 0, data: [...] }) });
 *   bmc.onAnswer = ({ name, datagram }) => (name === 'rakp2' ? [] : [{ datagram }]);   // loses each RAKP 2
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { freeUdpPort } from './freePort.ts';

export interface TestUser {
  readonly name: string;
  readonly password: string;
  /** The limit of the user: 1 callback, 2 user, 3 operator, 4 administrator. */
  readonly privilege: number;
}

export interface BmcCommand {
  readonly netFn: number;
  readonly command: number;
  readonly lun: number;
  readonly data: Buffer;
}

/** What a command is answered with; undefined: nothing at all. */
export type CommandHandler = (
  command: BmcCommand,
) => { readonly code: number; readonly data?: Uint8Array | readonly number[] } | undefined;

export interface TestBmcOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Default 3 and 17. */
  readonly suites?: readonly number[];
  /** Default: root/calvin, an administrator, and kwoll/kwpass, a user. */
  readonly users?: readonly TestUser[];
  readonly kg?: string;
  /** Default 4. */
  readonly maxSessions?: number;
  /** Passwords are stored in 16 octets. */
  readonly shortPasswords?: boolean;
  /** Answers Get Channel Cipher Suites before there is a session; default true. */
  readonly listsSuites?: boolean;
  /** The privilege in Open Session Response, if it is not the one asked for. */
  readonly openPrivilege?: number;
  /** Speaks IPMI 1.5 only. */
  readonly isOld?: boolean;
  /** Commands in a session, beside those of sessions themselves. Default: Get Device ID. */
  readonly handle?: CommandHandler;
}

/** Names of packets: of session set-up, or `netFn.command` in hexadecimal digits. */
export type PacketName = 'capabilities' | 'suites' | 'open' | 'rakp1' | 'rakp3' | string;

export interface Answer {
  /** `open`, `rakp2`, `rakp4`, or the name of the request. */
  readonly name: PacketName;
  /** Counted from 0 over all answers since the start or the last `revive`. */
  readonly index: number;
  readonly datagram: Buffer;
}

export interface Outgoing {
  readonly datagram: Uint8Array;
  readonly delayMs?: number;
}

interface BmcSession {
  readonly id: number;
  readonly consoleId: number;
  readonly suite: Suite;
  consoleRandom: Buffer;
  bmcRandom: Buffer;
  user: TestUser | undefined;
  role: number;
  k1: Buffer;
  k2: Buffer;
  isActive: boolean;
  privilege: number;
  sequenceOut: number;
  highestIn: number;
  readonly received: Set<number>;
}

interface Suite {
  readonly id: number;
  readonly algorithms: readonly [number, number, number];
  readonly hash: string;
  readonly codeLength: number;
}

/** Table 22-20. */
const SUITES: readonly Suite[] = [
  { id: 3, algorithms: [1, 1, 1], hash: 'sha1', codeLength: 12 },
  { id: 17, algorithms: [3, 4, 1], hash: 'sha256', codeLength: 16 },
];
const GUID = Buffer.from('30313233343536373839616263646566', 'hex');
const NETFN_APP = 6;
/** Section 6.12.13: so far ahead and behind may a sequence number be. */
const AHEAD = 16;
const BEHIND = 15;

/** Get Device ID (section 20.1): IPMI 2.0, with sensors and an SDR repository. */
export const DEVICE_ID = Buffer.from('200101050203ffff0034120000000000', 'hex').subarray(0, 15);

export class TestBmc {
  readonly address: string;
  readonly port: number;
  /** May be changed at any time. */
  options: TestBmcOptions;
  /** Names of what was received since the start or `revive`. */
  received: PacketName[] = [];
  /** Packets that a strict BMC drops: wrong code, number outside of the window, bad padding or checksum. */
  readonly dropped: string[] = [];
  /** Most sessions that were active at a time. */
  mostActive = 0;
  /** What becomes of an answer; undefined: it is sent. */
  onAnswer: ((answer: Answer) => readonly Outgoing[]) | undefined;
  /** False: the request got lost on its way. Called with its name and its index in `received`. */
  onRequest: ((name: PacketName, index: number) => boolean) | undefined;
  /** Falls silent for ever when so many packets were received. */
  #diesAfter = Number.POSITIVE_INFINITY;
  #answers = 0;
  readonly #sessions = new Map<number, BmcSession>();
  #nextId = 0x0201;
  #socket: Socket;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(socket: Socket, address: string, port: number, options: TestBmcOptions) {
    this.#socket = socket;
    this.address = address;
    this.port = port;
    this.options = options;
    this.#listen();
  }

  get active(): number {
    return [...this.#sessions.values()].filter(({ isActive }) => isActive).length;
  }

  /** Falls silent behind packet number `count`, which is still answered, and forgets all sessions. */
  dieAfter(count: number): void {
    this.#diesAfter = count;
  }

  /** As after a cold start: no sessions, and all counters begin again. */
  revive(): void {
    this.#diesAfter = Number.POSITIVE_INFINITY;
    this.#sessions.clear();
    this.received = [];
    this.#answers = 0;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #listen(): void {
    this.#socket.on('message', (datagram, source) => this.#receive(datagram, source));
  }

  #receive(datagram: Buffer, source: RemoteInfo): void {
    if (this.received.length >= this.#diesAfter) return;
    // Section 13.1.3: version, reserved, sequence number, class IPMI.
    if (datagram.length < 16 || datagram[0] !== 6 || datagram[3] !== 7) {
      this.#drop('no RMCP');
      return;
    }
    if (datagram[4] === 0) this.#receivePlain(datagram, source);
    else if (datagram[4] === 6) this.#receivePlus(datagram, source);
    else this.#drop('authentication type');
  }

  /** Outside of a session, in the form of IPMI 1.5 (section 13.6, first format). */
  #receivePlain(datagram: Buffer, source: RemoteInfo): void {
    const length = datagram[13] as number;
    const message = datagram.subarray(14, 14 + length);
    const command = this.#readMessage(message);
    if (!command || 14 + length !== datagram.length) {
      this.#drop('plain message');
      return;
    }
    const name = command.command === 0x38 ? 'capabilities' : 'suites';
    if (!this.#note(name)) return;
    const answer = this.#answerPlain(command);
    const payload = encodeAnswer(message, answer.code, Buffer.from(answer.data ?? []));
    const head = Buffer.from([6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, payload.length]);
    this.#send(name, Buffer.concat([head, payload]), source);
  }

  #answerPlain({ netFn, command, data }: BmcCommand): { code: number; data?: readonly number[] } {
    const { kg, suites = [3, 17], listsSuites = true, isOld } = this.options;
    if (netFn !== NETFN_APP) return { code: 0xc1 };
    // Section 22.13: channel 1; extended data; K_g, users with names; IPMI 1.5 and 2.0; no OEM.
    if (command === 0x38)
      return {
        code: 0,
        data: [1, isOld ? 0x04 : 0x80, (kg ? 0x20 : 0) | 0x04, isOld ? 0 : 0x03, 0, 0, 0, 0],
      };
    // Section 22.15: records in pieces of 16 octets.
    if (command === 0x54 && listsSuites) {
      const records = SUITES.filter(({ id }) => suites.includes(id)).flatMap(({ id, algorithms }) => [
        ...[0xc0, id, algorithms[0], 0x40 | algorithms[1], 0x80 | algorithms[2]],
      ]);
      // One of a manufacturer, which nobody can speak.
      const all = [0xc1, 0x80, 0xf2, 0x1b, 0x00, 1, 0x41, 0x81, ...records];
      const piece = (data[2] as number) & 0x3f;
      return { code: 0, data: [1, ...all.slice(16 * piece, 16 * piece + 16)] };
    }
    return { code: 0xc1 };
  }

  /** RMCP+ (section 13.6, table 13-8). */
  #receivePlus(datagram: Buffer, source: RemoteInfo): void {
    const type = datagram[5] as number;
    const sessionId = datagram.readUInt32LE(6);
    const length = datagram.readUInt16LE(14);
    const payload = datagram.subarray(16, 16 + length);
    if (payload.length !== length) {
      this.#drop('length');
      return;
    }
    if (sessionId !== 0) this.#receiveInside(datagram, payload, source);
    else if (type === 0x10) this.#open(payload, source);
    else if (type === 0x12) this.#rakp1(payload, source);
    else if (type === 0x14) this.#rakp3(payload, source);
    else this.#drop('payload type');
  }

  /** Sections 13.17 and 13.18. */
  #open(payload: Buffer, source: RemoteInfo): void {
    if (!this.#note('open')) return;
    if (payload.length !== 32) {
      this.#drop('open');
      return;
    }
    const tag = payload[0] as number;
    const consoleId = payload.readUInt32LE(4);
    const asked = [payload[12], payload[20], payload[28]];
    const suite = SUITES.find(({ algorithms }) => algorithms.every((one, index) => one === asked[index]));
    const { suites = [3, 17], maxSessions = 4, openPrivilege } = this.options;
    const refuse = (status: number) => {
      const answer = Buffer.alloc(8);
      answer.set([tag, status]);
      answer.writeUInt32LE(consoleId, 4);
      this.#sendSetUp('open', 0x11, answer, source);
    };
    if (!suite || !suites.includes(suite.id)) {
      refuse(0x11);
      return;
    }
    // Half open sessions count too: that is how tables run full.
    if (this.#sessions.size >= maxSessions) {
      refuse(0x01);
      return;
    }
    const session: BmcSession = {
      id: this.#nextId,
      consoleId,
      suite,
      consoleRandom: Buffer.alloc(16),
      bmcRandom: Buffer.alloc(16),
      user: undefined,
      role: 0,
      k1: Buffer.alloc(0),
      k2: Buffer.alloc(0),
      isActive: false,
      privilege: 2,
      sequenceOut: 0,
      highestIn: 0,
      received: new Set(),
    };
    this.#nextId += 0x0101;
    this.#sessions.set(session.id, session);
    const answer = Buffer.alloc(36);
    // Asked for 0 is "the highest that the suite allows".
    answer.set([tag, 0, openPrivilege ?? (payload[1] || 4)]);
    answer.writeUInt32LE(consoleId, 4);
    answer.writeUInt32LE(session.id, 8);
    suite.algorithms.forEach((algorithm, kind) => {
      answer.set([kind, 0, 0, 8, algorithm], 12 + 8 * kind);
    });
    this.#sendSetUp('open', 0x11, answer, source);
  }

  /** Sections 13.20 and 13.21. */
  #rakp1(payload: Buffer, source: RemoteInfo): void {
    if (!this.#note('rakp1')) return;
    const session = this.#sessions.get(payload.length >= 28 ? payload.readUInt32LE(4) : 0);
    if (!session || session.isActive) {
      this.#drop('rakp1');
      return;
    }
    const tag = payload[0] as number;
    const role = payload[24] as number;
    const name = payload.subarray(28).toString();
    if (payload[27] !== payload.length - 28) {
      this.#drop('rakp1');
      return;
    }
    const head = Buffer.alloc(8);
    head[0] = tag;
    head.writeUInt32LE(session.consoleId, 4);
    const { users = USERS } = this.options;
    const named = users.filter((one) => one.name === name);
    // Bit 4: the name alone counts; else a user with this very privilege is looked for.
    const user = role & 0x10 ? named[0] : named.find(({ privilege }) => privilege === (role & 0x0f));
    const status = !user ? 0x0d : (role & 0x0f) > user.privilege ? 0x09 : 0;
    if (!user || status !== 0) {
      this.#sessions.delete(session.id);
      head[1] = status;
      this.#sendSetUp('rakp2', 0x13, head, source);
      return;
    }
    session.user = user;
    session.role = role;
    session.consoleRandom = Buffer.from(payload.subarray(8, 24));
    session.bmcRandom = randomBytes(16);
    const code = this.#hmac(
      session,
      this.#password(user),
      uint32(session.consoleId),
      uint32(session.id),
      session.consoleRandom,
      session.bmcRandom,
      GUID,
      roleAndName(session),
    );
    this.#sendSetUp('rakp2', 0x13, Buffer.concat([head, session.bmcRandom, GUID, code]), source);
  }

  /** Sections 13.22 and 13.23; keys: 13.31 and 13.32. */
  #rakp3(payload: Buffer, source: RemoteInfo): void {
    if (!this.#note('rakp3')) return;
    const session = this.#sessions.get(payload.length >= 8 ? payload.readUInt32LE(4) : 0);
    if (!session?.user || session.isActive) {
      this.#drop('rakp3');
      return;
    }
    const head = Buffer.alloc(8);
    head[0] = payload[0] as number;
    head.writeUInt32LE(session.consoleId, 4);
    if (payload[1] !== 0) {
      this.#sessions.delete(session.id);
      return;
    }
    const key = this.#password(session.user);
    const expected = this.#hmac(
      session,
      key,
      session.bmcRandom,
      uint32(session.consoleId),
      roleAndName(session),
    );
    if (payload.length !== 8 + expected.length || !timingSafeEqual(payload.subarray(8), expected)) {
      this.#sessions.delete(session.id);
      head[1] = 0x0f;
      this.#sendSetUp('rakp4', 0x15, head, source);
      return;
    }
    const { kg } = this.options;
    const sik = this.#hmac(
      session,
      kg === undefined ? key : Buffer.from(kg),
      session.consoleRandom,
      session.bmcRandom,
      roleAndName(session),
    );
    session.k1 = this.#hmac(session, sik, Buffer.alloc(20, 1));
    session.k2 = this.#hmac(session, sik, Buffer.alloc(20, 2));
    session.isActive = true;
    this.mostActive = Math.max(this.mostActive, this.active);
    const check = this.#hmac(session, sik, session.consoleRandom, uint32(session.id), GUID);
    const answer = Buffer.concat([head, check.subarray(0, session.suite.codeLength)]);
    this.#sendSetUp('rakp4', 0x15, answer, source);
  }

  /** Sections 13.28 and 13.29. */
  #receiveInside(datagram: Buffer, payload: Buffer, source: RemoteInfo): void {
    const session = this.#sessions.get(datagram.readUInt32LE(6));
    if (!session?.isActive) {
      this.#drop('no session');
      return;
    }
    if (datagram[5] !== 0xc0) {
      this.#drop('not protected');
      return;
    }
    const codeStart = datagram.length - session.suite.codeLength;
    if ((codeStart - 4) % 4 !== 0 || codeStart < 16 + payload.length + 2) {
      this.#drop('integrity pad');
      return;
    }
    const code = this.#hmac(session, session.k1, datagram.subarray(4, codeStart));
    if (!timingSafeEqual(code.subarray(0, session.suite.codeLength), datagram.subarray(codeStart))) {
      this.#drop('authentication code');
      return;
    }
    const pad = datagram.subarray(16 + payload.length, codeStart - 2);
    if (
      datagram[codeStart - 1] !== 7 ||
      datagram[codeStart - 2] !== pad.length ||
      pad.some((one) => one !== 0xff)
    ) {
      this.#drop('integrity pad');
      return;
    }
    const sequence = datagram.readUInt32LE(10);
    if (!this.#isInWindow(session, sequence)) {
      this.#drop('sequence number');
      return;
    }
    const message = decrypt(session.k2, payload);
    const command = message && this.#readMessage(message);
    if (!message || !command) {
      this.#drop('message');
      return;
    }
    const name = `${hex(command.netFn)}.${hex(command.command)}`;
    if (!this.#note(name)) return;
    const answer = this.#answer(session, command);
    if (!answer) return;
    const plain = encodeAnswer(message, answer.code, Buffer.from(answer.data ?? []));
    this.#send(name, this.#seal(session, plain), source);
  }

  #isInWindow(session: BmcSession, sequence: number): boolean {
    if (sequence === 0 || session.received.has(sequence)) return false;
    if (sequence > session.highestIn + AHEAD || sequence < session.highestIn - BEHIND) return false;
    session.received.add(sequence);
    session.highestIn = Math.max(session.highestIn, sequence);
    return true;
  }

  #answer(session: BmcSession, command: BmcCommand): ReturnType<CommandHandler> {
    const { data } = command;
    if (command.netFn === NETFN_APP && command.command === 0x3b) {
      // Section 22.18.
      const wanted = (data[0] as number) & 0x0f;
      const limit = Math.min(session.user?.privilege ?? 0, session.role & 0x0f);
      if (wanted > limit) return { code: 0x81 };
      if (wanted !== 0) session.privilege = wanted;
      return { code: 0, data: [session.privilege] };
    }
    if (command.netFn === NETFN_APP && command.command === 0x3c) {
      // Section 22.19; the answer is still sent in the session.
      if (data.length < 4 || data.readUInt32LE(0) !== session.id) return { code: 0x87 };
      this.#sessions.delete(session.id);
      return { code: 0 };
    }
    const answer = this.options.handle?.(command);
    if (answer || this.options.handle) return answer;
    if (command.netFn === NETFN_APP && command.command === 0x01) return { code: 0, data: DEVICE_ID };
    return { code: 0xc1 };
  }

  #seal(session: BmcSession, plain: Buffer): Buffer {
    session.sequenceOut++;
    const payload = encrypt(session.k2, plain);
    const head = Buffer.alloc(16);
    head.set([6, 0, 0xff, 7, 6, 0xc0]);
    head.writeUInt32LE(session.consoleId, 6);
    head.writeUInt32LE(session.sequenceOut, 10);
    head.writeUInt16LE(payload.length, 14);
    const padLength = (4 - ((12 + payload.length + 2) % 4)) % 4;
    const trailer = Buffer.from([...Array(padLength).fill(0xff), padLength, 7]);
    const packet = Buffer.concat([head, payload, trailer]);
    const code = this.#hmac(session, session.k1, packet.subarray(4));
    return Buffer.concat([packet, code.subarray(0, session.suite.codeLength)]);
  }

  /** Section 13.8. */
  #readMessage(message: Buffer): BmcCommand | undefined {
    if (message.length < 7 || sum(message.subarray(0, 3)) !== 0 || sum(message.subarray(3)) !== 0)
      return undefined;
    if (message[0] !== 0x20) return undefined;
    const netFnAndLun = message[1] as number;
    return {
      netFn: netFnAndLun >> 2,
      lun: netFnAndLun & 3,
      command: message[5] as number,
      data: message.subarray(6, -1),
    };
  }

  #password({ password }: TestUser): Buffer {
    const stored = Buffer.alloc(this.options.shortPasswords ? 16 : 20);
    stored.write(password);
    return stored;
  }

  #hmac(session: BmcSession, key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
    return createHmac(session.suite.hash, key).update(Buffer.concat(parts)).digest();
  }

  /** False: the packet is to be forgotten. */
  #note(name: PacketName): boolean {
    this.received.push(name);
    return this.onRequest?.(name, this.received.length - 1) ?? true;
  }

  #drop(why: string): void {
    this.dropped.push(why);
  }

  #sendSetUp(name: PacketName, type: number, payload: Buffer, source: RemoteInfo): void {
    const head = Buffer.alloc(16);
    head.set([6, 0, 0xff, 7, 6, type]);
    head.writeUInt16LE(payload.length, 14);
    this.#send(name, Buffer.concat([head, payload]), source);
  }

  #send(name: PacketName, datagram: Buffer, source: RemoteInfo): void {
    const answer = { name, index: this.#answers++, datagram };
    const outgoing: readonly Outgoing[] = this.onAnswer?.(answer) ?? [answer];
    for (const { datagram: bytes, delayMs } of outgoing) {
      const send = () => this.#socket.send(bytes, source.port, source.address);
      if (!delayMs) send();
      else this.#timers.add(setTimeout(send, delayMs));
    }
  }
}

export async function startTestBmc(options: TestBmcOptions = {}): Promise<TestBmc> {
  const address = options.address ?? '127.0.0.1';
  const port = options.port ?? (await freeUdpPort(address));
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  return new TestBmc(socket, address, port, options);
}

export const USERS: readonly TestUser[] = [
  { name: 'root', password: 'calvin', privilege: 4 },
  { name: 'kwoll', password: 'kwpass', privilege: 2 },
];

/** The same bytes with one bit turned over, counted from the end. */
export function flipped(datagram: Buffer, bitFromEnd: number): Buffer {
  const copy = Buffer.from(datagram);
  const index = copy.length - 1 - (bitFromEnd >> 3);
  copy[index] = (copy[index] as number) ^ (1 << (bitFromEnd & 7));
  return copy;
}

function encodeAnswer(request: Buffer, code: number, data: Buffer): Buffer {
  const [, netFnAndLun = 0, , console = 0, numberAndLun = 0, command = 0] = request;
  const head = [console, (netFnAndLun & 0xfc) + 4 + (numberAndLun & 3)];
  const body = [0x20, (numberAndLun & 0xfc) | (netFnAndLun & 3), command, code, ...data];
  return Buffer.from([...head, -sum(head) & 0xff, ...body, -sum(body) & 0xff]);
}

function encrypt(k2: Buffer, plain: Buffer): Buffer {
  const padLength = 15 - (plain.length % 16);
  const pad = Array.from({ length: padLength }, (_, index) => index + 1);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-128-cbc', k2.subarray(0, 16), iv).setAutoPadding(false);
  return Buffer.concat([iv, cipher.update(Buffer.from([...plain, ...pad, padLength])), cipher.final()]);
}

function decrypt(k2: Buffer, payload: Buffer): Buffer | undefined {
  if (payload.length < 32 || payload.length % 16 !== 0) return undefined;
  const decipher = createDecipheriv('aes-128-cbc', k2.subarray(0, 16), payload.subarray(0, 16));
  decipher.setAutoPadding(false);
  const plain = Buffer.concat([decipher.update(payload.subarray(16)), decipher.final()]);
  const padLength = plain[plain.length - 1] as number;
  const pad = plain.subarray(plain.length - 1 - padLength, -1);
  if (padLength > 15 || pad.some((one, index) => one !== index + 1)) return undefined;
  return plain.subarray(0, plain.length - 1 - padLength);
}

function roleAndName({ role, user }: BmcSession): Buffer {
  const name = Buffer.from(user?.name ?? '');
  return Buffer.from([role, name.length, ...name]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function sum(bytes: Iterable<number>): number {
  let total = 0;
  for (const one of bytes) total += one;
  return total & 0xff;
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
