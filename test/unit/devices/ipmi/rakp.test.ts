/**
 * Codes, keys and packets against those that ipmitool 1.8.19 (`-vvvv`, `-k`) printed of its sessions as root with the
 * password calvin and the K_g key abcdefghijklmnopqrst: figures of somebody else's reading of the specification.
 */
import { describe, expect, test } from 'vitest';
import { SecureChannel } from '../../../../src/lib/devices/ipmi/channel.ts';
import {
  type Exchange,
  equalCodes,
  passwordKeys,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  sessionIntegrityKey,
  sessionKeys,
} from '../../../../src/lib/devices/ipmi/rakp.ts';
import { type CipherSuiteId, cipherSuite, suiteIds } from '../../../../src/lib/devices/ipmi/suites.ts';

interface Vector {
  readonly suite: CipherSuiteId;
  readonly consoleRandom: string;
  readonly bmcRandom: string;
  readonly rakp2: string;
  readonly rakp3: string;
  readonly integrityKey: string;
  readonly rakp4: string;
  readonly k1: string;
  readonly k2: string;
  /** The answer to Get Device ID, from the session header on. */
  readonly packet: string;
}

const VECTORS: readonly Vector[] = [
  {
    suite: 3,
    consoleRandom: '105cd1b67d3fac7afac419114c2b1d75',
    bmcRandom: '9d3bb17281666bf174b1b62065dd05c2',
    rakp2: 'e7da8b395d8c92f09bd375cd3d9e0d460c133a5f',
    rakp3: '6dfeca16b726c7feeb1715fbfb1154c7e5c83737',
    integrityKey: 'd44e936e6f81369377f01b71d5951e75e7bd8d43',
    rakp4: '9f487b97fb968b48eca18087',
    k1: 'f83c78e013a6eaa38263cfba3b457d316a931d11',
    k2: '230fa3b70e788b1705690f99f087fc81e54b1840',
    packet:
      '06c0a4a3a2a0030000003000a4873b58591947fa53938eb59f19e326acb2dd18de7609e5ebe45e28e3d4f6835cb825d5' +
      '47957cd8ffcb90ce96d63478ffff02077ff41a1dbf198613fcd7c398',
  },
  {
    suite: 17,
    consoleRandom: '78cf469123ad4ef842d9d071befd206c',
    bmcRandom: '3b8c9e59371c3ce390da850ee2058c6c',
    rakp2: '39a30dc22493ffa35f1b4f9024b63ab3bd27f4f524c3903d21b95971a835d4b7',
    rakp3: 'd4167ae9a750a0debdee862cdb8f158b2dd0260787554fcf020c8500f0e2aa7b',
    integrityKey: 'e6072e40d6e7a6709c128867de059ae266f45365bf627cdaead15475d8f30884',
    rakp4: '6b870e4b3d2eea5c1b8de06829521cc8',
    k1: '4ec3195c94b77b6a68885e4d8c96a3e7decf924a943b252a05f868bfadcfa0ba',
    k2: 'ba83efe45c5452f3b62b044a629fe268c6f2737207358297405f39995f719c9c',
    packet:
      '06c0a4a3a2a0030000003000bae435c6e3bc44f47e7bafcf6a41d9c8c65cd1c63d43963c3fdaf30bc22928356a87ba15' +
      'bb173b5215bc034ca1bc0bdaffff0207c0bb20ed0e8e5c65343378ec3b72d9c7',
  },
];
const USER = Buffer.from('root');
const CONSOLE_ID = 0xa0a2a3a4;
const BMC_ID = 0x0201;

describe.each(VECTORS)('suite $suite', (vector) => {
  const suite = cipherSuite(vector.suite);
  const exchange: Exchange = {
    suite,
    consoleId: CONSOLE_ID,
    bmcId: BMC_ID,
    consoleRandom: Buffer.from(vector.consoleRandom, 'hex'),
    bmcRandom: Buffer.from(vector.bmcRandom, 'hex'),
    guid: Buffer.from('30313233343536373839616263646566', 'hex'),
    role: 0x14,
    user: USER,
  };
  const [password = Buffer.alloc(0)] = passwordKeys('calvin');
  const integrityKey = Buffer.from(vector.integrityKey, 'hex');

  test('has the codes of the RAKP messages', () => {
    expect(rakp2Code(exchange, password).toString('hex')).toBe(vector.rakp2);
    expect(rakp3Code(exchange, password).toString('hex')).toBe(vector.rakp3);
    expect(rakp4Code(exchange, integrityKey).toString('hex')).toBe(vector.rakp4);
  });

  test('has the keys of the session', () => {
    expect(sessionIntegrityKey(exchange, Buffer.from('abcdefghijklmnopqrst')).toString('hex')).toBe(
      vector.integrityKey,
    );
    const { k1, k2 } = sessionKeys(suite, integrityKey);
    expect([k1.toString('hex'), k2.toString('hex')]).toEqual([vector.k1, vector.k2]);
  });

  test('opens a packet, once', () => {
    const channel = new SecureChannel(suite, sessionKeys(suite, integrityKey), CONSOLE_ID, BMC_ID);
    const packet = Buffer.from(`0600ff07${vector.packet}`, 'hex');
    expect(channel.open(packet)?.toString('hex')).toBe('811c63200c0100200101050203ffff0034120000000063');
    expect(channel.open(packet)).toBeUndefined();
  });
});

test('passwords beyond 16 octets are known in both forms in which BMCs store them', () => {
  expect(passwordKeys('sixteen letters!').map(String)).toEqual(['sixteen letters!']);
  expect(passwordKeys('seventeen letters').map(String)).toEqual(['seventeen letters', 'seventeen letter']);
});

test('codes of another length are not equal', () => {
  expect(equalCodes(Buffer.from('abc'), Buffer.from('abc'))).toBe(true);
  expect(equalCodes(Buffer.from('abc'), Buffer.from('abd'))).toBe(false);
  expect(equalCodes(Buffer.from('abc'), Buffer.from('ab'))).toBe(false);
});

test('suites are read from the records of a BMC, those of manufacturers and cut ones left out', () => {
  const records = 'c0030141 81 c180f21b00014181 c01103448 1 c0'.replaceAll(' ', '');
  expect(suiteIds(Buffer.from(records, 'hex'))).toEqual([3, 17]);
  expect(suiteIds(Buffer.alloc(0))).toEqual([]);
});
