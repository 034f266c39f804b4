/**
 * A Redfish service for tests, written from DSP0266 (protocol) and DSP2046 (resources): sessions, HTTP Basic, errors
 * with extended information. It answers from a tree of resources, and does what real BMCs do wrong when a test says so.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { Certificate } from './nodeExporter.ts';

export type Tree = Record<string, unknown>;

export interface Quirks {
  /** Every path but that with a slash at its end is moved there. */
  slashRedirect?: 301 | 307 | 308;
  /** The same for the collection of sessions alone. */
  sessionSlashRedirect?: 301 | 308;
  /** Scheme, host and port that redirects name; without it they are paths. */
  redirectOrigin?: string;
  /** What stands before the path of a new session in `Location`; `none` for no such header. */
  locationOrigin?: string | 'none';
  /** Where sessions are made, instead of the usual place. */
  sessionsPath?: string;
  noSessions?: boolean;
  /** Sessions that may be open at once; more are refused as iDRAC does. */
  maxSessions?: number;
  /** Every request is answered like that. */
  starting?: { status: number; messageId: string };
  /** The body of a 401 breaks off in the middle of a chunk. */
  brokenUnauthorized?: boolean;
  /** Requests that get a 401 although all is well. */
  spuriousUnauthorized?: number;
  gzip?: boolean;
  /** The service expands collections. */
  expand?: boolean;
  /** Milliseconds before each answer, and before that to a login. */
  delayMs?: number;
  loginDelayMs?: number;
  /** Answers instead of the service; true when it did. */
  answer?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface RedfishServer {
  readonly port: number;
  readonly requests: SeenRequest[];
  readonly connections: number;
  /** Most requests that were under way at once. */
  readonly mostAtOnce: number;
  /** Tokens of the sessions that are open. */
  readonly sessions: Map<string, string>;
  readonly quirks: Quirks;
  readonly tree: Tree;
  readonly user: string;
  password: string;
  /** `GET /redfish/v1/x` of the requests so far, and forgets them. */
  takePaths(): string[];
  close(): Promise<void>;
}

const SESSIONS = '/redfish/v1/SessionService/Sessions';

export async function startRedfishServer(
  tree: Tree,
  { tls, quirks = {} }: { tls?: Certificate; quirks?: Quirks } = {},
): Promise<RedfishServer> {
  const requests: SeenRequest[] = [];
  const sessions = new Map<string, string>();
  const sockets = new Set<Socket>();
  let [connections, under, mostAtOnce, serial] = [0, 0, 0, 0];

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    under++;
    mostAtOnce = Math.max(mostAtOnce, under);
    response.once('close', () => under--);
    const body = await text(request);
    const path = request.url ?? '';
    requests.push({ method: request.method ?? '', path, headers: request.headers, body });
    const isLogin = request.method === 'POST';
    const delayMs = isLogin ? server.quirks.loginDelayMs : server.quirks.delayMs;
    if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (!response.destroyed) service(request, response, path, body);
  };

  const service = (request: IncomingMessage, response: ServerResponse, path: string, body: string) => {
    const { quirks } = server;
    if (quirks.answer?.(request, response)) return;
    if (quirks.starting) return fail(response, quirks.starting.status, quirks.starting.messageId);
    const [bare = '', query] = path.split('?', 2);
    const isSessions = bare.replace(/\/$/, '') === (quirks.sessionsPath ?? SESSIONS);
    const slash = quirks.slashRedirect ?? (isSessions ? quirks.sessionSlashRedirect : undefined);
    if (slash !== undefined && !bare.endsWith('/')) {
      response.writeHead(slash, {
        location: `${quirks.redirectOrigin ?? ''}${bare}/${query ? `?${query}` : ''}`,
      });
      response.end();
      return;
    }
    const resource = bare.replace(/\/$/, '');
    if (request.method === 'POST' && isSessions && !quirks.noSessions) return logIn(response, body);
    if (request.method === 'DELETE') return logOut(request, response, resource);
    if (resource !== '/redfish/v1' && !isKnown(request)) return unauthorized(response);
    const found = resource === '/redfish/v1' ? serviceRoot() : tree[resource];
    if (request.method !== 'GET') return fail(response, 405, 'Base.1.12.OperationNotAllowed');
    if (found === undefined) return fail(response, 404, 'Base.1.12.ResourceMissingAtURI');
    if (query?.startsWith('$expand')) {
      if (!quirks.expand) return fail(response, 400, 'Base.1.12.QueryNotSupported');
      return send(response, 200, expanded(found));
    }
    send(response, 200, found);
  };

  const serviceRoot = () => ({
    '@odata.id': '/redfish/v1/',
    '@odata.type': '#ServiceRoot.v1_15_0.ServiceRoot',
    Id: 'RootService',
    Name: 'Root Service',
    RedfishVersion: '1.17.0',
    Product: 'Test BMC',
    Chassis: { '@odata.id': '/redfish/v1/Chassis' },
    ProtocolFeaturesSupported: {
      ExpandQuery: { NoLinks: server.quirks.expand === true, Levels: true, MaxLevels: 1 },
    },
    Links: server.quirks.noSessions
      ? {}
      : { Sessions: { '@odata.id': server.quirks.sessionsPath ?? SESSIONS } },
    ...(tree['/redfish/v1'] as object | undefined),
  });

  const expanded = (collection: unknown) => {
    const { Members = [] } = collection as { Members?: { '@odata.id': string }[] };
    return { ...(collection as object), Members: Members.map((member) => tree[member['@odata.id']]) };
  };

  const logIn = (response: ServerResponse, body: string) => {
    const { UserName, Password } = JSON.parse(body) as { UserName: string; Password: string };
    // The text of the error repeats what was sent, as PropertyValueFormatError does.
    if (UserName !== server.user || Password !== server.password)
      return fail(response, 401, 'Base.1.12.PropertyValueFormatError', `The value ${Password} is not right`);
    if (sessions.size >= (server.quirks.maxSessions ?? 100)) return fail(response, 503, 'IDRAC.2.8.RAC0218');
    const id = String(++serial);
    const token = `token-${id}-${'0123456789abcdef'.repeat(2)}`;
    const path = `${server.quirks.sessionsPath ?? SESSIONS}/${id}`;
    sessions.set(token, path);
    response.setHeader('x-auth-token', token);
    const origin = server.quirks.locationOrigin ?? '';
    if (origin !== 'none') response.setHeader('location', `${origin}${path}`);
    send(response, 201, { '@odata.id': path, '@odata.type': '#Session.v1_3_0.Session', Id: id, UserName });
  };

  const logOut = (request: IncomingMessage, response: ServerResponse, path: string) => {
    if (!isKnown(request)) return unauthorized(response);
    const token = [...sessions].find(([, session]) => session === path)?.[0];
    if (token === undefined) return fail(response, 404, 'Base.1.12.ResourceMissingAtURI');
    sessions.delete(token);
    response.writeHead(204).end();
  };

  const isKnown = ({ headers }: IncomingMessage) => {
    if (server.quirks.spuriousUnauthorized) {
      server.quirks.spuriousUnauthorized--;
      return false;
    }
    const basic = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`;
    return sessions.has(String(headers['x-auth-token'])) || headers.authorization === basic;
  };

  const unauthorized = (response: ServerResponse) => {
    if (!server.quirks.brokenUnauthorized) return fail(response, 401, 'Base.1.12.NoValidSession');
    response.writeHead(401, { 'transfer-encoding': 'chunked' });
    response.flushHeaders();
    response.socket?.write('not a chunk\r\n');
  };

  const send = (response: ServerResponse, status: number, body: unknown) => {
    const bytes = Buffer.from(JSON.stringify(body));
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.setHeader('etag', 'W/"1"');
    if (server.quirks.gzip) response.setHeader('content-encoding', 'gzip');
    response.writeHead(status).end(server.quirks.gzip ? gzipSync(bytes) : bytes);
  };

  const fail = (response: ServerResponse, status: number, MessageId: string, Message = 'An error.') =>
    send(response, status, {
      error: {
        code: 'Base.1.12.GeneralError',
        message: Message,
        '@Message.ExtendedInfo': [{ MessageId, Message }],
      },
    });

  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void handle(request, response).catch(() => response.destroy());
  const web = tls
    ? createHttpsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }, listener)
    : createHttpServer(listener);
  web.keepAliveTimeout = 60_000;
  web.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  const server: RedfishServer = {
    port: (web.address() as AddressInfo).port,
    requests,
    get connections() {
      return connections;
    },
    get mostAtOnce() {
      return mostAtOnce;
    },
    sessions,
    quirks,
    tree,
    user: 'monitor',
    password: 'pass-Word/1',
    takePaths: () => requests.splice(0).map(({ method, path }) => `${method} ${path}`),
    async close() {
      for (const socket of sockets) socket.destroy();
      web.close();
      await once(web, 'close');
    },
  };
  return server;
}

const id = (path: string) => ({ '@odata.id': path });

function collection(path: string, members: readonly string[]): Tree {
  return { [path]: { ...id(path), 'Members@odata.count': members.length, Members: members.map(id) } };
}

/** Power and Thermal, which were deprecated in 2020.4 and are everywhere. */
export function oldTree(): Tree {
  const chassis = '/redfish/v1/Chassis/1';
  return {
    ...collection('/redfish/v1/Chassis', [chassis]),
    [chassis]: {
      ...id(chassis),
      '@odata.type': '#Chassis.v1_14_0.Chassis',
      Id: '1',
      PowerState: 'On',
      Status: { State: 'Enabled', Health: 'OK' },
      Power: id(`${chassis}/Power`),
      Thermal: id(`${chassis}/Thermal`),
    },
    [`${chassis}/Power`]: {
      ...id(`${chassis}/Power`),
      '@odata.type': '#Power.v1_6_0.Power',
      Id: 'Power',
      PowerControl: [
        {
          MemberId: '0',
          Name: 'System Power Control',
          PowerConsumedWatts: 187,
          PowerMetrics: { AverageConsumedWatts: 180.5 },
        },
      ],
      PowerSupplies: [
        {
          MemberId: '0',
          Name: 'PS1',
          LineInputVoltage: 230,
          PowerInputWatts: 98,
          PowerOutputWatts: 90.25,
          Status: { State: 'Enabled' },
        },
        {
          MemberId: '1',
          Name: 'PS2',
          LineInputVoltage: null,
          PowerInputWatts: 0,
          Status: { State: 'Absent' },
        },
      ],
      Voltages: [{ MemberId: '0', Name: 'P12V', ReadingVolts: 12.06, Status: { State: 'Enabled' } }],
    },
    [`${chassis}/Thermal`]: {
      ...id(`${chassis}/Thermal`),
      '@odata.type': '#Thermal.v1_6_0.Thermal',
      Id: 'Thermal',
      Temperatures: [
        {
          MemberId: '0',
          Name: 'Inlet Temp',
          ReadingCelsius: 21,
          PhysicalContext: 'Intake',
          Status: { State: 'Enabled' },
        },
        {
          MemberId: '1',
          Name: 'CPU1 Temp',
          ReadingCelsius: 48.5,
          PhysicalContext: 'CPU',
          Status: { State: 'Enabled' },
        },
        {
          MemberId: '2',
          Name: 'CPU2 Temp',
          ReadingCelsius: 0,
          PhysicalContext: 'CPU',
          Status: { State: 'Absent' },
        },
        { MemberId: '3', Name: 'GPU Temp', ReadingCelsius: null, Status: { State: 'Enabled' } },
      ],
      Fans: [
        { MemberId: '0', Name: 'Fan1', Reading: 4200, ReadingUnits: 'RPM', Status: { State: 'Enabled' } },
      ],
    },
  };
}

/** EnvironmentMetrics, PowerSubsystem and ThermalSubsystem, which came in 2020.4. */
export function newTree(): Tree {
  const chassis = '/redfish/v1/Chassis/Self';
  const sensor = (name: string) => `${chassis}/Sensors/${name}`;
  return {
    ...collection('/redfish/v1/Chassis', [chassis]),
    [chassis]: {
      ...id(chassis),
      '@odata.type': '#Chassis.v1_22_0.Chassis',
      Id: 'Self',
      EnvironmentMetrics: id(`${chassis}/EnvironmentMetrics`),
      PowerSubsystem: id(`${chassis}/PowerSubsystem`),
      ThermalSubsystem: id(`${chassis}/ThermalSubsystem`),
      Sensors: id(`${chassis}/Sensors`),
    },
    [`${chassis}/EnvironmentMetrics`]: {
      ...id(`${chassis}/EnvironmentMetrics`),
      '@odata.type': '#EnvironmentMetrics.v1_3_0.EnvironmentMetrics',
      PowerWatts: { DataSourceUri: sensor('TotalPower'), Reading: 412.5 },
      EnergykWh: { DataSourceUri: sensor('TotalEnergy'), Reading: 325675 },
      TemperatureCelsius: { DataSourceUri: sensor('Ambient'), Reading: 22 },
    },
    [`${chassis}/PowerSubsystem`]: {
      ...id(`${chassis}/PowerSubsystem`),
      PowerSupplies: id(`${chassis}/PowerSubsystem/PowerSupplies`),
    },
    ...collection(`${chassis}/PowerSubsystem/PowerSupplies`, [
      `${chassis}/PowerSubsystem/PowerSupplies/Bay1`,
    ]),
    [`${chassis}/PowerSubsystem/PowerSupplies/Bay1`]: {
      ...id(`${chassis}/PowerSubsystem/PowerSupplies/Bay1`),
      Id: 'Bay1',
      Name: 'Power Supply Bay 1',
      Status: { State: 'Enabled' },
      Metrics: id(`${chassis}/PowerSubsystem/PowerSupplies/Bay1/Metrics`),
    },
    [`${chassis}/PowerSubsystem/PowerSupplies/Bay1/Metrics`]: {
      ...id(`${chassis}/PowerSubsystem/PowerSupplies/Bay1/Metrics`),
      Name: 'Metrics for Power Supply 1',
      InputPowerWatts: { Reading: 420 },
      OutputPowerWatts: { Reading: 401.25 },
      InputVoltage: { Reading: 229.8 },
    },
    [`${chassis}/ThermalSubsystem`]: {
      ...id(`${chassis}/ThermalSubsystem`),
      ThermalMetrics: id(`${chassis}/ThermalSubsystem/ThermalMetrics`),
      Fans: id(`${chassis}/ThermalSubsystem/Fans`),
    },
    ...collection(`${chassis}/ThermalSubsystem/Fans`, [`${chassis}/ThermalSubsystem/Fans/1`]),
    [`${chassis}/ThermalSubsystem/Fans/1`]: {
      ...id(`${chassis}/ThermalSubsystem/Fans/1`),
      Id: '1',
      Name: 'Fan 1',
      SpeedPercent: { Reading: 45, SpeedRPM: 5400 },
      Status: { State: 'Enabled' },
    },
    [`${chassis}/ThermalSubsystem/ThermalMetrics`]: {
      ...id(`${chassis}/ThermalSubsystem/ThermalMetrics`),
      TemperatureReadingsCelsius: [
        { DataSourceUri: sensor('Ambient'), DeviceName: 'Front panel', Reading: 22 },
        { DataSourceUri: sensor('CPU0'), Reading: 61 },
      ],
    },
    ...collection(`${chassis}/Sensors`, [sensor('TotalPower'), sensor('Ambient')]),
    [sensor('TotalPower')]: {
      ...id(sensor('TotalPower')),
      '@odata.type': '#Sensor.v1_6_0.Sensor',
      Id: 'TotalPower',
      Name: 'Total Power',
      ReadingType: 'Power',
      ReadingUnits: 'W',
      Reading: 412.5,
      Status: { State: 'Enabled' },
    },
    [sensor('Ambient')]: {
      ...id(sensor('Ambient')),
      Id: 'Ambient',
      Name: 'Ambient',
      ReadingType: 'Temperature',
      ReadingUnits: 'Cel',
      Reading: 22,
      Status: { State: 'Enabled' },
    },
  };
}

/** Sensors alone, as OpenBMC's bmcweb has them: ids with the type in front. */
export function sensorsTree(): Tree {
  const chassis = '/redfish/v1/Chassis/chassis';
  const sensor = (name: string) => `${chassis}/Sensors/${name}`;
  const one = (name: string, ReadingType: string, ReadingUnits: string, Reading: number | null) => ({
    [sensor(name)]: {
      ...id(sensor(name)),
      '@odata.type': '#Sensor.v1_2_0.Sensor',
      Id: name,
      Name: name.replace(/^[a-z]+_/, '').replaceAll('_', ' '),
      ReadingType,
      ReadingUnits,
      Reading,
      Status: { State: 'Enabled', Health: 'OK' },
    },
  });
  const names = [
    'power_total_power',
    'power_ps0_input_power',
    'temperature_Ambient',
    'fantach_fan0',
    'temperature_DIMM_A1',
  ];
  return {
    ...collection('/redfish/v1/Chassis', [chassis]),
    [chassis]: {
      ...id(chassis),
      '@odata.type': '#Chassis.v1_22_0.Chassis',
      Id: 'chassis',
      Sensors: id(`${chassis}/Sensors`),
    },
    ...collection(`${chassis}/Sensors`, names.map(sensor)),
    ...one('power_total_power', 'Power', 'W', 305.125),
    ...one('power_ps0_input_power', 'Power', 'W', 310),
    ...one('temperature_Ambient', 'Temperature', 'Cel', 24.5),
    ...one('fantach_fan0', 'Rotational', 'RPM', 8000),
    ...one('temperature_DIMM_A1', 'Temperature', 'Cel', null),
  };
}
