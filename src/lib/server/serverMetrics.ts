/** What `kw serve` counts about itself, for Prometheus. */
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ServerContext } from './context.ts';

const SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** Counts the requests of `app` from now on. */
export function serverMetrics(app: FastifyInstance, { pool, bigReads }: ServerContext): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'kw_' });
  const requests = new Counter({
    name: 'kw_serve_requests_total',
    help: 'Requests that were answered, or broken off.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'kw_serve_request_seconds',
    help: 'Time from a request to the last byte of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers,
  });
  app.addHook('onResponse', async (request, reply) => {
    // By the route, not by the path: users choose paths.
    const route = request.routeOptions.url ?? 'none';
    requests.inc({ method: request.method, route, status: reply.raw.statusCode });
    seconds.observe({ route }, reply.elapsedTime / 1000);
  });

  const value = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  value('kw_serve_connections', 'Connections to the database.', () => pool.counts.open);
  value('kw_serve_connections_idle', 'Those that no request uses.', () => pool.counts.idle);
  value('kw_serve_requests_waiting', 'Requests that wait for a connection.', () => pool.counts.waiting);
  value('kw_serve_big_reads', 'Large answers that are being sent.', () => bigReads.counts.taken);
  value('kw_serve_big_reads_waiting', 'Large answers that wait for others.', () => bigReads.counts.waiting);
  new Counter({
    name: 'kw_serve_big_reads_refused_total',
    help: 'Large answers that were asked to come again.',
    registers,
    collect() {
      this.reset();
      this.inc(bigReads.counts.refused);
    },
  });
  return registry;
}
