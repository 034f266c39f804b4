import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareArcs,
  formatOid,
  isBelow,
  OidSyntaxError,
  oidArcs,
  parseOid,
} from '../../../../src/lib/devices/snmp/oid.ts';

const arcs = fc
  .tuple(
    fc.oneof(
      fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 39 })),
      fc.tuple(fc.constant(2), fc.integer({ min: 0, max: 0xffff_ffff })),
    ),
    fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 126 }),
  )
  .map(([head, tail]) => [...head, ...tail]);

describe('OIDs', () => {
  test('encode as in X.690', () => {
    expect(Buffer.from(parseOid('1.3.6.1.4.1.2680.1.2.7.3.2.0')).toString('hex')).toBe(
      '2b06010401947801020703' + '0200',
    );
    expect(Buffer.from(parseOid('2.999.3')).toString('hex')).toBe('883703');
    expect(Buffer.from(parseOid('.1.3.4294967295')).toString('hex')).toBe('2b8fffffff7f');
  });

  test('come back as they went in', () => {
    fc.assert(
      fc.property(arcs, (numbers) => {
        const text = numbers.join('.');
        expect(formatOid(parseOid(text))).toBe(text);
        expect(oidArcs(parseOid(text))).toEqual(numbers);
      }),
      { seed: 1 },
    );
  });

  test.each([
    ['', 'a number is missing in the OID', 0],
    ['1', 'an OID needs at least two numbers', 0],
    ['1.', 'a number is missing in the OID', 2],
    ['1..3', 'a number is missing in the OID', 2],
    ['3.1', 'an OID begins with 0, 1 or 2', 0],
    ['1.40.1', 'the second number of an OID is at most 39 here', 2],
    ['1.3.6.ifName.1', '"ifName" is not a number', 6],
    ['1.3.-1', '"-1" is not a number', 4],
    ['1.3.4294967296', '4294967296 is above 4294967295, the most an OID can hold', 4],
    [`1.3${'.1'.repeat(127)}`, 'an OID has at most 128 numbers', 256],
  ])('%s is refused', (text, message, offset) => {
    let error: unknown;
    try {
      parseOid(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OidSyntaxError);
    expect(error).toMatchObject({ message, offset });
  });

  test('octets that are no OID', () => {
    for (const hex of ['', '2b86', '2bffffffff7f', 'ff'.repeat(10), `2b${'01'.repeat(200)}`])
      expect(oidArcs(Buffer.from(hex, 'hex'))).toBeUndefined();
    expect(formatOid(Buffer.from('2b86', 'hex'))).toBe('?');
  });

  test('order by numbers, not by octets', () => {
    // 16383 is ff 7f, 16384 is 81 80 00.
    expect(compareArcs([1, 3, 16384], [1, 3, 16383])).toBeGreaterThan(0);
    expect(compareArcs([1, 3], [1, 3, 0])).toBeLessThan(0);
    expect(compareArcs([1, 3, 6], [1, 3, 6])).toBe(0);
    expect(isBelow([1, 3], [1, 3, 6])).toBe(true);
    expect(isBelow([1, 3], [1, 3])).toBe(false);
    expect(isBelow([1, 3], [1, 30, 1])).toBe(false);
  });
});
