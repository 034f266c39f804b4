import { describe, expect, test } from 'vitest';
import { parsePythonFloat } from '../../../../src/lib/devices/shared/numbers.ts';
import { Tag } from '../../../../src/lib/devices/snmp/codec.ts';
import { parseOid } from '../../../../src/lib/devices/snmp/oid.ts';
import { quote, readValue, typeName, valueText } from '../../../../src/lib/devices/snmp/value.ts';

function octets(text: string | Uint8Array) {
  const data = Buffer.from(text);
  return readValue(Tag.octetString, data, 0, data.length);
}

describe('texts are numbers where Python sees one', () => {
  test.each([
    ['230.5', 230.5],
    [' 42 ', 42],
    ['-1e3', -1000],
    ['+.5', 0.5],
    ['5.', 5],
    ['1_000', 1000],
    ['nan', Number.NaN],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['iNf', Number.POSITIVE_INFINITY],
  ])('%j', (text, expected) => {
    expect(octets(text)).toEqual({ kind: 'number', number: expected });
  });

  test.each(['', '.', '1__0', '_1', '0x10', '12 W', '1,5', '--1', '1e', 'NULL', '٣'])('%j is not', (text) => {
    expect(parsePythonFloat(text)).toBeUndefined();
  });

  test('a long run of digits does not take long', () => {
    const startMs = performance.now();
    expect(octets(`${'1'.repeat(60_000)}x`).kind).toBe('text');
    expect(parsePythonFloat(`${'1_'.repeat(199)}x`)).toBeUndefined();
    expect(performance.now() - startMs).toBeLessThan(100);
  });
});

describe('other values', () => {
  test.each(['N/A', 'n/a', ' N/A '])('%j: the device has no reading', (text) => {
    expect(octets(text)).toEqual({ kind: 'missing', text });
  });

  test('text, faithfully', () => {
    expect(octets('Gi1/0/1 "up" ☀')).toEqual({ kind: 'text', text: 'Gi1/0/1 "up" ☀' });
    expect(octets('')).toEqual({ kind: 'text', text: '' });
    expect(octets('on\0')).toEqual({ kind: 'text', text: 'on' });
  });

  test('octets that are no text are shown in hexadecimal', () => {
    expect(octets(Uint8Array.of(0, 0x1b, 0x21, 0xff, 0xfe, 1))).toEqual({
      kind: 'text',
      text: '0x001b21fffe01',
    });
    expect(octets(Uint8Array.of(0, 0))).toEqual({ kind: 'text', text: '0x0000' });
    expect(octets('a\0b')).toEqual({ kind: 'text', text: '0x610062' });
  });

  test('addresses and OIDs are text', () => {
    expect(readValue(Tag.ipAddress, Uint8Array.of(10, 0, 0, 1), 0, 4)).toEqual({
      kind: 'text',
      text: '10.0.0.1',
    });
    const oid = parseOid('1.3.6.1.4.1.318');
    expect(readValue(Tag.oid, oid, 0, oid.length)).toEqual({ kind: 'text', text: '1.3.6.1.4.1.318' });
  });

  test('floats and doubles in an Opaque', () => {
    const float = Buffer.from('9f78043dcccccd', 'hex');
    expect(readValue(Tag.opaque, float, 0, 7)).toEqual({ kind: 'number', number: 0.1 });
    const infinite = Buffer.from('9f78047f800000', 'hex');
    expect(readValue(Tag.opaque, infinite, 0, 7)).toEqual({
      kind: 'number',
      number: Number.POSITIVE_INFINITY,
    });
    const double = Buffer.from('9f7908400921fb54442d18', 'hex');
    expect(readValue(Tag.opaque, double, 0, 11)).toEqual({ kind: 'number', number: Math.PI });
  });

  test.each([
    ['an Opaque of something else', Tag.opaque, '0401', 'Opaque of 2 octets is neither a float nor a double'],
    ['a cut float', Tag.opaque, '9f78043d', 'Opaque of 4 octets is neither a float nor a double'],
    ['an address of five octets', Tag.ipAddress, '0a00000102', 'IpAddress of 5 octets is not a value'],
    ['a broken INTEGER', Tag.integer, '', 'INTEGER of 0 octets is not a value'],
    ['an unknown type', 0x77, '01', 'type 0x77 of 1 octets is not a value'],
  ])('%s', (_name, tag, hex, message) => {
    const data = Buffer.from(hex, 'hex');
    expect(readValue(tag, data, 0, data.length)).toEqual({ kind: 'bad', message });
  });

  test('a Counter64 as text has all its digits', () => {
    const data = Buffer.from('00ffffffffffffffff', 'hex');
    expect(valueText(Tag.counter64, data, 0, 9)).toBe('18446744073709551615');
    expect(valueText(Tag.integer, Uint8Array.of(0xd8), 0, 1)).toBe('-40');
    expect(typeName(Tag.counter64)).toBe('Counter64');
  });

  test('text for messages is escaped and cut', () => {
    expect(quote('a\n\u001b[31m')).toBe('"a\\n\\u001b[31m"');
    expect(quote('x'.repeat(100))).toBe(`"${'x'.repeat(60)}..."`);
  });
});
