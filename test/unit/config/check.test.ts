import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/lib/config/check.ts';
import { checkReport } from '../../../src/lib/config/checkReport.ts';
import { fakeProtocols, inFolder, settingsOf } from './support.ts';

function check(files: Record<string, string>) {
  return inFolder(files, (folder) => {
    const result = checkConfig(settingsOf(folder), fakeProtocols);
    return { result, report: checkReport(result, folder), folder };
  });
}

describe('kw config check', () => {
  it('says what would be collected', () => {
    const { result, report } = check({
      'kw.yaml': 'log_level: info\n',
      'metrics.d/a.yaml': `
- {name: a_watt, device_id: pdu-1, url: 'snmp://p@h/1', update_every: 1000}
- {name: b_watt, device_id: pdu-1, url: 'snmp://p@h/2', update_every: 3000}
- {name: c_watt, device_id: pdu-2, url: 'snmp://p@h/2', optional: true, optional_update_every: 500}
- {name: some, device_id: node-1, url: 'prometheus://h:9100/x-y', update_every: 4000}
- {name: all, device_id: node-2, url: 'prometheus://h:9100/'}
`,
    });
    expect(report).toBe(`settings   kw.yaml
metrics    metrics.d
collected  3 devices, 4 metrics, 1.833 values a second, and 1 whole Prometheus page
on demand  1 device, 1 metric, 2 values a second
0 errors, 0 warnings`);
    expect(result.collection.always).toEqual({
      devices: 3,
      metrics: 4,
      wholePages: 1,
      valuesPerSecond: 1.833,
    });
  });

  it('sorts problems by place and counts them', () => {
    const { result, report, folder } = check({
      'kw.yaml': 'listn: off\ntoken: "${env:KW_TEST_NOT_SET}"\n',
      'metrics.d/b.yaml': '- {}\n',
      'metrics.d/a.yaml': "- {name: a_kw, device_id: d, url: 'snmp://p@h/1'}\n",
    });
    expect(report).toBe(`kw.yaml:1:1: error: unknown key "listn" (did you mean "listen"?)
kw.yaml:2:8: error: the environment variable "KW_TEST_NOT_SET" is not set (set it, or use \${file:PATH})
metrics.d/a.yaml:1:10: warning: metrics are kept in base units, and the unit of this name is "kw" (write name: a_watt and scale_factor: 1000)
metrics.d/b.yaml:1:3: error: the entry has no name (write "name: ...")
metrics.d/b.yaml:1:3: error: the entry has no device_id (write "device_id: ...")
metrics.d/b.yaml:1:3: error: the entry has no url (write "url: snmp://COMMUNITY@HOST/OID" or another)

settings   kw.yaml
metrics    metrics.d
collected  1 device, 1 metric, 0.1 values a second
on demand  nothing
5 errors, 1 warning`);
    expect(result.problems[0]).toEqual({
      place: { file: join(folder, 'kw.yaml'), line: 1, column: 1 },
      severity: 'error',
      message: 'unknown key "listn"',
      hint: 'did you mean "listen"?',
    });
  });

  it('says when there is nothing to read', () => {
    const { report, folder } = check({});
    expect(
      report.replaceAll(folder, 'DIR'),
    ).toBe(`etc/metrics.d: error: cannot read the metric files: there is no such folder (make the folder, or set metrics_dir in kw.yaml)

settings   no kw.yaml, so the defaults
metrics    etc/metrics.d
collected  nothing
on demand  nothing
1 error, 0 warnings`);
    expect(check({ 'etc/metrics.d/x/y': '' }).report.split('\n').slice(0, 2)).toEqual([
      'etc/metrics.d: warning: no metric file here, so nothing is collected (examples/metrics.d shows some)',
      'etc/metrics.d/x: warning: folders in metrics.d are not read',
    ]);
  });
});
