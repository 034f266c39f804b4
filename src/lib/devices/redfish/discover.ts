/**
 * What a BMC offers: power, energy, temperatures, fans, power supplies and other sensors of every chassis, as entries
 * with an exact pointer each. What the newer resources tell is not told again from the old ones, so that the sum over a
 * metric counts nothing twice.
 */
import type { DiscoverOptions, Discovery, Fact, Finding, Problem, SessionContext } from '../driver.ts';
import {
  baseUnit,
  deviceLabels,
  deviceText,
  metricName,
  rankOfUnit,
  sensorMetricName,
  tellApart,
  writableSecret,
} from '../naming.ts';
import { follow, formatPointer } from '../shared/pointer.ts';
import { RedfishClient } from './client.ts';
import { RedfishError } from './failure.ts';
import { lastSegment, membersOf } from './groups.ts';
import { linkOf, linkTo } from './links.ts';
import { type RedfishUrl, ROOT } from './url.ts';
import { list, member, readingOf, text } from './value.ts';

/** A BMC needs up to seconds for a resource, and what it says changes slowly. */
const PERIOD_MS: Readonly<Record<number, number>> = { 0: 5_000, 1: 30_000, 2: 15_000 };
const OTHER_PERIOD_MS = 30_000;
/** Each of them costs a request at each reading. */
const MAX_SENSORS = 64;

/** One value that was found. */
interface Found {
  readonly path: string;
  readonly pointer: readonly string[];
  readonly metricId: string;
  readonly sensor: string;
  readonly unit: string | undefined;
  readonly scale?: number;
  /** Its kind, where that is not the unit. */
  readonly part?: string;
}

/** Everything that is known of the BMC while it is walked. */
interface Walk {
  readonly fetch: (path: string | undefined) => Promise<unknown>;
  readonly found: { readonly value: Found; readonly body: unknown; readonly chassis: string }[];
  readonly problems: Problem[];
}

/** Never rejects for what a BMC does. */
export async function discoverRedfish(
  url: RedfishUrl,
  context: SessionContext,
  options: DiscoverOptions,
): Promise<Discovery> {
  const deadline = performance.now() + options.timeoutMs;
  const client = new RedfishClient(url, context);
  const walk = walkOf(client, deadline, options, url.hostPort);
  const about: Fact[] = [];
  const onAbort = () => void client.close();
  options.signal?.addEventListener('abort', onAbort);
  try {
    const root = await walk.fetch(`${ROOT}/`);
    for (const name of ['Vendor', 'Product', 'RedfishVersion']) {
      const told = text(root, name);
      if (told !== undefined) about.push({ name, text: deviceText(told) });
    }
    const fetch = async (path: string) => await walk.fetch(path);
    for (const path of await membersOf(linkTo(root, 'Chassis') ?? `${ROOT}/Chassis`, fetch))
      await walkChassis(path, walk);
  } catch (error) {
    if (!(error instanceof RedfishError)) throw error;
    walk.problems.push({ kind: error.kind, message: `${url.hostPort} ${error.message}` });
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    await client.close();
  }
  const findings = walk.found.flatMap((one) => findingOf(one, url, options.all === true));
  return {
    profiles: findings.length > 0 ? ['redfish'] : [],
    findings: tellApart(findings),
    problems: walk.problems,
    about,
  };
}

function walkOf(client: RedfishClient, deadline: number, options: DiscoverOptions, hostPort: string): Walk {
  const bodies = new Map<string, unknown>();
  const problems: Problem[] = [];
  const fetch = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    if (options.signal?.aborted) throw new RedfishError('refused', 'was not asked to the end', 'device');
    if (!bodies.has(path)) {
      options.onProgress?.(path);
      try {
        bodies.set(path, (await client.get(path, deadline)).body);
      } catch (error) {
        if (!(error instanceof RedfishError) || error.scope === 'device') throw error;
        problems.push({ kind: error.kind, message: `${hostPort} ${error.message}` });
        bodies.set(path, undefined);
      }
    }
    return bodies.get(path);
  };
  return { fetch, found: [], problems };
}

async function walkChassis(path: string, walk: Walk): Promise<void> {
  const chassisBody = await walk.fetch(path);
  const chassis = text(chassisBody, 'Id') ?? lastSegment(path);
  /** The kinds of values that this chassis has told. */
  const told = new Set<string>();
  const add = (body: unknown, values: readonly Found[]) => {
    for (const value of values) {
      const pointed = follow(body, value.pointer);
      if (pointed === undefined) continue;
      walk.found.push({ value, body, chassis });
      if (readingOf(pointed.value, pointed.holder).kind === 'number') told.add(kindOf(value));
    }
  };
  const at = async (from: unknown, link: string, values: (path: string, body: unknown) => Found[]) => {
    const linked = linkTo(from, link);
    const body = await walk.fetch(linked);
    if (linked !== undefined && body !== undefined) add(body, values(linked, body));
    return body;
  };

  await at(chassisBody, 'EnvironmentMetrics', environment);
  const powerSubsystem = await walk.fetch(linkTo(chassisBody, 'PowerSubsystem'));
  for (const supply of await members(powerSubsystem, 'PowerSupplies', walk)) {
    const name = text(supply, 'Name') ?? text(supply, 'Id') ?? 'PSU';
    await at(supply, 'Metrics', (metricsPath) => supplyMetrics(metricsPath, name));
  }
  const thermalSubsystem = await walk.fetch(linkTo(chassisBody, 'ThermalSubsystem'));
  await at(thermalSubsystem, 'ThermalMetrics', thermalMetrics);
  for (const fan of await members(thermalSubsystem, 'Fans', walk)) add(fan, fanSpeed(linkOf(fan) ?? '', fan));

  const before = new Set(told);
  const fresh = (values: Found[]) => values.filter((value) => !before.has(kindOf(value)));
  await at(chassisBody, 'Power', (powerPath, body) => fresh(oldPower(powerPath, body)));
  await at(chassisBody, 'Thermal', (thermalPath, body) => fresh(oldThermal(thermalPath, body)));

  const known = new Set([...told].map((kind) => kind.split(' ').at(-1)));
  for (const sensor of (await members(chassisBody, 'Sensors', walk)).slice(0, MAX_SENSORS))
    add(
      sensor,
      oneSensor(linkOf(sensor) ?? '', sensor).filter(({ unit }) => !known.has(unit)),
    );
}

/** Values of one kind are told by one generation of resources only. */
function kindOf({ part, unit }: Found): string {
  return part ?? unit ?? '';
}

/** The members of a collection that a resource links, as far as they could be read. */
async function members(from: unknown, link: string, walk: Walk): Promise<unknown[]> {
  const path = linkTo(from, link);
  if (path === undefined) return [];
  const bodies: unknown[] = [];
  for (const one of await membersOf(path, walk.fetch)) {
    const body = await walk.fetch(one);
    // With its own path: some services leave @odata.id out.
    if (body !== undefined) bodies.push({ ...(body as object), '@odata.id': one });
  }
  return bodies;
}

function environment(path: string): Found[] {
  return [
    {
      path,
      pointer: ['PowerWatts', 'Reading'],
      metricId: metricName(['bmc', 'node', 'power'], 'watt'),
      sensor: 'PowerWatts',
      unit: 'watt',
    },
    {
      path,
      pointer: ['EnergykWh', 'Reading'],
      metricId: metricName(['bmc', 'node', 'energy'], 'joule', { counter: true }),
      sensor: 'EnergykWh',
      unit: 'joule',
      scale: 3_600_000,
    },
  ];
}

function supplyMetrics(path: string, sensor: string): Found[] {
  return (['input', 'output'] as const).map((side) => ({
    path,
    pointer: [side === 'input' ? 'InputPowerWatts' : 'OutputPowerWatts', 'Reading'],
    metricId: metricName(['bmc', 'psu', side, 'power'], 'watt'),
    sensor,
    unit: 'watt',
    part: 'psu watt',
  }));
}

function thermalMetrics(path: string, body: unknown): Found[] {
  return list(body, 'TemperatureReadingsCelsius').map((item, index) => {
    const uri = linkOf(member(item, 'DataSourceUri'));
    const sensor =
      text(item, 'DeviceName') ?? (uri === undefined ? `Temperature ${index}` : lastSegment(uri));
    return {
      path,
      pointer: ['TemperatureReadingsCelsius', String(index), 'Reading'],
      metricId: sensorMetricName('bmc', sensor, 'celsius'),
      sensor,
      unit: 'celsius',
    };
  });
}

function fanSpeed(path: string, body: unknown): Found[] {
  const sensor = text(body, 'Name') ?? text(body, 'Id') ?? 'Fan';
  const speed = member(body, 'SpeedPercent');
  if (typeof member(speed, 'SpeedRPM') === 'number')
    return [
      { path, pointer: ['SpeedPercent', 'SpeedRPM'], metricId: 'bmc_fan_speed_rpm', sensor, unit: 'rpm' },
    ];
  const metricId = metricName(['bmc', 'fan', 'speed'], 'ratio');
  return [
    { path, pointer: ['SpeedPercent', 'Reading'], metricId, sensor, unit: 'ratio', scale: 0.01, part: 'rpm' },
  ];
}

function oldPower(path: string, body: unknown): Found[] {
  const control = list(body, 'PowerControl').map((item, index): Found => {
    const sensor = text(item, 'Name') ?? `PowerControl ${index}`;
    // The first is the whole chassis (DSP2046, Power); the others are parts of it.
    const metricId =
      index === 0 ? metricName(['bmc', 'node', 'power'], 'watt') : sensorMetricName('bmc', sensor, 'watt');
    return {
      path,
      pointer: ['PowerControl', String(index), 'PowerConsumedWatts'],
      metricId,
      sensor,
      unit: 'watt',
    };
  });
  const supplies = list(body, 'PowerSupplies').flatMap((item, index): Found[] => {
    const sensor = text(item, 'Name') ?? `PSU ${index}`;
    return (['input', 'output'] as const).map((side) => ({
      path,
      pointer: ['PowerSupplies', String(index), side === 'input' ? 'PowerInputWatts' : 'PowerOutputWatts'],
      metricId: metricName(['bmc', 'psu', side, 'power'], 'watt'),
      sensor,
      unit: 'watt',
      part: 'psu watt',
    }));
  });
  const voltages = list(body, 'Voltages').map((item, index): Found => {
    const sensor = text(item, 'Name') ?? `Voltage ${index}`;
    const metricId = sensorMetricName('bmc', sensor, 'volt');
    return { path, pointer: ['Voltages', String(index), 'ReadingVolts'], metricId, sensor, unit: 'volt' };
  });
  return [...control, ...supplies, ...voltages];
}

function oldThermal(path: string, body: unknown): Found[] {
  const temperatures = list(body, 'Temperatures').map((item, index): Found => {
    const sensor = text(item, 'Name') ?? `Temperature ${index}`;
    const metricId = sensorMetricName('bmc', sensor, 'celsius');
    return {
      path,
      pointer: ['Temperatures', String(index), 'ReadingCelsius'],
      metricId,
      sensor,
      unit: 'celsius',
    };
  });
  const fans = list(body, 'Fans').map((item, index): Found => {
    const sensor = text(item, 'Name') ?? text(item, 'FanName') ?? `Fan ${index}`;
    const pointer = ['Fans', String(index), 'Reading'];
    if (text(item, 'ReadingUnits') === 'Percent') {
      const metricId = metricName(['bmc', 'fan', 'speed'], 'ratio');
      return { path, pointer, metricId, sensor, unit: 'ratio', scale: 0.01, part: 'rpm' };
    }
    return { path, pointer, metricId: 'bmc_fan_speed_rpm', sensor, unit: 'rpm' };
  });
  return [...temperatures, ...fans];
}

function oneSensor(path: string, body: unknown): Found[] {
  const sensor = text(body, 'Name') ?? text(body, 'Id') ?? lastSegment(path);
  const base = baseUnit(text(body, 'ReadingUnits') ?? '');
  const metricId = sensorMetricName('bmc', sensor, base?.unit);
  return [
    { path, pointer: ['Reading'], metricId, sensor, unit: base?.unit, ...(base && { scale: base.scale }) },
  ];
}

/** No finding for what has no reading, unless all are wanted. */
function findingOf(
  { value: found, body, chassis }: Walk['found'][number],
  url: RedfishUrl,
  all: boolean,
): Finding[] {
  const pointed = follow(body, found.pointer);
  const reading = readingOf(pointed?.value, pointed?.holder);
  const sensorState = readingOf(0, body);
  const hasReading = (reading.kind === 'number' || reading.kind === 'text') && sensorState.kind === 'number';
  if (!hasReading && !all) return [];
  const rank = found.part === 'psu watt' ? 3 : rankOfUnit(found.unit);
  const scale = found.scale ?? 1;
  return [
    {
      metricId: found.metricId,
      url: entryUrl(url, found.path, found.pointer),
      unit: found.unit,
      labels: deviceLabels({ chassis, sensor: found.sensor }),
      periodMs: PERIOD_MS[rank] ?? OTHER_PERIOD_MS,
      ...(scale !== 1 && { scaleFactor: scale }),
      rank,
      value: !hasReading ? undefined : reading.kind === 'number' ? reading.number * scale : reading.text,
    },
  ];
}

function entryUrl(
  { scheme, hostPort, written }: RedfishUrl,
  path: string,
  pointer: readonly string[],
): string {
  const { user, password, query } = written;
  const secret = password === undefined ? '' : `:${writableSecret(password, 'REDFISH_PASSWORD')}`;
  const userinfo = user === undefined ? '' : `${user}${secret}@`;
  const host = hostPort.replace(scheme === 'redfish' ? /:443$/ : /:80$/, '');
  const [resource = ''] = path.slice(ROOT.length).split('?', 1);
  return `${scheme}://${userinfo}${host}${resource}${query === undefined ? '' : `?${query}`}#${formatPointer(pointer)}`;
}
