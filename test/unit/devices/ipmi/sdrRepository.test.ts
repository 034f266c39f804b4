import { chmodSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IpmiError } from '../../../../src/lib/devices/ipmi/errors.ts';
import { SdrCache } from '../../../../src/lib/devices/ipmi/sdrCache.ts';
import { readRecords, readRepositoryState } from '../../../../src/lib/devices/ipmi/sdrRepository.ts';
import { SensorCatalogue } from '../../../../src/lib/devices/ipmi/sensorCatalogue.ts';
import { random } from '../../../support/random.ts';
import { compactRecord, eventOnlyRecord, fullRecord } from '../../../support/sdr.ts';
import { SdrBmc } from '../../../support/sdrBmc.ts';
import { temporaryFolder } from '../../../support/temporaryFolder.ts';

const RECORDS = [
  fullRecord({ recordId: 1, number: 1, name: 'Inlet Temp' }),
  fullRecord({ recordId: 2, number: 2, name: 'A name of 16 ch.' }),
  compactRecord({ recordId: 9, number: 3, name: 'PS1 Status', sensorType: 8 }),
  Buffer.from('0a0051120a202020000000010203c0', 'hex'),
  fullRecord({ recordId: 0x1234, number: 4, name: 'Power' }),
];

async function readAll(bmc: SdrBmc): Promise<Buffer[]> {
  return readRecords(bmc, await readRepositoryState(bmc));
}

describe('the SDR repository', () => {
  it('is read record by record, each whole, without a reservation', async () => {
    const bmc = new SdrBmc({ records: RECORDS });
    expect(await readAll(bmc)).toEqual(RECORDS);
    expect(bmc.asked).toEqual(['06:01', '0a:20', ...Array(5).fill('0a:23')]);
  });

  it('is read in pieces when a whole record is too much, smaller ones where those are too much', async () => {
    for (const maxBytes of [40, 22, 16, 11, 5]) {
      const bmc = new SdrBmc({ records: RECORDS, maxBytes });
      expect(await readAll(bmc), `${maxBytes} bytes`).toEqual(RECORDS);
      expect(bmc.count('0a:22')).toBe(1);
    }
  });

  it('is reserved again when the reservation is lost, and the record begun anew', async () => {
    for (const loseReservationEvery of [2, 5, 9]) {
      const bmc = new SdrBmc({
        records: RECORDS,
        maxBytes: 40,
        loseReservationEvery,
      });
      if (loseReservationEvery === 2) {
        await expect(readAll(bmc)).rejects.toThrow('the reservation of the SDR repository was lost 20 times');
      } else {
        expect(await readAll(bmc)).toEqual(RECORDS);
        expect(bmc.count('0a:22')).toBeGreaterThan(1);
      }
    }
  });

  it('may be the device SDRs of a controller without a repository', async () => {
    const bmc = new SdrBmc({ records: RECORDS, isDeviceSdrs: true, maxBytes: 22 });
    expect(await readAll(bmc)).toEqual(RECORDS);
    expect(bmc.asked).toContain('04:21');
  });

  it('leaves out a last record that the BMC will not give', async () => {
    const bmc = new SdrBmc({ records: RECORDS, maxBytes: 22, lastTimesOut: true });
    expect(await readAll(bmc)).toEqual(RECORDS.slice(0, -1));
  });

  it('that goes round in a circle, or answers nonsense, is an error', async () => {
    const circle = new SdrBmc({ records: RECORDS });
    circle.answers.set('0a:23', () => [0, Buffer.concat([Buffer.from([2, 0]), RECORDS[1] as Buffer])]);
    await expect(readAll(circle)).rejects.toThrow('the SDR repository has no end: record 2 comes again');
    const short = new SdrBmc({ records: RECORDS });
    short.answers.set('0a:23', () => [0, Buffer.alloc(3)]);
    await expect(readAll(short)).rejects.toThrow(
      'record 0 of the SDR repository cannot be read: the answer is too short',
    );
    const refusing = new SdrBmc({ records: RECORDS });
    refusing.answers.set('0a:20', () => [0xd4, Buffer.alloc(0)]);
    await expect(readAll(refusing)).rejects.toThrow(
      'the BMC does not tell its sensor data records: completion code 0xd4, the privilege of the session is not enough',
    );
  });

  it('of a BMC that answers anything at all ends, with records or an IpmiError', async () => {
    const dice = random(21);
    const codes = [0, 0, 0, 0, 0, 0, 0, 0, 0xc5, 0xca, 0xff, 0xc3, 0xcb];
    let answers = 0;
    while (answers < 100_000) {
      const bmc = new SdrBmc({ records: RECORDS });
      for (const key of ['06:01', '0a:20', '0a:22', '0a:23', '04:20', '04:21', '04:22'])
        bmc.answers.set(key, () => {
          answers++;
          const length = dice() % 4 === 0 ? dice() % 8 : 16 + (dice() % 60);
          const data = Buffer.from(Array.from({ length }, () => dice() & 0xff));
          // A short length makes records end.
          if (data.length > 6) data[6] = dice() % 64;
          if (data.length > 1 && dice() % 20 === 0) data.fill(0xff, 0, 2);
          return [codes[dice() % codes.length] as number, data];
        });
      try {
        const records = await readAll(bmc);
        for (const record of records) expect(record.length).toBe(5 + (record[4] as number));
      } catch (error) {
        expect(error).toBeInstanceOf(IpmiError);
      }
    }
  }, 60_000);
});

describe('records on disk', () => {
  let folder: string;
  let remove: () => void;
  beforeEach(() => {
    ({ folder, remove } = temporaryFolder());
  });
  afterEach(() => remove());

  const cache = () => new SdrCache(folder, '[2001:db8::1]:623');
  const file = () => join(folder, 'ipmi', readdirSync(join(folder, 'ipmi'))[0] as string);

  it('come back as they were, from a file for its owner alone', async () => {
    expect(await cache().read()).toBeUndefined();
    await cache().write({ fingerprint: 'f', records: RECORDS });
    expect(await cache().read()).toEqual({ fingerprint: 'f', records: RECORDS });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'ipmi')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, 'ipmi'))).toHaveLength(1);
    expect(await new SdrCache(folder, '[2001:db8::2]:623').read()).toBeUndefined();
  });

  // Thousands of files: a busy disk needs its time.
  it('that are not as written are none', { timeout: 60_000 }, async () => {
    await cache().write({ fingerprint: 'f', records: RECORDS });
    const path = file();
    const good = readFileSync(path);
    const dice = random(22);
    for (let round = 0; round < 3_000; round++) {
      const bad = Buffer.from(good.subarray(0, round % 3 === 0 ? dice() % (good.length - 1) : undefined));
      if (round % 3 !== 0) bad[dice() % (bad.length - 1)] = dice() & 0xff;
      if (bad.equals(good)) continue;
      writeFileSync(path, bad);
      const read = await cache().read();
      // Hexadecimal digits and escapes may be written in several ways that mean the same.
      if (read !== undefined) expect(read).toEqual({ fingerprint: 'f', records: RECORDS });
    }
    for (const text of [
      '',
      'null',
      '[]',
      '{}',
      '{"format":1,"bmc":"[2001:db8::1]:623","fingerprint":"f","records":[1]}',
    ]) {
      writeFileSync(path, text);
      expect(await cache().read()).toBeUndefined();
    }
    writeFileSync(path, good);
    expect(await cache().read()).toBeDefined();
    chmodSync(path, 0o620);
    expect(await cache().read()).toBeUndefined();
  });

  it('are not read through a link', async () => {
    await cache().write({ fingerprint: 'f', records: RECORDS });
    const path = file();
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, readFileSync(path), { mode: 0o600 });
    rmSync(path);
    symlinkSync(elsewhere, path);
    expect(await cache().read()).toBeUndefined();
  });

  it('save a restart the reading, until the BMC has others', async () => {
    const options = { records: RECORDS, additionTime: 100, firmware: 1 };
    const load = async () => {
      const bmc = new SdrBmc(options);
      const catalogue = new SensorCatalogue(bmc, 'bmc:623', new SdrCache(folder, 'bmc:623'));
      expect(await catalogue.ready(performance.now() + 5_000)).toBeUndefined();
      return { bmc, names: catalogue.sensors?.map(({ name }) => name) };
    };
    expect((await load()).bmc.count('0a:23')).toBe(5);
    const second = await load();
    expect(second.bmc.asked).toEqual(['06:01', '0a:20']);
    expect(second.names).toEqual(['Inlet Temp', 'A name of 16 ch.', 'PS1 Status', 'Power']);
    options.additionTime = 101;
    expect((await load()).bmc.count('0a:23')).toBe(5);
    expect((await load()).bmc.count('0a:23')).toBe(0);
    options.firmware = 2;
    expect((await load()).bmc.count('0a:23')).toBe(5);
    // An update in progress is not another firmware.
    options.firmware = 0x82;
    expect((await load()).bmc.count('0a:23')).toBe(0);
    writeFileSync(file(), 'corrupt');
    expect((await load()).bmc.count('0a:23')).toBe(5);
    expect((await load()).bmc.count('0a:23')).toBe(0);
  });

  it('that cannot be written are done without', async () => {
    writeFileSync(join(folder, 'ipmi'), 'a file where the folder should be');
    const bmc = new SdrBmc({ records: RECORDS });
    const catalogue = new SensorCatalogue(bmc, 'bmc:623', new SdrCache(folder, 'bmc:623'));
    expect(await catalogue.ready(performance.now() + 5_000)).toBeUndefined();
    expect(catalogue.sensors).toHaveLength(4);
  });
});

describe('the sensor that a URL means', () => {
  async function catalogueOf(records: Buffer[]): Promise<SensorCatalogue> {
    const catalogue = new SensorCatalogue(new SdrBmc({ records }), 'bmc:623', undefined);
    await catalogue.ready(performance.now() + 5_000);
    return catalogue;
  }

  it('is found by name or record id, where Kwollect takes the last line of ipmi-sensors that has either', async () => {
    const catalogue = await catalogueOf([
      fullRecord({ recordId: 1, number: 1, name: 'Temp' }),
      fullRecord({ recordId: 2, number: 2, name: 'Temp' }),
      fullRecord({ recordId: 3, number: 3, name: '1' }),
      fullRecord({ recordId: 4, number: 4, name: '5' }),
      fullRecord({ recordId: 5, number: 5, name: ' Fan ' }),
    ]);
    const number = (key: string) => catalogue.find(key)?.sensorNumber;
    expect(number('Temp')).toBe(2);
    expect(number('2')).toBe(2);
    expect(number('1')).toBe(3);
    expect(number('5')).toBe(5);
    expect(number('Fan')).toBe(5);
    expect(number('fan')).toBeUndefined();
    expect(catalogue.notFound('fan')).toBe('the BMC has no sensor "fan", there is "Fan"');
    expect(catalogue.notFound('Pwr Consumption')).toBe('the BMC has no sensor "Pwr Consumption"');
  });

  it('may be one of a shared record, and an event-only one where nothing else has the name', async () => {
    const catalogue = await catalogueOf([
      compactRecord({ recordId: 1, number: 10, name: 'DIMM', shareCount: 3, offset: 1 }),
      eventOnlyRecord({ recordId: 2, number: 40, name: 'DIMM 2' }),
      eventOnlyRecord({ recordId: 3, number: 41, name: 'SEL' }),
    ]);
    const number = (key: string) => catalogue.find(key)?.sensorNumber;
    expect([number('DIMM'), number('DIMM 1'), number('DIMM 2'), number('DIMM 3')]).toEqual([10, 10, 11, 12]);
    expect([number('1'), number('2'), number('SEL')]).toEqual([10, 40, 41]);
  });
});
