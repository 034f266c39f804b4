/**
 * Packets: an RMCP header, a session header of IPMI 1.5 or 2.0 ("RMCP+"), a payload (IPMI 2.0, sections 13.1.3, 13.5
 * and 13.6). Only what stands outside of a session and the header of what stands in one is read here; the inside of
 * a session is channel.ts.
 *
 *   RMCP   06 00 FF 07
 *   1.5    00 sequence:4 session:4 length:1 payload
 *   2.0    06 payloadType sequence... : 06 type:1 session:4 sequence:4 length:2 payload [trailer]
 */

/** Version 1.0, reserved, no acknowledgement, class IPMI. */
const RMCP_HEADER = Buffer.from([0x06, 0x00, 0xff, 0x07]);
const RMCP_LENGTH = 4;
const V15_HEADER_LENGTH = RMCP_LENGTH + 10;
/** Where the payload of an RMCP+ packet begins. */
export const PLUS_HEADER_LENGTH = RMCP_LENGTH + 12;
const AUTHENTICATION_NONE = 0x00;
const AUTHENTICATION_PLUS = 0x06;

/** Section 13.27.3, table 13-16. */
export const PayloadType = {
  ipmi: 0x00,
  openSessionRequest: 0x10,
  openSessionResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const;

/** Bits of the payload type. */
export const ENCRYPTED = 0x80;
export const AUTHENTICATED = 0x40;

/** Where the session's own part of a packet begins: what its authentication code covers (section 13.28.4). */
export const SESSION_START = RMCP_LENGTH;

/** A message outside of a session, in the form of IPMI 1.5, which BMCs of either version read. */
export function encodePlain(message: Uint8Array): Buffer {
  const packet = Buffer.alloc(V15_HEADER_LENGTH + message.length);
  packet.set(RMCP_HEADER);
  packet[RMCP_LENGTH] = AUTHENTICATION_NONE;
  packet[V15_HEADER_LENGTH - 1] = message.length;
  packet.set(message, V15_HEADER_LENGTH);
  return packet;
}

/** The message of a packet outside of a session, in either form; undefined for anything else. */
export function decodePlain(packet: Buffer): Buffer | undefined {
  if (!hasRmcpHeader(packet)) return undefined;
  if (packet[RMCP_LENGTH] === AUTHENTICATION_PLUS) return decodeSetUp(packet, PayloadType.ipmi);
  if (packet.length < V15_HEADER_LENGTH || packet[RMCP_LENGTH] !== AUTHENTICATION_NONE) return undefined;
  if (packet.readUInt32LE(RMCP_LENGTH + 5) !== 0) return undefined;
  const end = V15_HEADER_LENGTH + (packet[V15_HEADER_LENGTH - 1] as number);
  return end <= packet.length ? packet.subarray(V15_HEADER_LENGTH, end) : undefined;
}

/** A packet of session set-up: RMCP+ without session, neither encrypted nor authenticated. */
export function encodeSetUp(payloadType: number, payload: Uint8Array): Buffer {
  const packet = Buffer.alloc(PLUS_HEADER_LENGTH + payload.length);
  writePlusHeader(packet, payloadType, 0, 0, payload.length);
  packet.set(payload, PLUS_HEADER_LENGTH);
  return packet;
}

/** The payload of such a packet if it is of this type. */
export function decodeSetUp(packet: Buffer, payloadType: number): Buffer | undefined {
  if (!isPlus(packet) || packet[RMCP_LENGTH + 1] !== payloadType) return undefined;
  if (sessionOf(packet) !== 0) return undefined;
  const end = PLUS_HEADER_LENGTH + payloadLengthOf(packet);
  return end <= packet.length ? packet.subarray(PLUS_HEADER_LENGTH, end) : undefined;
}

export function writePlusHeader(
  packet: Buffer,
  payloadType: number,
  session: number,
  sequence: number,
  payloadLength: number,
): void {
  packet.set(RMCP_HEADER);
  packet[RMCP_LENGTH] = AUTHENTICATION_PLUS;
  packet[RMCP_LENGTH + 1] = payloadType;
  packet.writeUInt32LE(session, RMCP_LENGTH + 2);
  packet.writeUInt32LE(sequence, RMCP_LENGTH + 6);
  packet.writeUInt16LE(payloadLength, RMCP_LENGTH + 10);
}

/** Whether the packet has an RMCP+ header: the functions below may be asked. */
export function isPlus(packet: Buffer): boolean {
  return (
    packet.length >= PLUS_HEADER_LENGTH &&
    hasRmcpHeader(packet) &&
    packet[RMCP_LENGTH] === AUTHENTICATION_PLUS
  );
}

/** The type of the payload with its two bits. */
export function payloadTypeOf(packet: Buffer): number {
  return packet[RMCP_LENGTH + 1] as number;
}

export function sessionOf(packet: Buffer): number {
  return packet.readUInt32LE(RMCP_LENGTH + 2);
}

export function sequenceOf(packet: Buffer): number {
  return packet.readUInt32LE(RMCP_LENGTH + 6);
}

export function payloadLengthOf(packet: Buffer): number {
  return packet.readUInt16LE(RMCP_LENGTH + 10);
}

/** The sequence number of RMCP is not looked at: BMCs answer with any (section 13.1.3 says FF, no acknowledgement). */
function hasRmcpHeader(packet: Buffer): boolean {
  return packet.length > RMCP_LENGTH && packet[0] === RMCP_HEADER[0] && packet[3] === RMCP_HEADER[3];
}
