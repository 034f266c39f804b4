/**
 * CPU time of reading Prometheus pages: parsing alone (a page seen before, with new values; a page seen for the first
 * time) and whole polls over HTTP. The page is that of a real node exporter on loopback where there is one; the CPU
 * time is that of this process only.
 *
 *   node bench/run.js prometheus/parse [pages=2000]
 */
import { prometheusDriver } from '../../src/lib/devices/prometheus/driver.ts';
import { PageReader } from '../../src/lib/devices/prometheus/page.ts';
import { Selection } from '../../src/lib/devices/prometheus/selection.ts';
import { nowUs } from '../../src/lib/time.ts';
import { type FakeExporter, startFakeExporter } from '../../test/support/fakeExporter.ts';
import { hasNodeExporter, type NodeExporter, startNodeExporter } from '../../test/support/nodeExporter.ts';

const pages = Number(process.argv[2] ?? 2000);
const WARM_UP = 200;
const TIMEOUT_MS = 5_000;

const context = { nowUs, isConfiguredMetric: () => false };
const urlContext = { resolveSecret: (text: string) => text };

/** A page like a node exporter's, for machines without one. */
function generatedPage(): string {
  const lines = Array.from({ length: 500 }, (_, index) =>
    [
      ...(index % 8 === 0
        ? [`# HELP node_metric_${index} A metric.\n# TYPE node_metric_${index} counter\n`]
        : []),
      `node_metric_${index - (index % 8)}{device="eth${index % 8}",mode="idle"} ${(index * 1234.5678).toFixed(2)}\n`,
    ].join(''),
  );
  return lines.join('');
}

function pageReader(port: number): PageReader {
  const url = prometheusDriver.parseUrl(`prometheus://127.0.0.1:${port}/`, urlContext);
  const request = { url, deviceId: 'node-1', metricId: 'all', labels: { site: 'a' }, scaleFactor: undefined };
  return new PageReader(new Selection([request], context), 50_000);
}

function readPage(reader: PageReader, page: Buffer): number {
  reader.begin(page, 'text', nowUs());
  while (!reader.step(100_000));
  return reader.end().samples.length;
}

/** Microseconds of CPU of this process. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function report(what: string, us: number, samples: number, bytes: number): void {
  const perSample = (us / samples).toFixed(2);
  const megabytes = (bytes / us).toFixed(0);
  console.log(
    `${what.padEnd(34)} ${perSample.padStart(6)} us a sample ${megabytes.padStart(6)} MB a CPU second`,
  );
}

async function measurePolls(what: string, port: number, query: string, pageBytes: number): Promise<void> {
  const url = prometheusDriver.parseUrl(`prometheus://127.0.0.1:${port}/${query}`, urlContext);
  const session = prometheusDriver.open('node-1', url, context);
  const poll = session.plan([
    { url, deviceId: 'node-1', metricId: 'all', labels: {}, scaleFactor: undefined },
  ]);
  const rounds = Math.ceil(pages / 4);
  for (let round = 0; round < WARM_UP; round++) await poll.read(TIMEOUT_MS);
  const before = cpuUs();
  let samples = 0;
  for (let round = 0; round < rounds; round++) samples += (await poll.read(TIMEOUT_MS)).samples.length;
  report(what, cpuUs() - before, samples, pageBytes * rounds);
  await session.close();
}

const exporter: NodeExporter | FakeExporter = hasNodeExporter
  ? await startNodeExporter()
  : await startFakeExporter((_, response) =>
      response.writeHead(200, { 'content-type': 'text/plain' }).end(generatedPage()),
    );
try {
  const page = Buffer.from(await (await fetch(`http://127.0.0.1:${exporter.port}/metrics`)).arrayBuffer());
  const reader = pageReader(exporter.port);
  const samples = readPage(reader, page);
  console.log(
    `page of ${hasNodeExporter ? 'a node exporter' : 'generated metrics'}: ${samples} samples, ${page.length} bytes`,
  );

  for (let round = 0; round < WARM_UP; round++) readPage(reader, page);
  let before = cpuUs();
  for (let round = 0; round < pages; round++) readPage(reader, page);
  report('parsing, series known', cpuUs() - before, samples * pages, page.length * pages);

  const first = Math.ceil(pages / 10);
  for (let round = 0; round < WARM_UP; round++) readPage(pageReader(exporter.port), page);
  before = cpuUs();
  for (let round = 0; round < first; round++) readPage(pageReader(exporter.port), page);
  report('parsing, series never seen', cpuUs() - before, samples * first, page.length * first);

  await measurePolls('poll over HTTP', exporter.port, '', page.length);
  await measurePolls('poll over HTTP, compressed', exporter.port, '?gzip', page.length);
} finally {
  if ('stop' in exporter) await exporter.stop();
  else await exporter.close();
}
