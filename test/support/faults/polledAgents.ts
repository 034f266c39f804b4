/**
 * Polled devices whose readings are numbered: each is a PDU with 24 outlets and one more metric, `reading_number`,
 * that rises with each reading. Either agents of the test that answer every OID with the number of the request, or
 * a real snmpd, whose number is its uptime in hundredths of a second.
 */
import { integerAt, responseTo, startLyingAgent } from '../lyingAgent.ts';
import { OUTLET_WATT, OUTLETS, startSnmpd } from '../snmpd.ts';

/** Metrics of one device. */
export const METRICS = OUTLETS + 1;
const UPTIME = '1.3.6.1.2.1.1.3.0';

export interface PolledAgents {
  readonly devices: readonly string[];
  /** Entries of metrics.d. */
  metrics(periodMs: number): string;
  stop(): Promise<void>;
}

export async function startCountingAgents(count: number): Promise<PolledAgents> {
  const agents = await Promise.all(
    Array.from({ length: count }, () => {
      let requests = 0;
      return startLyingAgent((request, reply) => {
        requests++;
        reply(responseTo(request, { varbinds: request.oids.map((oid) => integerAt(oid, requests)) }));
      });
    }),
  );
  return polledAgents(
    agents.map(({ host, port }) => `${host}:${port}`),
    async () => {
      await Promise.all(agents.map((agent) => agent.stop()));
    },
  );
}

/** One process on `count` addresses, 254 at most. */
export async function startSnmpdAgents(count: number): Promise<PolledAgents> {
  const agent = await startSnmpd({ addresses: count, firstAddress: '127.31.5.1' });
  return polledAgents(
    agent.addresses.map((address) => `${address}:${agent.port}`),
    () => agent.stop(),
  );
}

function polledAgents(places: readonly string[], stop: () => Promise<void>): PolledAgents {
  const devices = places.map((_, index) => `pdu-${index}`);
  return {
    devices,
    metrics: (periodMs) =>
      places
        .map((place, index) => {
          const common = { device_id: devices[index], update_every: periodMs };
          const outlets = Array.from({ length: OUTLETS }, (_, outlet) => ({
            ...common,
            name: 'pdu_outlet_power_watt',
            url: `snmp://public@${place}/${OUTLET_WATT}.${outlet + 1}`,
            labels: { outlet: String(outlet + 1) },
          }));
          const number = { ...common, name: 'reading_number', url: `snmp://public@${place}/${UPTIME}` };
          return [...outlets, number].map((entry) => `- ${JSON.stringify(entry)}\n`).join('');
        })
        .join(''),
    stop,
  };
}
