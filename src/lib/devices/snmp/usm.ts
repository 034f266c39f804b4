/**
 * SNMP v3 with the user-based security model: the envelope around a PDU. RFC 3412 (message), RFC 3414 (USM,
 * HMAC-MD5 and HMAC-SHA-1), RFC 7860 (HMAC-SHA-2), RFC 3826 (AES-128), and the two customary ways to stretch
 * a key for AES-256.
 *
 * An agent is an "authoritative engine" with an id, a count of boots and a clock of seconds. All three must be
 * learnt before it answers:
 *
 *   unknown --(empty request)--> report unknownEngineIDs --> known --> requests
 *   known ---(the agent booted)-> report notInTimeWindows --> known with the new boots and time
 *
 * An answer counts only when it carries the security level that was asked with: an unsigned answer to a signed
 * request is refused, whatever it says. Reports may be unsigned, and can do no more than name an engine.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { BerReader, RequestPdu, Response } from './codec.ts';
import { encodeGet, integer, patchId, Tag, tlv } from './codec.ts';
import { formatOid } from './oid.ts';
import type { AuthProtocol, PrivProtocol, UsmUser } from './url.ts';

/** Hash, and octets of the HMAC that are sent (RFC 3414 section 6 and 7, RFC 7860 section 4). */
const AUTH: Readonly<Record<AuthProtocol, { hash: string; macLength: number }>> = {
  md5: { hash: 'md5', macLength: 12 },
  sha1: { hash: 'sha1', macLength: 12 },
  sha224: { hash: 'sha224', macLength: 16 },
  sha256: { hash: 'sha256', macLength: 24 },
  sha384: { hash: 'sha384', macLength: 32 },
  sha512: { hash: 'sha512', macLength: 48 },
};
const PRIV: Readonly<Record<PrivProtocol, { cipher: string; keyLength: number }>> = {
  aes128: { cipher: 'aes-128-cfb', keyLength: 16 },
  aes256: { cipher: 'aes-256-cfb', keyLength: 32 },
  aes256c: { cipher: 'aes-256-cfb', keyLength: 32 },
};
const FLAG_AUTH = 1;
const FLAG_PRIV = 2;
const FLAG_REPORTABLE = 4;
const USM_MODEL = 3;
const MAX_MESSAGE_SIZE = 65_507;
/** RFC 3414 section 2.2.3. */
const TIME_WINDOW_S = 150;
const MAX_ENGINE_ID = 32;
const USM_STATS = '1.3.6.1.6.3.15.1.1.';

/** What a datagram turned out to be. */
export type UsmVerdict =
  | 'response'
  /** The engine or its time was learnt: send again. */
  | 'learnt'
  | 'unsupportedSecLevels'
  | 'unknownUserNames'
  | 'wrongDigests'
  | 'decryptionErrors'
  /** Not for us, forged, stale or broken: ignore it. */
  | 'invalid';

const REPORTS: Readonly<Record<string, UsmVerdict>> = {
  '1': 'unsupportedSecLevels',
  '3': 'unknownUserNames',
  '5': 'wrongDigests',
  '6': 'decryptionErrors',
};

/**
 * RFC 3414 appendix A.2: the key is the hash of a megabyte of the repeated password. It takes milliseconds and
 * many devices share a password, so the last ones are remembered.
 */
const passwordKeys = new Map<string, Buffer>();
const MAX_PASSWORD_KEYS = 256;

export function passwordKey(protocol: AuthProtocol, password: string | Uint8Array): Buffer {
  const bytes = Buffer.from(password);
  const id = `${protocol}:${bytes.toString('base64')}`;
  let key = passwordKeys.get(id);
  if (!key) {
    key = createHash(AUTH[protocol].hash)
      .update(Buffer.alloc(1024 * 1024, bytes))
      .digest();
    if (passwordKeys.size >= MAX_PASSWORD_KEYS) passwordKeys.clear();
    passwordKeys.set(id, key);
  }
  return key;
}

/** RFC 3414 section 2.6: the key of one engine. */
export function localizedKey(protocol: AuthProtocol, key: Uint8Array, engineId: Uint8Array): Buffer {
  return createHash(AUTH[protocol].hash).update(key).update(engineId).update(key).digest();
}

/**
 * The cipher's key: the localized key of the priv password, cut or stretched to length.
 * aes256 (draft-blumenthal-aes-usm-04) appends hashes of the key; aes256c (draft-reeder-snmpv3-usm-3desede)
 * localizes the key again as if it were a password.
 */
export function privacyKey(
  protocol: PrivProtocol,
  auth: AuthProtocol,
  password: string,
  engineId: Uint8Array,
): Buffer {
  const { keyLength } = PRIV[protocol];
  let last = localizedKey(auth, passwordKey(auth, password), engineId);
  let key = last;
  while (key.length < keyLength) {
    last =
      protocol === 'aes256c'
        ? localizedKey(auth, reederKey(auth, last), engineId)
        : createHash(AUTH[auth].hash).update(key).digest();
    key = Buffer.concat([key, last]);
  }
  return key.subarray(0, keyLength);
}

/** As passwordKey, but not remembered: these keys differ for each engine. */
function reederKey(auth: AuthProtocol, password: Uint8Array): Buffer {
  return createHash(AUTH[auth].hash)
    .update(Buffer.alloc(1024 * 1024, password))
    .digest();
}

/** One agent's engine as one user sees it. */
export class UsmEngine {
  /** Times the agent was seen to have booted since it was first met. */
  restarts = 0;
  readonly #user: UsmUser;
  readonly #flags: number;
  readonly #name: Buffer;
  readonly #now: () => number;
  #engineId: Buffer = Buffer.alloc(0);
  #boots = 0;
  /** The engine's clock in seconds at `#learntAtMs` of ours. */
  #timeS = 0;
  #learntAtMs = 0;
  #authKey: Buffer = Buffer.alloc(0);
  #privKey: Buffer = Buffer.alloc(0);
  #salt = randomBytes(8).readBigUInt64BE();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(user: UsmUser, now: () => number = () => performance.now()) {
    this.#user = user;
    this.#now = now;
    this.#name = Buffer.from(user.name);
    this.#flags = (user.auth ? FLAG_AUTH : 0) | (user.priv ? FLAG_PRIV : 0);
  }

  get known(): boolean {
    return this.#engineId.length > 0;
  }

  /** For people: what the engine says of itself, none of it secret (RFC 3414 section 3.1). */
  get text(): string {
    const id = `0x${this.#engineId.toString('hex')}`;
    return `${id}, started ${this.#boots} times, its clock at ${this.#engineTimeS()} s`;
  }

  /** The message for this PDU, or while the engine is unknown the one that asks for it. */
  wrap(pdu: RequestPdu, id: number): Buffer {
    if (!this.known) return this.#message(encodeGet(Tag.getRequest, []), id, 0, '');
    return this.#message(pdu, id, this.#flags, this.#user.context);
  }

  #message(pdu: RequestPdu, id: number, flags: number, context: string): Buffer {
    const bytes = Buffer.from(pdu.bytes);
    patchId(bytes, pdu.idOffset, id);
    const scoped = tlv(
      Tag.sequence,
      tlv(Tag.octetString, this.#engineId),
      tlv(Tag.octetString, Buffer.from(context)),
      bytes,
    );
    const timeS = this.known ? this.#engineTimeS() : 0;
    let data: Buffer = scoped;
    let salt: Buffer = Buffer.alloc(0);
    const { auth, priv } = this.#user;
    if (flags & FLAG_PRIV && priv) {
      salt = Buffer.alloc(8);
      this.#salt = BigInt.asUintN(64, this.#salt + 1n);
      salt.writeBigUInt64BE(this.#salt);
      const cipher = createCipheriv(
        PRIV[priv.protocol].cipher,
        this.#privKey,
        aesIv(this.#boots, timeS, salt),
      );
      data = tlv(Tag.octetString, Buffer.concat([cipher.update(scoped), cipher.final()]));
    }
    const mac = Buffer.alloc(flags & FLAG_AUTH && auth ? AUTH[auth.protocol].macLength : 0);
    const saltField = tlv(Tag.octetString, salt);
    const message = tlv(
      Tag.sequence,
      integer(3),
      tlv(
        Tag.sequence,
        integer(id),
        integer(MAX_MESSAGE_SIZE),
        tlv(Tag.octetString, Uint8Array.of(flags | FLAG_REPORTABLE)),
        integer(USM_MODEL),
      ),
      tlv(
        Tag.octetString,
        tlv(
          Tag.sequence,
          tlv(Tag.octetString, this.#engineId),
          integer(this.#boots),
          integer(timeS),
          // Discovery names nobody (RFC 3414 section 4).
          tlv(Tag.octetString, this.known ? this.#name : Buffer.alloc(0)),
          tlv(Tag.octetString, mac),
          saltField,
        ),
      ),
      data,
    );
    if (mac.length > 0) {
      const macStart = message.length - data.length - saltField.length - mac.length;
      this.#mac(message, macStart).copy(message, macStart);
    }
    return message;
  }

  /**
   * Reads a datagram into `response`. For 'response' the PDU is sound and, if the user's level says so, signed
   * by the agent and decrypted.
   */
  unwrap(datagram: Uint8Array, reader: BerReader, response: Response): UsmVerdict {
    reader.reset(datagram);
    const limit = reader.enter(Tag.sequence, datagram.length);
    if (limit !== datagram.length || reader.integer(limit) !== 3) return 'invalid';

    const headerEnd = reader.enter(Tag.sequence, limit);
    if (headerEnd === -1) return 'invalid';
    reader.integer(headerEnd);
    reader.integer(headerEnd);
    if (reader.next(headerEnd) !== Tag.octetString || reader.end - reader.start !== 1) return 'invalid';
    const flags = (datagram[reader.start] as number) & (FLAG_AUTH | FLAG_PRIV);
    if (reader.integer(headerEnd) !== USM_MODEL) return 'invalid';
    reader.position = headerEnd;

    const outerEnd = reader.enter(Tag.octetString, limit);
    if (outerEnd === -1) return 'invalid';
    const securityEnd = reader.enter(Tag.sequence, outerEnd);
    if (securityEnd !== outerEnd) return 'invalid';
    if (reader.next(securityEnd) !== Tag.octetString) return 'invalid';
    const engineId = datagram.subarray(reader.start, reader.end);
    const boots = reader.integer(securityEnd);
    const timeS = reader.integer(securityEnd);
    if (!(boots >= 0) || !(timeS >= 0)) return 'invalid';
    if (reader.next(securityEnd) !== Tag.octetString) return 'invalid';
    const name = datagram.subarray(reader.start, reader.end);
    if (reader.next(securityEnd) !== Tag.octetString) return 'invalid';
    const macStart = reader.start;
    const macLength = reader.end - reader.start;
    if (reader.next(securityEnd) !== Tag.octetString) return 'invalid';
    const salt = datagram.subarray(reader.start, reader.end);
    reader.position = outerEnd;

    const isOurEngine = this.known && this.#engineId.equals(engineId);
    const isSigned = (flags & FLAG_AUTH) !== 0;
    if (isSigned) {
      const { auth } = this.#user;
      if (!auth || !isOurEngine || macLength !== AUTH[auth.protocol].macLength) return 'invalid';
      const mac = datagram.subarray(macStart, macStart + macLength);
      if (!timingSafeEqual(mac, this.#mac(datagram, macStart))) return 'invalid';
    }
    let limitOfScoped = limit;
    if (flags & FLAG_PRIV) {
      const { priv } = this.#user;
      if (!priv || !isSigned || salt.length !== 8) return 'invalid';
      if (reader.next(limit) !== Tag.octetString || reader.position !== limit) return 'invalid';
      const decipher = createDecipheriv(PRIV[priv.protocol].cipher, this.#privKey, aesIv(boots, timeS, salt));
      const sealed = datagram.subarray(reader.start, reader.end);
      const scoped = Buffer.concat([decipher.update(sealed), decipher.final()]);
      reader.reset(scoped);
      limitOfScoped = scoped.length;
    }
    const scopedEnd = reader.enter(Tag.sequence, limitOfScoped);
    if (scopedEnd === -1) return 'invalid';
    if (reader.next(scopedEnd) !== Tag.octetString || reader.next(scopedEnd) !== Tag.octetString)
      return 'invalid';
    if (!response.read(reader, scopedEnd)) return 'invalid';

    if (response.pduTag === Tag.report) return this.#learn(engineId, boots, timeS, isSigned, response);
    if (flags !== this.#flags || !isOurEngine || !this.#name.equals(name)) return 'invalid';
    if (isSigned && !this.#inTimeWindow(boots, timeS)) return 'invalid';
    return 'response';
  }

  #learn(
    engineId: Uint8Array,
    boots: number,
    timeS: number,
    isSigned: boolean,
    response: Response,
  ): UsmVerdict {
    if (response.count < 1) return 'invalid';
    const oid = formatOid(response.data, response.oidStart[0], response.oidEnd[0]);
    const counter = oid.startsWith(USM_STATS) ? oid.slice(USM_STATS.length).replace(/\.0$/, '') : '';
    if (counter === '4') {
      if (engineId.length === 0 || engineId.length > MAX_ENGINE_ID) return 'invalid';
      if (this.known && !this.#engineId.equals(engineId)) this.restarts++;
      this.#adopt(engineId, boots, timeS);
      return 'learnt';
    }
    if (counter === '2') {
      // Only a signed report may set the clock of a user who signs (RFC 3414 section 3.2, 7b).
      if (this.#user.auth && !isSigned) return 'invalid';
      if (boots > this.#boots) this.restarts++;
      this.#setTime(boots, timeS);
      return 'learnt';
    }
    return REPORTS[counter] ?? 'invalid';
  }

  #adopt(engineId: Uint8Array, boots: number, timeS: number): void {
    this.#engineId = Buffer.from(engineId);
    const { auth, priv } = this.#user;
    if (auth) this.#authKey = localizedKey(auth.protocol, passwordKey(auth.protocol, auth.key), engineId);
    if (auth && priv) this.#privKey = privacyKey(priv.protocol, auth.protocol, priv.key, engineId);
    this.#setTime(boots, timeS);
  }

  #setTime(boots: number, timeS: number): void {
    this.#boots = boots;
    this.#timeS = timeS;
    this.#learntAtMs = this.#now();
  }

  #engineTimeS(): number {
    return (this.#timeS + Math.floor((this.#now() - this.#learntAtMs) / 1000)) & 0x7fff_ffff;
  }

  /** RFC 3414 section 3.2, 7b: follows the clock of a signed answer, and refuses one that is too old. */
  #inTimeWindow(boots: number, timeS: number): boolean {
    if (boots > this.#boots) {
      if (this.#boots > 0) this.restarts++;
      this.#setTime(boots, timeS);
      return true;
    }
    if (boots < this.#boots) return false;
    const oursS = this.#engineTimeS();
    if (timeS > oursS) this.#setTime(boots, timeS);
    return timeS >= oursS - TIME_WINDOW_S;
  }

  /** The HMAC of a message, taken with zeros in the place where it stands. */
  #mac(message: Uint8Array, start: number): Buffer {
    const { auth } = this.#user;
    if (!auth) return Buffer.alloc(0);
    const { hash, macLength } = AUTH[auth.protocol];
    return createHmac(hash, this.#authKey)
      .update(message.subarray(0, start))
      .update(Buffer.alloc(macLength))
      .update(message.subarray(start + macLength))
      .digest()
      .subarray(0, macLength);
  }
}

/** RFC 3826 section 3.1.2.1: boots, time and salt make the initial vector. */
function aesIv(boots: number, timeS: number, salt: Uint8Array): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeUInt32BE(boots, 0);
  iv.writeUInt32BE(timeS, 4);
  iv.set(salt, 8);
  return iv;
}
