/**
 * IPMI messages as they travel on a LAN (IPMI 2.0, section 13.8), inside a packet of either version:
 *
 *   request   rsAddr netFn/LUN checksum | rqAddr rqSeq/LUN command data... checksum
 *   response  rqAddr netFn/LUN checksum | rsAddr rqSeq/LUN command completionCode data... checksum
 */

const BMC_ADDRESS = 0x20;
/** The software id of a remote console (section 5.5), in the form of an address. */
const CONSOLE_ADDRESS = 0x81;
/** Octets before the data of a request, and of a response with its completion code. */
const REQUEST_HEADER = 6;
const RESPONSE_HEADER = 7;

/** Numbers of requests before they come round again. */
export const REQUEST_NUMBERS = 64;

export interface IpmiRequest {
  readonly netFn: number;
  readonly command: number;
  readonly data?: Uint8Array | undefined;
  /** Logical unit of the BMC, 0 by default. */
  readonly lun?: number | undefined;
}

export function encodeRequest(request: IpmiRequest, number: number): Buffer {
  const { netFn, command, data, lun = 0 } = request;
  const message = Buffer.allocUnsafe(REQUEST_HEADER + 1 + (data?.length ?? 0));
  message[0] = BMC_ADDRESS;
  message[1] = (netFn << 2) | lun;
  message[2] = -(BMC_ADDRESS + message[1]);
  message[3] = CONSOLE_ADDRESS;
  message[4] = number << 2;
  message[5] = command;
  if (data) message.set(data, REQUEST_HEADER);
  message[message.length - 1] = checksum(message, 3, message.length - 1);
  return message;
}

/**
 * Whether the message is a sound response to such a request, whatever its number. Tells `responseNumber`,
 * `completionCode` and `responseData` that they may be asked.
 */
export function isResponseTo(request: IpmiRequest, message: Uint8Array): boolean {
  return (
    message.length >= RESPONSE_HEADER + 1 &&
    message[0] === CONSOLE_ADDRESS &&
    (message[1] as number) >> 2 === request.netFn + 1 &&
    message[3] === BMC_ADDRESS &&
    message[5] === request.command &&
    checksum(message, 0, 2) === message[2] &&
    checksum(message, 3, message.length - 1) === message[message.length - 1]
  );
}

export function responseNumber(message: Uint8Array): number {
  return (message[4] as number) >> 2;
}

export function completionCode(message: Uint8Array): number {
  return message[6] as number;
}

/** What follows the completion code. */
export function responseData(message: Buffer): Buffer {
  return message.subarray(RESPONSE_HEADER, message.length - 1);
}

/** Two's complement of the sum: a part and its checksum add up to 0. */
function checksum(message: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let index = start; index < end; index++) sum += message[index] as number;
  return -sum & 0xff;
}
