/**
 * kw, `ipmi-sensors` and `ipmitool` read the same BMC at the same time: equal names, equal numbers to the last digit
 * that each prints, for every sensor. The BMC is ipmi_sim, with sensors of every formula.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BmcSensors, READING_GOOD } from '../../support/bmcSensors.ts';
import { type BmcReader, readerOf } from '../../support/ipmiRead.ts';
import {
  canBuildDcmi,
  hasIpmiSim,
  hasIpmiTools,
  SIM_SENSORS,
  type SimBmc,
  startBmc,
} from '../../support/ipmiSim.ts';
import {
  asIpmiSensors,
  ipmiSensors,
  ipmitoolSensors,
  printf,
  type SensorLine,
} from '../../support/ipmiTools.ts';
import { compactRecord, eventOnlyRecord, fullRecord } from '../../support/sdr.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { startTestBmc, type TestBmc } from '../../support/testBmc.ts';

/** Sensors of which only the raw byte matters; the records below turn it into values of every kind. */
const RAW = [1, 2, 3].map((number) => ({
  ...(SIM_SENSORS[0] as (typeof SIM_SENSORS)[number]),
  number,
  name: `Raw ${number}`,
}));
const FORMULAS = [
  'linear',
  'ln',
  'log10',
  'log2',
  'exp',
  'exp10',
  'exp2',
  '1/x',
  'sqr',
  'cube',
  'sqrt',
  'cbrt',
];
const WATTS = [0, 6, 0] as const;

let recordId = 100;
const id = () => recordId++;
const NUMERIC = [
  ...FORMULAS.flatMap((formula, linearization) => [
    fullRecord({ recordId: id(), number: 1, name: `${formula} A`, linearization, m: 3, b: 7, rExponent: -1 }),
    fullRecord({ recordId: id(), number: 2, name: `${formula} B`, linearization, m: 1, b: 1, rExponent: -2 }),
    fullRecord({
      recordId: id(),
      number: 3,
      name: `${formula} C`,
      linearization,
      m: 11,
      b: 300,
      rExponent: -3,
    }),
  ]),
  ...(['unsigned', 'ones', 'twos'] as const).flatMap((format, code) => [
    fullRecord({
      recordId: id(),
      number: 1,
      name: `${format} M+`,
      units: [code << 6, 1, 0],
      m: 7,
      b: -13,
      rExponent: -2,
    }),
    fullRecord({
      recordId: id(),
      number: 2,
      name: `${format} M-`,
      units: [code << 6, 1, 0],
      m: -509,
      b: 511,
      bExponent: 2,
      rExponent: -3,
    }),
    fullRecord({
      recordId: id(),
      number: 3,
      name: `${format} e+`,
      units: [code << 6, 1, 0],
      m: 2,
      b: 5,
      bExponent: -4,
      rExponent: 3,
    }),
  ]),
  fullRecord({
    recordId: id(),
    number: 1,
    name: 'Percent',
    units: [1, 0, 0],
    m: 4,
    rExponent: -1,
    sensorType: 4,
  }),
  fullRecord({ recordId: id(), number: 2, name: 'Rate', units: [3 << 3, 70, 0], m: 5 }),
  fullRecord({ recordId: id(), number: 3, name: 'Per minute', units: [4 << 3, 18, 0], m: 60 }),
  fullRecord({ recordId: id(), number: 1, name: 'Divided', units: [1 << 1, 6, 34], m: 5 }),
  fullRecord({ recordId: id(), number: 2, name: 'Times', units: [2 << 1, 6, 24], m: 5 }),
  fullRecord({ recordId: id(), number: 3, name: 'Volt/PSU #1 + 5%', units: [0, 4, 0], m: 6, rExponent: -2 }),
  fullRecord({ recordId: id(), number: 1, name: '16 characters ok', units: WATTS }),
];
const OTHERS = [
  compactRecord({ recordId: id(), number: 1, name: 'Presence', sensorType: 0x25 }),
  compactRecord({ recordId: id(), number: 1, name: 'Shared', sensorType: 0x08, shareCount: 3, offset: 1 }),
  eventOnlyRecord({ recordId: id(), number: 40, name: 'Only events' }),
  fullRecord({ recordId: id(), number: 2, name: 'No analog', units: [0xc0, 0, 0] }),
];
/** Raw bytes of the three sensors. */
const RAWS = [
  [0, 0, 0],
  [1, 9, 77],
  [127, 128, 129],
  [200, 100, 50],
  [255, 254, 253],
] as const;

describe.skipIf(skipUnless('ipmi_sim, ipmitool and ipmi-sensors', hasIpmiSim && hasIpmiTools))(
  'the sensors of a BMC',
  () => {
    let bmc: SimBmc;
    let reader: BmcReader;
    let names: string[];
    const { folder, remove } = temporaryFolder();

    beforeAll(async () => {
      bmc = await startBmc({ sensors: RAW, records: [...NUMERIC, ...OTHERS], pollMs: 50 });
      const lines = await ipmiSensors(bmc, folder);
      names = lines.map(({ name }) => name);
      reader = readerOf(bmc, names.slice(RAW.length));
    }, 30_000);
    afterAll(async () => {
      await reader?.close();
      await bmc?.stop();
      remove();
    });

    /** Lets the BMC take these raw bytes over, as kw itself reads them. */
    async function setRaws(raws: readonly number[]): Promise<void> {
      for (const [index, raw] of raws.entries()) bmc.setRaw(index + 1, raw);
      const probe = readerOf(
        bmc,
        RAW.map(({ name }) => name),
      );
      try {
        for (let round = 0; round < 100; round++) {
          const values = await probe.values();
          if (RAW.every(({ name }, index) => values.get(name) === raws[index])) return;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        throw new Error('the BMC does not take its raw values over');
      } finally {
        await probe.close();
      }
    }

    it.each(RAWS)('are equal at raw %i, %i and %i, while all three read at once', async (...raws) => {
      await setRaws(raws);
      let isOver = false;
      const polling = (async () => {
        const all: Map<string, number | string>[] = [];
        while (!isOver) {
          all.push(await reader.values());
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return all;
      })();
      let lines: SensorLine[];
      let tool: Map<string, string>;
      try {
        [lines, tool] = await Promise.all([ipmiSensors(bmc, folder), ipmitoolSensors(bmc)]);
      } finally {
        isOver = true;
      }
      const reads = await polling;
      expect(reads.length).toBeGreaterThan(1);
      for (const values of reads) expect(values).toEqual(reads[0]);
      const [values] = reads as [Map<string, number | string>];
      const numbers = (line: SensorLine) => {
        const value = values.get(line.name);
        return typeof value === 'number' ? asIpmiSensors(value) : 'N/A';
      };
      const printed = lines.slice(RAW.length);
      // ipmi-sensors computes in integers of 64 bits, which have no ln(0) and end at 9e18; and until 1.6.10 it takes
      // 1/x^3 for the cube root, which ipmitool has.
      const isNumber = ({ name, reading }: SensorLine) =>
        Math.abs(Number(values.get(name) ?? 0)) < 2 ** 63 &&
        !reading.startsWith('-92233720368547758') &&
        !name.startsWith('cbrt');
      expect(printed.filter(isNumber).map((line) => [line.name, numbers(line)])).toEqual(
        printed.filter(isNumber).map(({ name, reading }) => [name, reading]),
      );
      // A double beyond that has no three decimals left.
      const compared = [...values].filter(
        ([name, value]) => Math.abs(Number(value)) < 1e12 && tool.has(name),
      );
      expect(compared.map(([name, value]) => [name, printf(value as number, 3)])).toEqual(
        compared.map(([name]) => [name, tool.get(name)]),
      );
      expect(compared.length).toBeGreaterThan(35);
    });

    it('are found by record id as well as by name', async () => {
      const lines = await ipmiSensors(bmc, folder);
      const byId = readerOf(
        bmc,
        lines.map(({ recordId: key }) => String(key)),
      );
      const ofIds = await byId.values();
      const ofNames = await reader.values();
      await byId.close();
      for (const { recordId: key, name } of lines.slice(RAW.length))
        expect(ofIds.get(String(key)), name).toEqual(ofNames.get(name));
    });

    it('without a reading give no row, and a sentence each', async () => {
      const absent = readerOf(bmc, ['Only events', 'No analog', 'Persence', 'Raw 1']);
      const { samples, problems, up } = await absent.read();
      await absent.close();
      expect(up).toBe(true);
      expect(samples.map(({ series }) => series.metricId)).toEqual(['Raw 1']);
      expect(problems).toEqual([
        {
          kind: 'missing',
          message: '"Only events" only sends events: it has no reading',
          metricId: 'Only events',
        },
        { kind: 'missing', message: '"No analog" has no number to read', metricId: 'No analog' },
        {
          kind: 'missing',
          message: 'the BMC has no sensor "Persence", there is "Presence"',
          metricId: 'Persence',
        },
      ]);
    });

    it('share the middle of the pass as their time, and follow the BMC', async () => {
      await setRaws([10, 20, 30]);
      const startUs = Date.now() * 1000;
      const { samples, timestampUs } = await reader.read();
      expect(new Set(samples.map((sample) => sample.timestampUs))).toEqual(new Set([timestampUs]));
      expect(timestampUs).toBeGreaterThanOrEqual(startUs);
      expect(timestampUs).toBeLessThanOrEqual(Date.now() * 1000);
      const before = (await reader.values()).get('linear A');
      await setRaws([11, 20, 30]);
      expect(before).toBeCloseTo(3.7);
      expect((await reader.values()).get('linear A')).toBeCloseTo(4);
    });

    it('and the power of DCMI come with one session', async () => {
      if (!canBuildDcmi) return;
      const both = readerOf(bmc, ['ipmi-dcmi:power', 'ipmi-dcmi:power/maximum', 'Raw 2'], {
        query: '?privilege=admin',
      });
      bmc.setDcmi([321, 100, 400, 300]);
      const values = await both.values();
      await both.close();
      expect(values).toEqual(
        new Map([
          ['ipmi-dcmi:power', 321],
          ['ipmi-dcmi:power/maximum', 400],
          ['Raw 2', 20],
        ]),
      );
    });
  },
);

describe.skipIf(skipUnless('ipmitool and ipmi-sensors', hasIpmiTools))(
  'the sensors of a BMC of cipher suite 17',
  () => {
    const TABLE = [5, 40, 90];
    const records = [
      fullRecord({ recordId: 1, number: 1, name: 'Inlet', m: 1, b: -3, rExponent: -1 }),
      fullRecord({ recordId: 2, number: 2, name: 'Curve', linearization: 0x70, units: WATTS }),
      fullRecord({ recordId: 3, number: 3, name: 'Gone', units: WATTS }),
      fullRecord({ recordId: 4, number: 4, name: 'Not scanned', units: WATTS }),
      fullRecord({ recordId: 5, number: 5, name: 'Meter', eventType: 0x03, units: WATTS, m: 2 }),
      fullRecord({ recordId: 6, number: 1, idString: [0x83, 0x29, 0xdc, 0xa6] }),
      fullRecord({ recordId: 7, number: 1, idString: [0x42, 0x12, 0xb3] }),
      fullRecord({ recordId: 8, number: 1, idString: [0xc4, 0x54, 0xfc, 0x72, 0x20] }),
      fullRecord({ recordId: 9, number: 1, idString: [0x06, 0x41, 0, 0x42, 0, 0x43, 0] }),
      fullRecord({ recordId: 11, number: 9, name: 'Missing' }),
      compactRecord({
        recordId: 12,
        number: 6,
        name: 'DIMM',
        sensorType: 0x0c,
        shareCount: 3,
        modifier: 'alpha',
      }),
    ];
    const { folder, remove } = temporaryFolder();
    let raw = 0;
    let bmc: TestBmc;
    const sensors = new BmcSensors({ records, readings: new Map(), maxRead: 20 });

    beforeAll(async () => {
      bmc = await startTestBmc({
        suites: [17],
        handle: (command) => {
          // Get Sensor Reading Factors of the one non-linear sensor: M grows with the reading.
          if (command.netFn === 4 && command.command === 0x23) {
            const reading = command.data[1] as number;
            return { code: 0, data: [(reading + 1) & 0xff, reading & 0xff, 0x05, 2, 0, 0, 0xe0] };
          }
          return sensors.handle(command);
        },
      });
    });
    afterAll(async () => {
      await bmc.stop();
      remove();
    });

    function setRaw(next: number): void {
      raw = next;
      sensors.readings = new Map([
        [1, [raw, READING_GOOD, 0xc0]],
        [2, [raw, READING_GOOD, 0xc0]],
        [3, [raw, 0xe0, 0xc0]],
        [4, [raw, 0x80, 0xc0]],
        [5, [raw, READING_GOOD, 0x02, 0x80]],
        [6, [0, READING_GOOD, 0x40, 0x80]],
        [7, [0, READING_GOOD, 0x02, 0x80]],
        [8, [0, READING_GOOD, 0x00, 0x80]],
      ]);
    }

    it('are equal to what both tools print, and more where these know no formula', async () => {
      const keys = ['Inlet', 'Curve', 'Gone', 'Not scanned', 'Meter', 'IPM', '12-3', 'Tür', 'ABC', 'Missing'];
      const reader = readerOf(bmc, [...keys, 'DIMM A', 'DIMM B', 'DIMM C', 'DIMM'], { query: '?cipher=17' });
      for (const next of TABLE) {
        setRaw(next);
        const [{ samples, problems }, lines, tool] = await Promise.all([
          reader.read(),
          ipmiSensors(bmc, folder, { cipher: 17 }),
          ipmitoolSensors(bmc, { cipher: 17 }),
        ]);
        const values = new Map(
          samples.map(({ series, value }) => [series.metricId, series.labels.value_str ?? value]),
        );
        const printed = new Map(lines.map(({ recordId: key, reading }) => [key, reading]));
        const number = (key: string) => values.get(key) as number;
        expect(asIpmiSensors(number('Inlet'))).toBe(printed.get(1));
        // freeipmi leaves non-linear sensors and such meters alone; ipmitool has both.
        expect([printed.get(2), printed.get(5)]).toEqual(['N/A', 'N/A']);
        expect(number('Curve')).toBeCloseTo((next * next + 2) / 100, 10);
        expect(printf(number('Curve'), 3)).toBe(tool.get('Curve'));
        expect(number('Meter')).toBe(2 * next);
        for (const key of ['IPM', '12-3', 'Tür', 'ABC']) expect(number(key)).toBe(next);
        expect(problems.map(({ kind, message }) => `${kind}: ${message}`)).toEqual([
          'missing: "Gone": no reading at the moment',
          'missing: "Not scanned": its scanning is disabled',
          'missing: "Missing": completion code 0xcb, no such sensor or record',
        ]);
        expect([printed.get(3), printed.get(4), printed.get(11)]).toEqual(['N/A', 'N/A', 'N/A']);
        expect(['DIMM A', 'DIMM B', 'DIMM C', 'DIMM'].map((key) => values.get(key))).toEqual([
          'presence detected',
          'uncorrectable ECC',
          'OK',
          'presence detected',
        ]);
      }
      expect(reader.describe()).toContain(
        'formula: (90 x raw + 2 x 10^0) x 10^-2, non-linear (0x70), factors by reading, unsigned, tolerance 2.5 raw',
      );
      await reader.close();
    });

    it('are read anew when the repository has changed, and not before', async () => {
      setRaw(50);
      const { folder: dataFolder, remove: removeData } = temporaryFolder();
      const read = async () => {
        sensors.recordReads = 0;
        const reader = readerOf(bmc, ['Inlet', 'New'], { query: '?cipher=17', context: { dataFolder } });
        const values = await reader.values();
        await reader.close();
        return { names: [...values.keys()], reads: sensors.recordReads };
      };
      const first = await read();
      expect(first.names).toEqual(['Inlet']);
      expect(first.reads).toBeGreaterThan(records.length);
      expect(await read()).toEqual({ names: ['Inlet'], reads: 0 });
      sensors.records = [...records, fullRecord({ recordId: 20, number: 1, name: 'New' })];
      sensors.changedS++;
      const third = await read();
      expect(third.names).toEqual(['Inlet', 'New']);
      expect(third.reads).toBeGreaterThan(records.length);
      expect(await read()).toEqual({ names: ['Inlet', 'New'], reads: 0 });
      removeData();
    });
  },
);
