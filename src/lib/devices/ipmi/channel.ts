/**
 * What protects the packets of an open session: sequence numbers, AES-CBC-128 (IPMI 2.0, section 13.29) and an
 * authentication code under each packet (section 13.28). A packet is taken only if it is encrypted, authentic and
 * new; everything else is dropped without a trace.
 *
 *   header | IV:16 data pad(1, 2, 3...) padLength | FF... padLength 07 | authentication code
 *           '--------- encrypted but IV --------'
 *     '-------------- authenticated from the session header on ------'
 */
import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  type Decipher,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import {
  AUTHENTICATED,
  ENCRYPTED,
  isPlus,
  PayloadType,
  PLUS_HEADER_LENGTH,
  payloadLengthOf,
  payloadTypeOf,
  SESSION_START,
  sequenceOf,
  sessionOf,
  writePlusHeader,
} from './packet.ts';
import { PacketHmac } from './packetHmac.ts';
import type { CipherSuite } from './suites.ts';
import { nextSequence, SequenceWindow } from './window.ts';

const BLOCK = 16;
const PROTECTED_IPMI = PayloadType.ipmi | ENCRYPTED | AUTHENTICATED;
/** Reserved, always this (table 13-8). */
const NEXT_HEADER = 0x07;

export interface SessionKeys {
  /** For authentication codes. */
  readonly k1: Buffer;
  /** Its first 16 octets are the key of AES. */
  readonly k2: Buffer;
}

export class SecureChannel {
  readonly suite: CipherSuite;
  /** The ids that the two sides gave the session, each what the other one writes in its packets. */
  readonly consoleId: number;
  readonly bmcId: number;
  readonly #keys: SessionKeys;
  readonly #hmac: PacketHmac;
  /** An authentication code as it must be, and as it came. */
  readonly #expected: Buffer;
  readonly #received: Buffer;
  readonly #window = new SequenceWindow();
  #sequence = 0;
  #plain = Buffer.alloc(0);
  /**
   * One cipher and one decipher for the whole session: to make one a packet takes longer than to use it. CBC chains
   * a block to the one before it, so a block that is put first acts as the initial vector of what follows.
   */
  readonly #cipher: Cipher;
  readonly #decipher: Decipher;

  constructor(suite: CipherSuite, keys: SessionKeys, consoleId: number, bmcId: number) {
    this.suite = suite;
    this.consoleId = consoleId;
    this.bmcId = bmcId;
    this.#keys = keys;
    this.#hmac = new PacketHmac(suite.hash, keys.k1);
    this.#expected = Buffer.alloc(suite.authCodeLength);
    this.#received = Buffer.alloc(suite.authCodeLength);
    const key = keys.k2.subarray(0, BLOCK);
    this.#cipher = createCipheriv('aes-128-cbc', key, randomBytes(BLOCK)).setAutoPadding(false);
    this.#decipher = createDecipheriv('aes-128-cbc', key, Buffer.alloc(BLOCK)).setAutoPadding(false);
  }

  /** The packet with this IPMI message, numbered, encrypted and signed. */
  seal(message: Uint8Array): Buffer {
    this.#sequence = nextSequence(this.#sequence);
    const { authCodeLength } = this.suite;
    const padLength = BLOCK - 1 - (message.length % BLOCK);
    const payloadLength = BLOCK + message.length + padLength + 1;
    // The header and a payload of whole blocks leave 2 octets to a multiple of 4, which pad length and 07 fill.
    const trailerStart = PLUS_HEADER_LENGTH + payloadLength;
    const integrityPad = -(trailerStart - SESSION_START + 2) & 3;
    const codeStart = trailerStart + integrityPad + 2;
    const packet = Buffer.allocUnsafe(codeStart + authCodeLength);
    writePlusHeader(packet, PROTECTED_IPMI, this.bmcId, this.#sequence, payloadLength);

    const plain = this.#plainOf(payloadLength);
    drawBlock(plain);
    plain.set(message, BLOCK);
    for (let pad = 1; pad <= padLength; pad++) plain[BLOCK + message.length + pad - 1] = pad;
    plain[payloadLength - 1] = padLength;
    // A random block, encrypted, is the initial vector: as good as a random one, and nobody can foresee it.
    packet.set(this.#cipher.update(plain), PLUS_HEADER_LENGTH);

    for (let pad = 0; pad < integrityPad; pad++) packet[trailerStart + pad] = 0xff;
    packet[codeStart - 2] = integrityPad;
    packet[codeStart - 1] = NEXT_HEADER;
    packet.write(this.#hmac.digest(packet, SESSION_START, codeStart), codeStart, authCodeLength, 'latin1');
    return packet;
  }

  /** The IPMI message of a packet, or undefined for a packet that is not of this session, not authentic or not new. */
  open(packet: Buffer): Buffer | undefined {
    const { authCodeLength } = this.suite;
    if (!isPlus(packet) || payloadTypeOf(packet) !== PROTECTED_IPMI) return undefined;
    if (sessionOf(packet) !== this.consoleId) return undefined;
    const sequence = sequenceOf(packet);
    if (!this.#window.isNew(sequence)) return undefined;
    const payloadLength = payloadLengthOf(packet);
    const trailerStart = PLUS_HEADER_LENGTH + payloadLength;
    const codeStart = packet.length - authCodeLength;
    if (payloadLength < 2 * BLOCK || payloadLength % BLOCK !== 0 || trailerStart + 2 > codeStart)
      return undefined;
    if (!this.#isAuthentic(packet, codeStart)) return undefined;
    this.#window.add(sequence);

    const plain = this.#decipher.update(packet.subarray(PLUS_HEADER_LENGTH, trailerStart));
    const padLength = plain[payloadLength - 1] as number;
    const end = payloadLength - 1 - padLength;
    // Not only below 16: some BMCs add a whole block. What the pad holds is authentic, and of no use.
    return end > BLOCK ? plain.subarray(BLOCK, end) : undefined;
  }

  /** Makes the keys unusable. */
  destroy(): void {
    this.#hmac.destroy();
    this.#plain.fill(0);
    this.#keys.k1.fill(0);
    this.#keys.k2.fill(0);
  }

  /** The code covers all from the session header to the octet 07 (section 13.28.4). Compared in constant time. */
  #isAuthentic(packet: Buffer, codeStart: number): boolean {
    const { authCodeLength } = this.suite;
    this.#expected.write(this.#hmac.digest(packet, SESSION_START, codeStart), 0, authCodeLength, 'latin1');
    packet.copy(this.#received, 0, codeStart);
    return timingSafeEqual(this.#expected, this.#received);
  }

  /** To fill with what is encrypted at once. */
  #plainOf(length: number): Buffer {
    if (this.#plain.length !== length) this.#plain = Buffer.alloc(length);
    return this.#plain;
  }
}

/** Random octets, drawn many at a time: a call for 16 costs as much as one for 4096. Each is used once. */
const pool = Buffer.alloc(4096);
let drawn = pool.length;

/** Fills the first block of `target`. */
function drawBlock(target: Uint8Array): void {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  for (let index = 0; index < BLOCK; index++) target[index] = pool[drawn + index] as number;
  drawn += BLOCK;
}
