/**
 * The agent's side of SNMP v3, for tests of what a session believes: takes kw's requests apart with the same
 * keys and signs whatever a test wants answered.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { BerReader, integer, Tag, tlv } from '../../src/lib/devices/snmp/codec.ts';
import type { UsmUser } from '../../src/lib/devices/snmp/url.ts';
import { localizedKey, passwordKey, privacyKey } from '../../src/lib/devices/snmp/usm.ts';

export const ENGINE_ID = Buffer.from('80001f8880e9630000d61ff449', 'hex');

export interface UsmFields {
  readonly id: number;
  /** The PDU, from its tag on. */
  readonly pdu: Uint8Array;
  readonly user?: UsmUser;
  readonly engineId?: Uint8Array;
  readonly boots?: number;
  readonly timeS?: number;
  readonly name?: string;
  /** Bits of the flags octet that are sent, if they are not those of the user. */
  readonly flags?: number;
  /** Spoils the MAC. */
  readonly isForged?: boolean;
}

/** One message as an agent would send it. Hashes as in RFC 7860: only SHA-256 and SHA-512 here. */
export function usmMessage(fields: UsmFields): Buffer {
  const { user, boots = 3, timeS = 1000, engineId = ENGINE_ID } = fields;
  const auth = user?.auth;
  const priv = user?.priv;
  const scoped = tlv(Tag.sequence, tlv(Tag.octetString, engineId), tlv(Tag.octetString), fields.pdu);
  let data: Buffer = scoped;
  const salt = Buffer.from(priv ? '0102030405060708' : '', 'hex');
  if (auth && priv) {
    const key = privacyKey(priv.protocol, auth.protocol, priv.key, engineId);
    const cipher = createCipheriv(
      key.length === 16 ? 'aes-128-cfb' : 'aes-256-cfb',
      key,
      iv(boots, timeS, salt),
    );
    data = tlv(Tag.octetString, Buffer.concat([cipher.update(scoped), cipher.final()]));
  }
  const macLength = auth ? (auth.protocol === 'sha512' ? 48 : 24) : 0;
  const saltField = tlv(Tag.octetString, salt);
  const flags = fields.flags ?? (auth ? 1 : 0) + (priv ? 2 : 0);
  const message = tlv(
    Tag.sequence,
    integer(3),
    tlv(
      Tag.sequence,
      integer(fields.id),
      integer(65507),
      tlv(Tag.octetString, Uint8Array.of(flags)),
      integer(3),
    ),
    tlv(
      Tag.octetString,
      tlv(
        Tag.sequence,
        tlv(Tag.octetString, engineId),
        integer(boots),
        integer(timeS),
        tlv(Tag.octetString, Buffer.from(fields.name ?? user?.name ?? '')),
        tlv(Tag.octetString, Buffer.alloc(macLength)),
        saltField,
      ),
    ),
    data,
  );
  if (auth) {
    const key = localizedKey(auth.protocol, passwordKey(auth.protocol, auth.key), engineId);
    const mac = createHmac(auth.protocol, key).update(message).digest().subarray(0, macLength);
    if (fields.isForged) mac[0] = (mac[0] as number) ^ 1;
    mac.copy(message, message.length - data.length - saltField.length - macLength);
  }
  return message;
}

/** Decrypts a request of kw's and returns its PDU. */
export function openRequest(message: Uint8Array, user: UsmUser): Buffer {
  const reader = new BerReader();
  reader.reset(message);
  const end = reader.enter(Tag.sequence, message.length);
  reader.next(end);
  reader.next(end);
  reader.next(end);
  const security = new BerReader();
  security.reset(message, reader.start);
  const securityEnd = security.enter(Tag.sequence, reader.end);
  security.next(securityEnd);
  const engineId = message.subarray(security.start, security.end);
  const boots = security.integer(securityEnd);
  const timeS = security.integer(securityEnd);
  for (let field = 0; field < 3; field++) security.next(securityEnd);
  const salt = message.subarray(security.start, security.end);
  let scoped: Uint8Array = message.subarray(reader.position, end);
  if (user.auth && user.priv) {
    reader.next(end);
    const key = privacyKey(user.priv.protocol, user.auth.protocol, user.priv.key, engineId);
    const cipher = key.length === 16 ? 'aes-128-cfb' : 'aes-256-cfb';
    const decipher = createDecipheriv(cipher, key, iv(boots, timeS, salt));
    scoped = Buffer.concat([decipher.update(message.subarray(reader.start, reader.end)), decipher.final()]);
  }
  const inner = new BerReader();
  inner.reset(scoped);
  const scopedEnd = inner.enter(Tag.sequence, scoped.length);
  inner.next(scopedEnd);
  inner.next(scopedEnd);
  return Buffer.from(scoped.subarray(inner.position, scopedEnd));
}

function iv(boots: number, timeS: number, salt: Uint8Array): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(boots, 0);
  bytes.writeUInt32BE(timeS, 4);
  bytes.set(salt, 8);
  return bytes;
}
