import { describe, expect, test } from 'vitest';
import { BerReader, encodeGet, integer, Response, Tag, tlv } from '../../../../src/lib/devices/snmp/codec.ts';
import { parseOid } from '../../../../src/lib/devices/snmp/oid.ts';
import type { UsmUser } from '../../../../src/lib/devices/snmp/url.ts';
import { localizedKey, passwordKey, privacyKey, UsmEngine } from '../../../../src/lib/devices/snmp/usm.ts';
import { ENGINE_ID, openRequest, type UsmFields, usmMessage } from '../../../support/usmAgent.ts';

const ID = 0x0100_0008;
const OID = parseOid('1.3.6.1.2.1.1.3.0');
const PLAIN: UsmUser = { name: 'kw', level: 'noAuthNoPriv', context: '' };
const SIGNED: UsmUser = {
  name: 'kw',
  level: 'authNoPriv',
  auth: { protocol: 'sha256', key: 'authpass123' },
  context: '',
};
const SEALED: UsmUser = {
  ...SIGNED,
  level: 'authPriv',
  auth: { protocol: 'sha512', key: 'authpass123' },
  priv: { protocol: 'aes256', key: 'privpass123' },
};

function pdu(tag: number, oid: string, value: Uint8Array): Buffer {
  const varbind = tlv(Tag.sequence, tlv(Tag.oid, parseOid(oid)), value);
  return tlv(tag, integer(ID), integer(0), integer(0), tlv(Tag.sequence, varbind));
}
const ANSWER = pdu(Tag.response, '1.3.6.1.2.1.1.3.0', integer(42));
const report = (counter: number) =>
  pdu(Tag.report, `1.3.6.1.6.3.15.1.1.${counter}.0`, tlv(Tag.counter32, Uint8Array.of(1)));

/** An engine that met its agent already, with a clock that the test turns. */
function engineOf(user: UsmUser) {
  let nowMs = 0;
  const engine = new UsmEngine(user, () => nowMs);
  const response = new Response(4);
  const unwrap = (fields: Omit<UsmFields, 'id'>) =>
    engine.unwrap(usmMessage({ id: ID, ...fields }), new BerReader(), response);
  expect(unwrap({ pdu: report(4) })).toBe('learnt');
  return {
    engine,
    response,
    unwrap,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe('keys', () => {
  test("RFC 3414's examples (A.3)", () => {
    const engineId = Buffer.from('000000000000000000000002', 'hex');
    expect(localizedKey('md5', passwordKey('md5', 'maplesyrup'), engineId).toString('hex')).toBe(
      '526f5eed9fcce26f8964c2930787d82b',
    );
    expect(localizedKey('sha1', passwordKey('sha1', 'maplesyrup'), engineId).toString('hex')).toBe(
      '6695febc9288e36282235fc7151f128497b38f3f',
    );
  });

  test('are cut to the length of the cipher, or stretched in two ways', () => {
    const localized = localizedKey('sha256', passwordKey('sha256', 'privpass123'), ENGINE_ID);
    expect(privacyKey('aes128', 'sha256', 'privpass123', ENGINE_ID)).toEqual(localized.subarray(0, 16));
    expect(privacyKey('aes256', 'sha256', 'privpass123', ENGINE_ID)).toEqual(localized);
    const short = localizedKey('sha1', passwordKey('sha1', 'privpass123'), ENGINE_ID);
    const blumenthal = privacyKey('aes256', 'sha1', 'privpass123', ENGINE_ID);
    const reeder = privacyKey('aes256c', 'sha1', 'privpass123', ENGINE_ID);
    for (const key of [blumenthal, reeder]) {
      expect(key.length).toBe(32);
      expect(key.subarray(0, 20)).toEqual(short);
    }
    expect(reeder.equals(blumenthal)).toBe(false);
  });
});

describe('requests', () => {
  test('the first one asks who the agent is, and says nothing', () => {
    const engine = new UsmEngine(SEALED);
    const message = engine.wrap(encodeGet(Tag.getRequest, [OID]), ID);
    expect(message.toString('hex')).toBe(
      '303e020103' +
        '3011020401000008020300ffe30401040201' +
        '03' +
        '04103' +
        '00e0400020100020100040004000400' +
        '30140400040' +
        '0a00e020401000008' +
        '02010002' +
        '01003000',
    );
  });

  test.each([
    ['plain', PLAIN],
    ['signed', SIGNED],
    ['sealed', SEALED],
  ])('%s ones carry the PDU', (_name, user) => {
    const { engine } = engineOf(user);
    const request = encodeGet(Tag.getRequest, [OID]);
    const message = engine.wrap(request, ID);
    expect(openRequest(message, user).toString('hex')).toBe(
      request.bytes.toString('hex').replace('020401000000', '020401000008'),
    );
    expect(message.includes(Buffer.from(OID))).toBe(user !== SEALED);
  });

  test('no salt is used twice', () => {
    const { engine } = engineOf(SEALED);
    const request = encodeGet(Tag.getRequest, [OID]);
    const messages = Array.from({ length: 100 }, () => engine.wrap(request, ID).toString('hex'));
    expect(new Set(messages).size).toBe(100);
  });
});

describe('answers', () => {
  test.each([
    ['plain', PLAIN],
    ['signed', SIGNED],
    ['sealed', SEALED],
  ])('%s ones are read', (_name, user) => {
    const { unwrap, response } = engineOf(user);
    expect(unwrap({ pdu: ANSWER, user })).toBe('response');
    expect(response).toMatchObject({ requestId: ID, count: 1 });
    expect(response.number[0]).toBe(42);
  });

  test.each<[string, UsmUser, Omit<UsmFields, 'id' | 'pdu'>]>([
    ['an unsigned answer to a user who signs', SIGNED, { name: 'kw' }],
    ['an unsigned answer to a user who seals', SEALED, { name: 'kw' }],
    [
      'a signed answer to a user who seals',
      SEALED,
      { user: { ...SEALED, level: 'authNoPriv', priv: undefined } as never },
    ],
    ['a forged signature', SIGNED, { user: SIGNED, isForged: true }],
    ['a signature that only the flags promise', SIGNED, { name: 'kw', flags: 1 }],
    ['a seal that only the flags promise', SEALED, { name: 'kw', flags: 3 }],
    ['a seal for a user who has no key', PLAIN, { name: 'kw', flags: 3 }],
    ['a signature for a user who has no key', PLAIN, { name: 'kw', flags: 1 }],
    ["another engine's", SIGNED, { user: SIGNED, engineId: Buffer.from('800000000102', 'hex') }],
    ["another user's", PLAIN, { name: 'root' }],
    ['one from before the last boot', SIGNED, { user: SIGNED, boots: 2 }],
    ['one that is 151 s old', SIGNED, { user: SIGNED, timeS: 849 }],
  ])('%s is ignored', (_name, user, fields) => {
    const { unwrap } = engineOf(user);
    expect(unwrap({ pdu: ANSWER, ...fields })).toBe('invalid');
    expect(unwrap({ pdu: ANSWER, user })).toBe('response');
  });

  test("follow the agent's clock and its boots", () => {
    const { engine, unwrap, advance } = engineOf(SIGNED);
    advance(3_600_000);
    expect(unwrap({ pdu: ANSWER, user: SIGNED, timeS: 4600 })).toBe('response');
    expect(unwrap({ pdu: ANSWER, user: SIGNED, timeS: 4449 })).toBe('invalid');
    expect(engine.restarts).toBe(0);
    expect(unwrap({ pdu: ANSWER, user: SIGNED, boots: 4, timeS: 1 })).toBe('response');
    expect(engine.restarts).toBe(1);
  });
});

describe('reports', () => {
  test.each([
    [1, 'unsupportedSecLevels'],
    [3, 'unknownUserNames'],
    [5, 'wrongDigests'],
    [6, 'decryptionErrors'],
    [9, 'invalid'],
  ])('counter %i', (counter, verdict) => {
    expect(engineOf(SIGNED).unwrap({ pdu: report(counter) })).toBe(verdict);
  });

  test('only a signed one may set the clock of a user who signs', () => {
    const { engine, unwrap } = engineOf(SIGNED);
    expect(unwrap({ pdu: report(2), boots: 9 })).toBe('invalid');
    expect(unwrap({ pdu: report(2), boots: 9, user: SIGNED })).toBe('learnt');
    expect(engine.restarts).toBe(1);
    expect(unwrap({ pdu: ANSWER, user: SIGNED, boots: 9 })).toBe('response');
  });

  test('an agent of another id is met anew', () => {
    const { engine, unwrap } = engineOf(SIGNED);
    const engineId = Buffer.from('800000000102', 'hex');
    expect(unwrap({ pdu: report(4), engineId })).toBe('learnt');
    expect(engine.restarts).toBe(1);
    expect(unwrap({ pdu: ANSWER, user: SIGNED, engineId })).toBe('response');
    expect(unwrap({ pdu: report(4), engineId: Buffer.alloc(0) })).toBe('invalid');
    expect(unwrap({ pdu: report(4), engineId: Buffer.alloc(33) })).toBe('invalid');
  });
});
