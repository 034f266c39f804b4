/** MQTT without a broker: URLs, topics, and the guard on packets. */
import { describe, expect, test } from 'vitest';
import { DeviceUrlError, type UrlContext } from '../../../../src/lib/devices/driver.ts';
import { PacketGuard } from '../../../../src/lib/devices/mqtt/packetGuard.ts';
import { filterProblem, fits } from '../../../../src/lib/devices/mqtt/topic.ts';
import { parseMqttUrl } from '../../../../src/lib/devices/mqtt/url.ts';
import { random } from '../../../support/random.ts';

const CONTEXT: UrlContext = {
  resolveSecret: (text) => (text === '${env:PW}' ? 's@c/ret' : '-----BEGIN CERTIFICATE-----'),
};
const parse = (text: string) => parseMqttUrl(text, CONTEXT);

describe('an MQTT URL', () => {
  test('names broker, topic and the place of the value', () => {
    expect(parse('mqtt://m:${env:PW}@Broker/lab/rack%3F1/power?path=$.a.b[0]&qos=1')).toMatchObject({
      hostPort: 'broker:1883',
      tls: false,
      login: { user: 'm', password: 's@c/ret' },
      filter: 'lab/rack?1/power',
      path: ['a', 'b', '0'],
      qos: 1,
      safeUrl: 'mqtt://m:***@broker:1883/lab/rack%3F1/power?path=$.a.b[0]&qos=1',
    });
    expect(parse('mqtts://[::1]/a?insecure')).toMatchObject({
      host: '::1',
      port: 8883,
      tls: true,
      insecure: true,
    });
  });

  test.each([
    ['mqtt://h/a/+/b', 'a/+/b', undefined],
    ['mqtt://h/a/#', 'a/#', undefined],
    ['mqtt://h/#', '#', undefined],
    ['mqtt://h/a/%23', 'a/#', undefined],
    ['mqtt://h/a/#?path=x', 'a/#', ['x']],
    ['mqtt://h//a', '/a', undefined],
  ])('%s has the filter %s', (text, filter, path) => {
    expect(parse(text)).toMatchObject({ filter, path });
  });

  test('shares a connection with others of the same broker and user', () => {
    expect(parse('mqtt://u:p@h/a').endpointKey).toBe(parse('mqtt://u:p@h:1883/b/+?qos=1&path=x').endpointKey);
    for (const other of ['mqtt://u:q@h/a', 'mqtt://h/a', 'mqtts://u:p@h/a', 'mqtt://u:p@g/a'])
      expect(parse(other).endpointKey).not.toBe(parse('mqtt://u:p@h/a').endpointKey);
  });

  test.each([
    ['mqtt://h', 8, 'the URL names no topic'],
    ['mqtt://h/a+/b', 9, '+ and # stand for whole levels of a topic: write them alone between slashes'],
    ['mqtt://h/#/b', 9, '# stands at the end of a topic only'],
    ['mqtt://h/a?qos=2', 15, 'qos must be 0 or 1'],
    ['mqtt://h/a?path=$', 16, 'path is no path to one value'],
    ['mqtt://h/a?path=$..b', 17, 'this is no path to one value of a JSON document'],
    ['mqtt://h/a?retain=1', 11, 'unknown parameter "retain"'],
    ['mqtt://h/a?insecure', 11, 'ca and insecure are for mqtts:// only'],
  ])('%s is refused at its place', (text, offset, message) => {
    try {
      parse(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(DeviceUrlError);
      expect((error as Error).message).toBe(message);
      expect(Math.min((error as DeviceUrlError).offset, text.length)).toBe(offset);
    }
  });
});

describe('a filter', () => {
  test.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['a/+/c', 'a/b/c', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['#', 'a/b', true],
    ['#', '$SYS/uptime', false],
    ['+/uptime', '$SYS/uptime', false],
    ['$SYS/#', '$SYS/uptime', true],
    ['+', '/a', false],
    ['/+', '/a', true],
  ])('%s and the topic %s: %s', (filter, topic, expected) => {
    expect(filterProblem(filter)).toBeUndefined();
    expect(fits(filter, topic)).toBe(expected);
  });
});

describe('the guard on packets', () => {
  /** A packet of this type with so many bytes behind its length. */
  function packet(type: number, length: number): Buffer {
    const head = [type << 4];
    let rest = length;
    do {
      head.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
      rest >>= 7;
    } while (rest > 0);
    return Buffer.concat([Buffer.from(head), Buffer.alloc(length, 0xff)]);
  }

  test('lets packets up to the bound pass, however they are cut: 500 streams', () => {
    const next = random(3);
    for (let round = 0; round < 500; round++) {
      const bytes = Buffer.concat(Array.from({ length: 20 }, () => packet(1 + (next() % 14), next() % 1001)));
      const guard = new PacketGuard(1000);
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + (next() % 400);
        if (!guard.pass(bytes.subarray(at, at + size))) throw new Error('stopped');
        at += size;
      }
    }
  });

  test('stops at the length of the first that is larger, and at a length that has no end', () => {
    const guard = new PacketGuard(1000);
    expect(guard.pass(packet(3, 1000))).toBe(true);
    expect(guard.pass(packet(3, 1001).subarray(0, 3))).toBe(false);
    expect(new PacketGuard(2 ** 40).pass(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]))).toBe(false);
  });

  test.each([
    [0x30, true],
    [0x32, true],
    [0x34, false],
    [0x3d, false],
    [0x62, true],
  ])('lets a packet that begins with %i pass: %s; messages of QoS 2 would be kept', (first, passes) => {
    expect(new PacketGuard(1000).pass(Buffer.from([first, 3, 0, 1, 97]))).toBe(passes);
  });

  test('never throws: 100000 random chunks', () => {
    const next = random(5);
    for (let round = 0; round < 100_000; round++) {
      const guard = new PacketGuard(500);
      guard.pass(Buffer.from(Array.from({ length: next() % 12 }, () => next() & 0xff)));
    }
  });
});
