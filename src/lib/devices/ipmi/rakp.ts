/**
 * Opening a session: the payloads of Open Session and of RAKP messages 1 to 4, and the keys that come of them
 * (IPMI 2.0, sections 13.17 to 13.24, 13.31 and 13.32).
 *
 *   console                                        BMC
 *   Open Session Request   --- suite, SIDM --->
 *                          <-- suite, SIDC ---     Open Session Response
 *   RAKP 1                 --- RM, user ------>
 *                          <-- RC, GUID, code --   RAKP 2: shows that the BMC knows the password
 *   RAKP 3                 --- code ---------->    shows that we know it
 *                          <-- check value ----    RAKP 4: both have the same session key
 *
 * The letters are those of the specification: M is the remote console, C the managed system ("BMC").
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SessionKeys } from './channel.ts';
import type { CipherSuite } from './suites.ts';

export const RANDOM_LENGTH = 16;
/** Most octets of a user name (section 22.28) and of a password (section 22.30) or key K_g (section 22.25). */
export const MAX_USER_LENGTH = 16;
export const MAX_PASSWORD_LENGTH = 20;
export const KG_LENGTH = 20;
/** Passwords of IPMI 1.5; BMCs that store no more cut the others. */
const SHORT_PASSWORD_LENGTH = 16;

/** The limits of privilege, table 13-20 and section 6.8. */
export const PRIVILEGES = { callback: 1, user: 2, operator: 3, administrator: 4 } as const;
export type Privilege = keyof typeof PRIVILEGES;
/** In the role octet of RAKP 1: look the user up by name alone, not by name and privilege. */
const NAME_ONLY = 0x10;

/** What both sides know once RAKP 2 has come: the codes and keys are made of it. */
export interface Exchange {
  readonly suite: CipherSuite;
  /** SIDM and SIDC. */
  readonly consoleId: number;
  readonly bmcId: number;
  /** RM and RC. */
  readonly consoleRandom: Uint8Array;
  readonly bmcRandom: Uint8Array;
  readonly guid: Uint8Array;
  /** RoleM, with the bit for the look-up. */
  readonly role: number;
  readonly user: Uint8Array;
}

export function roleOctet(privilege: Privilege, lookUpByName: boolean): number {
  return PRIVILEGES[privilege] | (lookUpByName ? NAME_ONLY : 0);
}

/** Section 13.17. The privilege asked for here is a limit; ours comes in RAKP 1. */
export function encodeOpenSession(
  tag: number,
  privilege: Privilege,
  consoleId: number,
  suite: CipherSuite,
): Buffer {
  const payload = Buffer.alloc(32);
  payload[0] = tag;
  payload[1] = PRIVILEGES[privilege];
  payload.writeUInt32LE(consoleId, 4);
  [suite.authentication, suite.integrity, suite.confidentiality].forEach((algorithm, type) => {
    payload.set([type, 0, 0, 8, algorithm], 8 + 8 * type);
  });
  return payload;
}

/** What the answers of a BMC begin with: octets 0, 1 and 4 to 7 of Open Session Response, RAKP 2 and RAKP 4. */
export interface Answer {
  readonly tag: number;
  readonly status: number;
}

/** @returns undefined if the payload is no answer to this console */
function decodeAnswer(payload: Buffer, consoleId: number, length: number): Answer | undefined {
  if (payload.length < 2) return undefined;
  const [tag = 0, status = 0] = payload;
  // With a status other than 0 the rest may be missing; the id has to be right if it is there.
  if (payload.length >= 8 ? payload.readUInt32LE(4) !== consoleId : status === 0) return undefined;
  if (status === 0 && payload.length < length) return undefined;
  return { tag, status };
}

export interface OpenSessionAnswer extends Answer {
  readonly bmcId: number;
  /** Whether the BMC took the algorithms that were asked for. */
  readonly isSuite: boolean;
}

/** Section 13.18. The privilege in it is not looked at: some BMCs answer with one that was not asked for. */
export function decodeOpenSession(
  payload: Buffer,
  consoleId: number,
  suite: CipherSuite,
): OpenSessionAnswer | undefined {
  const answer = decodeAnswer(payload, consoleId, 36);
  if (!answer) return undefined;
  if (answer.status !== 0) return { ...answer, bmcId: 0, isSuite: false };
  const bmcId = payload.readUInt32LE(8);
  if (bmcId === 0) return undefined;
  const isSuite =
    payload[16] === suite.authentication &&
    payload[24] === suite.integrity &&
    payload[32] === suite.confidentiality;
  return { ...answer, bmcId, isSuite };
}

/** Section 13.20. */
export function encodeRakp1(
  tag: number,
  bmcId: number,
  consoleRandom: Uint8Array,
  role: number,
  user: Uint8Array,
): Buffer {
  const payload = Buffer.alloc(28 + user.length);
  payload[0] = tag;
  payload.writeUInt32LE(bmcId, 4);
  payload.set(consoleRandom, 8);
  payload[24] = role;
  payload[27] = user.length;
  payload.set(user, 28);
  return payload;
}

export interface Rakp2 extends Answer {
  readonly bmcRandom: Buffer;
  readonly guid: Buffer;
  readonly code: Buffer;
}

/** Section 13.21. */
export function decodeRakp2(payload: Buffer, consoleId: number, suite: CipherSuite): Rakp2 | undefined {
  const length = 40 + suite.exchangeCodeLength;
  const answer = decodeAnswer(payload, consoleId, length);
  if (!answer) return undefined;
  return {
    ...answer,
    bmcRandom: Buffer.from(payload.subarray(8, 24)),
    guid: Buffer.from(payload.subarray(24, 40)),
    code: Buffer.from(payload.subarray(40, length)),
  };
}

/** Section 13.22. With a status other than 0 it has no code, and ends the exchange on the BMC. */
export function encodeRakp3(tag: number, status: number, bmcId: number, code: Uint8Array): Buffer {
  const payload = Buffer.alloc(8 + (status === 0 ? code.length : 0));
  payload[0] = tag;
  payload[1] = status;
  payload.writeUInt32LE(bmcId, 4);
  if (status === 0) payload.set(code, 8);
  return payload;
}

export interface Rakp4 extends Answer {
  readonly code: Buffer;
}

/** Section 13.23. */
export function decodeRakp4(payload: Buffer, consoleId: number, suite: CipherSuite): Rakp4 | undefined {
  const length = 8 + suite.authCodeLength;
  const answer = decodeAnswer(payload, consoleId, length);
  return answer && { ...answer, code: Buffer.from(payload.subarray(8, length)) };
}

/**
 * The password as a key (K[UID], section 13.31): the whole of it, and the form in which BMCs store it that have room
 * for 16 octets only. Zeros behind it change nothing, since HMAC fills short keys with zeros.
 */
export function passwordKeys(password: string): Buffer[] {
  const whole = Buffer.from(password);
  return whole.length > SHORT_PASSWORD_LENGTH ? [whole, whole.subarray(0, SHORT_PASSWORD_LENGTH)] : [whole];
}

/** The code of RAKP 2: HMAC K[UID] (SIDM, SIDC, RM, RC, GUIDC, RoleM, ULengthM, UNameM). */
export function rakp2Code(exchange: Exchange, key: Uint8Array): Buffer {
  const { suite, consoleId, bmcId, consoleRandom, bmcRandom, guid } = exchange;
  return createHmac(suite.hash, key)
    .update(uint32(consoleId))
    .update(uint32(bmcId))
    .update(consoleRandom)
    .update(bmcRandom)
    .update(guid)
    .update(roleAndUser(exchange))
    .digest();
}

/** The code of RAKP 3: HMAC K[UID] (RC, SIDM, RoleM, ULengthM, UNameM). */
export function rakp3Code(exchange: Exchange, key: Uint8Array): Buffer {
  return createHmac(exchange.suite.hash, key)
    .update(exchange.bmcRandom)
    .update(uint32(exchange.consoleId))
    .update(roleAndUser(exchange))
    .digest();
}

/** The session integrity key: HMAC K_g (RM, RC, RoleM, ULengthM, UNameM); without K_g, K[UID] takes its place. */
export function sessionIntegrityKey(exchange: Exchange, key: Uint8Array): Buffer {
  return createHmac(exchange.suite.hash, key)
    .update(exchange.consoleRandom)
    .update(exchange.bmcRandom)
    .update(roleAndUser(exchange))
    .digest();
}

/** The check value of RAKP 4: HMAC SIK (RM, SIDC, GUIDC), cut to the length of the suite. */
export function rakp4Code(exchange: Exchange, integrityKey: Uint8Array): Buffer {
  const { suite, consoleRandom, bmcId, guid } = exchange;
  return createHmac(suite.hash, integrityKey)
    .update(consoleRandom)
    .update(uint32(bmcId))
    .update(guid)
    .digest()
    .subarray(0, suite.authCodeLength);
}

/** Section 13.32: K1 and K2 are HMAC SIK of 20 octets 01, and of 20 octets 02. */
export function sessionKeys(suite: CipherSuite, integrityKey: Uint8Array): SessionKeys {
  const key = (octet: number) =>
    createHmac(suite.hash, integrityKey).update(Buffer.alloc(20, octet)).digest();
  return { k1: key(1), k2: key(2) };
}

/** Constant time. */
export function equalCodes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function roleAndUser({ role, user }: Exchange): Buffer {
  return Buffer.concat([Uint8Array.of(role, user.length), user]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** What a status of Open Session, RAKP 2 or RAKP 4 means (table 13-15). */
export const RakpStatus = {
  noResources: 0x01,
  invalidSessionId: 0x02,
  inactiveSessionId: 0x08,
  invalidRole: 0x09,
  unauthorizedRole: 0x0a,
  noResourcesForRole: 0x0b,
  unauthorizedName: 0x0d,
  invalidIntegrityCheck: 0x0f,
} as const;

/** Statuses that say that the BMC does not take the algorithms of the suite. */
export function isSuiteRefusal(status: number): boolean {
  return (status >= 0x04 && status <= 0x07) || status === 0x10 || status === 0x11;
}
