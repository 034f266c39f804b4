/**
 * HMAC (RFC 2104) of many short messages with one key: H(K xor opad, H(K xor ipad, message)), as two plain hashes of
 * node:crypto. An Hmac object of Node is made and keyed anew for each message, which takes three times as long as
 * what it then does for a packet of 50 octets.
 */
import * as crypto from 'node:crypto';

/** Of SHA-1 and of SHA-256. */
const BLOCK = 64;
/** Longer than any packet of a session; more is allocated when it is not. */
const CAPACITY = 256;

/** Node 20.12 has it in one call. The digest in octets, as characters. */
const hash: (algorithm: string, data: Uint8Array) => string = crypto.hash
  ? (algorithm, data) => crypto.hash(algorithm, data, 'binary')
  : (algorithm, data) => crypto.createHash(algorithm).update(data).digest('binary');

export class PacketHmac {
  readonly #algorithm: 'sha1' | 'sha256';
  /** A padded key each, and behind it what is hashed with it. */
  #inner = Buffer.alloc(BLOCK + CAPACITY);
  readonly #outer: Buffer;
  /** The used part of `#inner`: packets have few lengths, and a view takes as long to make as a packet to copy. */
  #innerPart = this.#inner;

  /** `key`: 64 octets at most. */
  constructor(algorithm: 'sha1' | 'sha256', key: Uint8Array) {
    if (key.length > BLOCK) throw new RangeError(`a key of ${key.length} octets`);
    this.#algorithm = algorithm;
    this.#outer = Buffer.alloc(BLOCK + (algorithm === 'sha1' ? 20 : 32));
    for (let index = 0; index < BLOCK; index++) {
      const octet = key[index] ?? 0;
      this.#inner[index] = octet ^ 0x36;
      this.#outer[index] = octet ^ 0x5c;
    }
  }

  /** Of the octets `start` to `end`; each character of the result is an octet. */
  digest(data: Uint8Array, start: number, end: number): string {
    const length = BLOCK + end - start;
    if (length > this.#inner.length) this.#grow(length);
    if (length !== this.#innerPart.length) this.#innerPart = this.#inner.subarray(0, length);
    const inner = this.#inner;
    for (let from = start, to = BLOCK; from < end; from++, to++) inner[to] = data[from] as number;
    this.#outer.write(hash(this.#algorithm, this.#innerPart), BLOCK, 'latin1');
    return hash(this.#algorithm, this.#outer);
  }

  /** Forgets the key. */
  destroy(): void {
    this.#inner.fill(0);
    this.#outer.fill(0);
  }

  #grow(length: number): void {
    const longer = Buffer.alloc(2 * length);
    longer.set(this.#inner);
    this.#inner.fill(0);
    this.#inner = longer;
    this.#innerPart = longer;
  }
}
