import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BerReader,
  encodeCommunityMessage,
  encodeGet,
  encodeGetBulk,
  integer,
  patchId,
  peekRequestId,
  Response,
  readCommunityMessage,
  Tag,
  tlv,
} from '../../../../src/lib/devices/snmp/codec.ts';
import { formatOid, parseOid } from '../../../../src/lib/devices/snmp/oid.ts';

const SYS_UP_TIME = parseOid('1.3.6.1.2.1.1.3.0');

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

describe('requests, byte for byte as net-snmp sends them', () => {
  test('GET in v2c', () => {
    const { bytes, idOffset } = encodeCommunityMessage(
      '2c',
      'public',
      encodeGet(Tag.getRequest, [SYS_UP_TIME]),
    );
    patchId(bytes, idOffset, 0x1234_5678);
    expect(bytes).toEqual(
      hex(`30 29 02 01 01 04 06 7075626c6963
           a0 1c 02 04 12345678 02 01 00 02 01 00
           30 0e 30 0c 06 08 2b06010201010300 05 00`),
    );
  });

  test('GETNEXT of two OIDs in v1', () => {
    const pdu = encodeGet(Tag.getNextRequest, [SYS_UP_TIME, parseOid('1.3.6.1.4.1.318')]);
    const { bytes, idOffset } = encodeCommunityMessage('1', 'public', pdu);
    patchId(bytes, idOffset, 0x7fff_ffff);
    expect(bytes).toEqual(
      hex(`30 36 02 01 00 04 06 7075626c6963
           a1 29 02 04 7fffffff 02 01 00 02 01 00
           30 1b 30 0c 06 08 2b06010201010300 05 00
                 30 0b 06 07 2b06010401823e 05 00`),
    );
  });

  test('GETBULK, and lengths above 127', () => {
    const { bytes } = encodeCommunityMessage('2c', 'c'.repeat(130), encodeGetBulk(SYS_UP_TIME, 200));
    expect(bytes.subarray(0, 9)).toEqual(hex('30 81a7 02 01 01 04 8182'));
    expect(bytes.subarray(139)).toEqual(
      hex(`a5 1d 02 04 01000000 02 01 00 02 02 00c8 30 0e 30 0c 06 08 2b06010201010300 05 00`),
    );
  });
});

interface Bind {
  readonly oid: string;
  readonly tag: number;
  readonly content: Uint8Array;
}

function message(
  binds: readonly Bind[],
  fields: { id?: number; status?: number; index?: number } = {},
): Buffer {
  const varbinds = binds.map(({ oid, tag, content }) =>
    tlv(Tag.sequence, tlv(Tag.oid, parseOid(oid)), tlv(tag, content)),
  );
  const pdu = tlv(
    Tag.response,
    integer(fields.id ?? 0x0100_0001),
    integer(fields.status ?? 0),
    integer(fields.index ?? 0),
    tlv(Tag.sequence, ...varbinds),
  );
  return tlv(Tag.sequence, integer(1), tlv(Tag.octetString, Buffer.from('public')), pdu);
}

function read(datagram: Uint8Array, capacity = 8): Response | undefined {
  const response = new Response(capacity);
  return readCommunityMessage(new BerReader(), datagram, '2c', response) ? response : undefined;
}

function number(tag: number, content: string): number | undefined {
  return read(message([{ oid: '1.3.6.1', tag, content: hex(content) }]))?.number[0];
}

describe('answers', () => {
  test('come apart into id, status and varbinds', () => {
    const datagram = message(
      [
        { oid: '1.3.6.1.2.1.1.3.0', tag: Tag.timeTicks, content: hex('00ee6b2800') },
        { oid: '1.3.6.1.4.1.318.7', tag: Tag.octetString, content: Buffer.from('hello') },
      ],
      { id: 0x7fff_fff0, status: 2, index: 1 },
    );
    const response = read(datagram);
    expect(response).toMatchObject({ requestId: 0x7fff_fff0, errorStatus: 2, errorIndex: 1, count: 2 });
    expect(response?.number[0]).toBe(4_000_000_000);
    expect(response?.number[1]).toBeNaN();
    expect(response?.hasOid(0, SYS_UP_TIME)).toBe(true);
    expect(response?.hasOid(1, SYS_UP_TIME)).toBe(false);
    expect(formatOid(datagram, response?.oidStart[1], response?.oidEnd[1])).toBe('1.3.6.1.4.1.318.7');
    expect(datagram.toString('utf8', response?.valueStart[1], response?.valueEnd[1])).toBe('hello');
  });

  test.each([
    ['INTEGER', Tag.integer, '80000000', -2147483648],
    ['INTEGER', Tag.integer, 'd8', -40],
    ['INTEGER', Tag.integer, '00ff', 255],
    ['INTEGER', Tag.integer, '7fffffff', 2147483647],
    ['INTEGER of five octets', Tag.integer, '0100000000', Number.NaN],
    ['INTEGER of none', Tag.integer, '', Number.NaN],
    ['Counter32', Tag.counter32, '00ffffffff', 4294967295],
    ['Counter32 without its leading zero', Tag.counter32, 'ffffffff', 4294967295],
    ['Counter32 too long', Tag.counter32, '01ffffffff', Number.NaN],
    ['Gauge32', Tag.gauge32, '00ee6b2800', 4000000000],
    ['TimeTicks', Tag.timeTicks, '00', 0],
    ['Counter64 at 2^53', Tag.counter64, '20000000000000', 9007199254740992],
    ['Counter64 at 2^53 - 1', Tag.counter64, '1fffffffffffff', 9007199254740991],
    ['Counter64 above: the nearest double', Tag.counter64, '20000000000003', 9007199254740996],
    ['Counter64 at its most', Tag.counter64, '00ffffffffffffffff', 2 ** 64],
    ['Counter64 without its leading zero', Tag.counter64, 'fffffffffffff000', 2 ** 64 - 4096],
    ['Counter64 too long', Tag.counter64, '01ffffffffffffffff', Number.NaN],
  ])('%s', (_name, tag, content, expected) => {
    expect(number(tag, content)).toBe(expected);
  });

  test('every Counter64 is the double nearest to it', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const digits = value.toString(16);
        expect(number(Tag.counter64, `00${digits.padStart(16, '0')}`)).toBe(Number(value));
      }),
      { seed: 2, numRuns: 2000 },
    );
  });

  test('every INTEGER comes back', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const content = Buffer.alloc(4);
        content.writeInt32BE(value);
        expect(number(Tag.integer, content.toString('hex'))).toBe(value);
        if (value >= 0) expect(number(Tag.integer, integer(value).subarray(2).toString('hex'))).toBe(value);
      }),
      { seed: 3 },
    );
  });

  test('long forms of lengths are read, also where a short one would do', () => {
    const short = message([{ oid: '1.3.6.1', tag: Tag.integer, content: hex('2a') }]);
    const header = Buffer.from([0x30, 0x84, 0, 0, 0, short.length - 2]);
    expect(read(Buffer.concat([header, short.subarray(2)]))?.number[0]).toBe(42);
  });

  test.each([
    ['a byte more', (good: Buffer) => Buffer.concat([good, hex('00')])],
    ['a byte less', (good: Buffer) => good.subarray(0, -1)],
    ['nothing', () => Buffer.alloc(0)],
    ['an indefinite length', (good: Buffer) => Buffer.concat([hex('3080'), good.subarray(2), hex('0000')])],
    ['a length of 4 GB', () => hex('3084ffffffff020101')],
    ['another version', (good: Buffer) => patched(good, 4, 0)],
    ['another PDU', (good: Buffer) => patched(good, 13, Tag.getRequest)],
    ['a report in v2c', (good: Buffer) => patched(good, 13, Tag.report)],
    [
      'more varbinds than were asked for',
      () => message(Array(9).fill({ oid: '1.3', tag: Tag.null, content: hex('') })),
    ],
  ])('%s is refused', (_name, spoil) => {
    const good = message([{ oid: '1.3.6.1', tag: Tag.integer, content: hex('2a') }]);
    expect(read(good)).toBeDefined();
    expect(read(spoil(good))).toBeUndefined();
  });

  test('every cut of a good answer is refused', () => {
    const good = message([
      { oid: '1.3.6.1.2.1.1.3.0', tag: Tag.timeTicks, content: hex('01') },
      { oid: '1.3.6.1.2.1.1.5.0', tag: Tag.octetString, content: Buffer.from('name') },
    ]);
    for (let length = 0; length < good.length; length++)
      expect(read(good.subarray(0, length))).toBeUndefined();
  });

  test('the id is found before anything else is believed', () => {
    const reader = new BerReader();
    expect(peekRequestId(reader, message([], { id: 0x0123_4567 }))).toBe(0x0123_4567);
    // v3: the message id.
    expect(peekRequestId(reader, tlv(Tag.sequence, integer(3), tlv(Tag.sequence, integer(77))))).toBe(77);
    expect(peekRequestId(reader, tlv(Tag.sequence, integer(7), tlv(Tag.sequence, integer(77))))).toBe(-1);
    expect(peekRequestId(reader, Buffer.from('GET / HTTP/1.0\r\n\r\n'))).toBe(-1);
    // A request, reflected.
    const { bytes } = encodeCommunityMessage('2c', 'public', encodeGet(Tag.getRequest, [SYS_UP_TIME]));
    expect(peekRequestId(reader, bytes)).toBe(-1);
  });
});

function patched(good: Buffer, offset: number, byte: number): Buffer {
  const bad = Buffer.from(good);
  bad[offset] = byte;
  return bad;
}
