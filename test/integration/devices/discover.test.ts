// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
/**
 * `kw device discover` of SNMP agents: net-snmp's, simulated devices of each family, and agents without an end.
 * What it writes must pass `kw config check` and be read by `kw collect --once --dry-run`, value by value.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dryRun } from '../../../src/lib/collector/dryRun.ts';
import { checkConfig } from '../../../src/lib/config/check.ts';
import { metricFileText } from '../../../src/lib/config/metricFileText.ts';
import { loadMetrics } from '../../../src/lib/config/metrics.ts';
import { formatProblem } from '../../../src/lib/config/place.ts';
import { readSettings } from '../../../src/lib/config/settings.ts';
import { type Discovered, discover } from '../../../src/lib/devices/discover.ts';
import { PROFILES } from '../../../src/lib/devices/snmp/profiles/index.ts';
import type { Sample } from '../../../src/lib/sample.ts';
import { runKw, startKw } from '../../support/kw.ts';
import {
  type AgentRequest,
  integerAt,
  type LyingAgent,
  responseTo,
  startLyingAgent,
  textAt,
} from '../../support/lyingAgent.ts';
import * as devices from '../../support/simDevices.ts';
import { skipUnless } from '../../support/skip.ts';
import { OUTLETS, type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { type Snmpsim, snmpsimPath, startSnmpsim } from '../../support/snmpsim.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

/** A process in which SNMP_COMMUNITY is what the file asks for. */
function ask(url: string, community: string, options: { profile?: string; all?: boolean } = {}) {
  const urlContext = { resolveSecret: (text: string) => text.replace('${env:SNMP_COMMUNITY}', community) };
  return discover(url, { urlContext, timeoutMs: 30_000, ...options });
}

/** A site with this metric file: its problems, and what a dry run reads. */
async function use(text: string, community: string) {
  const { folder, remove } = temporaryFolder();
  const before = process.env.SNMP_COMMUNITY;
  process.env.SNMP_COMMUNITY = community;
  try {
    mkdirSync(join(folder, 'metrics.d'));
    writeFileSync(join(folder, 'kw.yaml'), '');
    writeFileSync(join(folder, 'metrics.d', 'device.yaml'), text, { mode: 0o600 });
    const env = { HOME: folder, SNMP_COMMUNITY: community };
    const read = readSettings({}, { env, cwd: folder, systemFolder: folder, uid: process.getuid?.() });
    const check = checkConfig(read);
    const { entries } = loadMetrics(read.settings);
    const samples: Sample[] = [];
    const problems: string[] = [];
    const run = await dryRun({
      entries,
      settings: read.settings,
      once: true,
      onSample: (sample) => samples.push(sample),
      onProblem: (message) => problems.push(message),
    });
    await run.finished;
    return { check: check.problems.map(formatProblem), entries, samples, problems };
  } finally {
    if (before === undefined) delete process.env.SNMP_COMMUNITY;
    else process.env.SNMP_COMMUNITY = before;
    remove();
  }
}

/** Without what is left of a multiplication: 0.30000000000000004. */
function rounded(value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(12)) : value;
}

/** `name value unit {labels} every N ms`, in the order of the file. */
function lines({ findings }: Discovered): string[] {
  return findings.map(({ metricId, value, unit, labels, periodMs }) => {
    const text = Object.entries(labels)
      .map(([name, label]) => `${name}=${label}`)
      .join(',');
    const shown = rounded(value);
    return `${metricId} ${shown} ${unit ?? '-'} {${text}} ${periodMs}`;
  });
}

/** The file of what was found is sound, and a dry run reads each finding with the value that was told. */
async function expectUsable(found: Discovered, community: string) {
  const text = metricFileText(found, { date: '2026-11-22' });
  expect(text).not.toContain(`${community}@`);
  const { check, entries, samples, problems } = await use(text, community);
  expect(check).toEqual([]);
  expect(problems).toEqual([]);
  expect(entries).toHaveLength(found.findings.length);
  const key = (name: string, labels: object, value: unknown) =>
    JSON.stringify([name, labels, rounded(value)]);
  expect(samples.map(({ series, value }) => key(series.metricId, series.labels, value)).sort()).toEqual(
    found.findings.map(({ metricId, labels, value }) => key(metricId, labels, value)).sort(),
  );
}

describe.skipIf(skipUnless('snmpsim', snmpsimPath !== undefined))('a device of', () => {
  let sim: Snmpsim;
  beforeAll(async () => {
    sim = await startSnmpsim({ ...devices });
  }, 30_000);
  afterAll(() => sim?.stop());

  const at = (name: string) => `snmp://${name}@${sim.host}:${sim.port}`;

  const EXPECTED: Readonly<Record<string, { profiles: string[]; lines: string[] }>> = {
    apc: {
      profiles: ['apc-rpdu2'],
      lines: [
        'pdu_total_power_watt 410 watt {} 1000',
        'pdu_outlet_power_watt 151 watt {outlet=1} 1000',
        'pdu_outlet_power_watt 262 watt {outlet=2,outlet_name=node-7} 1000',
        'pdu_outlet_power_watt 0 watt {outlet=3} 1000',
        'pdu_phase_power_watt 410 watt {phase=1} 1000',
        'pdu_total_energy_joule_total 10884600000 joule {} 10000',
        'pdu_outlet_energy_joule_total 3684240000 joule {outlet=1} 10000',
        'pdu_outlet_energy_joule_total 7200360000 joule {outlet=2,outlet_name=node-7} 10000',
        'pdu_outlet_energy_joule_total 0 joule {outlet=3} 10000',
        'pdu_temp_celsius 23.5 celsius {sensor=rack front} 10000',
        'pdu_total_apparent_power_voltampere 430 voltampere {} 10000',
        'pdu_total_power_factor_ratio 0.95 ratio {} 10000',
        'pdu_outlet_current_ampere 0.7 ampere {outlet=1} 10000',
        'pdu_outlet_current_ampere 1.2 ampere {outlet=2,outlet_name=node-7} 10000',
        'pdu_outlet_current_ampere 0 ampere {outlet=3} 10000',
        'pdu_phase_current_ampere 1.9 ampere {phase=1} 10000',
        'pdu_phase_voltage_volt 230 volt {phase=1} 10000',
        'pdu_bank_current_ampere 1.2 ampere {bank=1} 10000',
        'pdu_bank_current_ampere 0.7 ampere {bank=2} 10000',
        'pdu_humidity_ratio 0.41 ratio {sensor=rack front} 10000',
      ],
    },
    apcUnmetered: {
      profiles: ['apc-rpdu2'],
      lines: [
        'pdu_total_power_watt 1230 watt {} 1000',
        'pdu_phase_current_ampere 5.3 ampere {phase=1} 10000',
      ],
    },
    apcOld: {
      profiles: ['apc-rpdu'],
      lines: [
        'pdu_total_power_watt 874 watt {} 1000',
        'pdu_phase_current_ampere 3.8 ampere {phase=1} 1000',
        'pdu_bank_current_ampere 2.1 ampere {bank=1} 1000',
      ],
    },
    raritan: {
      profiles: ['raritan-pdu2'],
      lines: [
        'pdu_total_power_watt 323.4 watt {inlet=1} 1000',
        'pdu_outlet_power_watt 161 watt {outlet=1,outlet_name=node-1} 1000',
        'pdu_outlet_power_watt 162 watt {outlet=2} 1000',
        'pdu_outlet_energy_joule_total 359996400 joule {outlet=1,outlet_name=node-1} 10000',
        'pdu_temp_celsius 23.5 celsius {sensor=Temperature 1} 10000',
        'pdu_inlet_frequency_hertz 49.9 hertz {inlet=1} 10000',
        'pdu_outlet_current_ampere 0.702 ampere {outlet=1,outlet_name=node-1} 10000',
        'pdu_outlet_voltage_volt 231 volt {outlet=1,outlet_name=node-1} 10000',
        'pdu_outlet_power_factor_ratio 0.98 ratio {outlet=1,outlet_name=node-1} 10000',
        'pdu_humidity_ratio 0.41 ratio {sensor=Humidity 1} 10000',
      ],
    },
    raritanBare: {
      profiles: ['raritan-pdu2'],
      lines: [
        'pdu_outlet_power_watt 160 watt {outlet=7} 1000',
        'pdu_outlet_energy_joule_total 3600000 joule {outlet=7} 10000',
      ],
    },
    eaton: {
      profiles: ['eaton-epdu'],
      lines: [
        'pdu_total_power_watt 338 watt {input=1} 1000',
        'pdu_outlet_power_watt 166 watt {outlet=A1,outlet_name=node-3} 1000',
        'pdu_phase_power_watt 338 watt {input=1,phase=1} 1000',
        'pdu_group_power_watt 338 watt {group=A,group_name=Section A} 1000',
        'pdu_total_energy_joule_total 3555554400 joule {input=1} 10000',
        'pdu_outlet_energy_joule_total 15555600 joule {outlet=A1,outlet_name=node-3} 10000',
        'pdu_phase_energy_joule_total 3555554400 joule {input=1,phase=1} 10000',
        'pdu_temp_celsius -1.2 celsius {sensor=cold aisle} 10000',
        'pdu_outlet_current_ampere 0.721 ampere {outlet=A1,outlet_name=node-3} 10000',
        'pdu_input_voltage_volt 231.4 volt {input=1,line=1} 10000',
        'pdu_input_current_ampere 1.49 ampere {input=1,line=1} 10000',
        'pdu_group_current_ampere 1.49 ampere {group=A,group_name=Section A} 10000',
        'pdu_humidity_ratio 0.413 ratio {sensor=cold aisle} 10000',
      ],
    },
    idrac: {
      profiles: ['dell-idrac'],
      lines: [
        'bmc_node_power_watt 238 watt {sensor=System Board Pwr Consumption} 5000',
        'bmc_node_energy_joule_total 27555555600 joule {} 10000',
        'bmc_cpu_temp_celsius 41 celsius {sensor=CPU1 Temp} 5000',
        'bmc_cpu_temp_celsius 43 celsius {sensor=CPU2 Temp} 5000',
        'bmc_ambient_temp_celsius 23.5 celsius {sensor=System Board Inlet Temp} 5000',
        'bmc_exhaust_temp_celsius 33 celsius {sensor=System Board Exhaust Temp} 5000',
        'bmc_psu_current_ampere 0.6 ampere {sensor=PS1 Current 1} 10000',
        'bmc_psu_current_ampere 0.5 ampere {sensor=PS2 Current 2} 10000',
        'bmc_fan_speed_rpm 5400 rpm {sensor=System Board Fan1A} 5000',
        'bmc_fan_speed_rpm 5460 rpm {sensor=System Board Fan1B} 5000',
        'bmc_psu_voltage_volt 230 volt {sensor=PS1 Voltage 1} 10000',
      ],
    },
    networkSwitch: {
      profiles: ['entity-sensor', 'if-mib'],
      lines: [
        'sensor_psu_power_watt 123.5 watt {sensor=PowerSupply1 input} 5000',
        'sensor_cpu_temp_celsius 34.5 celsius {sensor=TempSensor1} 5000',
        'sensor_psu_current_ampere 1.53 ampere {sensor=PowerSupply1 current} 10000',
        'sensor_fan_speed_rpm 6200 rpm {sensor=Fan1/1} 5000',
        'sensor_voltage_volt 231 volt {sensor=Voltage,number=1} 10000',
        'sensor_voltage_volt 12.07 volt {sensor=Voltage,number=2} 10000',
        'network_ifacein_bytes_total 1000000000001 byte {interface=Ethernet1/1,interface_alias=node-1 eth0} 1000',
        'network_ifaceout_bytes_total 3000000000001 byte {interface=Ethernet1/1,interface_alias=node-1 eth0} 1000',
        'network_ifacein_packet_total 2000001 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 5000',
        'network_ifaceout_packet_total 4000001 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 5000',
        'network_ifacein_packet_discard_total 5 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 10000',
        'network_ifaceout_packet_discard_total 7 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 10000',
        'network_ifacein_packet_error_total 6 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 10000',
        'network_ifaceout_packet_error_total 8 packet {interface=Ethernet1/1,interface_alias=node-1 eth0} 10000',
        'network_ifacein_bytes_total 1000000000004 byte {interface=Po1 50%,interface_alias=uplink} 1000',
        'network_ifaceout_bytes_total 3000000000004 byte {interface=Po1 50%,interface_alias=uplink} 1000',
        'network_ifacein_packet_total 2000004 packet {interface=Po1 50%,interface_alias=uplink} 5000',
        'network_ifaceout_packet_total 4000004 packet {interface=Po1 50%,interface_alias=uplink} 5000',
        'network_ifacein_packet_discard_total 5 packet {interface=Po1 50%,interface_alias=uplink} 10000',
        'network_ifaceout_packet_discard_total 7 packet {interface=Po1 50%,interface_alias=uplink} 10000',
        'network_ifacein_packet_error_total 6 packet {interface=Po1 50%,interface_alias=uplink} 10000',
        'network_ifaceout_packet_error_total 8 packet {interface=Po1 50%,interface_alias=uplink} 10000',
      ],
    },
    ciscoSwitch: {
      profiles: ['cisco-entity-sensor', 'if-mib'],
      lines: [
        'sensor_ambient_temp_celsius 38 celsius {sensor=Sw1 Inlet} 5000',
        'network_ifacein_bytes_total 123456 byte {interface=GigabitEthernet0/1} 1000',
        'network_ifaceout_bytes_total 654321 byte {interface=GigabitEthernet0/1} 1000',
      ],
    },
  };

  it.each(Object.keys(EXPECTED))(
    '%s is found with names, units, labels and periods, and read as it is written',
    async (name) => {
      const found = await ask(at(name), name);
      expect(found.problems).toEqual([]);
      expect(found.profiles).toEqual(EXPECTED[name]?.profiles);
      expect(lines(found)).toEqual(EXPECTED[name]?.lines);
      await expectUsable(found, name);
    },
  );

  it('every profile but that of net-snmp, which a real agent has', () => {
    const tried = new Set(Object.values(EXPECTED).flatMap(({ profiles }) => profiles));
    expect(PROFILES.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual(['ucd-snmp']);
  });

  it('v1, which asks row by row and has no 64-bit counters, gives the same of a PDU', async () => {
    const found = await ask(`${at('apc')}?version=1`, 'apc');
    expect(lines(found)).toEqual(EXPECTED.apc?.lines);
    await expectUsable(found, 'apc');
  });

  it('a PDU has its management card left out, unless it is asked for', async () => {
    const card = await ask(at('apc'), 'apc', { profile: 'if-mib' });
    expect(card.profiles).toEqual(['if-mib']);
    expect(lines(card)[0]).toBe('network_ifacein_bytes_total 1000000000001 byte {interface=eth0} 1000');
    expect((await ask(at('apc'), 'apc', { all: true })).profiles).toEqual(['apc-rpdu2', 'if-mib']);
  });

  it('interfaces that are down and loopbacks are left out, unless all are wanted', async () => {
    const names = async (all: boolean) => {
      const { findings } = await ask(at('networkSwitch'), 'networkSwitch', { profile: 'if-mib', all });
      return [...new Set(findings.map(({ labels }) => labels.interface))];
    };
    expect(await names(false)).toEqual(['Ethernet1/1', 'Po1 50%']);
    expect(await names(true)).toEqual(['Ethernet1/1', 'Ethernet1/2', 'lo', 'Po1 50%']);
  });

  it('interfaces are found again by their names, rows without a name of their own by their numbers', async () => {
    const { findings } = await ask(at('hostile'), 'hostile', { profile: 'if-mib' });
    const urls = findings
      .filter(({ metricId }) => metricId === 'network_ifacein_bytes_total')
      .map(({ url }) => url);
    const column = '1.3.6.1.2.1.31.1.1.1.6.';
    expect(urls.map((url) => url.slice(url.indexOf(column) + column.length))).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '{{ 1.3.6.1.2.1.31.1.1.1.1 == with # and: colon?x=1&y%2541 }}',
      '{{ 1.3.6.1.2.1.31.1.1.1.1 == back\\slash "quoted" \'single\' }}',
    ]);
  });

  it('a hostile device writes nothing but texts', async () => {
    for (const profile of ['apc-rpdu2', 'if-mib']) {
      const found = await ask(at('hostile'), 'hostile', { profile });
      const text = metricFileText(found, { date: '2026-11-22' });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]/);
      const entries: { name: string; url: string; labels: object }[] = parse(text);
      expect(new Set(entries.map(({ name }) => name.replace(/_.*/, '')))).toEqual(
        new Set([profile === 'if-mib' ? 'network' : 'pdu']),
      );
      for (const { url } of entries)
        expect(url).toMatch(/^snmp:\/\/\$\{env:SNMP_COMMUNITY\}@127\.0\.0\.1:\d+\/1\.3\.6\.1\.[0-9.]+/);
      await expectUsable(found, 'hostile');
    }
  });
});

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('an agent of net-snmp', () => {
  const { folder, remove } = temporaryFolder();
  let agent: Snmpd;
  let at: string;
  beforeAll(async () => {
    mkdirSync(join(folder, 'metrics.d'));
    writeFileSync(join(folder, 'kw.yaml'), '', { mode: 0o600 });
    agent = await startSnmpd({ firstAddress: '127.0.26.41' });
    at = `${agent.addresses[0]}:${agent.port}`;
  });
  afterAll(async () => {
    await agent?.stop();
    remove();
  });

  const kw = (...args: string[]) => runKw(['device', 'discover', ...args], { cwd: folder });

  it('with outlets of a PDU, a BMC and its own host gives a file that kw takes as it is', async () => {
    const { stdout, stderr, code } = await kw(
      `snmp://public@${at}`,
      '--all',
      '-o',
      'metrics.d/pdu.yaml',
      '--device',
      'pdu-1',
    );
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^metrics\.d\/pdu\.yaml: \d+ metrics \(apc-rpdu2, dell-idrac, .*if-mib, ucd-snmp\)\n$/,
    );
    expect(code).toBe(0);
    const entries: { name: string; labels?: Record<string, string> }[] = parse(
      readFileSync(join(folder, 'metrics.d/pdu.yaml'), 'utf8'),
    );
    expect(entries.filter(({ name }) => name === 'pdu_outlet_power_watt')).toHaveLength(OUTLETS);
    expect(entries.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['bmc_power_watt', 'network_ifacein_bytes_total', 'server_load1']),
    );

    const check = await runKw(['config', 'check'], { cwd: folder });
    expect(check.stdout).toMatch(/^0 errors, 0 warnings$/m);
    expect(check.code).toBe(0);
    const run = await runKw(['collect', '--once', '--dry-run', '--json'], { cwd: folder });
    expect(run.stderr).toBe('');
    const rows = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(entries.length);
    expect(
      rows.filter(({ metric_id }) => metric_id === 'pdu_outlet_power_watt').map(({ value }) => value),
    ).toEqual(Array.from({ length: OUTLETS }, (_, index) => 151 + index));
  });

  it('does not replace a file, and leaves none behind when nothing was found', async () => {
    writeFileSync(join(folder, 'mine.yaml'), 'mine');
    const refused = await kw(`snmp://public@${at}`, '-o', 'mine.yaml');
    expect(refused).toMatchObject({
      code: 1,
      stderr: 'kw: mine.yaml exists already\n    add --force to replace it\n',
    });
    expect(readFileSync(join(folder, 'mine.yaml'), 'utf8')).toBe('mine');
    const none = await kw(`snmp://public@${at}`, '--profile', 'eaton-epdu', '-o', 'none.yaml');
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^the device answers, but has nothing that kw knows/);
    expect(readdirSync(folder).sort()).toEqual(['kw.yaml', 'metrics.d', 'mine.yaml']);
    const forced = await kw(`snmp://public@${at}`, '--profile', 'dell-idrac', '-o', 'mine.yaml', '--force');
    expect(forced.code).toBe(0);
    expect(parse(readFileSync(join(folder, 'mine.yaml'), 'utf8'))).toHaveLength(1);
  });

  it('keeps keys out of file and output, with v3 and with a named credential', async () => {
    const secrets = 'auth=sha256&auth_key=authpass123&priv=aes128&priv_key=privpass123';
    const typed = await kw(`snmp://kwsha256@${at}?version=3&${secrets}`, '--profile', 'dell-idrac');
    expect(typed.stdout + typed.stderr).not.toMatch(/authpass123|privpass123/);
    expect(typed.stderr).toBe('set SNMP_AUTH_KEY and SNMP_PRIV_KEY in the environment before you use it\n');
    expect(parse(typed.stdout)[0].url).toBe(
      `snmp://kwsha256@${at}/1.3.6.1.4.1.674.10892.5.4.600.30.1.6.1.3?version=3&auth=sha256&auth_key=\${env:SNMP_AUTH_KEY}&priv=aes128&priv_key=\${env:SNMP_PRIV_KEY}`,
    );
    writeFileSync(join(folder, 'kw.yaml'), 'credentials:\n  pdus: {community: public}\n', { mode: 0o600 });
    const named = await kw(`snmp://${at}`, '--profile', 'dell-idrac', '--credential', 'pdus', '--json');
    expect(JSON.parse(named.stdout)).toMatchObject({
      device_id: '127.0.26.41',
      profiles: ['dell-idrac'],
      findings: [
        { name: 'bmc_power_watt', value: 238, url: `snmp://${at}/1.3.6.1.4.1.674.10892.5.4.600.30.1.6.1.3` },
      ],
      problems: [],
    });
  });

  it('tells wrong flags and wrong URLs', async () => {
    expect(await kw(`snmp://public@${at}`, '--profile', 'apc-rpdu3')).toMatchObject({
      code: 2,
      stderr: 'kw: there is no profile "apc-rpdu3" for snmp://\n    did you mean apc-rpdu?\n',
    });
    expect(await kw(`prometheus://${at}`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('kw: kw cannot ask prometheus:// devices what they offer'),
    });
    expect(await kw('snmp://pdu-1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no community'),
    });
    const silent = await kw(`snmp://wrong@${at}`, '--timeout', '500ms');
    expect(silent).toMatchObject({ code: 1, stdout: '' });
    expect(silent.stderr).toMatch(/^kw: timeout: no answer from .*a wrong community is not answered either/);
  });
});

/** Whatever is asked for, there are rows behind it. */
function endlessAgent(): (request: AgentRequest) => Buffer {
  const columns = new Set<string>();
  return (request) => {
    const [oid = '1.3'] = request.oids;
    if (request.tag === 0xa0) return responseTo(request, { varbinds: [textAt(oid, 'endless')] });
    const [, parent = '', row = ''] = /^(.*)\.(\d+)$/.exec(oid) ?? [];
    const isRow = columns.has(parent);
    if (!isRow) columns.add(oid);
    const [column, first] = isRow ? [parent, Number(row)] : [oid, 0];
    const varbinds = Array.from({ length: request.maxRepetitions || 1 }, (_, index) =>
      textAt(`${column}.${first + index + 1}`, '1'),
    );
    return responseTo(request, { varbinds });
  };
}

describe('an agent without an end', () => {
  let agent: LyingAgent;
  afterAll(() => agent?.stop());

  it('is left after a bound of rows, with a sentence that tells where', async () => {
    const endless = endlessAgent();
    agent = await startLyingAgent((request, reply) => reply(endless(request)));
    const { problems, findings } = await ask(`snmp://public@${agent.host}:${agent.port}`, '', {
      profile: 'apc-rpdu',
    });
    expect(problems[0]).toEqual({
      kind: 'limit',
      message: 'the walk of 1.3.6.1.4.1.318.1.1.12.1.16: more than 5000 rows',
    });
    expect(findings.length).toBeLessThan(20_000);
  });

  it('that is silent about one table is asked for the others', async () => {
    const outlet = '1.3.6.1.4.1.318.1.1.26.9.4.3.1.7';
    agent.behave((request, reply) => {
      const [oid = ''] = request.oids;
      if (oid.startsWith('1.3.6.1.4.1.318.1.1.26.4.')) return;
      const next = oid === outlet ? integerAt(`${outlet}.1`, 151) : integerAt('1.3.9', 0);
      reply(responseTo(request, { varbinds: [request.tag === 0xa0 ? textAt(oid, 'x') : next] }));
    });
    const url = `snmp://public@${agent.host}:${agent.port}`;
    const { findings, problems } = await ask(url, '', { profile: 'apc-rpdu2' });
    expect(findings.map(({ metricId, value }) => [metricId, value])).toEqual([
      ['pdu_outlet_power_watt', 151],
    ]);
    expect(problems.map(({ kind }) => kind)).toEqual(['timeout']);
  }, 15_000);

  it('is left when the time is over', async () => {
    const endless = endlessAgent();
    agent.behave((request, reply) => reply(endless(request), 50));
    const startMs = performance.now();
    const urlContext = { resolveSecret: (text: string) => text };
    const { problems } = await discover(`snmp://public@${agent.host}:${agent.port}`, {
      urlContext,
      timeoutMs: 1_000,
    });
    expect(performance.now() - startMs).toBeLessThan(3_000);
    expect(problems).toEqual([
      {
        kind: 'timeout',
        message:
          'the 1 s for all are over in profile apc-rpdu2: take what is there, name a --profile, or give a longer --timeout',
      },
    ]);
  });

  it('is left at Ctrl-C, without a file and without output', async () => {
    const { folder, remove } = temporaryFolder();
    const url = `snmp://public@${agent.host}:${agent.port}`;
    const child = startKw(['device', 'discover', url, '-o', 'x.yaml'], { cwd: folder });
    let output = '';
    child.stdout?.on('data', (text) => {
      output += text;
    });
    child.stderr?.on('data', (text) => {
      output += text;
    });
    const before = agent.requests.length;
    while (agent.requests.length < before + 5) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
    expect(output).toBe('stopped: nothing was written\n');
    expect(existsSync(join(folder, 'x.yaml'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('x.yaml'))).toEqual([]);
    remove();
  });
});
