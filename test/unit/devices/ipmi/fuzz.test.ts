import { describe, expect, test } from 'vitest';
import { SecureChannel } from '../../../../src/lib/devices/ipmi/channel.ts';
import { getDeviceId, readAuthCapabilities } from '../../../../src/lib/devices/ipmi/commands.ts';
import {
  completionCode,
  encodeRequest,
  isResponseTo,
  responseData,
  responseNumber,
} from '../../../../src/lib/devices/ipmi/lanMessage.ts';
import {
  decodePlain,
  decodeSetUp,
  encodePlain,
  encodeSetUp,
  PayloadType,
} from '../../../../src/lib/devices/ipmi/packet.ts';
import {
  decodeOpenSession,
  decodeRakp2,
  decodeRakp4,
  type Exchange,
  equalCodes,
  rakp2Code,
  rakp4Code,
} from '../../../../src/lib/devices/ipmi/rakp.ts';
import { cipherSuite, suiteIds } from '../../../../src/lib/devices/ipmi/suites.ts';
import { mutated, random, randomDatagram } from '../../../support/random.ts';

const RUNS = 100_000;
const CONSOLE_ID = 0xa1b2c3d4;
const BMC_ID = 0x0201;
const suite = cipherSuite(17);
const key = Buffer.from('calvin');
const exchange: Exchange = {
  suite,
  consoleId: CONSOLE_ID,
  bmcId: BMC_ID,
  consoleRandom: Buffer.alloc(16, 1),
  bmcRandom: Buffer.alloc(16, 2),
  guid: Buffer.alloc(16, 3),
  role: 0x12,
  user: Buffer.from('root'),
};

function ids(length: number): Buffer {
  const payload = Buffer.alloc(length);
  payload[0] = 7;
  payload.writeUInt32LE(CONSOLE_ID, 4);
  return payload;
}

/** The answers of a BMC that kw decodes outside of a session, and what it does with each. */
const openAnswer = ids(36);
openAnswer.writeUInt32LE(BMC_ID, 8);
[3, 4, 1].forEach((algorithm, kind) => {
  openAnswer.set([kind, 0, 0, 8, algorithm], 12 + 8 * kind);
});
const rakp2 = Buffer.concat([ids(8), exchange.bmcRandom, exchange.guid, rakp2Code(exchange, key)]);
const rakp4 = Buffer.concat([ids(8), rakp4Code(exchange, key)]);
/** A response is like a request with the addresses the other way round, and a completion code. */
const plain = Buffer.from('81 1c 63 20 04 01 00 20 01 02 b8'.replaceAll(' ', ''), 'hex');

function useMessage(message: Buffer | undefined): boolean {
  if (!message || !isResponseTo(getDeviceId, message)) return false;
  expect(responseNumber(message)).toBeLessThan(64);
  expect(completionCode(message)).toBeLessThan(256);
  const data = responseData(message);
  readAuthCapabilities(data);
  suiteIds(data.subarray(1));
  return true;
}

const DECODERS: [string, Buffer, (datagram: Buffer) => boolean][] = [
  ['messages outside of a session', encodePlain(plain), (datagram) => useMessage(decodePlain(datagram))],
  [
    'Open Session Response',
    encodeSetUp(PayloadType.openSessionResponse, openAnswer),
    (datagram) => {
      const payload = decodeSetUp(datagram, PayloadType.openSessionResponse);
      const answer = payload && decodeOpenSession(payload, CONSOLE_ID, suite);
      if (answer?.status === 0) expect(answer.bmcId).toBeGreaterThan(0);
      return answer !== undefined;
    },
  ],
  [
    'RAKP message 2',
    encodeSetUp(PayloadType.rakp2, rakp2),
    (datagram) => {
      const payload = decodeSetUp(datagram, PayloadType.rakp2);
      const answer = payload && decodeRakp2(payload, CONSOLE_ID, suite);
      if (answer?.status !== 0) return answer !== undefined;
      const { bmcRandom, guid, code } = answer;
      // Nothing changed may pass for a BMC that knows the password.
      if (equalCodes(rakp2Code({ ...exchange, bmcRandom, guid }, key), code))
        expect(payload?.subarray(8, 72)).toEqual(rakp2.subarray(8));
      return true;
    },
  ],
  [
    'RAKP message 4',
    encodeSetUp(PayloadType.rakp4, rakp4),
    (datagram) => {
      const payload = decodeSetUp(datagram, PayloadType.rakp4);
      const answer = payload && decodeRakp4(payload, CONSOLE_ID, suite);
      if (answer?.status !== 0) return answer !== undefined;
      expect(equalCodes(rakp4Code(exchange, key), answer.code)).toBe(
        answer.code.equals(rakp4.subarray(8, 24)),
      );
      return true;
    },
  ],
  [
    'records of cipher suites',
    Buffer.from('c0030141 81c180f21b00014181c011034481'.replaceAll(' ', ''), 'hex'),
    (records) => suiteIds(records).length > 0,
  ],
  [
    'authentication capabilities',
    Buffer.from('0180240300000000', 'hex'),
    (data) => readAuthCapabilities(data) !== undefined,
  ],
];

describe.each(DECODERS)('no datagram brings the decoder down: %s', (_name, good, decode) => {
  test(`${RUNS} random ones`, () => {
    const next = random(20261124);
    for (let run = 0; run < RUNS; run++) {
      const datagram = randomDatagram(next);
      // Half of them begin as they should, or nothing behind would be reached.
      if (run % 2 === 0) datagram.set(good.subarray(0, Math.min(16, datagram.length, good.length)));
      decode(datagram);
    }
  });

  test(`${RUNS} mutated ones`, () => {
    const next = random(20261125);
    expect(decode(good)).toBe(true);
    let sound = 0;
    for (let run = 0; run < RUNS; run++) if (decode(mutated(good, next))) sound++;
    expect(sound).toBeGreaterThan(100);
  });
});

describe('no datagram passes for one of the session', () => {
  const keys = () => ({ k1: Buffer.alloc(20, 'k1'), k2: Buffer.alloc(20, 'k2') });
  const message = encodeRequest(getDeviceId, 5);

  test.each([
    ['random', (next: () => number) => randomDatagram(next)],
    ['mutated', (next: () => number, good: Buffer) => mutated(good, next)],
  ])(`of ${RUNS} %s ones`, (_name, make) => {
    const next = random(20261126);
    const console = new SecureChannel(suite, keys(), CONSOLE_ID, BMC_ID);
    const bmc = new SecureChannel(suite, keys(), BMC_ID, CONSOLE_ID);
    const good = bmc.seal(message);
    for (let run = 0; run < RUNS; run++) {
      const datagram = make(next, good);
      // What a mutation left as it was, from the session header on, is no forgery.
      if (datagram.subarray(4).equals(good.subarray(4))) continue;
      if (run % 2 === 0) datagram.set(good.subarray(0, Math.min(16, datagram.length)));
      if (datagram.subarray(4).equals(good.subarray(4))) continue;
      if (console.open(datagram) !== undefined) throw new Error(`taken: ${datagram.toString('hex')}`);
    }
    expect(console.open(good)).toEqual(message);
  });
});
