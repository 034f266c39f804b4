/** Exporters in a thread of their own: each a page of so many samples, shaped as node_exporter's. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Runs in the thread. A counter grows at each request, so that no page is the same as the one before. */
const SERVER = `
const { createServer } = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
const { exporters, samples } = workerData;
let ready = 0;
const ports = [];
for (let exporter = 0; exporter < exporters; exporter++) {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const lines = [];
    for (let sample = 0; sample < samples; sample++) {
      const family = sample >> 3;
      if (sample % 8 === 0) {
        lines.push('# HELP node_family_' + family + '_seconds_total Seconds that something took.');
        lines.push('# TYPE node_family_' + family + '_seconds_total counter');
      }
      const labels = '{cpu="' + (sample % 8) + '",mode="idle"}';
      lines.push('node_family_' + family + '_seconds_total' + labels + ' ' + (requests * 1.25 + sample));
    }
    response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    response.end(lines.join('\\n') + '\\n');
  });
  server.keepAliveTimeout = 60000;
  server.listen(0, '127.0.0.1', () => {
    ports[exporter] = server.address().port;
    if (++ready === exporters) parentPort.postMessage(ports);
  });
}
`;

export async function startExporters(
  exporters: number,
  samples: number,
): Promise<{ ports: number[]; stop: () => Promise<void> }> {
  const worker = new Worker(SERVER, { eval: true, workerData: { exporters, samples } });
  const [ports] = (await once(worker, 'message')) as [number[]];
  return {
    ports,
    async stop() {
      await worker.terminate();
    },
  };
}
