import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { PacketHmac } from '../../../../src/lib/devices/ipmi/packetHmac.ts';

const octets = (text: string) => Buffer.from(text, 'latin1');

test.each([
  // RFC 2202 section 3, cases 1 and 2; RFC 4231 sections 4.2 and 4.3.
  ['sha1', Buffer.alloc(20, 0x0b), 'Hi There', 'b617318655057264e28bc0b6fb378c8ef146be00'],
  ['sha1', Buffer.from('Jefe'), 'what do ya want for nothing?', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  [
    'sha256',
    Buffer.alloc(20, 0x0b),
    'Hi There',
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  ],
  [
    'sha256',
    Buffer.from('Jefe'),
    'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
] as const)('%s as the RFC has it', (algorithm, key, message, digest) => {
  const data = Buffer.from(`--${message}--`);
  const hmac = new PacketHmac(algorithm, key);
  expect(octets(hmac.digest(data, 2, data.length - 2)).toString('hex')).toBe(digest);
});

test.each(['sha1', 'sha256'] as const)(
  '%s as Node has it, for messages of any length in any order',
  (algorithm) => {
    const key = randomBytes(64);
    const hmac = new PacketHmac(algorithm, key);
    for (let round = 0; round < 1000; round++) {
      const data = randomBytes((round * 389) % 1000);
      const expected = createHmac(algorithm, key).update(data).digest();
      expect(octets(hmac.digest(data, 0, data.length)).equals(expected)).toBe(true);
    }
  },
);

test('has no key any more once it is destroyed', () => {
  const hmac = new PacketHmac('sha256', Buffer.from('Jefe'));
  const data = Buffer.from('message');
  const before = hmac.digest(data, 0, data.length);
  hmac.destroy();
  expect(hmac.digest(data, 0, data.length)).not.toBe(before);
});
