/**
 * Every metric that a collector has about itself, for Prometheus. Values are taken from the counters when somebody
 * asks; nothing here runs on the way of a sample.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { nowUs } from '../time.ts';
import type { Collector } from './collector.ts';
import type { AnyTarget, Fleet } from './fleet.ts';
import type { CollectorCounters, SpoolCounters } from './status.ts';

export function selfMetrics(source: Collector): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'kw_' });

  const value = (name: string, help: string, read: () => number | undefined): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = read();
        if (now !== undefined) this.set(now);
      },
    });
  };
  const total = (name: string, help: string, read: (counters: CollectorCounters) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(source.counters()));
      },
    });
  };

  total('kw_polls_total', 'Polls of devices that ended, answered or not.', (c) => c.polls);
  total('kw_polls_missed_total', 'Intervals in which no poll could begin.', (c) => c.missed);
  total('kw_values_read_total', 'Values that devices gave.', (c) => c.read);
  total('kw_values_stored_total', 'Values that the database committed.', (c) => c.stored);
  total('kw_values_refused_total', 'Values beyond the limits, or refused by the database.', (c) => c.refused);
  total('kw_values_lost_total', 'Values that were read and are nowhere any more.', (c) => c.lost);
  total('kw_clock_steps_total', 'Steps of the wall clock over half a second.', (c) => c.clockSteps);
  total('kw_reloads_total', 'Configurations that were taken over.', (c) => c.reloads);
  total('kw_reloads_refused_total', 'Configurations that were refused.', (c) => c.reloadsRefused);
  value('kw_values_waiting', 'Values that wait for the database.', () => source.counters().waiting);
  value(
    'kw_waiting_bytes',
    'Encoded batches that wait for the database.',
    () => source.counters().waitingBytes,
  );
  const spool = (name: string, help: string, read: (spool: SpoolCounters) => number): void => {
    value(name, help, () => {
      const { spool } = source.counters();
      return spool && read(spool);
    });
  };
  const spoolTotal = (name: string, help: string, read: (spool: SpoolCounters) => number): void => {
    total(name, help, ({ spool }) => (spool ? read(spool) : 0));
  };
  spool('kw_spool_values_waiting', 'Values on the disk that are not stored.', (s) => s.waiting);
  spool('kw_spool_values_backlog', 'Those of them that are read back from the disk.', (s) => s.backlog);
  spool('kw_spool_drain_rate', 'Values a second at which those are stored.', (s) => s.drainRate);
  spool('kw_spool_bytes', 'Size of the spool.', (s) => s.bytes);
  spool('kw_spool_max_bytes', 'Size beyond which its oldest segment goes.', (s) => s.maxBytes);
  spool('kw_spool_segments', 'Files of the spool.', (s) => s.segments);
  spool('kw_spool_up', 'Whether the disk takes what is read.', (s) => Number(s.problem === undefined));
  spoolTotal('kw_spool_values_dropped_total', 'Values of segments that had to go.', (s) => s.dropped);
  spoolTotal('kw_spool_damages_total', 'Parts of segments that could not be read.', (s) => s.damaged);
  spoolTotal('kw_spool_values_set_aside_total', 'Refused values in refused.ndjson.', (s) => s.setAside);
  total('kw_values_replayed_total', 'Values of earlier runs that were stored.', (c) => c.replayed);
  value('kw_targets', 'Endpoints that are configured.', () => source.counters().targets);
  value('kw_database_up', 'Whether the database takes batches.', () =>
    Number(source.writer.awayMs === undefined),
  );
  value('kw_write_lag_seconds', 'Age of the instant up to which everything is stored.', () =>
    lagSeconds(source),
  );

  const labelNames = ['target', 'protocol'] as const;
  new Gauge({
    name: 'kw_target_up',
    help: 'Whether the last poll was answered.',
    labelNames,
    registers,
    collect() {
      this.reset();
      eachTarget(source.fleet, ({ counters }, labels) => {
        if (counters.up !== undefined) this.set(labels, Number(counters.up));
      });
    },
  });
  new Gauge({
    name: 'kw_target_poll_seconds',
    help: 'Duration of the last poll.',
    labelNames,
    registers,
    collect() {
      this.reset();
      eachTarget(source.fleet, ({ counters }, labels) => {
        if (counters.pollMs !== undefined) this.set(labels, counters.pollMs / 1000);
      });
    },
  });
  new Counter({
    name: 'kw_target_missed_total',
    help: 'Intervals of a target in which no poll could begin.',
    labelNames,
    registers,
    collect() {
      this.reset();
      eachTarget(source.fleet, ({ counters }, labels) => this.inc(labels, counters.missed));
    },
  });
  new Counter({
    name: 'kw_target_problems_total',
    help: 'Problems of a target by kind.',
    labelNames: [...labelNames, 'kind'],
    registers,
    collect() {
      this.reset();
      eachTarget(source.fleet, ({ counters }, labels) => {
        for (const [kind, count] of Object.entries(counters.errors)) this.inc({ ...labels, kind }, count);
      });
    },
  });
  return registry;
}

function lagSeconds({ writer }: Collector): number | undefined {
  return writer.writtenUpToUs === undefined ? undefined : (nowUs() - writer.writtenUpToUs) / 1e6;
}

function eachTarget(
  fleet: Fleet,
  visit: (target: AnyTarget, labels: { target: string; protocol: string }) => void,
): void {
  for (const target of fleet.targets.values()) {
    visit(target, { target: target.hostPort, protocol: target.protocol });
  }
}
