/** Lines of metrics.d, each metric at 1 s. */
import { OUTLET_WATT, OUTLETS } from '../../test/support/snmpd.ts';

export function entry(fields: Record<string, unknown>): string {
  return `- ${JSON.stringify({ ...fields, update_every: 1000 })}\n`;
}

/** The outlets of a PDU. */
export function pduEntries(device: string, address: string, port: number): string {
  return Array.from({ length: OUTLETS }, (_, outlet) =>
    entry({
      name: 'pdu_outlet_power_watt',
      device_id: device,
      url: `snmp://public@${address}:${port}/${OUTLET_WATT}.${outlet + 1}`,
      labels: { outlet: String(outlet + 1) },
    }),
  ).join('');
}
