/** Collectors for tests: inside the test's process, on devices of its choice. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { Collector } from '../../src/lib/collector/collector.ts';
import type { CollectorIdentity } from '../../src/lib/collector/databaseStore.ts';
import type { MetricEntry } from '../../src/lib/config/model.ts';
import type { DatabaseTarget } from '../../src/lib/database/connection.ts';
import { snmpDriver } from '../../src/lib/devices/snmp/driver.ts';
import { DEFAULT_MAX_FUTURE_US, DEFAULT_MAX_PAST_US } from '../../src/lib/limits.ts';
import { makeLogger } from '../../src/lib/logger.ts';
import { ENTRY_DEFAULTS } from './entryDefaults.ts';
import { OUTLET_WATT, OUTLETS } from './snmpd.ts';

export function testIdentity(): CollectorIdentity {
  return {
    id: randomUUID(),
    segment: Date.now(),
    name: 'test',
    host: 'test',
    version: '0.0.0',
    startedAtUs: Date.now() * 1000,
    endpoint: undefined,
  };
}

export interface TestCollector {
  readonly collector: Collector;
  /** Messages of its log, warnings and worse. */
  readonly log: string[];
}

export async function testCollector(
  database: DatabaseTarget,
  options: { bufferBytes?: number; writeTimeoutMs?: number; identity?: CollectorIdentity } = {},
): Promise<TestCollector> {
  const log: string[] = [];
  const logger: Logger = await makeLogger({
    level: 'warn',
    destination: { write: (line) => log.push((JSON.parse(line) as { msg: string }).msg) },
  });
  const collector = new Collector({
    database,
    logger,
    identity: options.identity ?? testIdentity(),
    settings: {
      collector: {
        bufferBytes: options.bufferBytes ?? 256e6,
        flushIntervalMs: 1000,
        batchRows: 10_000,
        phaseGridMs: 50,
        nice: 0,
        shards: 'off',
      },
      limits: { maxPastUs: DEFAULT_MAX_PAST_US, maxFutureUs: DEFAULT_MAX_FUTURE_US, labelSetsPerDay: 10_000 },
    },
    ...(options.writeTimeoutMs === undefined ? {} : { writeTimeoutMs: options.writeTimeoutMs }),
  });
  return { collector, log };
}

/** The outlets of a PDU at `address`, each at 1 s unless told. */
export function pduEntries(
  deviceId: string,
  address: string,
  port: number,
  options: Partial<MetricEntry> & { outlets?: number } = {},
): MetricEntry[] {
  const { outlets = OUTLETS, ...rest } = options;
  return Array.from({ length: outlets }, (_, index) => ({
    name: 'pdu_outlet_power_watt',
    deviceId,
    url: snmpDriver.parseUrl(`snmp://public@${address}:${port}/${OUTLET_WATT}.${index + 1}`, {
      resolveSecret: (text) => text,
    }),
    driver: snmpDriver as MetricEntry['driver'],
    ...ENTRY_DEFAULTS,
    labels: { outlet: String(index + 1) },
    ...rest,
  }));
}
