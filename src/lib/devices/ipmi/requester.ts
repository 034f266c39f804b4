/** What the reading of sensors needs of a session: one command, one answer. */

export interface Command {
  readonly netFn: number;
  readonly command: number;
  readonly data?: Uint8Array | undefined;
  /** Logical unit of the BMC, 0 by default. */
  readonly lun?: number | undefined;
}

export interface Reply {
  /** 0 is success (IPMI 2.0 table 5-2). */
  readonly completionCode: number;
  /** What follows the completion code. */
  readonly data: Buffer;
  /** Wall clock of the attempt that was answered, in microseconds since the epoch. */
  readonly requestUs: number;
  readonly answerUs: number;
}

export interface Requester {
  /** @throws IpmiError when there is no answer or no session */
  request(command: Command, timeoutMs: number): Promise<Reply>;
}

/** Network functions of requests (table 5-1). */
export const NetFn = { sensorEvent: 0x04, app: 0x06, storage: 0x0a, group: 0x2c } as const;

/** Completion codes that mean something to the reading of sensors (table 5-2). */
export const Code = {
  success: 0x00,
  nodeBusy: 0xc0,
  invalidCommand: 0xc1,
  invalidForLun: 0xc2,
  timeout: 0xc3,
  reservationLost: 0xc5,
  lengthInvalid: 0xc7,
  lengthExceeded: 0xc8,
  outOfRange: 0xc9,
  cannotReturnBytes: 0xca,
  notPresent: 0xcb,
  invalidField: 0xcc,
  illegalForSensor: 0xcd,
  noResponse: 0xce,
  repositoryUpdating: 0xd0,
  initializing: 0xd2,
  unavailable: 0xd3,
  noPrivilege: 0xd4,
  notInThisState: 0xd5,
  unspecified: 0xff,
} as const;

const WORDS: Readonly<Record<number, string>> = {
  [Code.nodeBusy]: 'node busy',
  [Code.invalidCommand]: 'invalid command',
  [Code.invalidForLun]: 'command invalid for this LUN',
  [Code.timeout]: 'timeout inside the BMC',
  [Code.reservationLost]: 'reservation lost',
  [Code.lengthInvalid]: 'request length invalid',
  [Code.lengthExceeded]: 'request length exceeded',
  [Code.outOfRange]: 'parameter out of range',
  [Code.cannotReturnBytes]: 'cannot return so many bytes',
  [Code.notPresent]: 'no such sensor or record',
  [Code.invalidField]: 'invalid field in the request',
  [Code.illegalForSensor]: 'command illegal for this sensor',
  [Code.noResponse]: 'no response could be given',
  [Code.repositoryUpdating]: 'the SDR repository is being updated',
  [Code.initializing]: 'the BMC is initializing',
  [Code.unavailable]: 'destination unavailable',
  [Code.noPrivilege]: 'the privilege of the session is not enough',
  [Code.notInThisState]: 'not supported in the present state',
  [Code.unspecified]: 'unspecified error',
};

/** Such as `completion code 0xc1, invalid command`. */
export function codeText(code: number): string {
  const words = WORDS[code];
  return `completion code 0x${code.toString(16).padStart(2, '0')}${words === undefined ? '' : `, ${words}`}`;
}
