import { describe, expect, test } from 'vitest';
import { SecureChannel } from '../../../../src/lib/devices/ipmi/channel.ts';
import { type CipherSuiteId, cipherSuite } from '../../../../src/lib/devices/ipmi/suites.ts';
import { nextSequence, SequenceWindow } from '../../../../src/lib/devices/ipmi/window.ts';
import { random } from '../../../support/random.ts';

const keys = () => ({ k1: Buffer.alloc(20, 'k1'), k2: Buffer.alloc(20, 'k2') });

/** Two ends of a session: what one seals the other opens. */
function ends(id: CipherSuiteId): { console: SecureChannel; bmc: SecureChannel } {
  const suite = cipherSuite(id);
  return {
    console: new SecureChannel(suite, keys(), 0xa1a2a3a4, 0x0201),
    bmc: new SecureChannel(suite, keys(), 0x0201, 0xa1a2a3a4),
  };
}

describe.each([3, 17] as const)('a channel of suite %i', (id) => {
  test('carries messages of any length', () => {
    const { console, bmc } = ends(id);
    for (let length = 1; length < 300; length++) {
      const message = Buffer.alloc(length, length);
      const packet = console.seal(message);
      expect(packet.length % 4).toBe(0);
      expect(bmc.open(packet)).toEqual(message);
    }
  });

  test('never sends the same octets twice', () => {
    const { console } = ends(id);
    const seen = new Set<string>();
    for (let index = 0; index < 1000; index++)
      seen.add(console.seal(Buffer.alloc(8)).toString('hex', 16, 48));
    expect(seen.size).toBe(1000);
  });

  test('drops a packet with any bit turned over, and takes the sound one afterwards', () => {
    const { console, bmc } = ends(id);
    const packet = bmc.seal(Buffer.from('the answer to a request'));
    // The RMCP header before the session header is not signed.
    for (let bit = 4 * 8; bit < packet.length * 8; bit++) {
      const bad = Buffer.from(packet);
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(console.open(bad)).toBeUndefined();
    }
    expect(console.open(packet)?.toString()).toBe('the answer to a request');
  });

  test('drops packets that were cut, lengthened or taken before', () => {
    const { console, bmc } = ends(id);
    const packet = bmc.seal(Buffer.from('the answer'));
    for (let length = 0; length < packet.length; length++)
      expect(console.open(packet.subarray(0, length))).toBeUndefined();
    expect(console.open(Buffer.concat([packet, Buffer.alloc(4)]))).toBeUndefined();
    expect(console.open(packet)?.toString()).toBe('the answer');
    expect(console.open(packet)).toBeUndefined();
  });

  test('drops what is signed by another session, or by ourselves', () => {
    const { console } = ends(id);
    const other = new SecureChannel(
      cipherSuite(id),
      { k1: Buffer.alloc(20, 'x'), k2: keys().k2 },
      1,
      0xa1a2a3a4,
    );
    expect(console.open(other.seal(Buffer.from('hello')))).toBeUndefined();
    expect(console.open(console.seal(Buffer.from('hello')))).toBeUndefined();
  });

  test('drops plain and half protected packets, whatever their code', () => {
    const { console, bmc } = ends(id);
    for (const type of [0x00, 0x40, 0x80, 0xc1, 0xc2, 0xd0]) {
      const packet = bmc.seal(Buffer.from('the answer'));
      packet[5] = type;
      expect(console.open(packet)).toBeUndefined();
    }
  });

  test('signs nothing that the other end would take once it is destroyed', () => {
    const { console, bmc } = ends(id);
    console.destroy();
    expect(bmc.open(console.seal(Buffer.from('hello')))).toBeUndefined();
  });
});

describe('the sequence window', () => {
  test('takes each number once, late ones too, but not those before the last 32', () => {
    const window = new SequenceWindow();
    const take = (sequence: number) => {
      const isNew = window.isNew(sequence);
      if (isNew) window.add(sequence);
      return isNew;
    };
    expect([1, 1, 2, 4, 3, 3, 0].map(take)).toEqual([true, false, true, true, true, false, false]);
    expect([100, 69, 68, 69, 100, 99].map(take)).toEqual([true, true, false, false, false, true]);
  });

  test('begins with any number, and goes on over the end of 32 bits', () => {
    const window = new SequenceWindow();
    for (const sequence of [0xffff_fffe, 0xffff_ffff, 1, 2]) {
      expect(window.isNew(sequence)).toBe(true);
      window.add(sequence);
      expect(window.isNew(sequence)).toBe(false);
    }
    expect(window.isNew(0xffff_ffff)).toBe(false);
    expect([1, 0xffff_fffe, 0xffff_ffff].map(nextSequence)).toEqual([2, 0xffff_ffff, 1]);
  });

  test('agrees with a list of all that was received', () => {
    const next = random(20261122);
    const window = new SequenceWindow();
    const received = new Set<number>();
    let highest = 0;
    for (let index = 0; index < 20_000; index++) {
      const sequence = Math.max(1, highest + (next() % 80) - 60);
      const isNew =
        highest === 0 || sequence > highest || (highest - sequence < 32 && !received.has(sequence));
      expect(window.isNew(sequence)).toBe(isNew);
      if (!isNew || next() % 3 === 0) continue;
      window.add(sequence);
      received.add(sequence);
      highest = Math.max(highest, sequence);
    }
    expect(received.size).toBeGreaterThan(3_000);
  });
});
