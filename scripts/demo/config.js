/** The demo's configuration: kw.yaml and metrics.d, as an administrator would write them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configFile, demoFolder } from './state.js';

const OUTLET = '1.3.6.1.4.1.318.1.1.26.9.4.3.1';
const TEMPERATURE = '1.3.6.1.4.1.2021.13.16.2.1';

/** `host` is this machine's name, `exporterPort` that of a running node_exporter or undefined. */
export function writeConfig({ host, agentPort, agent, listenPort, exporterPort }) {
  const snmp = `snmp://public@127.0.0.1:${agentPort}`;
  mkdirSync(join(demoFolder, 'metrics.d'), { recursive: true });
  writeFileSync(
    configFile,
    `# Made by npm run demo, anew at each run.
metrics_dir: metrics.d
data_dir: .
listen: 127.0.0.1:${listenPort}
`,
  );
  const pdu = [
    `# A PDU that the demo simulates. Its outlet feeds this machine: the alias makes its power a metric of
# ${host} too. The outlet is found by its name, not by its number.
- name: pdu_outlet_power_watt
  device_id: demo-pdu
  url: ${snmp}/${OUTLET}.7.{{ ${OUTLET}.3 == ${host} }}
  update_every: 1000
  labels: {_device_alias: ${host}}
  unit: W
  description: ${agent.measuredPower ? 'power of the processor (RAPL)' : 'power, estimated from the load of the processors'}
`,
    entry('node_load1', host, `${snmp}/1.3.6.1.4.1.2021.10.1.5.1`, [
      'scale_factor: 0.01',
      'description: load average of 1 minute',
    ]),
    entry('node_memory_available_bytes', host, `${snmp}/1.3.6.1.4.1.2021.4.6.0`, [
      'scale_factor: 1024',
      'unit: B',
    ]),
  ];
  if (agent.temperatures > 0) {
    pdu.push(
      entry('node_temperature_celsius', host, `${snmp}/${TEMPERATURE}.3.1`, [
        'scale_factor: 0.001',
        'unit: °C',
      ]),
    );
  }
  writeFileSync(join(demoFolder, 'metrics.d', 'demo.yaml'), pdu.join('\n'));
  writeFileSync(
    join(demoFolder, 'metrics.d', 'exporter.yaml'),
    exporterPort === undefined
      ? '[]\n'
      : `# This machine's own Prometheus exporter.
- name: prometheus_node
  device_id: ${host}
  url: prometheus://127.0.0.1:${exporterPort}/node_procs_running-node_context_switches_total
  update_every: 1000
`,
  );
}

function entry(name, device, url, more) {
  return `- name: ${name}\n  device_id: ${device}\n  url: ${url}\n  update_every: 1000\n${more.map((line) => `  ${line}\n`).join('')}`;
}
