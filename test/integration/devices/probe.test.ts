// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
/** `kw device probe` as a command: what is printed, and exit codes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skipUnless } from '../../support/skip.ts';
import {
  IDRAC_WATT,
  OUTLET_NAME,
  OUTLET_WATT,
  type Snmpd,
  snmpdPath,
  startSnmpd,
  VALUES,
} from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const KW = join(import.meta.dirname, '../../../bin/dev.js');

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('kw device probe', () => {
  const { folder, remove } = temporaryFolder();
  let agent: Snmpd;
  let at: string;
  beforeAll(async () => {
    mkdirSync(join(folder, '.config/kw'), { recursive: true });
    const settings =
      'credentials:\n  pdus: {version: "3", user: kwsha256, auth: sha256, auth_key: "${env:PDU_KEY}"}\n';
    writeFileSync(join(folder, '.config/kw/kw.yaml'), settings, { mode: 0o600 });
    agent = await startSnmpd({ firstAddress: '127.0.26.31' });
    at = `${agent.addresses[0]}:${agent.port}`;
  });
  afterAll(async () => {
    await agent?.stop();
    remove();
  });

  /** Times are replaced: they differ. */
  async function probe(...args: string[]) {
    const child = spawn(process.execPath, [KW, 'device', 'probe', ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, PDU_KEY: 'authpass123' },
      timeout: 30_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ]);
    const shown = stdout
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00/g, 'TIME')
      .replace(/duration( +)[\d.]+ ms/, 'duration$1N ms');
    return { status, stdout: shown, stderr };
  }

  test('says what a template led to, type, value and time', async () => {
    const url = `snmp://public@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet9 }}`;
    expect(await probe(url)).toEqual({
      status: 0,
      stderr: '',
      stdout: `url        snmp://***@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet9 }}
address    127.0.26.31 udp port ${agent.port}
version    SNMP v2c
resolved   {{ ${OUTLET_NAME} == outlet9 }} -> 9
OID        ${OUTLET_WATT}.9
type       INTEGER
answer     159
value      159
timestamp  TIME
duration   N ms
`,
    });
  });

  test('reads with a named credential', async () => {
    const { status, stdout } = await probe(`snmp://${at}/${IDRAC_WATT}`, '--credential', 'pdus');
    expect(status).toBe(0);
    expect(stdout).toContain('version    SNMP v3, user kwsha256, authNoPriv, sha256\n');
    expect(stdout).toContain('value      238\n');
    expect(stdout).not.toContain('authpass123');
  });

  /** What --verbose told, without its times; the secrets of this file are nowhere in it. */
  async function steps(...args: string[]) {
    const { stdout, stderr } = await probe(...args, '--verbose');
    expect(stdout + stderr).not.toMatch(/authpass123|privpass123|wrong-key|my-community/);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.every((line) => /^ *\+\d+\.\d ms {2}\w/.test(line))).toBe(true);
    const told = lines.map((line) => line.replace(/^ *\+[\d.]+ ms {2}/, ''));
    return told.map((line) =>
      line
        .replace(/after [\d.]+ ms/, 'after N ms')
        .replace(/0x[0-9a-f]+, .*/, 'ENGINE')
        .replace(/, \d+ octets/, ''),
    );
  }

  test('--verbose tells each step of v2c', async () => {
    expect(await steps(`snmp://public@${at}/${OUTLET_WATT}.9`)).toEqual([
      'resolve       127.0.26.31 is an address already',
      `open          UDP to 127.0.26.31 port ${agent.port}: nothing is sent yet`,
      'authenticate  by the community, in clear text with each request of SNMP v2c',
      `read          GET of ${OUTLET_WATT}.9`,
      'authenticate  the agent answers this community',
      'read          answer after N ms: 1 value',
      'close         nothing to tell the agent: SNMP has no sessions of its own',
    ]);
  });

  test('--verbose tells each step of v3: engine, user and level', async () => {
    const keys = 'auth=sha256&auth_key=authpass123&priv=aes128&priv_key=privpass123';
    expect(await steps(`snmp://kwsha256@${at}/${IDRAC_WATT}?version=3&${keys}`)).toEqual([
      'resolve       127.0.26.31 is an address already',
      `open          UDP to 127.0.26.31 port ${agent.port}: nothing is sent yet`,
      'authenticate  as kwsha256 of SNMP v3, authPriv, sha256, aes128',
      'authenticate  asks the agent for its engine id, boots and clock',
      "authenticate  the agent's engine is ENGINE",
      `read          GET of ${IDRAC_WATT}`,
      'authenticate  the answer is signed and encrypted, as was asked',
      'read          answer after N ms: 1 value',
      'close         nothing to tell the agent: SNMP has no sessions of its own',
    ]);
    const wrong = `snmp://kwsha256@${at}/${IDRAC_WATT}?version=3&auth=sha256&auth_key=wrong-key-1`;
    expect(await steps(wrong)).toContain('authenticate  failed: wrong auth key or protocol');
    const silent = await steps(`snmp://my-community@${at}/${IDRAC_WATT}`, '--timeout', '300ms');
    expect(silent.at(-2)).toMatch(
      /^read {10}failed: no answer .*a wrong community is not answered either\)$/,
    );
    expect(await steps(`snmp://public@no-such-host.invalid/${IDRAC_WATT}`)).toContain(
      'resolve       failed: no-such-host.invalid: no such host name',
    );
  });

  test('--verbose --json has the steps in the object', async () => {
    const { stdout, stderr } = await probe(`snmp://public@${at}/${IDRAC_WATT}`, '--verbose', '--json');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout).steps[0]).toEqual({
      step: 'resolve',
      text: '127.0.26.31 is an address already',
      at_ms: expect.any(Number),
    });
  });

  test('--json has the whole', async () => {
    const { status, stdout } = await probe(
      `snmp://public@${at}/${VALUES.text}`,
      '--device',
      'pdu-1',
      '--json',
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      url: `snmp://***@${at}/${VALUES.text}`,
      device_id: 'pdu-1',
      up: true,
      timestamp: 'TIME',
      duration_ms: expect.any(Number),
      facts: [
        { name: 'address', text: `127.0.26.31 udp port ${agent.port}` },
        { name: 'version', text: 'SNMP v2c' },
        { name: 'OID', text: VALUES.text },
        { name: 'type', text: 'OCTET STRING' },
        { name: 'answer', text: '"hello"' },
      ],
      samples: [{ timestamp: 'TIME', metric_id: 'value', value: 'NaN', labels: { value_str: 'hello' } }],
      problems: [],
    });
  });

  test('exits 1 when nothing could be read, and says why', async () => {
    const missing = await probe(`snmp://public@${at}/${VALUES.none}`);
    expect(missing.status).toBe(1);
    expect(missing.stdout).toContain(`problem    missing: ${VALUES.none}: noSuchObject\n`);
    const refused = await probe(
      `snmp://public@127.0.26.39:${agent.port}/${IDRAC_WATT}`,
      '--timeout',
      '600ms',
    );
    expect(refused.status).toBe(1);
    expect(refused.stdout).toContain(`problem   refused: 127.0.26.39:${agent.port}: nothing listens there\n`);
    expect(refused.stdout).toMatch(/answer {4}none\n$/);
  });

  test('a wrong URL exits 2 with the place', async () => {
    expect(await probe('snmp://public@h/1.3.ifName')).toEqual({
      status: 2,
      stdout: '',
      stderr: `kw: "ifName" is not a number (character 21 of the URL)
    OIDs are written in numbers; snmptranslate -On NAME gives them
`,
    });
    const foreign = await probe('gopher://h/1');
    expect(foreign.status).toBe(2);
    expect(foreign.stderr).toMatch(/^kw: kw does not speak gopher\n {4}protocols: .*snmp/);
  });
});
