/** The commands that a session itself needs (IPMI 2.0, chapters 20 and 22). */
import type { IpmiRequest } from './lanMessage.ts';
import { PRIVILEGES, type Privilege } from './rakp.ts';

const NETFN_APP = 0x06;
/** "The channel that this comes in by." */
const THIS_CHANNEL = 0x0e;

/** Section 20.1. Asked to keep a session alive: any command would do. */
export const getDeviceId: IpmiRequest = { netFn: NETFN_APP, command: 0x01 };

/** Section 22.13. The high bit asks for the data of IPMI 2.0. */
export function getChannelAuthCapabilities(privilege: Privilege): IpmiRequest {
  return {
    netFn: NETFN_APP,
    command: 0x38,
    data: Uint8Array.of(0x80 | THIS_CHANNEL, PRIVILEGES[privilege]),
  };
}

export interface AuthCapabilities {
  readonly isIpmi20: boolean;
  /** The BMC has a key K_g, which must be known to open a session. */
  readonly needsKg: boolean;
}

/** `data` follows the completion code. Undefined when it is too short to tell. */
export function readAuthCapabilities(data: Uint8Array): AuthCapabilities | undefined {
  if (data.length < 4) return undefined;
  const [, types = 0, status = 0, extended = 0] = data;
  const isExtended = (types & 0x80) !== 0;
  return { isIpmi20: isExtended && (extended & 0x02) !== 0, needsKg: isExtended && (status & 0x20) !== 0 };
}

/** Records of Get Channel Cipher Suites come in pieces of 16 octets; a shorter one is the last. */
export const SUITE_PIECE_LENGTH = 16;
/** The index has 6 bits. */
export const MAX_SUITE_PIECES = 64;

/** Section 22.15: by cipher suite, for IPMI messages. `data` of the answer: the channel, then a piece of the records. */
export function getChannelCipherSuites(piece: number): IpmiRequest {
  return { netFn: NETFN_APP, command: 0x54, data: Uint8Array.of(THIS_CHANNEL, 0x00, 0x80 | piece) };
}

/** Section 22.18. */
export function setSessionPrivilege(privilege: Privilege): IpmiRequest {
  return { netFn: NETFN_APP, command: 0x3b, data: Uint8Array.of(PRIVILEGES[privilege]) };
}

/** Section 22.19. */
export function closeSession(bmcId: number): IpmiRequest {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(bmcId);
  return { netFn: NETFN_APP, command: 0x3c, data };
}
