/**
 * Groups: many values under one name. `/power` is what each chassis draws, `/temperatures` every temperature.
 *
 * Where they stand depends on the age of the firmware. The newer resources of DSP2046 come first, then the old ones, then
 * single sensors; of each chassis the first place counts that has readings:
 *
 *   power          EnvironmentMetrics.PowerWatts, Power.PowerControl[].PowerConsumedWatts, Sensors of type Power
 *   temperatures   ThermalSubsystem -> ThermalMetrics.TemperatureReadingsCelsius[], Thermal.Temperatures[],
 *                  Sensors of type Temperature
 */
import { RedfishError } from './failure.ts';
import { linkOf, linkTo } from './links.ts';
import { type Group, ROOT } from './url.ts';
import { list, member, readingOf, text } from './value.ts';

/** One value of a group in a resource. */
export interface GroupReading {
  /** What the BMC calls it; unique in its resource. */
  readonly sensor: string;
  readonly value: unknown;
  /** The object that it stands in. */
  readonly holder: unknown;
}

/** A resource that has to be read for a group, and what to take from it. */
export interface Source {
  readonly path: string;
  readonly chassis: string;
  readonly readings: (body: unknown) => readonly GroupReading[];
}

export interface Sources {
  readonly sources: readonly Source[];
  /** What could not be looked at. */
  readonly failures: readonly RedfishError[];
}

/** Reads a resource. @throws RedfishError */
export type Fetch = (path: string) => Promise<unknown>;

/** Bounds on what a BMC can make kw read; the largest seen have some 100 chassis and 300 sensors. */
const MAX_MEMBERS = 256;
const MAX_PAGES = 16;
const MAX_SENSORS = 64;
const MAX_ITEMS = 1000;

const TYPE: Readonly<Record<Group, string>> = { power: 'Power', temperatures: 'Temperature' };

/** Finds where a BMC has the values of a group. @throws RedfishError when the BMC as a whole cannot be read */
export async function findSources(group: Group, fetch: Fetch): Promise<Sources> {
  const root = await fetch(`${ROOT}/`);
  const failures: RedfishError[] = [];
  const tolerant = tolerantOf(fetch, failures);
  const chassisPaths = await membersOf(linkTo(root, 'Chassis') ?? `${ROOT}/Chassis`, fetch);
  const expand = member(member(member(root, 'ProtocolFeaturesSupported'), 'ExpandQuery'), 'NoLinks') === true;
  const sources: Source[] = [];
  const seen = new Set<string>();
  for (const path of chassisPaths) {
    const body = await tolerant(path);
    if (body === undefined) continue;
    const chassis = text(body, 'Id') ?? lastSegment(path);
    for (const source of await sourcesOf(group, { body, chassis, expand }, tolerant)) {
      if (seen.has(source.path)) continue;
      seen.add(source.path);
      sources.push(source);
    }
  }
  return { sources, failures };
}

interface Chassis {
  readonly body: unknown;
  readonly chassis: string;
  /** Whether the service can put the members of a collection into one answer (DSP0266 section 7.3.1). */
  readonly expand: boolean;
}

type Tolerant = (path: string) => Promise<unknown>;

/** Resources that cannot be read leave a failure; only a failure of the whole BMC ends the search. */
function tolerantOf(fetch: Fetch, failures: RedfishError[]): Tolerant {
  return async (path) => {
    try {
      return await fetch(path);
    } catch (error) {
      if (!(error instanceof RedfishError) || error.scope === 'device') throw error;
      failures.push(error);
      return undefined;
    }
  };
}

async function sourcesOf(group: Group, chassis: Chassis, fetch: Tolerant): Promise<readonly Source[]> {
  let withoutReading: readonly Source[] = [];
  for await (const candidate of candidates(group, chassis, fetch)) {
    const { source, body } = candidate;
    const readings = source.readings(body);
    if (readings.some(({ value, holder }) => ['number', 'text'].includes(readingOf(value, holder).kind)))
      return [source];
    // A machine that is off has readings elsewhere no more than here.
    if (readings.length > 0 && withoutReading.length === 0) withoutReading = [source];
  }
  const sensors = await sensorSources(group, chassis, fetch);
  return sensors.length > 0 ? sensors : withoutReading;
}

async function* candidates(
  group: Group,
  { body, chassis }: Chassis,
  fetch: Tolerant,
): AsyncGenerator<{ source: Source; body: unknown }> {
  const at = async (path: string | undefined, readings: Source['readings']) => {
    const found = path === undefined ? undefined : await fetch(path);
    return found === undefined || path === undefined
      ? []
      : [{ source: { path, chassis, readings }, body: found }];
  };
  if (group === 'power') {
    yield* await at(linkTo(body, 'EnvironmentMetrics'), environmentPower);
    yield* await at(linkTo(body, 'Power'), powerControl);
  } else {
    const subsystem = linkTo(body, 'ThermalSubsystem');
    const metrics = subsystem === undefined ? undefined : linkTo(await fetch(subsystem), 'ThermalMetrics');
    yield* await at(metrics, thermalMetrics);
    yield* await at(linkTo(body, 'Thermal'), thermal);
  }
}

/** The sensors of a chassis that are of the group's type: all in one answer where the service can, else one by one. */
async function sensorSources(
  group: Group,
  { body, chassis, expand }: Chassis,
  fetch: Tolerant,
): Promise<Source[]> {
  const path = linkTo(body, 'Sensors');
  if (path === undefined) return [];
  const ofType = sensorsOf(TYPE[group]);
  if (expand) {
    // `.` is members without links; `$levels` must be given for bmcweb (OpenBMC, docs/Redfish.md).
    const expanded = `${path}?$expand=.($levels=1)`;
    const answer = await fetch(expanded);
    if (list(answer, 'Members').some((sensor) => text(sensor, 'ReadingType') !== undefined))
      return ofType(answer).length === 0 ? [] : [{ path: expanded, chassis, readings: ofType }];
    // IBM's bmcweb expands some collections only and says so nowhere (github.com/ibm-openbmc/bmcweb/pull/962).
  }
  const sources: Source[] = [];
  for (const sensorPath of (await membersOf(path, fetch)).slice(0, MAX_SENSORS)) {
    const sensor = await fetch(sensorPath);
    const one = (found: unknown) => ofType({ Members: [found] });
    if (sensor !== undefined && one(sensor).length > 0)
      sources.push({ path: sensorPath, chassis, readings: one });
  }
  return sources;
}

/** The links of a collection's members, page by page (`Members@odata.nextLink`), each once. */
export async function membersOf(path: string, fetch: Fetch): Promise<string[]> {
  const members = new Set<string>();
  const pages = new Set<string>();
  let page: string | undefined = path;
  while (page !== undefined && !pages.has(page) && pages.size < MAX_PAGES) {
    pages.add(page);
    const body: unknown = await fetch(page);
    for (const item of list(body, 'Members')) {
      const link = linkOf(item);
      if (link !== undefined && members.size < MAX_MEMBERS) members.add(link);
    }
    page = linkTo({ next: member(body, 'Members@odata.nextLink') }, 'next');
  }
  return [...members];
}

function environmentPower(body: unknown): GroupReading[] {
  const holder = member(body, 'PowerWatts');
  return holder === undefined ? [] : [{ sensor: 'PowerWatts', value: member(holder, 'Reading'), holder }];
}

function powerControl(body: unknown): GroupReading[] {
  return named(
    list(body, 'PowerControl'),
    'PowerConsumedWatts',
    (item, index) => nameOf(item) ?? `PowerControl ${index}`,
  );
}

function thermal(body: unknown): GroupReading[] {
  return named(
    list(body, 'Temperatures'),
    'ReadingCelsius',
    (item, index) => nameOf(item) ?? `Temperature ${index}`,
  );
}

/** Excerpts of sensors (DSP2046, SensorArrayExcerpt) name the sensor by its URI, and perhaps the device. */
function thermalMetrics(body: unknown): GroupReading[] {
  return named(list(body, 'TemperatureReadingsCelsius'), 'Reading', (item, index) => {
    const uri = linkOf(member(item, 'DataSourceUri'));
    return text(item, 'DeviceName') ?? (uri === undefined ? `Temperature ${index}` : lastSegment(uri));
  });
}

function sensorsOf(type: string): Source['readings'] {
  return (body) =>
    named(
      list(body, 'Members').filter((sensor) => member(sensor, 'ReadingType') === type),
      'Reading',
      (sensor, index) => text(sensor, 'Name') ?? text(sensor, 'Id') ?? `Sensor ${index}`,
    );
}

function nameOf(item: unknown): string | undefined {
  return text(item, 'Name') ?? text(item, 'DeviceName');
}

/** Items with a name that is theirs alone: several of one name get their place behind it. */
function named(
  all: readonly unknown[],
  property: string,
  name: (item: unknown, index: number) => string,
): GroupReading[] {
  const items = all.slice(0, MAX_ITEMS);
  const names = items.map(name);
  const count = new Map<string, number>();
  for (const one of names) count.set(one, (count.get(one) ?? 0) + 1);
  return items.map((holder, index) => {
    const own = names[index] as string;
    const sensor = (count.get(own) ?? 0) > 1 ? `${own} (${index})` : own;
    return { sensor, value: member(holder, property), holder };
  });
}

export function lastSegment(path: string): string {
  const [bare = ''] = path.split('?', 1);
  const segment = bare.replace(/\/+$/, '').split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
