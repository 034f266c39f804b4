import { describe, expect, it } from 'vitest';
import { decodeIdString, sharedName } from '../../../../src/lib/devices/ipmi/idString.ts';
import {
  decodeSensorRecord,
  isDiscrete,
  isNumeric,
  type SensorRecord,
  sensorsOf,
} from '../../../../src/lib/devices/ipmi/sdrRecord.ts';
import { decodeUnits, unitsText } from '../../../../src/lib/devices/ipmi/units.ts';
import { random } from '../../../support/random.ts';
import { compactRecord, eventOnlyRecord, fullRecord } from '../../../support/sdr.ts';

const decoded = (bytes: Uint8Array) => decodeSensorRecord(bytes) as SensorRecord;

describe('a sensor record', () => {
  it('is read whole from the bytes of a real one (ipmi_sim, "Pwr Consumption")', () => {
    const bytes =
      '070051013a20000707017f680b01000000003f0000060000040000000000' +
      '0040f001ff00fadcc8000000010100' +
      '0000cf50777220436f6e73756d7074696f6e';
    const record = decoded(Buffer.from(bytes, 'hex'));
    expect(record).toMatchObject({
      kind: 'full',
      recordId: 7,
      name: 'Pwr Consumption',
      ownerId: 0x20,
      ownerLun: 0,
      sensorNumber: 7,
      sensorType: 0x0b,
      eventType: 1,
    });
    expect(record.analog).toEqual({
      format: 'unsigned',
      linearization: 0,
      factors: { m: 4, b: 0, rExponent: 0, bExponent: 0, tolerance: 0 },
    });
    expect(unitsText(record.units)).toBe('W');
  });

  it('full: has factors, formula and format', () => {
    const record = decoded(
      fullRecord({
        recordId: 0x1234,
        m: -5,
        b: 300,
        rExponent: -3,
        bExponent: 2,
        linearization: 8,
        units: [0x80, 4, 0],
        tolerance: 9,
      }),
    );
    expect(record.recordId).toBe(0x1234);
    expect(record.analog).toEqual({
      format: 'twos',
      linearization: 8,
      factors: { m: -5, b: 300, rExponent: -3, bExponent: 2, tolerance: 9 },
    });
  });

  it('compact: has states, and may stand for several sensors', () => {
    const record = decoded(
      compactRecord({ name: 'Temp', number: 10, shareCount: 3, modifier: 'numeric', offset: 5 }),
    );
    expect(record.analog).toBeUndefined();
    expect(isDiscrete(record)).toBe(true);
    expect(sensorsOf(record).map(({ name, sensorNumber }) => [name, sensorNumber])).toEqual([
      ['Temp 5', 10],
      ['Temp 6', 11],
      ['Temp 7', 12],
    ]);
  });

  it('event-only: has no reading', () => {
    const record = decoded(eventOnlyRecord({ name: 'SEL', number: 9, sensorType: 0x10 }));
    expect(record).toMatchObject({ kind: 'event-only', name: 'SEL', sensorNumber: 9, sensorType: 0x10 });
    expect([isNumeric(record), isDiscrete(record)]).toEqual([false, false]);
  });

  it('of a discrete type with factors and units is a number (HP power meters)', () => {
    expect(isNumeric(decoded(fullRecord({ eventType: 0x03, units: [0, 6, 0] })))).toBe(true);
    expect(isNumeric(decoded(fullRecord({ eventType: 0x03, units: [0, 0, 0] })))).toBe(false);
    expect(isNumeric(decoded(fullRecord({ eventType: 0x03, units: [1, 0, 0] })))).toBe(true);
    expect(isNumeric(decoded(fullRecord({ eventType: 0x01, units: [0xc0, 6, 0] })))).toBe(false);
  });

  it('of another type, or cut short, is none', () => {
    expect(decodeSensorRecord(Buffer.from('01005112054142434445', 'hex'))).toBeUndefined();
    expect(decodeSensorRecord(Buffer.from('0100510c', 'hex'))).toBeUndefined();
    for (const record of [
      fullRecord({ name: '' }),
      compactRecord({ name: '' }),
      eventOnlyRecord({ name: '' }),
    ]) {
      expect(decoded(record).name).toBe('');
      expect(decodeSensorRecord(record.subarray(0, -1))).toBeUndefined();
    }
  });

  it('ends where its length says, whatever the BMC sends behind it', () => {
    expect(decoded(Buffer.concat([fullRecord({ name: 'Fan' }), Buffer.from('junk')])).name).toBe('Fan');
  });

  it('of any bytes is a record with sane fields or none', () => {
    const dice = random(11);
    const seeds = [
      fullRecord({}),
      compactRecord({ shareCount: 15 }),
      eventOnlyRecord({ shareCount: 15, modifier: 'alpha' }),
    ];
    let records = 0;
    for (let round = 0; round < 100_000; round++) {
      const bytes =
        round % 2 === 0
          ? Buffer.from(seeds[dice() % 3] as Buffer)
          : Buffer.from(Array.from({ length: dice() % 70 }, () => dice() & 0xff));
      for (let flips = dice() % 8; flips > 0 && bytes.length > 0; flips--)
        bytes[dice() % bytes.length] = dice() & 0xff;
      const record = decodeSensorRecord(bytes.subarray(0, dice() % 3 === 0 ? dice() % 70 : undefined));
      if (!record) continue;
      records++;
      const sensors = sensorsOf(record);
      expect(sensors.length >= 1 && sensors.length <= 15).toBe(true);
      for (const { name, sensorNumber } of sensors)
        if (name.length > 48 || sensorNumber > 255 || !Number.isInteger(sensorNumber)) throw new Error(name);
      unitsText(record.units);
    }
    expect(records).toBeGreaterThan(30_000);
  });
});

describe('a name', () => {
  const name = (typeLength: number, ...bytes: number[]) => decodeIdString(typeLength, Uint8Array.from(bytes));

  it('in 8-bit text is ASCII with Latin-1, to the first NUL', () => {
    expect(name(0xc8, ...Buffer.from('CPU Temp'))).toBe('CPU Temp');
    expect(name(0xc7, ...Buffer.from('T\xfcr 1\xb0C', 'latin1'))).toBe('Tür 1°C');
    expect(name(0xc6, ...Buffer.from('Tür 2'))).toBe('Tür 2');
    expect(name(0xc6, 0x41, 0x42, 0, 0x43, 0x44, 0x45)).toBe('AB');
    expect(name(0xc4, ...Buffer.from('  A '))).toBe('A');
    expect(name(0xc0)).toBe('');
  });

  it('in 6-bit ASCII has four characters in three bytes', () => {
    // "IPMI" of the specification's own example (section 43.15).
    expect(name(0x83, 0x29, 0xdc, 0xa6)).toBe('IPM');
    expect(name(0x84, 0x29, 0xdc, 0xa6)).toBe('IPMI');
    // The length in bytes, as some BMCs have it, gives as many characters as fit.
    expect(name(0x86, 0x29, 0xdc, 0xa6, 0x29, 0xdc, 0xa6)).toBe('IPMIIPMI');
  });

  it('in BCD plus has two characters a byte', () => {
    expect(name(0x42, 0x12, 0xb3)).toBe('12-3');
    expect(name(0x44, 0x12, 0xb3)).toBe('12-3');
    expect(name(0x43, 0x90, 0xc0)).toBe('90.');
  });

  it('in Unicode is UTF-16 where it looks so, else 8-bit text', () => {
    expect(name(0x06, 0x41, 0, 0x42, 0, 0x43, 0)).toBe('ABC');
    expect(name(0x03, ...Buffer.from('Fan'))).toBe('Fan');
  });

  it('of any bytes never fails', () => {
    const dice = random(12);
    for (let round = 0; round < 100_000; round++) {
      const bytes = Uint8Array.from({ length: dice() % 20 }, () => dice() & 0xff);
      expect(decodeIdString(dice() & 0xff, bytes).length).toBeLessThanOrEqual(41);
    }
  });

  it('of a shared sensor has a number or letters', () => {
    const numeric = { count: 3, modifier: 'numeric', offset: 5 } as const;
    const alpha = { count: 3, modifier: 'alpha', offset: 25 } as const;
    expect([0, 1, 2].map((index) => sharedName('Temp', numeric, index))).toEqual([
      'Temp 5',
      'Temp 6',
      'Temp 7',
    ]);
    expect([0, 1, 2].map((index) => sharedName('Temp', alpha, index))).toEqual([
      'Temp Z',
      'Temp AA',
      'Temp AB',
    ]);
    expect(sharedName('Temp', { ...alpha, offset: 0 }, 0)).toBe('Temp A');
    expect(sharedName('Temp', { ...alpha, offset: 51 }, 1)).toBe('Temp BA');
  });
});

describe('units', () => {
  const text = (units1: number, base: number, modifier = 0) => unitsText(decodeUnits(units1, base, modifier));

  it('are as ipmi-sensors prints them', () => {
    expect(text(0, 1)).toBe('C');
    expect(text(0, 6)).toBe('W');
    expect(text(0, 18)).toBe('RPM');
    expect(text(0, 0)).toBe('unspecified');
    expect(text(1, 0)).toBe('%');
    expect(text(1, 6)).toBe('% W');
    expect(text(3 << 3, 70)).toBe('B per s');
    expect(text(4 << 3, 18)).toBe('RPM');
    expect(text(3 << 3, 18)).toBe('RPM per s');
    expect(text(1 << 1, 6, 34)).toBe('W / m');
    expect(text(2 << 1, 6, 24)).toBe('W * hr');
    expect(text(1 << 1, 6, 0)).toBe('W');
  });

  it('that contradict themselves are not available', () => {
    expect(text(3 << 1, 6, 24)).toBe('N/A');
    expect(text((1 << 1) | (3 << 3), 6, 24)).toBe('N/A');
    expect(text(7 << 3, 6)).toBe('N/A');
    expect(text(0, 93)).toBe('N/A');
    expect(text(0, 6, 200)).toBe('N/A');
  });
});
