/** The Redfish driver against a service of test/support: values, sessions, and what BMCs do wrong. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { redfishDriver } from '../../../src/lib/devices/redfish/driver.ts';
import { type Certificate, makeCertificate } from '../../support/nodeExporter.ts';
import { type Entry, lines, type OpenDevice, openDevice, PLAIN } from '../../support/pollOnce.ts';
import {
  newTree,
  oldTree,
  type Quirks,
  type RedfishServer,
  sensorsTree,
  startRedfishServer,
  type Tree,
} from '../../support/redfishServer.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const PASSWORD = 'pass-Word%2F1';
const WATTS = 'Chassis/1/Power#PowerControl/0/PowerConsumedWatts';
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function serve(tree: Tree, quirks: Quirks = {}, tls?: Certificate): Promise<RedfishServer> {
  const server = await startRedfishServer(tree, { quirks, ...(tls && { tls }) });
  open.push(server);
  return server;
}

/** Entries by what follows the host; without TLS unless the server has it. */
function bmc(
  server: RedfishServer,
  entries: readonly (Omit<Entry, 'url'> & { path: string })[] | string,
): OpenDevice {
  const all = typeof entries === 'string' ? [{ path: entries }] : entries;
  const device = openDevice(
    redfishDriver,
    all.map(({ path, ...entry }) => ({
      ...entry,
      url: `redfish+http://monitor:${PASSWORD}@127.0.0.1:${server.port}/${path}`,
    })),
  );
  open.push(device);
  return device;
}

/** Everything that the device said, traced and complained about. */
const shown = (device: OpenDevice, results: unknown) =>
  JSON.stringify([results, device.steps, device.poll.describe?.()]);

describe('values of a BMC', () => {
  test('that stand in one resource are read by one request, each by its pointer', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, [
      { path: WATTS, name: 'power' },
      {
        path: 'Chassis/1/Power#/PowerControl/0/PowerMetrics/AverageConsumedWatts',
        name: 'average',
        scaleFactor: 10,
      },
      { path: 'redfish/v1/Chassis/1#PowerState', name: 'state', labels: { rack: 'a' } },
    ]);
    const result = await device.read();
    expect(lines(result)).toEqual(['power 187', 'average 1805', 'state{value_str=On,rack=a} NaN']);
    expect(server.takePaths()).toEqual([
      'POST /redfish/v1/SessionService/Sessions',
      'GET /redfish/v1/Chassis/1/Power',
      'GET /redfish/v1/Chassis/1',
    ]);
    const [power, average, state] = result.samples;
    expect(power?.timestampUs).toBe(average?.timestampUs);
    expect(state?.timestampUs).toBeGreaterThan(power?.timestampUs ?? 0);
    const again = await device.read();
    expect(again.samples.map(({ series }) => series)).toEqual(result.samples.map(({ series }) => series));
    expect(again.samples.every(({ series }, index) => series === result.samples[index]?.series)).toBe(true);
  });

  test('that are null, absent or no value give no row and a problem', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, [
      { path: 'Chassis/1/Thermal#Temperatures/0/ReadingCelsius', name: 'inlet' },
      { path: 'Chassis/1/Thermal#Temperatures/2/ReadingCelsius', name: 'cpu2' },
      { path: 'Chassis/1/Thermal#Temperatures/3/ReadingCelsius', name: 'gpu' },
      { path: 'Chassis/1/Thermal#Temperatures/9/ReadingCelsius', name: 'nothing' },
      { path: 'Chassis/1/Thermal#Temperatures', name: 'array' },
      { path: 'Chassis/9/Thermal#Temperatures/0/ReadingCelsius', name: 'no_chassis' },
    ]);
    expect(lines(await device.read())).toEqual([
      'inlet 21',
      'missing: /redfish/v1/Chassis/1/Thermal#Temperatures/2/ReadingCelsius has no reading: Absent',
      'missing: /redfish/v1/Chassis/1/Thermal#Temperatures/3/ReadingCelsius has no reading',
      'missing: the resource has no /redfish/v1/Chassis/1/Thermal#Temperatures/9/ReadingCelsius',
      'value: /redfish/v1/Chassis/1/Thermal#Temperatures is an array and no value',
      `missing: 127.0.0.1:${server.port} has no resource /redfish/v1/Chassis/9/Thermal`,
    ]);
  });

  test('that are written as texts are numbers where they look like numbers', async () => {
    const tree = oldTree();
    tree['/redfish/v1/Chassis/1/Odd'] = {
      A: '187.5',
      B: ' 12 W',
      C: true,
      D: 'N/A',
      E: '',
      F: 1e3,
      '~/x': -4,
    };
    const server = await serve(tree);
    const device = bmc(
      server,
      ['A', 'B', 'C', 'D', 'E', 'F', '~0~1x'].map((pointer) => ({ path: `Chassis/1/Odd#${pointer}` })),
    );
    expect(lines(await device.read())).toEqual([
      'metric0 187.5',
      'metric1{value_str=12 W} NaN',
      'metric2 1',
      'metric5 1000',
      'metric6 -4',
      'missing: /redfish/v1/Chassis/1/Odd#D has no reading',
      'missing: /redfish/v1/Chassis/1/Odd#E has no reading',
    ]);
  });
});

describe('a group', () => {
  test('is found in the old resources, and then read by one request', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, [
      { path: 'power', name: 'bmc_power_watt', labels: { site: 'lyon' } },
      { path: 'temperatures', name: 'bmc_temp_celsius' },
    ]);
    const expected = [
      'bmc_power_watt{chassis=1,sensor=System Power Control,site=lyon} 187',
      'bmc_temp_celsius{chassis=1,sensor=Inlet Temp} 21',
      'bmc_temp_celsius{chassis=1,sensor=CPU1 Temp} 48.5',
      'missing: temperatures sensor "CPU2 Temp" has no reading: Absent',
      'missing: temperatures sensor "GPU Temp" has no reading',
    ];
    expect(lines(await device.read())).toEqual(expected);
    server.takePaths();
    expect(lines(await device.read())).toEqual(expected);
    expect(server.takePaths()).toEqual([
      'GET /redfish/v1/Chassis/1/Power',
      'GET /redfish/v1/Chassis/1/Thermal',
    ]);
  });

  test('is found in the newer resources first', async () => {
    const server = await serve(newTree());
    const device = bmc(server, [
      { path: 'power', name: 'w' },
      { path: 'temperatures', name: 't' },
    ]);
    expect(lines(await device.read())).toEqual([
      'w{chassis=Self,sensor=PowerWatts} 412.5',
      't{chassis=Self,sensor=Front panel} 22',
      't{chassis=Self,sensor=CPU0} 61',
    ]);
    server.takePaths();
    await device.read();
    expect(server.takePaths()).toEqual([
      'GET /redfish/v1/Chassis/Self/EnvironmentMetrics',
      'GET /redfish/v1/Chassis/Self/ThermalSubsystem/ThermalMetrics',
    ]);
  });

  test.each([
    [
      'one request where the service expands collections',
      true,
      ['GET /redfish/v1/Chassis/chassis/Sensors?$expand=.($levels=1)'],
    ],
    [
      'one request a sensor where it does not',
      false,
      [
        'GET /redfish/v1/Chassis/chassis/Sensors/power_total_power',
        'GET /redfish/v1/Chassis/chassis/Sensors/power_ps0_input_power',
      ],
    ],
  ])('of single sensors takes %s', async (_what, expand, paths) => {
    const server = await serve(sensorsTree(), { expand });
    const device = bmc(server, [{ path: 'power', name: 'w' }]);
    const expected = [
      'w{chassis=chassis,sensor=total power} 305.125',
      'w{chassis=chassis,sensor=ps0 input power} 310',
    ];
    expect(lines(await device.read())).toEqual(expected);
    server.takePaths();
    expect(lines(await device.read())).toEqual(expected);
    expect(server.takePaths()).toEqual(paths);
  });

  test('is searched for over as many polls as that takes', async () => {
    const server = await serve(oldTree(), { delayMs: 60 });
    const device = bmc(server, [{ path: 'power', name: 'w' }]);
    const results = [];
    for (let poll = 0; poll < 12 && results.at(-1)?.samples.length !== 1; poll++)
      results.push(await device.read(150));
    expect(results.length).toBeGreaterThan(1);
    expect(results[0]?.problems[0]?.kind).toBe('timeout');
    expect(lines(results.at(-1) as never)).toEqual(['w{chassis=1,sensor=System Power Control} 187']);
    const gets = server.takePaths().filter((path) => path === 'GET /redfish/v1/Chassis');
    expect(gets.length).toBeLessThanOrEqual(2);
  });

  test('is searched for again when its resource has gone', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, [{ path: 'power', name: 'w' }]);
    await device.read();
    const power = server.tree['/redfish/v1/Chassis/1/Power'];
    delete server.tree['/redfish/v1/Chassis/1/Power'];
    server.tree['/redfish/v1/Chassis/1/EnvironmentMetrics'] = power && { PowerWatts: { Reading: 99 } };
    (server.tree['/redfish/v1/Chassis/1'] as Tree).EnvironmentMetrics = {
      '@odata.id': '/redfish/v1/Chassis/1/EnvironmentMetrics',
    };
    expect(lines(await device.read())).toEqual([
      `missing: 127.0.0.1:${server.port} has no resource /redfish/v1/Chassis/1/Power`,
    ]);
    expect(lines(await device.read())).toEqual(['w{chassis=1,sensor=PowerWatts} 99']);
  });

  test('that a BMC does not have is a problem, and not searched for at each poll', async () => {
    const server = await serve({ '/redfish/v1/Chassis': { Members: [] } });
    const device = bmc(server, [{ path: 'power', name: 'w' }]);
    const nothing = `missing: 127.0.0.1:${server.port} offers no power readings in any chassis`;
    expect(lines(await device.read())).toEqual([nothing]);
    server.takePaths();
    expect(lines(await device.read())).toEqual([nothing]);
    expect(server.takePaths()).toEqual([]);
  });

  test('with sensors of one name tells them apart', async () => {
    const tree = oldTree();
    (tree['/redfish/v1/Chassis/1/Power'] as Tree).PowerControl = [
      { Name: 'Control', PowerConsumedWatts: 1 },
      { Name: 'Control', PowerConsumedWatts: 2 },
      { PowerConsumedWatts: 3 },
    ];
    const device = bmc(await serve(tree), [{ path: 'power', name: 'w' }]);
    expect(lines(await device.read())).toEqual([
      'w{chassis=1,sensor=Control (0)} 1',
      'w{chassis=1,sensor=Control (1)} 2',
      'w{chassis=1,sensor=PowerControl 2} 3',
    ]);
  });
});

describe('a session', () => {
  test('is opened once, kept over polls and connections, and deleted in the end', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, WATTS);
    for (let poll = 0; poll < 5; poll++) expect(lines(await device.read())).toEqual(['metric0 187']);
    expect(server.connections).toBe(1);
    expect(server.mostAtOnce).toBe(1);
    expect(server.sessions.size).toBe(1);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(Array(6).fill(undefined));
    await device.close();
    expect(server.sessions.size).toBe(0);
    expect(server.takePaths().at(-1)).toBe('DELETE /redfish/v1/SessionService/Sessions/1');
  });

  test('that the BMC has forgotten is opened again within the same poll', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, WATTS);
    await device.read();
    server.sessions.clear();
    expect(lines(await device.read())).toEqual(['metric0 187']);
    expect(server.sessions.size).toBe(1);
  });

  test('that the BMC only claims to have forgotten does not stay behind', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, WATTS);
    await device.read();
    server.quirks.spuriousUnauthorized = 1;
    expect(lines(await device.read())).toEqual(['metric0 187']);
    expect(server.sessions.size).toBe(1);
  });

  test('is opened behind a 401 whose body is broken, as that of iDRAC 8', async () => {
    const server = await serve(oldTree(), { brokenUnauthorized: true });
    const device = bmc(server, WATTS);
    await device.read();
    server.sessions.clear();
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test('that takes longer than a poll is waited for by the next one, and opened once', async () => {
    const server = await serve(oldTree(), { loginDelayMs: 400 });
    const device = bmc(server, WATTS);
    expect(lines(await device.read(100))).toEqual([`timeout: 127.0.0.1:${server.port} the login takes long`]);
    expect(lines(await device.read(2000))).toEqual(['metric0 187']);
    expect(server.sessions.size).toBe(1);
  });

  test('that is being opened when the device is closed is deleted', async () => {
    const server = await serve(oldTree(), { loginDelayMs: 300 });
    const device = bmc(server, WATTS);
    const reading = device.read();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await device.close();
    expect(server.sessions.size).toBe(0);
    expect((await reading).problems.map(({ kind }) => kind)).toEqual(['refused']);
  });

  test('that is not to be had is replaced by HTTP Basic, and asked for by ?auth=basic not at all', async () => {
    const server = await serve(oldTree(), { noSessions: true });
    expect(lines(await bmc(server, WATTS).read())).toEqual(['metric0 187']);
    server.takePaths();
    expect(lines(await bmc(server, WATTS.replace('#', '?auth=basic#')).read())).toEqual(['metric0 187']);
    expect(server.takePaths()).toEqual(['GET /redfish/v1/Chassis/1/Power']);
  });

  test('for which iDRAC has no place left is replaced by HTTP Basic, and said so once', async () => {
    const server = await serve(oldTree(), { maxSessions: 0 });
    const device = bmc(server, WATTS);
    expect(lines(await device.read())).toEqual([
      'metric0 187',
      `limit: 127.0.0.1:${server.port} has no free session (IDRAC.2.8.RAC0218); HTTP Basic is used instead`,
    ]);
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test.each<[string, Quirks]>([
    ['stand where the service root says', { sessionsPath: '/redfish/v1/Sessions' }],
    ['want a slash at the end, as on older BMCs of Supermicro', { sessionSlashRedirect: 301 }],
    ['and everything else want a slash at the end, as iLO does', { slashRedirect: 308 }],
    ['are named by an absolute URL, as iLO does', { locationOrigin: 'https://ilo.example.org' }],
    ['are named in the body only, as by ME5', { locationOrigin: 'none' }],
  ])('is opened and deleted where sessions %s', async (_what, quirks) => {
    const server = await serve(oldTree(), quirks);
    const device = bmc(server, WATTS);
    expect(lines(await device.read())).toEqual(['metric0 187']);
    expect(server.sessions.size).toBe(1);
    server.takePaths();
    expect(lines(await device.read())).toEqual(['metric0 187']);
    expect(server.takePaths()).toHaveLength(1);
    await device.close();
    expect(server.sessions.size).toBe(0);
  });
});

describe('a wrong password', () => {
  test('is told, never shown, tried less and less, and recovered from', async () => {
    const server = await serve(oldTree());
    server.password = 'another';
    const devices = ['session', 'basic'].map((auth) => bmc(server, WATTS.replace('#', `?auth=${auth}#`)));
    for (const [device, requests] of [
      [devices[0], ['POST /redfish/v1/SessionService/Sessions', 'GET /redfish/v1/']],
      [devices[1], ['GET /redfish/v1/Chassis/1/Power']],
    ] as const) {
      const results = [await device?.read(), await device?.read()];
      expect(results.map((result) => result && lines(result)[0]?.replace(/for \d+ s/, 'for N s'))).toEqual([
        `auth: 127.0.0.1:${server.port} refused user and password (HTTP status 401)`,
        `auth: 127.0.0.1:${server.port} refused user and password (HTTP status 401); not tried again for N s`,
      ]);
      expect(server.takePaths()).toEqual(requests);
      expect(results.map((result) => [result?.up, result?.samples])).toEqual(Array(2).fill([false, []]));
      expect(device && shown(device, results)).not.toMatch(/pass-Word|cGFzcy|token-/);
    }
    server.password = 'pass-Word/1';
    await new Promise((resolve) => setTimeout(resolve, 5100));
    for (const device of devices) expect(lines(await device.read())).toEqual(['metric0 187']);
  }, 15_000);

  test('and no password at all are told apart', async () => {
    const server = await serve(oldTree());
    const device = openDevice(redfishDriver, [`redfish+http://127.0.0.1:${server.port}/${WATTS}`]);
    open.push(device);
    expect(lines(await device.read())).toEqual([
      `auth: 127.0.0.1:${server.port} asks for a user and a password (HTTP status 401)`,
    ]);
  });
});

describe('a BMC', () => {
  test.each([
    [503, 'IDRAC.2.8.SYS518'],
    [400, 'IDRAC.1.6.SWC0700'],
    [503, 'Base.1.12.ServiceTemporarilyUnavailable'],
  ])('that is starting (%i %s) is told so, and read when it has started', async (status, messageId) => {
    const server = await serve(oldTree(), { starting: { status, messageId } });
    const device = bmc(server, WATTS);
    expect(lines(await device.read())).toEqual([
      `refused: 127.0.0.1:${server.port} is starting or busy (HTTP status ${status} (${messageId}))`,
    ]);
    delete server.quirks.starting;
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test('that sends gzip unasked is understood', async () => {
    expect(lines(await bmc(await serve(oldTree(), { gzip: true }), WATTS).read())).toEqual(['metric0 187']);
  });

  test('that redirects to its own address under another name is asked at the configured host, as with iLO 4', async () => {
    const server = await serve(oldTree(), { slashRedirect: 308, redirectOrigin: 'http://192.0.2.1' });
    expect(lines(await bmc(server, WATTS).read())).toEqual(['metric0 187']);
  });

  test('that redirected only while it started is asked at the path itself again', async () => {
    const server = await serve(oldTree());
    server.quirks.answer = (request, response) => {
      if (request.method !== 'GET' || request.url?.startsWith('/redfish/v1/starting')) return false;
      response.writeHead(302, { location: '/redfish/v1/starting' }).end();
      return true;
    };
    const device = bmc(server, WATTS);
    await device.read();
    delete server.quirks.answer;
    await device.read();
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test('that redirects elsewhere is not followed', async () => {
    const other = await serve(oldTree());
    const server = await serve(oldTree());
    for (const location of [
      `http://127.0.0.1:${other.port}/redfish/v1/Chassis/1/Power/`,
      '//192.0.2.1/redfish/v1/x',
      'http://192.0.2.1/redfish/v1/other',
      '/etc/passwd',
      '/redfish/../etc',
    ]) {
      server.quirks.answer = (request, response) => {
        if (request.method !== 'GET') return false;
        response.writeHead(302, { location }).end();
        return true;
      };
      const device = bmc(server, WATTS);
      expect(lines(await device.read())).toEqual([
        `protocol: 127.0.0.1:${server.port} answered HTTP status 302, a redirect to ${JSON.stringify(location)}: to another host, which is not followed`,
      ]);
    }
    expect(other.requests).toEqual([]);
  });

  test('that redirects in a circle is given up', async () => {
    const server = await serve(oldTree());
    server.quirks.answer = (request, response) => {
      if (request.method !== 'GET') return false;
      response.writeHead(302, { location: `${request.url}x` }).end();
      return true;
    };
    expect((await bmc(server, WATTS).read()).problems[0]?.message).toMatch(/: again and again$/);
  });

  test('whose links go round in a circle, or nowhere, costs a few requests', async () => {
    const root = { '@odata.id': '/redfish/v1/Chassis/1' };
    const server = await serve({
      '/redfish/v1/Chassis': {
        Members: [
          root,
          root,
          { '@odata.id': 'https://example.org/redfish/v1/x' },
          { '@odata.id': 7 },
          null,
          'x',
        ],
        'Members@odata.nextLink': '/redfish/v1/Chassis',
      },
      '/redfish/v1/Chassis/1': {
        Id: 'x',
        Power: root,
        EnvironmentMetrics: root,
        Sensors: root,
        ThermalSubsystem: root,
      },
    });
    const device = bmc(server, [{ path: 'power' }, { path: 'temperatures' }]);
    expect(lines(await device.read())).toEqual([
      `missing: 127.0.0.1:${server.port} offers no power readings in any chassis`,
      `missing: 127.0.0.1:${server.port} offers no temperatures readings in any chassis`,
    ]);
    expect(server.takePaths().length).toBeLessThan(10);
  });

  test.each<[string, (path: string) => string | Buffer, string]>([
    [
      '10 MB',
      () => JSON.stringify({ a: 'x'.repeat(10_000_000) }),
      'limit: HOST the resource has more than 2000000 bytes (see max_bytes)',
    ],
    ['no JSON', () => '<html>', 'protocol: HOST answered PATH with something that is no JSON object'],
    ['an array', () => '[]', 'protocol: HOST answered PATH with something that is no JSON object'],
    [
      'deep JSON',
      () => `{"a":${'['.repeat(900_000)}`,
      'protocol: HOST answered PATH with something that is no JSON object',
    ],
    [
      'deep JSON that ends',
      () => `{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}`,
      'missing: the resource has no PATH#PowerControl/0/PowerConsumedWatts',
    ],
    [
      'a prototype',
      () => '{"__proto__":{"PowerControl":[{"PowerConsumedWatts":1}]}}',
      'missing: the resource has no PATH#PowerControl/0/PowerConsumedWatts',
    ],
    [
      'bytes that are no text',
      () => Buffer.from([0x7b, 0xff, 0xfe, 0x00]),
      'protocol: HOST answered PATH with something that is no JSON object',
    ],
  ])('that answers with %s is survived', async (_what, body, problem) => {
    const server = await serve(oldTree());
    const device = bmc(server, WATTS);
    server.quirks.answer = (request, response) => {
      if (request.method !== 'GET') return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end(body(request.url ?? ''));
      return true;
    };
    const expected = problem
      .replace('HOST', `127.0.0.1:${server.port}`)
      .replace('PATH', '/redfish/v1/Chassis/1/Power');
    expect(lines(await device.read())).toEqual([expected]);
    delete server.quirks.answer;
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test('that never answers, drips without end, or closes costs the deadline at most and is read again', async () => {
    const server = await serve(oldTree());
    const device = bmc(server, WATTS);
    const bad: NonNullable<Quirks['answer']>[] = [
      () => true,
      (_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '), 20);
        response.once('close', () => clearInterval(timer));
        return true;
      },
      (request) => {
        request.socket.destroy();
        return true;
      },
      (request) => {
        request.socket.write('no HTTP at all\r\n\r\n');
        return true;
      },
    ];
    await device.read();
    for (const answer of bad) {
      server.quirks.answer = answer;
      const startMs = performance.now();
      const { up, problems } = await device.read(300);
      expect(performance.now() - startMs).toBeLessThan(600);
      expect([up, problems.length]).toEqual([false, 1]);
      delete server.quirks.answer;
      expect(lines(await device.read())).toEqual(['metric0 187']);
    }
  });

  test('with too little time for all its resources has each of them read in turn', async () => {
    const tree = oldTree();
    for (const name of ['A', 'B', 'C', 'D']) tree[`/redfish/v1/${name}`] = { X: 1 };
    const server = await serve(tree, { delayMs: 50 });
    const device = bmc(
      server,
      ['A', 'B', 'C', 'D'].map((name) => ({ path: `${name}#X`, name })),
    );
    const seen = new Set<string>();
    for (let poll = 0; poll < 8; poll++)
      for (const { series } of (await device.read(130)).samples) seen.add(series.metricId);
    expect([...seen].sort()).toEqual(['A', 'B', 'C', 'D']);
  });

  test('that is not there is refused', async () => {
    const server = await serve(oldTree());
    await server.close();
    open.length = 0;
    const device = bmc(server, WATTS);
    expect(lines(await device.read())).toEqual([
      `refused: 127.0.0.1:${server.port} refused the connection: is Redfish switched on?`,
    ]);
  });
});

describe('HTTPS', () => {
  const { folder, remove } = temporaryFolder();
  let tls: Certificate;
  beforeAll(() => {
    tls = makeCertificate(folder);
  });
  afterAll(() => remove());

  const context = {
    ...PLAIN,
    resolveSecret: (text: string) =>
      text.startsWith('${file:') ? readFileSync(text.slice('${file:'.length, -1), 'utf8') : text,
  };

  test.each([
    [
      'is refused when it is not trusted',
      '',
      'auth: HOST has a certificate that is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): see ca= and insecure',
    ],
    ['is trusted by ca=', '?ca=CA', 'metric0 187'],
    ['is not looked at with insecure', '?insecure', 'metric0 187'],
  ])('with a certificate of its own %s', async (_what, query, expected) => {
    const server = await serve(oldTree(), {}, tls);
    const url = `redfish://monitor:${PASSWORD}@127.0.0.1:${server.port}/${WATTS}`;
    const device = openDevice(redfishDriver, [url.replace('#', `${query.replace('CA', tls.certFile)}#`)], {
      context,
    });
    open.push(device);
    expect(lines(await device.read())).toEqual([expected.replace('HOST', `127.0.0.1:${server.port}`)]);
    if (expected.startsWith('auth')) expect(server.requests).toEqual([]);
  });

  test("Kwollect's form of the URL gives the same", async () => {
    const server = await serve(oldTree(), {}, tls);
    const device = openDevice(redfishDriver, [
      `https://monitor:${PASSWORD}@127.0.0.1:${server.port}/redfish/v1/Chassis/1/Power?insecure#PowerControl[-1].PowerConsumedWatts`,
    ]);
    open.push(device);
    expect(lines(await device.read())).toEqual(['metric0 187']);
  });

  test('is traced step by step', async () => {
    const server = await serve(oldTree(), {}, tls);
    const device = openDevice(redfishDriver, [
      `redfish://monitor:${PASSWORD}@127.0.0.1:${server.port}/${WATTS.replace('#', '?insecure#')}`,
    ]);
    await device.read();
    await device.close();
    const numbers = (text: string) => text.replace(/[\d.]+ ms, \d+ bytes/, 'N ms, N bytes');
    expect(device.steps.map(({ step, text }) => `${step}: ${numbers(text)}`)).toEqual([
      'resolve: 127.0.0.1 is an address already',
      `open: connected to 127.0.0.1 tcp port ${server.port}`,
      expect.stringMatching(/^open: TLSv1.3, .*, certificate for "kw test" by "kw test", valid until .*/),
      'authenticate: the certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT), accepted since the URL says insecure',
      'read: POST /redfish/v1/SessionService/Sessions, without user or token',
      'read: HTTP 201 after N ms, N bytes',
      'authenticate: session opened: HTTP status 201',
      'read: GET /redfish/v1/Chassis/1/Power, with the token of a session',
      'read: HTTP 200 after N ms, N bytes',
      'read: DELETE /redfish/v1/SessionService/Sessions/1, with the token of a session',
      'read: HTTP 204 after N ms, N bytes',
      'close: session deleted: HTTP status 204',
      'close: the connection',
    ]);
    expect(device.poll.describe?.()).toEqual([
      { name: 'address', text: `127.0.0.1 tcp port ${server.port}` },
      { name: 'status', text: 'HTTP 204' },
      { name: 'login', text: 'none' },
      { name: 'resource', text: '/redfish/v1/Chassis/1/Power' },
    ]);
  });
});

describe('discovery', () => {
  async function discover(
    server: RedfishServer,
    options: { all?: boolean; password?: string; timeoutMs?: number } = {},
  ) {
    const { all, password = PASSWORD, timeoutMs = 5000 } = options;
    const text = `redfish+http://monitor:${password}@127.0.0.1:${server.port}`;
    const url = redfishDriver.parseDeviceUrl?.(text, PLAIN);
    if (url === undefined || redfishDriver.discover === undefined) throw new Error('no discovery');
    const context = { nowUs: () => Date.now() * 1000, isConfiguredMetric: () => false };
    return await redfishDriver.discover('device', url, context, { timeoutMs, ...(all && { all }) });
  }
  const brief = ({ findings }: Awaited<ReturnType<typeof discover>>) =>
    findings.map(({ metricId, labels, value, rank }) => `${rank} ${metricId} ${labels.sensor} ${value}`);

  test('of the old resources finds what has a reading, and writes URLs that read it', async () => {
    const server = await serve(oldTree());
    const found = await discover(server);
    expect(brief(found)).toEqual([
      '0 bmc_node_power_watt System Power Control 187',
      '3 bmc_psu_input_power_watt PS1 98',
      '3 bmc_psu_output_power_watt PS1 90.25',
      '3 bmc_voltage_volt P12V 12.06',
      '2 bmc_ambient_temp_celsius Inlet Temp 21',
      '2 bmc_cpu_temp_celsius CPU1 Temp 48.5',
      '3 bmc_fan_speed_rpm Fan1 4200',
    ]);
    expect(found.problems).toEqual([]);
    expect(found.about).toEqual([
      { name: 'Product', text: 'Test BMC' },
      { name: 'RedfishVersion', text: '1.17.0' },
    ]);
    expect(server.sessions.size).toBe(0);
    expect(found.findings[0]?.url).toBe(
      `redfish+http://monitor:\${env:REDFISH_PASSWORD}@127.0.0.1:${server.port}/Chassis/1/Power#PowerControl/0/PowerConsumedWatts`,
    );
    const device = openDevice(
      redfishDriver,
      found.findings.map(({ url, metricId, labels, scaleFactor }) => ({
        url,
        name: metricId,
        labels,
        ...(scaleFactor && { scaleFactor }),
      })),
      { context: { resolveSecret: () => 'pass-Word/1' } },
    );
    open.push(device);
    expect((await device.read()).samples.map(({ value }) => value)).toEqual(
      found.findings.map(({ value }) => value),
    );
    expect(server.takePaths().filter((path) => path.endsWith('/Power'))).toHaveLength(2);
  });

  test('of the newer resources finds energy too, and no power twice', async () => {
    const found = await discover(await serve(newTree()));
    expect(brief(found)).toEqual([
      '0 bmc_node_power_watt PowerWatts 412.5',
      '1 bmc_node_energy_joule_total EnergykWh 1172430000000',
      '3 bmc_psu_input_power_watt Power Supply Bay 1 420',
      '3 bmc_psu_output_power_watt Power Supply Bay 1 401.25',
      '2 bmc_ambient_temp_celsius Front panel 22',
      '2 bmc_cpu_temp_celsius CPU0 61',
      '3 bmc_fan_speed_rpm Fan 1 5400',
    ]);
  });

  test('of single sensors names them by their unit', async () => {
    expect(brief(await discover(await serve(sensorsTree())))).toEqual([
      '0 bmc_node_power_watt total power 305.125',
      '0 bmc_psu_power_watt ps0 input power 310',
      '2 bmc_ambient_temp_celsius Ambient 24.5',
      '3 bmc_fan_speed_rpm fan0 8000',
    ]);
  });

  test('with all tells what has no reading', async () => {
    const found = brief(await discover(await serve(oldTree()), { all: true }));
    expect(found).toContain('2 bmc_gpu_temp_celsius GPU Temp undefined');
    expect(found).toContain('2 bmc_cpu_temp_celsius CPU2 Temp undefined');
  });

  test('tells a wrong password, and a BMC that is too slow', async () => {
    const server = await serve(oldTree());
    expect(await discover(server, { password: 'wrong' })).toMatchObject({
      findings: [],
      problems: [
        { kind: 'auth', message: `127.0.0.1:${server.port} refused user and password (HTTP status 401)` },
      ],
    });
    server.quirks.delayMs = 100;
    const slow = await discover(server, { timeoutMs: 250 });
    expect(slow.problems.map(({ kind }) => kind)).toEqual(['timeout']);
    expect(server.sessions.size).toBe(0);
  });
});
