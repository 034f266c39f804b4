// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { splitList } from '../../../src/lib/config/metricFile.ts';
import { loadMetrics } from '../../../src/lib/config/metrics.ts';
import { formatProblem } from '../../../src/lib/config/place.ts';
import { fakeProtocols, inFolder, load, settingsOf } from './support.ts';

const GOOD = `- name: pdu_outlet_power_watt
  device_id: pdu-1
  url: snmp://public@pdu-1/1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.1
`;

/** The problems of the good entry with one more line. */
function problemsOf(line: string): string[] {
  return load(`${GOOD}  ${line}\n`).problems;
}

describe('an entry', () => {
  it("has Kwollect's defaults", () => {
    const { entries, problems } = load(GOOD);
    expect(problems).toEqual([]);
    expect(entries).toEqual([
      {
        name: 'pdu_outlet_power_watt',
        deviceId: 'pdu-1',
        url: expect.objectContaining({ hostPort: 'pdu-1' }),
        driver: expect.objectContaining({ schemes: ['snmp'] }),
        updateEveryMs: 10_000,
        optionalUpdateEveryMs: undefined,
        scaleFactor: undefined,
        labels: {},
        optional: false,
        unit: undefined,
        description: undefined,
        timeoutMs: undefined,
        place: { file: expect.stringMatching(/m\.yaml$/), line: 1, column: 3 },
      },
    ]);
  });

  it('reads every key, and takes label values as the text that stands in the file', () => {
    const { entries, problems } = load(
      `${GOOD}  update_every: 5000
  optional_update_every: 1000
  optional: yes
  scale_factor: 0.1
  labels: {"_device_alias": "node-1", port: 007, shared: true, ratio: 1e3}
  unit: watt
  description: what the outlet gives
  timeout: "900"
`,
    );
    expect(problems).toEqual([]);
    expect(entries[0]).toMatchObject({
      updateEveryMs: 5000,
      optionalUpdateEveryMs: 1000,
      optional: true,
      scaleFactor: 0.1,
      labels: { _device_alias: 'node-1', port: '007', shared: 'true', ratio: '1e3' },
      unit: 'watt',
      description: 'what the outlet gives',
      timeoutMs: 900,
    });
  });

  it.each([
    ['a number as device', 'name: a_watt\ndevice_id: 7\nurl: snmp://p@h/1.3\n', '7'],
    ['a name that YAML 1.1 takes for false', 'name: a_watt\ndevice_id: no\nurl: snmp://p@h/1.3\n', 'no'],
    ['a date', 'name: a_watt\ndevice_id: 2021-11-22\nurl: snmp://p@h/1.3\n', '2021-11-22'],
  ])('takes %s as text', (_, text, deviceId) => {
    expect(load(text)).toMatchObject({ problems: [], entries: [{ deviceId }] });
  });

  it('takes update_every in quotes and an empty labels key, as Kwollect does', () => {
    const { entries, problems } = load(`${GOOD}  update_every: "2000"\n  labels:\n`);
    expect(problems).toEqual([]);
    expect(entries[0]).toMatchObject({ updateEveryMs: 2000, labels: {} });
  });

  it('keeps __proto__ as a label like any other', () => {
    const { entries } = load(`${GOOD}  labels: {__proto__: x}\n`);
    expect(Object.entries(entries[0]?.labels ?? {})).toEqual([['__proto__', 'x']]);
  });
});

describe('a mistake in one key', () => {
  it.each([
    ['updat_every: 1000', '4:3: error: unknown key "updat_every" (did you mean "update_every"?)'],
    ['path: /x', '4:3: error: unknown key "path" (write it at the end of url)'],
    [
      'constructor: 1',
      '4:3: error: unknown key "constructor" (known keys: name, device_id, url, update_every, optional_update_every, optional, scale_factor, labels, unit, description, timeout, credential)',
    ],
    [
      'device_id: pdu-2',
      '4:3: error: the key "device_id" stands twice (keep one of them; Kwollect silently took the last)',
    ],
    [
      'update_every: 5s',
      '4:17: error: update_every must be a whole number of milliseconds from 10 to 86400000, and this is "5s" (write update_every: 5000)',
    ],
    [
      'update_every: 5',
      '4:17: error: update_every must be a whole number of milliseconds from 10 to 86400000, and this is "5" (write update_every: 5000)',
    ],
    [
      'update_every: 0',
      '4:17: error: update_every must be a whole number of milliseconds from 10 to 86400000, and this is "0" (such as update_every: 1000)',
    ],
    [
      'update_every: 15',
      '4:17: warning: update_every is in milliseconds: 15 means 67 readings a second (for 15 seconds write 15000)',
    ],
    [
      'update_every: [1]',
      '4:17: error: update_every must be a whole number of milliseconds from 10 to 86400000, and this is a list (such as update_every: 1000)',
    ],
    [
      'optional_update_every: 20000',
      '4:26: warning: promoted, this metric is read less often (20000 ms) than otherwise (10000 ms)',
    ],
    [
      'timeout: 10000',
      '4:12: error: timeout (10000 ms) must be below the period (10000 ms) (shorten it, or leave it out)',
    ],
    ['optional: maybe', '4:13: error: optional must be true or false, and this is "maybe"'],
    ['scale_factor: ten', '4:17: error: scale_factor must be a number, and this is "ten"'],
    ['scale_factor: .inf', '4:17: error: scale_factor must be a number, and this is ".inf"'],
    ['scale_factor: 0', '4:17: warning: scale_factor 0 is not applied, as in Kwollect (remove it)'],
    ['unit: {a: b}', '4:9: error: unit must be text, and this is a map'],
    [
      'labels: [a, b]',
      '4:11: error: labels must be a map, and this is a list (write "labels:" and its keys below, indented)',
    ],
    ['labels: {a: [1]}', '4:15: error: the value of "a" in labels must be text, and this is a list'],
    ['labels: {a: }', '4:12: error: the value of "a" in labels must be text, and this is empty'],
    [
      `labels: {a: ${'x'.repeat(2000)}}`,
      '4:11: error: the labels have 2008 bytes as JSON, and at most 1024 can be stored',
    ],
    ['labels: {a: "\\0"}', '4:11: error: a label contains a NUL character'],
    ['labels: {_device_alias: ""}', '4:11: error: _device_alias: the device name is empty'],
    [
      'credential: nobody',
      '4:15: error: there is no credential "nobody" (write it under "credentials:" in kw.yaml)',
    ],
    ['labels: !text {a: b}', '4:11: warning: unresolved tag: !text'],
  ])('%j is told with its place', (line, expected) => {
    expect(problemsOf(line)).toEqual([`m.yaml:${expected}`]);
  });

  it('hides no other mistake of the entry, and leaves the entry out', () => {
    const { entries, problems } = load('- name:\n  url: snmp://p@h/!\n  optional: 3\n');
    expect(entries).toEqual([]);
    expect(problems).toEqual([
      'm.yaml:1:3: error: name is empty (write "name: ...")',
      'm.yaml:1:3: error: the entry has no device_id (write "device_id: ...")',
      'm.yaml:2:19: error: no ! here (write ?)',
      'm.yaml:3:13: error: optional must be true or false, and this is "3"',
    ]);
  });

  it('hides no mistake of another file, and takes no good entry away', () => {
    const { entries, problems } = load({ 'a.yaml': '- "', 'b.yaml': '- {}', 'c.yaml': GOOD });
    expect(entries.map(({ deviceId }) => deviceId)).toEqual(['pdu-1']);
    expect(problems).toEqual([
      'a.yaml:1:3: error: a quote, bracket or comma is missing to close this (close what is open)',
      'b.yaml:1:3: error: the entry has no name (write "name: ...")',
      'b.yaml:1:3: error: the entry has no device_id (write "device_id: ...")',
      'b.yaml:1:3: error: the entry has no url (write "url: snmp://COMMUNITY@HOST/OID" or another)',
    ]);
  });

  it('repeats no more of a wrong value than a person can read', () => {
    expect(problemsOf(`optional: ${'x'.repeat(1_000_000)}`)).toEqual([
      `m.yaml:4:13: error: optional must be true or false, and this is "${'x'.repeat(60)}..."`,
    ]);
  });

  it('refuses names that cannot be stored', () => {
    const { problems } = load(`- {name: ${'n'.repeat(256)}, device_id: "a\\0", url: 'snmp://p@h/1'}\n`);
    expect(problems).toEqual([
      'm.yaml:1:10: error: the metric name has 256 bytes, and at most 255 can be stored',
      'm.yaml:1:279: error: the device name contains a NUL character',
    ]);
  });

  it('tells the first 200 of a file and counts the rest', () => {
    const { problems } = load('- 1\n'.repeat(250));
    expect(problems).toHaveLength(201);
    expect(problems).toContain('m.yaml: error: 50 more problems in this file');
  });
});

describe('a url', () => {
  it.each([
    ['snpm://p@h/1', 'error: "snpm://" is no protocol that kw speaks (did you mean snmp://?)'],
    ['modbus://h/1', 'error: "modbus://" is no protocol that kw speaks (known ones: snmp://, prometheus://)'],
    ['h/1', 'error: url has no protocol (it begins with snmp://, prometheus://)'],
  ])('%j is no url to collect from', (url, expected) => {
    const { entries, problems } = load(`- name: a_watt\n  device_id: d\n  url: ${url}\n`);
    expect(entries).toEqual([]);
    expect(problems).toEqual([`m.yaml:3:8: ${expected}`]);
  });

  it.each([
    ['plain', 'snmp://p@h/!', 19],
    ['in single quotes', "'snmp://p@h/!'", 20],
    ['with a doubled quote', "'snmp://p''@h/!'", 22],
    ['with escapes', '"snmp:\\/\\/p\\x40h\\u002f!"', 30],
    ['folded: its first line', '>\n    snmp://p@h/!', 8],
  ])('%s: the column is that of the wrong character', (_, spelling, column) => {
    const { problems } = load(`- name: a_watt\n  device_id: d\n  url: ${spelling}\n`);
    expect(problems).toEqual([`m.yaml:3:${column}: error: no ! here (write ?)`]);
  });

  it('takes secrets from references and named credentials', () => {
    process.env.KW_TEST_COMMUNITY = 's3cret';
    const { entries, problems } = load(
      `- {name: a_watt, device_id: d, url: 'snmp://\${env:KW_TEST_COMMUNITY}@h/1'}
- {name: b_watt, device_id: d, url: 'snmp://h/1', credential: bmc}
- {name: c_watt, device_id: d, url: 'snmp://h/1', credential: bmcs}
- {name: d_watt, device_id: d, url: 'snmp://\${env:KW_TEST_NOT_SET}@h/1'}
`,
      { credentials: { bmc: { user: `\${env:KW_TEST_COMMUNITY}` } } },
    );
    delete process.env.KW_TEST_COMMUNITY;
    expect(entries.map(({ url }) => url.endpointKey)).toEqual(['s3cret@h', 's3cret@h']);
    expect(problems).toEqual([
      'm.yaml:3:63: error: there is no credential "bmcs" (did you mean "bmc"?)',
      `m.yaml:4:37: error: the environment variable "KW_TEST_NOT_SET" is not set (set it, or use \${file:PATH})`,
    ]);
  });

  it('tells a reference that stands for nothing once a file, with how many more entries need it', () => {
    const entry = (index: number, variable: string) =>
      `- {name: a_watt, device_id: d${index}, url: 'snmp://\${env:${variable}}@h/1'}\n`;
    const many = Array.from({ length: 300 }, (_, index) => entry(index + 100, 'KW_TEST_NOT_SET')).join('');
    const { entries, problems } = load({
      'a.yaml': `${entry(100, 'KW_TEST_NOT_SET_2')}${many}${entry(500, 'KW_TEST_NOT_SET_2')}- {nam: x}\n`,
      'b.yaml': entry(100, 'KW_TEST_NOT_SET'),
    });
    const error = (variable: string, more: string) =>
      `error: the environment variable "${variable}" is not set${more} (set it, or use \${file:PATH})`;
    expect(entries).toEqual([]);
    expect(problems.filter((problem) => !problem.startsWith('a.yaml:303:'))).toEqual([
      `a.yaml:1:40: ${error('KW_TEST_NOT_SET_2', '; 1 more entry of this file needs it')}`,
      `a.yaml:2:40: ${error('KW_TEST_NOT_SET', '; 299 more entries of this file need it')}`,
      `b.yaml:1:40: ${error('KW_TEST_NOT_SET', '')}`,
    ]);
    expect(problems).toContainEqual(expect.stringMatching(/^a\.yaml:303:.* unknown key "nam"/));
  });
});

describe('a reference in the URL of a real protocol', () => {
  it.each(['snmp://${at}h/1.3.6.1.', 'mqtt://u:${at}h/topic/'])(
    'that stands for nothing is told once: %s',
    (form) => {
      const url = (index: number) => form.replace('${at}', '${env:KW_TEST_NOT_SET}@') + index;
      const text = [1, 2, 3].map((index) => `- {name: a_watt, device_id: d${index}, url: '${url(index)}'}`);
      inFolder({ 'metrics.d/m.yaml': text.join('\n') }, (folder) => {
        const { problems } = loadMetrics({
          ...settingsOf(folder).settings,
          metricsDir: join(folder, 'metrics.d'),
        });
        expect(problems.map(({ message, place }) => `${place.line}: ${message}`)).toEqual([
          '1: the environment variable "KW_TEST_NOT_SET" is not set; 2 more entries of this file need it',
        ]);
      });
    },
  );
});

describe('the form of a file', () => {
  it.each([
    ['an empty file', '', 0],
    ['a file of comments', '# nothing yet\n', 0],
    ['a byte order mark', `\uFEFF${GOOD}`, 1],
    ['CRLF', GOOD.replaceAll('\n', '\r\n'), 1],
    ['several documents', `${GOOD}---\n${GOOD.replace('_id: pdu-1', '_id: pdu-2')}`, 2],
    ['one map instead of a list', 'name: a_watt\ndevice_id: x\nurl: snmp://p@h/1.3\n', 1],
    ['JSON', '[{"name": "a_watt", "device_id": "x", "url": "snmp://p@h/1.3"}]', 1],
    ['an OID template', '- name: a_watt\n  device_id: x\n  url: snmp://p@h/1.3.{{ 1.3.6 == Port 1 }}\n', 1],
  ])('may have %s', (_, text, count) => {
    const { entries, problems } = load(text);
    expect(problems).toEqual([]);
    expect(entries).toHaveLength(count);
  });

  it('may have merge keys, own keys first, then the earlier of two merged maps', () => {
    const { entries, problems } = load(`- &base
  name: a_watt
  device_id: x
  url: snmp://p@h/1.3
  update_every: 1000
- <<: *base
  device_id: y
- {<<: [{device_id: z, optional: true}, *base], update_every: 2000}
`);
    expect(problems).toEqual([]);
    expect(entries.map((e) => [e.deviceId, e.updateEveryMs, e.optional])).toEqual([
      ['x', 1000, false],
      ['y', 1000, false],
      ['z', 2000, true],
    ]);
  });

  it.each([
    [
      'a scalar',
      'hello',
      'm.yaml:1:1: error: a metric file is a list of entries (write "- name: ..." and its other keys below)',
    ],
    [
      'a list of texts',
      '- hello',
      'm.yaml:1:3: error: an entry must be a map (write "- name: ..." and its other keys below)',
    ],
    [
      'a tab',
      '- name: a\n\tdevice_id: x\n',
      'm.yaml:2:1: error: a tab stands in the indentation (indent with blanks)',
    ],
    [
      'keys that do not align',
      '- name: a\n    device_id: x\n',
      'm.yaml:1:9: error: a text holds ": ", or a line is indented wrongly (put the text in quotes, or align the keys of an entry)',
    ],
    [
      'a quote that stays open',
      '- name: "a\n  device_id: x\n',
      'm.yaml:1:9: error: a quote, bracket or comma is missing to close this (close what is open)',
    ],
    [
      'an unknown anchor',
      '- name: *nobody\n',
      'm.yaml:1:9: error: there is no anchor &nobody above (a text that begins with "*" needs quotes)',
    ],
    [
      'deep nesting',
      '['.repeat(20_000),
      expect.stringMatching(/^m\.yaml:1:\d+: error: lists or maps are nested too deeply$/),
    ],
  ])('must not be %s', (_, text, expected) => {
    expect(load(text)).toEqual({ entries: [], problems: [expected] });
  });

  it('must be UTF-8', () => {
    const { problems } = load({ 'm.yaml': Buffer.from(`# prise n\xB0 1\n${GOOD}`, 'latin1') });
    expect(problems).toEqual([
      'm.yaml: error: cannot read it: it is not UTF-8 text, see line 1; save it as UTF-8',
    ]);
  });

  it('costs what its text costs, whatever its aliases stand for', () => {
    const levels = Array.from(
      { length: 25 },
      (_, n) => `k${n}: &a${n} {<<: [${n ? `*a${n - 1}, *a${n - 1}` : '{}'}]}`,
    );
    const started = performance.now();
    load(levels.join('\n'));
    load(`- &a {name: x}\n${'- {<<: *a, device_id: y}\n'.repeat(3000)}`);
    load(`{${Array.from({ length: 20_000 }, (_, n) => `k${n}: 1`).join(', ')}}`);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('must not be open to changes by every user, nor its folder', () => {
    const read = (open: string) =>
      inFolder({ 'metrics.d/a.yaml': GOOD }, (folder) => {
        chmodSync(join(folder, open), 0o777);
        const { settings } = settingsOf(folder);
        const metricsDir = join(folder, 'metrics.d');
        const { entries, problems } = loadMetrics({ ...settings, metricsDir }, fakeProtocols);
        return [entries.length, ...problems.map((p) => formatProblem(p).replaceAll(folder, 'DIR'))];
      });
    expect(read('metrics.d/a.yaml')).toEqual([
      0,
      'DIR/metrics.d/a.yaml: error: every user of this machine can change this file (look at it, then: chmod o-w DIR/metrics.d/a.yaml)',
    ]);
    expect(read('metrics.d')).toEqual([
      0,
      'DIR/metrics.d: error: every user of this machine can put files here, so none is read (look at them, then: chmod o-w DIR/metrics.d)',
    ]);
  });

  it('is read only with a name that ends in .yaml, .yml or .conf and is not hidden', () => {
    const { entries, problems } = load({
      'a.yml': GOOD,
      "grid5000's.conf": GOOD.replace('pdu-1', 'pdu-2'),
      '.hidden.yaml': '- {}',
      'b.yaml.bak': GOOD,
      'sub/c.yaml': GOOD,
    });
    expect(entries).toHaveLength(2);
    expect(problems).toEqual([
      'b.yaml.bak: warning: not read: its name does not end in .yaml, .yml or .conf',
      'sub: warning: folders in metrics.d are not read',
    ]);
  });
});

describe('a long list', () => {
  const item = (n: number) => GOOD.replace('_id: pdu-1', `_id: "pdu-${n}"`);
  const list = (count: number) => `# prose\n\n${Array.from({ length: count }, (_, n) => item(n)).join('')}`;

  it('gives the same in parts as whole', () => {
    const text = list(1000);
    expect(splitList(text).length).toBe(10);
    const parts = load(text);
    // An anchor keeps the file whole.
    const whole = load(text.replace('"pdu-0"', '&a "pdu-0"'));
    const strip = ({ entries, problems }: typeof parts) => ({
      problems,
      entries: entries.map(({ place, ...rest }) => ({ ...rest, line: place.line, column: place.column })),
    });
    expect(strip(parts)).toEqual(strip(whole));
    expect(parts.entries).toHaveLength(1000);
  });

  it('tells places of the whole file, and one broken entry takes only its part', () => {
    const { entries, problems } = load(list(1000).replace('"pdu-555"', '"pdu-555'));
    expect(problems).toEqual([
      'm.yaml:1669:14: error: a quote, bracket or comma is missing to close this (close what is open)',
    ]);
    expect(entries).toHaveLength(900);
  });

  it.each([
    ['anchors', '&a "pdu-0"'],
    ['several documents', '"pdu-0"\n---\n'],
  ])('stays whole with %s', (_, replacement) => {
    expect(splitList(list(1000).replace('"pdu-0"', replacement))).toHaveLength(1);
  });

  it('is looked for in a time that grows with the text', () => {
    const started = performance.now();
    splitList('\n'.repeat(200_000));
    splitList(' \r\n'.repeat(100_000));
    expect(performance.now() - started).toBeLessThan(500);
  });

  it('is no map', () => {
    expect(splitList(`name: x\nlabels:\n${'- a\n'.repeat(20_000)}`)).toHaveLength(1);
  });
});

describe('two entries', () => {
  it('must not write the same device, metric and labels', () => {
    const { entries, problems } = load({
      'a.yaml': `${GOOD}  labels: {a: 1, b: 2}\n`,
      'b.yaml': `${GOOD}  labels: {b: "2", a: "1"}\n${GOOD}`,
    });
    expect(entries).toHaveLength(2);
    expect(problems.map((line) => line.replace(/at \S+\//, 'at '))).toEqual([
      'b.yaml:1:3: error: device "pdu-1" has the metric "pdu_outlet_power_watt" with the same labels already, at a.yaml:1:3 (remove one of them, or tell them apart by a label)',
    ]);
  });

  const page = (name: string, path: string, more = '') =>
    `- {name: ${name}, device_id: n, url: 'prometheus://n:9100/${path}'${more}}\n`;

  it('must not read the same metric of one page', () => {
    const { entries, problems } = load(page('a', 'x-y') + page('b', 'y-z') + page('c', 'z') + page('d', ''));
    expect(entries.map(({ name }) => name)).toEqual(['a', 'c']);
    expect(problems).toEqual([
      'm.yaml:2:3: error: device "n" reads "y" of n:9100 already, at m.yaml:1:3 (name each metric in one of the urls only)',
      'm.yaml:4:3: error: device "n" reads "x", "y" of n:9100 already, at m.yaml:1:3 (name each metric in one of the urls only)',
    ]);
  });

  it("may be Kwollect's pair: some metrics always, the whole page on demand", () => {
    expect(load(page('some', 'x-y') + page('all', '', ', optional: true')).problems).toEqual([]);
    expect(
      load(page('some', 'x-y') + page('all', '', ', optional: true, update_every: 1000')).problems,
    ).toEqual([
      'm.yaml:2:3: warning: while promoted, "x", "y" of n:9100 is stored every 10000 ms and every 1000 ms, see m.yaml:1:3 (give both the same period)',
    ]);
  });

  it("may be Grid'5000's pair: some metrics on demand, the whole page too, by another name", () => {
    const demand = (name: string, names: string, more = '') => page(name, names, `, optional: true${more}`);
    expect(load(demand('some', 'x-y') + demand('all', '')).problems).toEqual([]);
    expect(load(demand('some', 'x-y') + demand('some', 'y-z')).problems).toEqual([
      'm.yaml:2:3: error: device "n" reads "y" of n:9100 already, at m.yaml:1:3 (name each metric in one of the urls only)',
    ]);
    expect(load(demand('all', '') + demand('everything', '')).problems).toEqual([
      'm.yaml:2:3: error: device "n" reads the whole page of n:9100 already, at m.yaml:1:3 (name each metric in one of the urls only)',
    ]);
    expect(load(demand('some', 'x') + demand('all', '', ', optional_update_every: 1000')).problems).toEqual([
      'm.yaml:2:3: warning: while promoted, "x" of n:9100 is stored every 10000 ms and every 1000 ms, see m.yaml:1:3 (give both the same period)',
    ]);
  });
});
