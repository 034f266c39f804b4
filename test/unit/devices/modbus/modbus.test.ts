/** Modbus without a device: URLs, the order of bytes, and which registers go into one request. */
import { describe, expect, test } from 'vitest';
import { DeviceUrlError } from '../../../../src/lib/devices/driver.ts';
import { blocksOf, split } from '../../../../src/lib/devices/modbus/blocks.ts';
import { decodeNumber } from '../../../../src/lib/devices/modbus/decode.ts';
import { type ModbusUrl, parseModbusUrl } from '../../../../src/lib/devices/modbus/url.ts';
import { random } from '../../../support/random.ts';

describe('a Modbus URL', () => {
  test('names unit and register, and says how to read it', () => {
    expect(parseModbusUrl('modbus://Meter-1/1/0x10?type=float32&order=cdab&table=input&scale=0.1')).toEqual({
      scheme: 'modbus',
      endpointKey: '["meter-1",502]',
      safeUrl: 'modbus://meter-1:502/1/0x10?type=float32&order=cdab&table=input&scale=0.1',
      hostPort: 'meter-1:502',
      host: 'meter-1',
      port: 502,
      unit: 1,
      table: 'input',
      register: 16,
      type: 'float32',
      order: 'cdab',
      scale: 0.1,
    });
    expect(parseModbusUrl('modbus://[::1]:1502/0/65535')).toMatchObject({
      ...{ host: '::1', port: 1502, unit: 0, register: 65_535 },
      ...{ table: 'holding', type: 'uint16', order: 'abcd', scale: 1 },
    });
    expect(parseModbusUrl('modbus://h/1/2?table=coil')).toMatchObject({ table: 'coil', type: 'bit' });
  });

  test.each([
    ['le_le_f32', 'float32', 'dcba'],
    ['be_be_u16', 'uint16', 'abcd'],
    ['le_le_i64', 'int64', 'dcba'],
  ])("may have Kwollect's form %s", (form, type, order) => {
    expect(parseModbusUrl(`modbus://station/1/1032/${form}?table=input`)).toMatchObject({
      ...{ unit: 1, register: 1032, type, order, table: 'input' },
      safeUrl: `modbus://station:502/1/1032/${form}?table=input`,
    });
  });

  test.each([
    ['modbus://u:p@h/1/2', 9, 'Modbus has no users'],
    ['modbus://h', 10, 'the URL names no unit and register'],
    ['modbus://h/1', 10, 'the URL names no unit and register'],
    ['modbus://h/256/1', 11, 'the unit is a number from 0 to 255'],
    ['modbus://h/1/400001', 13, 'the register is a number from 0 to 65535, or 0x0 to 0xffff'],
    ['modbus://h/1/x', 13, 'the register is a number from 0 to 65535, or 0x0 to 0xffff'],
    ['modbus://h/1/65535?type=int32', 10, 'a int32 does not fit behind register 65535'],
    [
      'modbus://h/1/1?type=int8',
      20,
      'type must be one of int16, uint16, int32, uint32, float32, int64, uint64, float64',
    ],
    ['modbus://h/1/1?order=middle', 21, 'order must be one of big, little, abcd, cdab, badc, dcba'],
    ['modbus://h/1/1?table=coil&type=int16', 26, 'a coil is one bit and has no type'],
    ['modbus://h/1/1?scale=0', 21, 'scale must be a number other than 0'],
    ['modbus://h/1/1?unit=W', 15, 'unknown parameter "unit"'],
    ['modbus://h/1/1/', 10, 'the URL names no unit and register'],
    ['modbus://h/1/16/le_le_f16', 16, 'this is no form of a number'],
    ['modbus://h/1/16/le_be_f32', 16, 'the orders of bytes and of registers differ'],
    ['modbus://h/1/16/le_le_f32?type=int16', 26, 'type and order stand in the path already'],
    ['modbus://h/1/16/le_le_f32?table=coil', 26, 'a coil is one bit and has no type'],
  ])('%s is refused at its place', (text, offset, message) => {
    const refused = () => parseModbusUrl(text);
    expect(refused).toThrow(message);
    try {
      refused();
    } catch (error) {
      expect((error as DeviceUrlError).offset).toBe(offset);
      expect(error).toBeInstanceOf(DeviceUrlError);
    }
  });
});

describe('a number in registers', () => {
  const bytes = (hex: string) => Buffer.from(hex, 'hex');
  test.each([
    ['fffe', 'int16', 'abcd', -2],
    ['fffe', 'uint16', 'abcd', 65_534],
    ['feff', 'int16', 'dcba', -2],
    ['feff', 'int16', 'badc', -2],
    ['fffe', 'int16', 'cdab', -2],
    ['fffffffe', 'int32', 'abcd', -2],
    ['00010002', 'uint32', 'abcd', 65_538],
    ['00020001', 'uint32', 'cdab', 65_538],
    ['01000200', 'uint32', 'badc', 65_538],
    ['02000100', 'uint32', 'dcba', 65_538],
    ['43674ccd', 'float32', 'abcd', 231.3],
    ['4ccd4367', 'float32', 'cdab', 231.3],
    ['7fc00000', 'float32', 'abcd', Number.NaN],
    ['ffffffffffffffff', 'int64', 'abcd', -1],
    ['0020000000000001', 'uint64', 'abcd', 2 ** 53],
    ['0004000300020001', 'uint64', 'cdab', 0x0001000200030004],
    ['3ff8000000000000', 'float64', 'abcd', 1.5],
  ] as const)('%s is read as %s %s', (hex, type, order, value) => {
    expect(decodeNumber(bytes(hex), type, order)).toBe(value);
  });
});

describe('registers', () => {
  const at = (register: number, query = '', unit = 1): ModbusUrl =>
    parseModbusUrl(`modbus://h/${unit}/${register}${query}`);
  const shape = (urls: ModbusUrl[], gap?: number) =>
    blocksOf(urls, (url) => url, gap).map(
      ({ unit, table, start, count, items }) => `${unit} ${table} ${start}+${count} (${items.length})`,
    );

  test('that are neighbours, or nearly, are read together', () => {
    expect(shape([at(2), at(0, '?type=float32'), at(11), at(21)])).toEqual([
      '1 holding 0+12 (3)',
      '1 holding 21+1 (1)',
    ]);
    expect(shape([at(0), at(0), at(0, '?type=int64'), at(1)])).toEqual(['1 holding 0+4 (4)']);
    expect(shape([at(0), at(2)], 0)).toEqual(['1 holding 0+1 (1)', '1 holding 2+1 (1)']);
  });

  test('of different units and tables are not', () => {
    expect(shape([at(0), at(0, '?table=input'), at(0, '', 2), at(0, '?table=coil')])).toEqual([
      '1 coil 0+1 (1)',
      '1 holding 0+1 (1)',
      '1 input 0+1 (1)',
      '2 holding 0+1 (1)',
    ]);
  });

  test('are at most 125 in a request, and bits 2000', () => {
    const many = Array.from({ length: 200 }, (_, index) => at(index * 2, '?type=int32'));
    const counts = blocksOf(many, (url) => url).map(({ count }) => count);
    expect(counts).toEqual([124, 124, 124, 28]);
    const bits = Array.from({ length: 2500 }, (_, index) => at(index, '?table=coil'));
    expect(blocksOf(bits, (url) => url).map(({ count }) => count)).toEqual([2000, 500]);
  });

  test('are each in exactly one request that covers them: 300 random sets', () => {
    const next = random(7);
    for (let round = 0; round < 300; round++) {
      const types = ['int16', 'float32', 'int64'];
      const urls = Array.from({ length: 1 + (next() % 40) }, () =>
        at(next() % 600, `?type=${types[next() % 3]}&table=${['holding', 'input'][next() % 2]}`, next() % 3),
      );
      const blocks = blocksOf(urls, (url) => url);
      expect(new Set(blocks.flatMap(({ items }) => items))).toEqual(new Set(urls));
      expect(blocks.flatMap(({ items }) => items)).toHaveLength(urls.length);
      for (const { unit, table, start, count, items } of blocks) {
        expect(count).toBeLessThanOrEqual(125);
        for (const url of items) {
          expect([url.unit, url.table]).toEqual([unit, table]);
          expect(url.register).toBeGreaterThanOrEqual(start);
          const size = { int16: 1, float32: 2, int64: 4 }[url.type as string] ?? 0;
          expect(url.register + size).toBeLessThanOrEqual(start + count);
        }
      }
    }
  });

  test('that are refused together are tried without gaps, then one by one', () => {
    const [block] = blocksOf([at(0), at(1), at(3)], (url) => url);
    if (!block) throw new Error('no block');
    const smaller = split(block, (url) => url);
    expect(smaller?.map(({ start, count }) => [start, count])).toEqual([
      [0, 2],
      [3, 1],
    ]);
    const first = smaller?.[0];
    expect(first && split(first, (url) => url)?.map(({ start, count }) => [start, count])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(smaller?.[1] && split(smaller[1], (url) => url)).toBeUndefined();
  });
});
