/** Reads one sensor: Get Sensor Reading, and the factors of that reading where the sensor is non-linear. */
import type { Fact, Problem } from '../driver.ts';
import { quote } from '../shared/tally.ts';
import {
  convertReading,
  decodeFactors,
  type Factors,
  isKnownLinearization,
  isNonLinear,
  linearizationName,
} from './conversion.ts';
import { type FollowUp, type Item, type Pass, problemOfAll, type ReadTask, textSeries } from './readTask.ts';
import { Code, type Command, codeText, NetFn, type Reply } from './requester.ts';
import { isDiscrete, isNumeric, type Sensor } from './sdrRecord.ts';
import { decodeSensorReading, type SensorReading } from './sensorReading.ts';
import { sensorTypeName, statesText, thresholdText } from './states.ts';
import { unitsText } from './units.ts';

const GET_SENSOR_READING = 0x2d;
const GET_SENSOR_READING_FACTORS = 0x23;
/** The address of every BMC (IPMI 2.0 section 5.4). */
const BMC_ADDRESS = 0x20;

/** Answers with which BMCs mean that a sensor is not there at the moment, as `ipmi-sensors` takes them. */
const ABSENT: readonly number[] = [
  Code.notPresent,
  Code.illegalForSensor,
  Code.outOfRange,
  Code.invalidField,
  Code.noResponse,
  Code.unavailable,
  Code.notInThisState,
];

/** Why a sensor cannot be read at all, as far as its record tells; undefined when it can. */
export function obstacle({ record, name }: Sensor): Pick<Problem, 'kind' | 'message'> | undefined {
  const { kind, ownerId, analog } = record;
  const quoted = quote(name);
  if (kind === 'event-only')
    return { kind: 'missing', message: `${quoted} only sends events: it has no reading` };
  if (ownerId & 1)
    return { kind: 'missing', message: `${quoted} belongs to software of the machine, not to the BMC` };
  if (ownerId !== BMC_ADDRESS) {
    const message = `${quoted} belongs to the controller at ${hex(ownerId)}, and kw asks only the BMC itself`;
    return { kind: 'missing', message };
  }
  if (isDiscrete(record)) return undefined;
  if (!isNumeric(record) || !analog) return { kind: 'missing', message: `${quoted} has no number to read` };
  if (!isKnownLinearization(analog.linearization)) {
    const message = `${quoted}: its formula is ${linearizationName(analog.linearization)}`;
    return { kind: 'value', message };
  }
  return undefined;
}

export class SensorTask implements ReadTask {
  readonly items: readonly Item[];
  readonly sensor: Sensor;
  isSilent = false;
  readonly command: Command;
  readonly #isDiscrete: boolean;
  /** Of non-linear sensors, by raw byte: they are the same for the same reading. */
  readonly #factors: (Factors | undefined)[] = [];
  #code = 0;
  #reading: SensorReading | undefined;

  constructor(sensor: Sensor, items: readonly Item[]) {
    this.sensor = sensor;
    this.items = items;
    this.#isDiscrete = isDiscrete(sensor.record);
    this.command = {
      netFn: NetFn.sensorEvent,
      command: GET_SENSOR_READING,
      data: Uint8Array.of(sensor.sensorNumber),
      lun: sensor.record.ownerLun,
    };
  }

  get name(): string {
    return this.sensor.name;
  }

  /** The BMC says that it has no such sensor: its records may have changed. */
  get isGone(): boolean {
    return this.#code === Code.notPresent;
  }

  keep(reply: Reply): FollowUp | undefined {
    this.#code = reply.completionCode;
    this.#reading = this.#code === Code.success ? decodeSensorReading(reply.data) : undefined;
    const { analog } = this.sensor.record;
    const reading = this.#reading;
    if (!analog || !reading || reading.absence || !isNonLinear(analog.linearization)) return undefined;
    return this.#factors[reading.raw] === undefined ? this.#factorsOf(reading.raw) : undefined;
  }

  /** Section 35.5: the reading, then the same six bytes as in the record behind "next reading". */
  #factorsOf(raw: number): FollowUp {
    return {
      command: {
        netFn: NetFn.sensorEvent,
        command: GET_SENSOR_READING_FACTORS,
        data: Uint8Array.of(this.sensor.sensorNumber, raw),
        lun: this.sensor.record.ownerLun,
      },
      keep: ({ completionCode, data }) => {
        this.#code = completionCode;
        if (completionCode === Code.success && data.length >= 7) this.#factors[raw] = decodeFactors(data, 1);
      },
    };
  }

  take(timestampUs: number, pass: Pass): void {
    const reading = this.#reading;
    const quoted = quote(this.name);
    if (this.#code !== Code.success) {
      const isAbsent = ABSENT.includes(this.#code);
      const kind = isAbsent ? 'missing' : this.#code === Code.noPrivilege ? 'auth' : 'protocol';
      problemOfAll(this.items, kind, `${quoted}: ${codeText(this.#code)}`, pass);
    } else if (!reading) {
      problemOfAll(this.items, 'protocol', `${quoted}: the BMC's answer is too short`, pass);
    } else if (reading.absence) {
      const why = reading.absence === 'unavailable' ? 'no reading at the moment' : 'its scanning is disabled';
      problemOfAll(this.items, 'missing', `${quoted}: ${why}`, pass);
    } else if (this.#isDiscrete) {
      this.#takeStates(reading.states, timestampUs, pass);
    } else {
      this.#takeNumber(reading.raw, timestampUs, pass);
    }
  }

  #takeNumber(raw: number, timestampUs: number, pass: Pass): void {
    const value = this.#valueOf(raw);
    if (value === undefined) {
      problemOfAll(this.items, 'value', `${quote(this.name)}: ${hex(raw)} gives no number`, pass);
      return;
    }
    for (const { series, scale } of this.items)
      pass.samples.push({ series, timestampUs, value: value * scale });
  }

  #valueOf(raw: number): number | undefined {
    const { analog } = this.sensor.record;
    if (!analog) return undefined;
    const { format, linearization, factors } = analog;
    const ofReading = isNonLinear(linearization) ? this.#factors[raw] : factors;
    return ofReading && convertReading(raw, format, linearization, ofReading);
  }

  #takeStates(states: number, timestampUs: number, pass: Pass): void {
    const text = statesText(this.sensor.record, states);
    for (const item of this.items) {
      const series = textSeries(item, text);
      if (typeof series === 'string') {
        const { metricId } = item.metric;
        pass.problems.push({ kind: 'limit', message: `${quote(this.name)}: ${series}`, metricId });
      } else pass.samples.push({ series, timestampUs, value: Number.NaN });
    }
  }

  /** What the last answer means, for `kw device discover`; undefined when there is no reading. */
  value(): number | string | undefined {
    const reading = this.#reading;
    if (!reading || reading.absence || this.#code !== Code.success) return undefined;
    return this.#isDiscrete ? statesText(this.sensor.record, reading.states) : this.#valueOf(reading.raw);
  }

  describe(): readonly Fact[] {
    const { record, sensorNumber } = this.sensor;
    const { recordId, ownerLun, sensorType, kind, analog, units, entityId, entityInstance } = record;
    const lun = ownerLun === 0 ? '' : `, LUN ${ownerLun}`;
    const facts: Fact[] = [
      {
        name: 'sensor',
        text: `${quote(this.name)}, record ${recordId} (${kind}), number ${sensorNumber}${lun}`,
      },
      { name: 'type', text: `${sensorTypeName(sensorType)}, entity ${entityId}.${entityInstance & 0x7f}` },
    ];
    if (analog && !this.#isDiscrete) {
      facts.push({ name: 'units', text: unitsText(units) });
      facts.push({ name: 'formula', text: this.#formula() });
    }
    const reading = this.#reading;
    if (!reading) return facts;
    facts.push({ name: 'raw', text: `${hex(reading.raw)} (${reading.raw})` });
    const state = this.#isDiscrete ? statesText(record, reading.states) : thresholdText(reading.states);
    facts.push({ name: 'state', text: reading.absence ?? state });
    return facts;
  }

  #formula(): string {
    const { analog } = this.sensor.record;
    if (!analog) return '';
    const { linearization, format } = analog;
    const ofReading = this.#reading && this.#factors[this.#reading.raw];
    const { m, b, rExponent, bExponent, tolerance } = ofReading ?? analog.factors;
    const linear = `(${m} x raw + ${b} x 10^${bExponent}) x 10^${rExponent}`;
    const plusMinus = tolerance === 0 ? '' : `, tolerance ${tolerance / 2} raw`;
    return `${linear}, ${linearizationName(linearization)}, ${FORMAT_NAMES[format]}${plusMinus}`;
  }
}

const FORMAT_NAMES = {
  unsigned: 'unsigned',
  ones: "1's complement",
  twos: "2's complement",
  none: 'not analog',
} as const;

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
