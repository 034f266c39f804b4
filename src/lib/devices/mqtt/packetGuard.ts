/**
 * Watches the lengths of packets on their way to the library, which would gather up to 256 MB before it looked at one
 * (MQTT 3.1.1, section 2.2.3: a type byte, then the length in one to four bytes of seven bits). Messages of QoS 2 do not
 * pass: nothing subscribes to them, and the library keeps each until the broker releases it.
 */

/** A PUBLISH of QoS 2, or of the forbidden QoS 3, has bit 2 of the type byte set (section 3.3.1). */
const PUBLISH = 0x30;
const QOS_2_BIT = 0x04;

export class PacketGuard {
  readonly #maxBytes: number;
  /** Of the packet that is passing by. */
  #left = 0;
  /** Between a type byte and the end of its length. */
  #isInLength = false;
  #length = 0;
  #shift = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False when a packet is larger than allowed, its length is malformed, or it is a message of QoS 2. */
  pass(chunk: Uint8Array): boolean {
    for (let position = 0; position < chunk.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - position);
        this.#left -= skipped;
        position += skipped;
        continue;
      }
      const byte = chunk[position++] as number;
      if (!this.#isInLength) {
        if ((byte & 0xf0) === PUBLISH && (byte & QOS_2_BIT) !== 0) return false;
        this.#isInLength = true;
        this.#length = 0;
        this.#shift = 0;
        continue;
      }
      this.#length += (byte & 0x7f) * 2 ** this.#shift;
      this.#shift += 7;
      if (this.#length > this.#maxBytes || this.#shift > 28) return false;
      if ((byte & 0x80) !== 0) continue;
      this.#isInLength = false;
      this.#left = this.#length;
    }
    return true;
  }
}
