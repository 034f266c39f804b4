/** The Prometheus driver against real exporters, and against servers that behave badly. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PollResult, Session } from '../../../src/lib/devices/driver.ts';
import { prometheusDriver } from '../../../src/lib/devices/prometheus/driver.ts';
import type { PrometheusUrl } from '../../../src/lib/devices/prometheus/url.ts';
import type { Labels } from '../../../src/lib/sample.ts';
import { nowUs } from '../../../src/lib/time.ts';
import { type FakeExporter, startFakeExporter } from '../../support/fakeExporter.ts';
import {
  type Certificate,
  hasNodeExporter,
  makeCertificate,
  type NodeExporter,
  startNodeExporter,
} from '../../support/nodeExporter.ts';
import { runKw } from '../../support/runKw.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const TIMEOUT_MS = 5_000;

interface OpenedPoll {
  read(timeoutMs?: number): Promise<PollResult>;
  readonly session: Session<PrometheusUrl>;
}

const opened: Session<PrometheusUrl>[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((session) => session.close()));
});

/** A poll of one entry with this URL. Secrets: `${env:PASSWORD}` is wonderland, `${file:...}` reads the file. */
function open(text: string, options: { labels?: Labels; configured?: readonly string[] } = {}): OpenedPoll {
  const url = prometheusDriver.parseUrl(text, {
    resolveSecret(reference) {
      const file = /^\$\{file:(.*)\}$/.exec(reference)?.[1];
      return file === undefined ? 'wonderland' : readFileSync(file, 'utf8');
    },
  });
  const session = prometheusDriver.open('node-1', url, {
    nowUs,
    isConfiguredMetric: (device, metric) => options.configured?.includes(`${device}/${metric}`) ?? false,
  });
  opened.push(session);
  const poll = session.plan([
    { url, deviceId: 'node-1', metricId: 'prom_all', labels: options.labels ?? {}, scaleFactor: undefined },
  ]);
  return { session, read: (timeoutMs = TIMEOUT_MS) => poll.read(timeoutMs) };
}

describe.skipIf(skipUnless('prometheus-node-exporter', hasNodeExporter))('a real node exporter', () => {
  let exporter: NodeExporter;
  beforeAll(async () => {
    exporter = await startNodeExporter();
  });
  afterAll(() => exporter.stop());

  it('gives this machine in prom_ metrics, all with the time in the middle of request and answer', async () => {
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/`, { labels: { site: 'here' } });
    const before = nowUs();
    const result = await poll.read();
    const after = nowUs();
    expect(result).toMatchObject({ up: true, problems: [] });
    expect(result.samples.length).toBeGreaterThan(200);
    expect(result.timestampUs).toBeGreaterThan(before);
    expect(result.timestampUs).toBeLessThan(after);
    expect(Number.isInteger(result.timestampUs)).toBe(true);
    for (const { series, timestampUs } of result.samples) {
      expect(timestampUs).toBe(result.timestampUs);
      expect(series.metricId).toMatch(/^prom_/);
      expect(series.labels.site).toBe('here');
    }
    const memory = result.samples.find(({ series }) => series.metricId === 'prom_node_memory_MemTotal_bytes');
    const kilobytes = Number(/MemTotal:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
    expect(memory?.value).toBe(kilobytes * 1024);
  });

  it('gives the same Series objects at each poll, compressed or not', async () => {
    for (const query of ['', '?gzip']) {
      const poll = open(
        `prometheus://127.0.0.1:${exporter.port}/node_load1-node_memory_MemTotal_bytes${query}`,
      );
      const first = await poll.read();
      const second = await poll.read();
      expect(first.samples.map(({ series }) => series.metricId).sort()).toEqual([
        'prom_node_load1',
        'prom_node_memory_MemTotal_bytes',
      ]);
      for (const [index, { series }] of second.samples.entries())
        expect(series).toBe(first.samples[index]?.series);
      expect(second.timestampUs).toBeGreaterThan(first.timestampUs);
    }
  });

  it('passes collect[] on', async () => {
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/?collect[]=loadavg`);
    const names = (await poll.read()).samples.map(({ series }) => series.metricId);
    expect(names.filter((name) => name.startsWith('prom_node_load')).sort()).toEqual([
      'prom_node_load1',
      'prom_node_load15',
      'prom_node_load5',
    ]);
  });

  it('publishes what users write into the textfile folder, and only what is theirs to say', async () => {
    const stamp = (nowUs() / 1e6 - 60).toFixed(6);
    exporter.writeTextfile(
      'mine.prom',
      [
        '# A user with a root shell on the node wrote this',
        `kwollect_custom{_metric_id="app_watt",_timestamp="${stamp}",run="3",note="a \\"b\\" {c} \\\\ é"} 41.5`,
        'kwollect_custom{_metric_id="app_total"} 7',
        'kwollect_custom{_metric_id="bmc_watt"} 1',
        'kwollect_custom{_metric_id="prom_node_load1"} 99',
        'kwollect_custom{_metric_id="far",_timestamp="99999999999"} 1',
        'app_plain{_device_alias="node-2"} 5',
        '',
      ].join('\n'),
    );
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/?collect[]=textfile`, {
      configured: ['node-1/bmc_watt'],
    });
    const { samples, problems } = await poll.read();
    const own = samples.filter(({ series }) =>
      /^(app|bmc|far|prom_app|prom_node_load)/.test(series.metricId),
    );
    expect(own.map(({ series, value }) => ({ ...series, value }))).toEqual([
      { deviceId: 'node-1', metricId: 'prom_app_plain', labels: {}, value: 5 },
      {
        deviceId: 'node-1',
        metricId: 'app_total',
        labels: { _metric_origin: 'prom_kwollect_custom' },
        value: 7,
      },
      {
        deviceId: 'node-1',
        metricId: 'app_watt',
        labels: { note: 'a "b" {c} \\ é', run: '3', _metric_origin: 'prom_kwollect_custom' },
        value: 41.5,
      },
    ]);
    expect(own[2]?.timestampUs).toBe(Math.round(Number(stamp) * 1e6));
    expect(problems.map(({ kind, count }) => `${kind} ${count}`).sort()).toEqual([
      'dropped 1',
      'dropped 1',
      'dropped 1',
      'value 1',
    ]);
  });
});

describe.skipIf(
  skipUnless('prometheus-node-exporter', hasNodeExporter) || skipUnless('openssl', hasProgram('openssl')),
)('a real node exporter with TLS and a password', () => {
  const { folder, remove } = temporaryFolder();
  let certificate: Certificate;
  let exporter: NodeExporter;
  beforeAll(async () => {
    certificate = makeCertificate(folder);
    exporter = await startNodeExporter({ tls: certificate, basicAuth: true, collectors: ['loadavg'] });
  });
  afterAll(async () => {
    await exporter.stop();
    remove();
  });

  it('is read with its certificate and the password', async () => {
    const secret = 'alice:${env:PASSWORD}';
    const poll = open(
      `prometheus+https://${secret}@127.0.0.1:${exporter.port}/node_load1?ca=${certificate.certFile}`,
    );
    expect(await poll.read()).toMatchObject({
      up: true,
      samples: [{ series: { metricId: 'prom_node_load1' } }],
    });
    const careless = open(
      `prometheus+https://alice:wonderland@localhost:${exporter.port}/node_load1?insecure=true`,
    );
    expect(await careless.read()).toMatchObject({ up: true, problems: [] });
  });

  it('says what is wrong with certificate, password or scheme', async () => {
    const at = `127.0.0.1:${exporter.port}`;
    const failure = async (text: string) => (await open(text).read()).problems;
    expect(await failure(`prometheus+https://alice:wonderland@${at}/`)).toEqual([
      {
        kind: 'auth',
        message: `${at} has a certificate that is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): see ca= and insecure`,
      },
    ]);
    expect(await failure(`prometheus+https://alice:wrong@${at}/?insecure`)).toEqual([
      {
        kind: 'auth',
        message: `${at} answered HTTP status 401: user, password or token are missing or wrong`,
      },
    ]);
    expect(await failure(`prometheus://${at}/`)).toEqual([
      { kind: 'protocol', message: `${at} answered HTTP status 400` },
    ]);
  });
});

describe.skipIf(
  skipUnless('prometheus-node-exporter', hasNodeExporter) || skipUnless('openssl', hasProgram('openssl')),
)('kw device probe --verbose of an exporter', () => {
  const { folder, remove } = temporaryFolder();
  let certificate: Certificate;
  let exporter: NodeExporter;
  beforeAll(async () => {
    certificate = makeCertificate(folder);
    exporter = await startNodeExporter({ tls: certificate, basicAuth: true, collectors: ['loadavg'] });
  });
  afterAll(async () => {
    await exporter.stop();
    remove();
  });

  async function steps(url: string) {
    const { stderr, stdout } = await runKw(['device', 'probe', url, '--verbose']);
    expect(stdout + stderr).not.toMatch(/wonderland|wrong-one|d29uZGVybGFuZA/);
    return stderr
      .trimEnd()
      .split('\n')
      .map((line) =>
        line.replace(/^ *\+[\d.]+ ms {2}/, '').replace(/after [\d.]+ ms, \d+ bytes/, 'after N ms'),
      );
  }

  it('tells look-up, connection, TLS, request and parsing, and no secret', async () => {
    const at = `localhost:${exporter.port}`;
    const url = `prometheus+https://alice:wonderland@${at}/node_load1?ca=${certificate.certFile}&x=1`;
    const told = await steps(url);
    expect(told).toEqual([
      expect.stringMatching(/^resolve {7}localhost is .*127\.0\.0\.1/),
      expect.stringMatching(/^open {10}connected to \S+ tcp port \d+$/),
      expect.stringMatching(/^open {10}TLSv1\.[23], \S+, certificate for ".*" by ".*", valid until /),
      'authenticate  the certificate is trusted by the certificates of ca=',
      'read          GET /metrics?..., with Basic authorization',
      'read          HTTP 200 after N ms',
      expect.stringMatching(/^read {10}parsed \d+ bytes as Prometheus text: 1 series taken, 0 problems$/),
      'close         the connection',
    ]);
  });

  it('tells at which step it ends', async () => {
    const at = `127.0.0.1:${exporter.port}`;
    expect(await steps(`prometheus+https://alice:wonderland@${at}/`)).toContain(
      'authenticate  failed: has a certificate that is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): see ca= and insecure',
    );
    expect(await steps(`prometheus+https://alice:wrong-one@${at}/?insecure`)).toContain(
      'authenticate  failed: answered HTTP status 401: user, password or token are missing or wrong',
    );
    expect(await steps('prometheus://no-such-host.invalid/')).toContain(
      'open          failed: cannot be found: no such host name',
    );
  });
});

describe('an exporter of any kind', () => {
  let exporter: FakeExporter | undefined;
  afterEach(() => exporter?.close());

  const text = { 'content-type': 'text/plain; version=0.0.4' };

  it('is asked for the text format over one connection, with the token', async () => {
    exporter = await startFakeExporter((_, response) => response.writeHead(200, text).end('a 1\n'));
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/?bearer=\${env:TOKEN}`);
    await poll.read();
    const { up, samples } = await poll.read();
    expect({ up, values: samples.map(({ value }) => value) }).toEqual({ up: true, values: [1] });
    expect(exporter.connections).toBe(1);
    expect(exporter.requests[1]?.url).toBe('/metrics');
    expect(exporter.requests[1]?.headers).toMatchObject({
      authorization: 'Bearer wonderland',
      accept: 'text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1',
      'accept-encoding': 'identity',
    });
  });

  it('may answer in OpenMetrics', async () => {
    exporter = await startFakeExporter((_, response) => {
      response.writeHead(200, {
        'content-type': 'application/openmetrics-text; version=1.0.0; charset=utf-8',
      });
      response.end(
        `# TYPE a counter\na_total 1 ${(nowUs() / 1e6 - 1).toFixed(3)} # {x="y"} 3\na_created 5\n# EOF\n`,
      );
    });
    const { samples, problems } = await open(`prometheus://127.0.0.1:${exporter.port}/`).read();
    expect(problems).toEqual([]);
    expect(samples.map(({ series }) => series.metricId)).toEqual(['prom_a_total']);
  });

  it('may close the connection between two polls', async () => {
    exporter = await startFakeExporter((request, response) => {
      response.writeHead(200, text).end('a 1\n', () => setTimeout(() => request.socket.destroy(), 20));
    });
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/`);
    for (let time = 0; time < 3; time++) {
      expect(await poll.read()).toMatchObject({ up: true, samples: [{ value: 1 }] });
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    expect(exporter.connections).toBe(3);
  });

  it('may close the connection instead of the second answer: the next connection is tried at once', async () => {
    let count = 0;
    exporter = await startFakeExporter((request, response) => {
      if (++count === 2) request.socket.destroy();
      else response.writeHead(200, text).end('a 1\n');
    });
    const poll = open(`prometheus://127.0.0.1:${exporter.port}/`);
    await poll.read();
    expect(await poll.read()).toMatchObject({ up: true, problems: [] });
    expect(exporter.requests.length).toBe(3);
  });

  it.each([
    [
      302,
      { location: 'http://127.0.0.1/elsewhere' },
      'protocol',
      'answered HTTP status 302, a redirect to "http://127.0.0.1/elsewhere", which is not followed: give that address',
    ],
    [401, {}, 'auth', 'answered HTTP status 401: user, password or token are missing or wrong'],
    [403, {}, 'auth', 'answered HTTP status 403: user, password or token are missing or wrong'],
    [404, {}, 'protocol', 'answered HTTP status 404: is the page elsewhere (path=)?'],
    [503, {}, 'protocol', 'answered HTTP status 503'],
    [
      200,
      { 'content-type': 'text/html' },
      'protocol',
      'answered "text/html", which is no page of metrics (see path=)',
    ],
    [
      200,
      { 'content-encoding': 'br' },
      'protocol',
      'answered in content encoding "br", which kw did not ask for',
    ],
    [200, { 'content-encoding': 'gzip' }, 'protocol', 'the compressed page is damaged'],
  ])('that answers %i with %j is told as %s', async (status, headers, kind, message) => {
    exporter = await startFakeExporter((_, response) => response.writeHead(status, headers).end('a 1\n'));
    const { port } = exporter;
    const result = await open(`prometheus://127.0.0.1:${port}/`).read();
    expect(result).toMatchObject({ up: false, samples: [] });
    expect(result.problems).toEqual([{ kind, message: `127.0.0.1:${port} ${message}` }]);
  });

  it('that does not run, or has no name, is told as refused', async () => {
    exporter = await startFakeExporter(() => {});
    const { port } = exporter;
    await exporter.close();
    exporter = undefined;
    expect((await open(`prometheus://127.0.0.1:${port}/`).read()).problems).toEqual([
      { kind: 'refused', message: `127.0.0.1:${port} refused the connection: does the exporter run?` },
    ]);
    expect((await open('prometheus://no-such-host.invalid:1/').read()).problems[0]?.kind).toBe('refused');
  });

  it('that never answers, stalls, or drips without end costs the deadline and works again afterwards', async () => {
    let mode: 'silent' | 'stall' | 'drip' | 'well' = 'silent';
    const timers: NodeJS.Timeout[] = [];
    exporter = await startFakeExporter((_, response) => {
      if (mode === 'silent') return;
      response.writeHead(200, text);
      if (mode === 'well') response.end('a 1\n');
      else response.write('a 1\n');
      if (mode === 'drip') timers.push(setInterval(() => response.write('b 1\n'), 5));
    });
    const { port } = exporter;
    const poll = open(`prometheus://127.0.0.1:${port}/`);
    for (mode of ['silent', 'stall', 'drip'] as const) {
      const start = performance.now();
      const result = await poll.read(200);
      // Without a deadline it would never end.
      expect(performance.now() - start).toBeLessThan(2_000);
      expect(result.problems).toEqual([
        { kind: 'timeout', message: `127.0.0.1:${port} no complete answer in time` },
      ]);
    }
    timers.forEach(clearInterval);
    mode = 'well';
    expect(await poll.read()).toMatchObject({ up: true, problems: [] });
  });

  it('that sends pages without end or gzip bombs is stopped at the bound', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000, 'a 1\n'));
    const piece = Buffer.alloc(65_536, 'a 1\n');
    exporter = await startFakeExporter((request, response) => {
      if (request.url === '/bomb') {
        response.writeHead(200, { ...text, 'content-encoding': 'gzip' }).end(bomb);
        return;
      }
      response.writeHead(200, text);
      const more = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    const { port } = exporter;
    for (const path of ['/bomb', '/endless']) {
      const before = process.memoryUsage.rss();
      const result = await open(`prometheus://127.0.0.1:${port}/?gzip&path=${path}`).read();
      expect(result.problems).toEqual([
        { kind: 'limit', message: `127.0.0.1:${port} the page has more than 10000000 bytes (see max_bytes)` },
      ]);
      expect(process.memoryUsage.rss() - before).toBeLessThan(150e6);
    }
  });

  it('with more series than the bound gives the first ones, and a problem', async () => {
    let page = '';
    for (let index = 0; page.length < 9_900_000; index++) page += `m${index}{a="b"} 1\n`;
    exporter = await startFakeExporter((_, response) => response.writeHead(200, text).end(page));
    const { samples, problems } = await open(`prometheus://127.0.0.1:${exporter.port}/`).read();
    expect(samples.length).toBe(50_000);
    expect(problems.map(({ kind }) => kind)).toEqual(['limit']);
  });

  it('that speaks no HTTP, or breaks its rules, is told as protocol', async () => {
    const answers = [
      'SSH-2.0-OpenSSH_9.2\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
      'HTTP/1.1 999999 \0\r\n\r\n',
      '',
    ];
    let answer = '';
    const server = createServer((socket) =>
      socket.on('error', () => {}).once('data', () => socket.end(answer)),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      for (answer of answers) {
        const result = await open(`prometheus://127.0.0.1:${port}/`).read();
        expect(result).toMatchObject({ up: false, samples: [], problems: [{ kind: 'protocol' }] });
      }
    } finally {
      server.close();
    }
  });

  it('can be probed: address, status, type, size and series of the page are told', async () => {
    const page = 'a{b="c"} 1.5\na{b="d"} 2.5\n';
    const packed = gzipSync(page);
    exporter = await startFakeExporter((_, response) =>
      response.writeHead(200, { ...text, 'content-encoding': 'gzip' }).end(packed),
    );
    const { port } = exporter;
    const { stdout, code } = await runKw(['device', 'probe', `prometheus://localhost:${port}/`, '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.facts).toEqual([
      { name: 'address', text: `127.0.0.1 tcp port ${port}` },
      { name: 'status', text: 'HTTP 200' },
      { name: 'content type', text: JSON.stringify(text['content-type']) },
      { name: 'format', text: 'Prometheus text format' },
      { name: 'bytes', text: String(page.length) },
      { name: 'compression', text: `"gzip", ${packed.length} bytes received` },
      { name: 'series', text: '2' },
    ]);
    expect(report.samples).toHaveLength(2);
  });

  it('that refuses, or is not there, is told as far as it came when probed', async () => {
    exporter = await startFakeExporter((_, response) =>
      response.writeHead(404, { 'content-type': 'text/html' }).end('no'),
    );
    const refused = await runKw(['device', 'probe', `prometheus://127.0.0.1:${exporter.port}/`, '--json']);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout).facts).toEqual([
      { name: 'address', text: `127.0.0.1 tcp port ${exporter.port}` },
      { name: 'status', text: 'HTTP 404' },
      { name: 'content type', text: '"text/html"' },
    ]);
    const nowhere = await runKw(['device', 'probe', 'prometheus://127.0.0.1:1/', '--json']);
    expect(JSON.parse(nowhere.stdout).facts).toEqual([{ name: 'address', text: '(not connected)' }]);
  });

  it('ends a read that is under way when the session is closed', async () => {
    exporter = await startFakeExporter(() => {});
    const { session, read } = open(`prometheus://127.0.0.1:${exporter.port}/`);
    const reading = read();
    setTimeout(() => session.close(), 50);
    const start = performance.now();
    expect((await reading).problems.map(({ message }) => message)).toEqual([
      `127.0.0.1:${exporter.port} the session was closed`,
    ]);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
