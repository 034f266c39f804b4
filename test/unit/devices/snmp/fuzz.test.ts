import { describe, expect, test } from 'vitest';
import {
  BerReader,
  integer,
  peekRequestId,
  Response,
  readCommunityMessage,
  Tag,
  tlv,
} from '../../../../src/lib/devices/snmp/codec.ts';
import { formatOid, parseOid } from '../../../../src/lib/devices/snmp/oid.ts';
import type { UsmUser } from '../../../../src/lib/devices/snmp/url.ts';
import { UsmEngine } from '../../../../src/lib/devices/snmp/usm.ts';
import { readValue, valueText } from '../../../../src/lib/devices/snmp/value.ts';
import { mutated, random, randomDatagram } from '../../../support/random.ts';
import { usmMessage } from '../../../support/usmAgent.ts';

const RUNS = 100_000;
const CAPACITY = 30;

function likeAMessage(next: () => number): Buffer {
  const datagram = randomDatagram(next);
  // Half of them begin like a message, or nothing behind the first octet would ever be reached.
  if (next() % 2 === 0 && datagram.length > 20) {
    datagram.set([0x30, datagram.length - 2 < 128 ? datagram.length - 2 : 0x81, 0x02, 0x01, next() % 4]);
  }
  return datagram;
}

function goodPdu(): Buffer {
  const varbinds = Array.from({ length: 24 }, (_, index) =>
    tlv(
      Tag.sequence,
      tlv(Tag.oid, parseOid(`1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.${index}`)),
      index % 4 === 0 ? tlv(Tag.octetString, Buffer.from('outlet')) : integer(index * 1000),
    ),
  );
  return tlv(Tag.response, integer(0x0100_0008), integer(0), integer(0), tlv(Tag.sequence, ...varbinds));
}

/** What a poll and a walk look at afterwards: nothing may lie outside the datagram. */
function useAll(response: Response): void {
  expect(response.count).toBeLessThanOrEqual(CAPACITY);
  const { data } = response;
  for (let index = 0; index < response.count; index++) {
    const start = response.valueStart[index] ?? -1;
    const end = response.valueEnd[index] ?? -1;
    if (start < 0 || end < start || end > data.length) throw new Error(`value ${index} lies outside`);
    const tag = response.tag[index] ?? 0;
    readValue(tag, data, start, end);
    valueText(tag, data, start, end);
    formatOid(data, response.oidStart[index], response.oidEnd[index]);
    response.hasOid(index, parseOid('1.3.6.1'));
  }
}

describe('no datagram brings a decoder down', () => {
  const community = tlv(Tag.sequence, integer(1), tlv(Tag.octetString, Buffer.from('public')), goodPdu());

  test.each([
    ['random', (next: () => number) => likeAMessage(next)],
    ['mutated', (next: () => number) => mutated(community, next)],
  ])(`${RUNS} %s datagrams as v1 and v2c`, (_name, make) => {
    const next = random(20261122);
    const reader = new BerReader();
    const response = new Response(CAPACITY);
    const heapBefore = process.memoryUsage().arrayBuffers;
    let sound = 0;
    for (let run = 0; run < RUNS; run++) {
      const datagram = make(next);
      const id = peekRequestId(reader, datagram);
      if (!(id >= -1 && id <= 0x7fff_ffff)) throw new Error(`id ${id}`);
      if (!readCommunityMessage(reader, datagram, run % 2 === 0 ? '2c' : '1', response)) continue;
      sound++;
      useAll(response);
    }
    // Flipped bits inside values leave sound messages, so the varbinds are reached as well.
    if (_name === 'mutated') expect(sound).toBeGreaterThan(1000);
    expect(process.memoryUsage().arrayBuffers - heapBefore).toBeLessThan(100e6);
  });

  const users: UsmUser[] = [
    { name: 'kw', level: 'noAuthNoPriv', context: '' },
    {
      name: 'kw',
      level: 'authPriv',
      auth: { protocol: 'sha256', key: 'authpass123' },
      priv: { protocol: 'aes128', key: 'privpass123' },
      context: '',
    },
  ];
  test.each([
    ['random', (next: () => number) => likeAMessage(next)],
    ['mutated', (next: () => number, good: Buffer) => mutated(good, next)],
  ])(`${RUNS} %s datagrams as v3`, (_name, make) => {
    const next = random(20261123);
    const reader = new BerReader();
    const response = new Response(CAPACITY);
    const unknown = tlv(Tag.sequence, tlv(Tag.oid, parseOid('1.3.6.1.6.3.15.1.1.4.0')), integer(1));
    const report = tlv(Tag.report, integer(1), integer(0), integer(0), tlv(Tag.sequence, unknown));
    for (const user of users) {
      const engine = new UsmEngine(user);
      const hello = usmMessage({ id: 1, pdu: report });
      const good = usmMessage({ id: 1, pdu: goodPdu(), user });
      engine.unwrap(hello, reader, response);
      for (let run = 0; run < RUNS / 2; run++) {
        const verdict = engine.unwrap(make(next, run % 8 === 0 ? hello : good), reader, response);
        if (verdict !== 'response') continue;
        useAll(response);
        // Nothing changed may pass for signed.
        if (user.auth) expect(response.count).toBe(24);
      }
    }
  });
});
