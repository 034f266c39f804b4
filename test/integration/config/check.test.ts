/** `kw config check` as a command: streams and exit codes. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const KW = join(import.meta.dirname, '../../../bin/dev.js');
const GOOD =
  "- {name: a_watt, device_id: pdu-1, url: 'snmp://public@pdu-1/1.3.6.1.2.1.1.3.0', update_every: 1000}\n";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kw-check-'));
  mkdirSync(join(folder, 'metrics.d'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string) {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
}

function kw(...args: string[]) {
  const env = { PATH: process.env.PATH, HOME: folder };
  const { status, stdout, stderr } = spawnSync(process.execPath, [KW, 'config', 'check', ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

describe('kw config check', () => {
  it('exits 0 and says what would be collected', () => {
    write('kw.yaml', 'log_level: info\n');
    write('metrics.d/a.yaml', GOOD);
    expect(kw()).toEqual({
      status: 0,
      stderr: '',
      stdout: `settings   kw.yaml
metrics    metrics.d
collected  1 device, 1 metric, 1 values a second
on demand  nothing
0 errors, 0 warnings
`,
    });
  });

  it('exits 0 on warnings', () => {
    write('kw.yaml', '');
    write('metrics.d/a.yaml', GOOD.replace('a_watt', 'a-watt'));
    const { status, stdout } = kw();
    expect(status).toBe(0);
    expect(stdout).toMatch(/^metrics\.d\/a\.yaml:1:10: warning: a metric name has letters/);
  });

  it('exits 1 on errors, with --json too, and keeps stdout for what was found', () => {
    write('kw.yaml', 'listn: off\n');
    write('metrics.d/a.yaml', GOOD);
    const text = kw();
    expect(text.status).toBe(1);
    expect(text.stderr).toBe('');
    expect(text.stdout).toMatch(/^kw\.yaml:1:1: error: unknown key "listn" \(did you mean "listen"\?\)\n/);
    const json = kw('--json');
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toEqual({
      settings_file: join(folder, 'kw.yaml'),
      metrics_dir: join(folder, 'metrics.d'),
      errors: 1,
      warnings: 0,
      problems: [
        {
          place: { file: join(folder, 'kw.yaml'), line: 1, column: 1 },
          severity: 'error',
          message: 'unknown key "listn"',
          hint: 'did you mean "listen"?',
        },
      ],
      collection: {
        always: { devices: 1, metrics: 1, whole_pages: 0, values_per_second: 1 },
        on_demand: { devices: 0, metrics: 0, whole_pages: 0, values_per_second: 0 },
      },
    });
  });

  it('says in one sentence what is wrong with a file that it cannot read', () => {
    expect(kw('--config', 'nowhere.yaml')).toEqual({
      status: 1,
      stdout: '',
      stderr: `kw: cannot read ${join(folder, 'nowhere.yaml')}: there is no such file\n`,
    });
  });
});
