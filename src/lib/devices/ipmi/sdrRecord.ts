/**
 * Sensor data records, IPMI 2.0 section 43: full (01h), compact (02h) and event-only (03h) sensors. Every other type
 * (locators of devices and FRUs, entities, OEM) describes no sensor and is left out.
 */
import { type AnalogFormat, decodeFactors, type Factors } from './conversion.ts';
import { decodeIdString, type Sharing, sharedName } from './idString.ts';
import { decodeUnits, hasUnit, type Units } from './units.ts';

/** Record id, version, type, length: in front of every record (section 43, table 43-1). */
export const HEADER_BYTES = 5;

export interface SensorRecord {
  readonly kind: 'full' | 'compact' | 'event-only';
  /** What `ipmi-sensors` prints in its first column. */
  readonly recordId: number;
  /** The ID string, without the number of a shared sensor. */
  readonly name: string;
  /** Slave address (even), or the id of system software (odd). */
  readonly ownerId: number;
  readonly ownerLun: number;
  readonly channel: number;
  /** Of the first sensor when the record is shared. */
  readonly sensorNumber: number;
  readonly entityId: number;
  readonly entityInstance: number;
  readonly sensorType: number;
  /** 01h: thresholds. 02h to 0Ch: generic states. 6Fh: states of the sensor type. 70h to 7Fh: OEM. */
  readonly eventType: number;
  readonly units: Units;
  readonly sharing: Sharing;
  /** Full records only. */
  readonly analog:
    | { readonly format: AnalogFormat; readonly linearization: number; readonly factors: Factors }
    | undefined;
}

const ANALOG_FORMATS: readonly AnalogFormat[] = ['unsigned', 'ones', 'twos', 'none'];
const NOT_SHARED: Sharing = { count: 1, modifier: 'numeric', offset: 0 };
const NO_UNITS = decodeUnits(0, 0, 0);

/** Where things lie, counted from the start of the record (tables 43-1, 43-2, 43-3). */
const FULL_ID_STRING = 47;
const COMPACT_ID_STRING = 31;
const EVENT_ONLY_ID_STRING = 16;

/**
 * A record that describes a sensor; undefined for other types and for what is too short to be one.
 * @param data the whole record with its header; what lies behind its length is ignored
 */
export function decodeSensorRecord(data: Uint8Array): SensorRecord | undefined {
  if (data.length < HEADER_BYTES) return undefined;
  const end = Math.min(data.length, HEADER_BYTES + (data[4] as number));
  const record = data.subarray(0, end);
  switch (record[3]) {
    case 0x01:
      return record.length > FULL_ID_STRING ? fullRecord(record) : undefined;
    case 0x02:
      return record.length > COMPACT_ID_STRING ? compactRecord(record) : undefined;
    case 0x03:
      return record.length > EVENT_ONLY_ID_STRING ? eventOnlyRecord(record) : undefined;
    default:
      return undefined;
  }
}

/** What all three kinds have in the same places: the header and the record key. */
function keyOf(record: Uint8Array, idString: number) {
  const at = (index: number) => record[index] as number;
  return {
    recordId: at(0) | (at(1) << 8),
    ownerId: at(5),
    ownerLun: at(6) & 0x03,
    channel: at(6) >> 4,
    sensorNumber: at(7),
    entityId: at(8),
    entityInstance: at(9),
    name: decodeIdString(at(idString), record.subarray(idString + 1)),
  };
}

function fullRecord(record: Uint8Array): SensorRecord {
  const at = (index: number) => record[index] as number;
  return {
    kind: 'full',
    ...keyOf(record, FULL_ID_STRING),
    sensorType: at(12),
    eventType: at(13) & 0x7f,
    units: decodeUnits(at(20), at(21), at(22)),
    sharing: NOT_SHARED,
    analog: {
      format: ANALOG_FORMATS[at(20) >> 6] as AnalogFormat,
      linearization: at(23) & 0x7f,
      factors: decodeFactors(record, 24),
    },
  };
}

function compactRecord(record: Uint8Array): SensorRecord {
  const at = (index: number) => record[index] as number;
  return {
    kind: 'compact',
    ...keyOf(record, COMPACT_ID_STRING),
    sensorType: at(12),
    eventType: at(13) & 0x7f,
    units: decodeUnits(at(20), at(21), at(22)),
    sharing: decodeSharing(at(23), at(24)),
    analog: undefined,
  };
}

function eventOnlyRecord(record: Uint8Array): SensorRecord {
  const at = (index: number) => record[index] as number;
  return {
    kind: 'event-only',
    ...keyOf(record, EVENT_ONLY_ID_STRING),
    sensorType: at(10),
    eventType: at(11) & 0x7f,
    units: NO_UNITS,
    sharing: decodeSharing(at(12), at(13)),
    analog: undefined,
  };
}

function decodeSharing(first: number, second: number): Sharing {
  return {
    count: Math.max(1, first & 0x0f),
    modifier: ((first >> 4) & 0x03) === 1 ? 'alpha' : 'numeric',
    offset: second & 0x7f,
  };
}

/** One sensor: a record, and which of the sensors that share it. */
export interface Sensor {
  readonly record: SensorRecord;
  /** With the number or letter of a shared sensor. */
  readonly name: string;
  readonly sensorNumber: number;
}

/** The sensors of a record, one for most. */
export function sensorsOf(record: SensorRecord): Sensor[] {
  const { sharing, name, sensorNumber } = record;
  if (sharing.count <= 1) return [{ record, name, sensorNumber }];
  return Array.from({ length: sharing.count }, (_, index) => ({
    record,
    name: sharedName(name, sharing, index),
    sensorNumber: (sensorNumber + index) & 0xff,
  }));
}

const THRESHOLD = 0x01;

/**
 * Whether a reading of the sensor is a number.
 * Besides thresholds with an analog format there are full records of type "discrete" that have units and factors all
 * the same (HP's power meters: `ipmi-sensors -W discretereading`); those are numbers too.
 */
export function isNumeric({ analog, eventType, units }: SensorRecord): boolean {
  if (!analog || analog.format === 'none') return false;
  return eventType === THRESHOLD || hasUnit(units);
}

/** Whether a reading is a set of states, which are told as text. */
export function isDiscrete(record: SensorRecord): boolean {
  const { kind, eventType } = record;
  return kind !== 'event-only' && eventType !== THRESHOLD && !isNumeric(record);
}
