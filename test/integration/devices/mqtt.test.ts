/** The MQTT driver against Debian's mosquitto, and against a server that is no broker. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Problem, StreamRequest, StreamSink, TraceStep } from '../../../src/lib/devices/driver.ts';
import { mqttDriver } from '../../../src/lib/devices/mqtt/driver.ts';
import type { MqttUrl } from '../../../src/lib/devices/mqtt/url.ts';
import type { Series } from '../../../src/lib/sample.ts';
import { mosquittoPath, startMosquitto } from '../../support/mosquitto.ts';
import { makeCertificate } from '../../support/nodeExporter.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Entry {
  readonly url: string;
  readonly name?: string;
  readonly everyMs?: number;
  readonly optional?: boolean;
  readonly scaleFactor?: number;
}

/** What a stream gave: `name{topic=...} value` of each value, and what it told. */
function listen(entries: readonly Entry[]) {
  const values: string[] = [];
  const times: number[] = [];
  const problems: Problem[] = [];
  const downs: Problem[] = [];
  const steps: TraceStep[] = [];
  const state = { promoted: false, readings: 0, wasUp: 0 };
  const note = ({ metricId, labels }: Series, timestampUs: number, value: number) => {
    const text = Object.entries(labels).map(([name, label]) => `${name}=${label}`);
    values.push(`${metricId}${text.length > 0 ? `{${text.join(',')}}` : ''} ${value}`);
    times.push(timestampUs);
  };
  const sink: StreamSink = {
    channel: (_request, series) => ({
      get promoted() {
        return state.promoted;
      },
      add: (timestampUs, value) => note(series, timestampUs, value),
      close: () => {},
    }),
    samples: (_request, samples) => {
      for (const { series, timestampUs, value } of samples) note(series, timestampUs, value);
    },
    readings: (count) => {
      state.readings += count;
      state.wasUp++;
    },
    down: (problem) => void downs.push(problem),
    problems: (told) => void problems.push(...told),
    missed: () => {},
    remark: () => {},
    ended: () => {},
  };
  const resolveSecret = (text: string) =>
    text.startsWith('${file:') ? readFileSync(text.slice(7, -1), 'utf8') : text;
  const requests = entries.map(
    ({ url, name, everyMs = 100, optional = false, scaleFactor }, index): StreamRequest<MqttUrl> => ({
      url: mqttDriver.parseUrl(url, { resolveSecret }),
      deviceId: 'device',
      metricId: name ?? `metric${index}`,
      labels: {},
      scaleFactor,
      optional,
      updateEveryMs: everyMs,
    }),
  );
  const context = {
    nowUs: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
    isConfiguredMetric: () => false,
    trace: (step: TraceStep) => void steps.push(step),
  };
  const [first] = requests;
  if (!first) throw new Error('no entries');
  const stream = mqttDriver.openStream('device', first.url, context, sink);
  open.push(stream);
  stream.configure(requests);
  return { values, times, problems, downs, steps, state, stream, requests };
}

async function until(condition: () => boolean, what: string, timeoutMs = 8_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

type Listening = ReturnType<typeof listen>;
const granted = ({ steps }: Listening) => steps.filter(({ text }) => text.endsWith(': granted')).length;

describe.skipIf(skipUnless('mosquitto', mosquittoPath !== undefined))('a real broker', () => {
  async function start(options: Parameters<typeof startMosquitto>[0] = {}) {
    const broker = await startMosquitto(options);
    open.push({ close: () => broker.stop() });
    return broker;
  }

  test('gives numbers, values in JSON and texts, under the topics that wildcards stand for', async () => {
    const broker = await start();
    const at = `mqtt://127.0.0.1:${broker.port}`;
    const heard = listen([
      { url: `${at}/lab/power`, name: 'watt', scaleFactor: 10 },
      { url: `${at}/lab/+/state?path=$.ENERGY.Power[1]&qos=1`, name: 'plug' },
      { url: `${at}/lab/door/#`, name: 'door' },
    ]);
    await until(() => granted(heard) === 3, 'subscriptions');
    const beforeUs = Date.now() * 1000;
    await broker.publish('lab/power', ' 42.5\n');
    await broker.publish('lab/a/state', '{"ENERGY": {"Power": [1, "2.5"]}}');
    await broker.publish('lab/b/state', '{"ENERGY": {"Power": [1, 3]}}');
    await broker.publish('lab/door/front', 'open');
    await broker.publish('elsewhere', '1');
    await until(() => heard.values.length >= 4, 'values');
    expect([...heard.values].sort()).toEqual([
      'door{value_str=open,topic=lab/door/front} NaN',
      'plug{topic=lab/a/state} 2.5',
      'plug{topic=lab/b/state} 3',
      'watt 425',
    ]);
    for (const time of heard.times) expect(Math.abs(time - beforeUs)).toBeLessThan(2e6);
    expect([heard.problems, heard.downs, heard.state.readings]).toEqual([[], [], 4]);
  });

  test('gives the last value of each period, every message while promoted, and nothing while there is none', async () => {
    const broker = await start();
    const url = `mqtt://127.0.0.1:${broker.port}/lab/power`;
    const heard = listen([
      { url, name: 'usual', everyMs: 300 },
      { url, name: 'on_demand', everyMs: 300, optional: true },
    ]);
    await until(() => granted(heard) > 0, 'subscriptions');
    for (let value = 1; value <= 5; value++) await broker.publish('lab/power', String(value));
    await until(() => heard.state.readings >= 5, 'messages');
    expect(heard.values).toEqual([]);
    expect(heard.stream.heldSinceUs?.()).toBeGreaterThan(1e15);
    await until(() => heard.values.length > 0, 'the value of the period');
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(heard.values).toEqual(['usual 5']);
    expect(heard.stream.heldSinceUs?.()).toBeUndefined();
    heard.state.promoted = true;
    for (let value = 6; value <= 8; value++) await broker.publish('lab/power', String(value));
    await until(() => heard.values.length >= 7, 'every message');
    expect(heard.values.slice(1)).toEqual([
      'usual 6',
      'on_demand 6',
      'usual 7',
      'on_demand 7',
      'usual 8',
      'on_demand 8',
    ]);
  });

  test('has no row for what it retained, and hands over what is held at the end', async () => {
    const broker = await start();
    await broker.publish('lab/power', '1', { retain: true });
    const heard = listen([{ url: `mqtt://127.0.0.1:${broker.port}/lab/power`, everyMs: 60_000 }]);
    await until(
      () => heard.steps.some(({ text }) => text === '"lab/power": retained by the broker, left out'),
      'retained',
    );
    expect(heard.state.readings).toBe(0);
    await broker.publish('lab/power', '2', { retain: true });
    await until(() => heard.state.readings === 1, 'the message');
    expect(heard.values).toEqual([]);
    await heard.stream.close();
    expect(heard.values).toEqual(['metric0 2']);
  });

  test('that is restarted is found again, with all subscriptions', async () => {
    const broker = await start();
    const heard = listen([{ url: `mqtt://127.0.0.1:${broker.port}/lab/#` }]);
    await until(() => granted(heard) === 1, 'subscription');
    await broker.stop();
    await until(() => heard.downs.length > 0, 'the loss');
    expect(heard.downs[0]?.message).toBe(`127.0.0.1:${broker.port} closed the connection`);
    const anew = await start({ port: broker.port });
    await until(() => granted(heard) === 2, 'subscription again', 15_000);
    expect(heard.state.wasUp).toBe(1);
    await anew.publish('lab/x', '7');
    await until(() => heard.values.length > 0, 'a value');
    expect(heard.values).toEqual(['metric0{topic=lab/x} 7']);
  }, 30_000);

  test('tells a wrong password and a topic that is not for this user, and shows no secret', async () => {
    const broker = await start({ password: true });
    const at = `127.0.0.1:${broker.port}`;
    const wrong = listen([{ url: `mqtt://meter:s3cret-wrong@${at}/lab/a` }]);
    const nobody = listen([{ url: `mqtt://${at}/lab/a` }]);
    const right = listen([
      { url: `mqtt://meter:s3cret%2Fpass@${at}/lab/a` },
      { url: `mqtt://meter:s3cret%2Fpass@${at}/hidden/a` },
    ]);
    await until(() => wrong.downs.length > 0 && nobody.downs.length > 0, 'refusals');
    expect(wrong.downs[0]).toEqual({
      kind: 'auth',
      message: `${at} does not let this user in, or asks for one`,
    });
    expect(nobody.downs[0]).toEqual({
      kind: 'auth',
      message: `${at} does not let this user in, or asks for one`,
    });
    await until(() => granted(right) > 0, 'subscription');
    await broker.publish('lab/a', '5');
    await until(() => right.values.length > 0, 'a value');
    expect(right.values).toEqual(['metric0 5']);
    const said = JSON.stringify(
      [wrong, nobody, right].map(({ downs, problems, steps }) => [downs, problems, steps]),
    );
    expect(said).not.toContain('s3cret');
  });

  test('with TLS is trusted by ca=, and not without', async () => {
    const { folder, remove } = temporaryFolder();
    open.push({ close: async () => remove() });
    const tls = makeCertificate(folder);
    const broker = await start({ tls });
    const at = `127.0.0.1:${broker.port}`;
    const strict = listen([{ url: `mqtts://${at}/lab/a` }]);
    const trusting = listen([{ url: `mqtts://${at}/lab/a?ca=${tls.certFile}` }]);
    await until(() => strict.downs.length > 0 && granted(trusting) > 0, 'both');
    expect(strict.downs[0]?.message).toBe(
      `${at} has a certificate that is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): see ca= and insecure`,
    );
    await broker.publish('lab/a', '5');
    await until(() => trusting.values.length > 0, 'a value');
  });

  test('may say anything: each kind of fault is told once a second, and good messages still count', async () => {
    const broker = await start();
    const at = `mqtt://127.0.0.1:${broker.port}`;
    const heard = listen([
      { url: `${at}/lab/#?max_bytes=1000`, name: 'plain' },
      { url: `${at}/lab/json/#?path=$.v&max_bytes=1000`, name: 'json' },
    ]);
    await until(() => granted(heard) === 2, 'subscriptions');
    for (const payload of ['{"v"', '[]', '{"v":{}}', '{"v":null}', '{"__proto__":{"v":1}}', '{"v":4}'])
      await broker.publish('lab/json/x', payload);
    await broker.publish('lab/nul', Buffer.from([0, 1, 2, 0xff, 0xfe]));
    await broker.publish('lab/empty', '');
    await broker.publish('lab/deep', '['.repeat(900));
    await broker.publish('lab/large', 'x'.repeat(1001));
    await broker.publish('lab/good', '6');
    await until(
      () => heard.values.includes('plain{topic=lab/good} 6') && heard.values.length >= 3,
      'the good ones',
    );
    await until(() => heard.problems.length >= 6, 'the problems');
    expect(heard.values).toContain('json{topic=lab/json/x} 4');
    expect(heard.problems.map(({ kind, message }) => `${kind}: ${message}`).sort()).toEqual([
      'limit: "lab/large": a message of 1001 bytes (see max_bytes)',
      'missing: "lab/empty": no reading',
      'missing: "lab/json/x" at v: no reading (3 times)',
      'value: "lab/json/x" at v is an object and no value',
      'value: "lab/json/x": the message is JSON: say which value (path=$.a.b) (7 times)',
      'value: "lab/json/x": the message is no JSON',
    ]);
  });

  test('that sends a packet beyond the bound is left, before it is gathered', async () => {
    const broker = await start();
    const heard = listen([{ url: `mqtt://127.0.0.1:${broker.port}/lab/a?max_bytes=1000` }]);
    await until(() => granted(heard) === 1, 'subscription');
    await broker.publish('lab/a', Buffer.alloc(200_000, '1'));
    await until(() => heard.downs.length > 0, 'the end');
    expect(heard.downs[0]).toEqual({
      kind: 'limit',
      message: `127.0.0.1:${broker.port} sent a packet that is larger than max_bytes allows, malformed, or of QoS 2`,
    });
  });
});

describe('a server that is no broker', () => {
  test.each<[string, (socket: Socket) => void, string]>([
    ['closes', (socket) => socket.destroy(), 'closed the connection'],
    ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'sent '],
    ['sends noise', (socket) => socket.write(Buffer.alloc(100, 0xf7)), 'sent '],
    [
      'refuses with a code of its own',
      (socket) => socket.write(Buffer.from([0x20, 2, 0, 3])),
      'says that it is not available',
    ],
  ])('and %s is told and tried again', async (_what, answer, message) => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on('error', () => {}).once('data', () => answer(socket));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push({ close: async () => void server.close() });
    const { port } = server.address() as AddressInfo;
    const heard = listen([{ url: `mqtt://127.0.0.1:${port}/a` }]);
    await until(() => heard.downs.length > 0, 'the problem');
    expect(heard.downs[0]?.message).toContain(`127.0.0.1:${port} ${message}`);
    await until(() => connections > 1, 'another try');
  });

  test('nor there at all is refused', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const heard = listen([{ url: `mqtt://127.0.0.1:${port}/a` }]);
    await until(() => heard.downs.length > 0, 'the problem');
    expect(heard.downs[0]).toEqual({
      kind: 'refused',
      message: `127.0.0.1:${port} refused the connection: does the broker run?`,
    });
  });
});
