/** Sensor data records for tests, made of what matters in them (IPMI 2.0 tables 43-1 to 43-3). */

export interface FullRecordOptions {
  readonly recordId?: number;
  readonly number?: number;
  readonly name?: string;
  /** Overrides `name`: the type/length byte and what follows it. */
  readonly idString?: readonly number[];
  readonly ownerId?: number;
  readonly ownerLun?: number;
  readonly sensorType?: number;
  readonly eventType?: number;
  readonly units?: readonly [number, number, number];
  readonly linearization?: number;
  readonly m?: number;
  readonly b?: number;
  readonly rExponent?: number;
  readonly bExponent?: number;
  readonly tolerance?: number;
  readonly entityId?: number;
  readonly entityInstance?: number;
}

export interface SharedRecordOptions extends FullRecordOptions {
  readonly shareCount?: number;
  readonly modifier?: 'numeric' | 'alpha';
  readonly offset?: number;
}

/** Type/length byte and 8-bit text. */
function eightBitName(name: string): number[] {
  const bytes = [...Buffer.from(name, 'latin1')];
  return [0xc0 | bytes.length, ...bytes];
}

function withHeader(recordId: number, type: number, body: readonly number[]): Buffer {
  return Buffer.from([recordId & 0xff, recordId >> 8, 0x51, type, body.length, ...body]);
}

/** The ten bits of M or B as SDRs split them, with six bits of something else. */
function split(value: number, rest: number): [number, number] {
  return [value & 0xff, (((value >> 8) & 3) << 6) | rest];
}

export function fullRecord({
  recordId = 1,
  number = 1,
  name = 'Sensor',
  idString = eightBitName(name),
  ownerId = 0x20,
  ownerLun = 0,
  sensorType = 0x01,
  eventType = 0x01,
  units = [0x00, 0x01, 0x00],
  linearization = 0,
  m = 1,
  b = 0,
  rExponent = 0,
  bExponent = 0,
  tolerance = 0,
  entityId = 0x07,
  entityInstance = 1,
}: FullRecordOptions): Buffer {
  return withHeader(recordId, 0x01, [
    ...[ownerId, ownerLun, number, entityId, entityInstance, 0x7f, 0x68, sensorType, eventType],
    ...[0, 0, 0, 0, 0, 0],
    ...units,
    ...[
      linearization,
      ...split(m, tolerance),
      ...split(b, 0),
      0,
      ((rExponent & 0xf) << 4) | (bExponent & 0xf),
    ],
    ...[0, 0, 0xff, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...idString,
  ]);
}

export function compactRecord({
  recordId = 1,
  number = 1,
  name = 'Sensor',
  idString = eightBitName(name),
  ownerId = 0x20,
  ownerLun = 0,
  sensorType = 0x25,
  eventType = 0x6f,
  units = [0xc0, 0x00, 0x00],
  entityId = 0x07,
  entityInstance = 1,
  shareCount = 1,
  modifier = 'numeric',
  offset = 0,
}: SharedRecordOptions): Buffer {
  return withHeader(recordId, 0x02, [
    ...[ownerId, ownerLun, number, entityId, entityInstance, 0x67, 0x40, sensorType, eventType],
    ...[0, 0, 0, 0, 0, 0],
    ...units,
    ...[((modifier === 'alpha' ? 1 : 0) << 4) | shareCount, offset, 0, 0, 0, 0, 0, 0],
    ...idString,
  ]);
}

export function eventOnlyRecord({
  recordId = 1,
  number = 1,
  name = 'Sensor',
  idString = eightBitName(name),
  ownerId = 0x20,
  ownerLun = 0,
  sensorType = 0x12,
  eventType = 0x6f,
  entityId = 0x07,
  entityInstance = 1,
  shareCount = 1,
  modifier = 'numeric',
  offset = 0,
}: SharedRecordOptions): Buffer {
  return withHeader(recordId, 0x03, [
    ...[ownerId, ownerLun, number, entityId, entityInstance, sensorType, eventType],
    ...[((modifier === 'alpha' ? 1 : 0) << 4) | shareCount, offset, 0, 0],
    ...idString,
  ]);
}
