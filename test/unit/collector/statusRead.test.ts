/** Whom `kw status` believes: a collector knows about itself before the database does. */
import { describe, expect, it } from 'vitest';
import { withOwn } from '../../../src/lib/collector/statusRead.ts';
import type { CollectorReport, DeviceReport, StatusReport } from '../../../src/lib/collector/statusReport.ts';
import { statusText } from '../../../src/lib/collector/statusText.ts';

const OWN = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';

function collector(id: string, name: string, refused: string | undefined): CollectorReport {
  return {
    id,
    name,
    host: name,
    version: '0.0.0',
    state: 'running',
    started_at: '2026-11-22T10:00:00.000000+00:00',
    seen_at: '2026-11-22T10:00:00.000000+00:00',
    stopped_at: null,
    reported_at: null,
    written_up_to: null,
    lag_seconds: null,
    database_problem: null,
    endpoint: null,
    counters: { reloadProblem: refused },
  };
}

function device(collector_id: string, collector: string, name: string, polls: number): DeviceReport {
  return {
    collector_id,
    collector,
    device_id: name,
    protocol: 'snmp',
    up: true,
    last_poll: null,
    last_up: null,
    poll_ms: null,
    period_ms: 1000,
    polls,
    missed: 0,
    errors: {},
    last_error: null,
  };
}

const heard: StatusReport = {
  source: 'database',
  at: '2026-11-22T10:00:00.000000+00:00',
  collectors: [collector(OWN, 'here', 'b.yaml:1: wrong'), collector(OTHER, 'here', undefined)],
  devices: [
    device(OTHER, 'here', 'pdu-1', 5),
    device(OWN, 'here', 'gone', 5),
    device(OWN, 'here', 'pdu-2', 5),
  ],
};
const own: StatusReport = {
  source: 'collector',
  at: '2026-11-22T10:00:01.000000+00:00',
  collectors: [collector(OWN, 'here', undefined)],
  devices: [device(OWN, 'here', 'pdu-3', 1), device(OWN, 'here', 'pdu-2', 25)],
};

describe('the status of all collectors', () => {
  it('has what the collector of this machine says of itself, and what the database says of others', () => {
    expect(withOwn(heard, own)).toEqual({
      source: 'database',
      at: heard.at,
      collectors: [collector(OWN, 'here', undefined), collector(OTHER, 'here', undefined)],
      devices: [
        device(OTHER, 'here', 'pdu-1', 5),
        device(OWN, 'here', 'pdu-2', 25),
        device(OWN, 'here', 'pdu-3', 1),
      ],
    });
  });

  it('has nothing of a collector of this machine that writes to another database', () => {
    const others = { ...heard, collectors: heard.collectors.slice(1), devices: heard.devices.slice(0, 1) };
    expect(withOwn(others, own)).toEqual(others);
  });
});

describe('statusText', () => {
  const told = (reported_at: string | null): StatusReport => ({
    source: 'database',
    at: '2026-11-22T10:00:20.000000+00:00',
    collectors: [{ ...collector(OTHER, 'there', undefined), reported_at }],
    devices: [],
  });
  const lines = (report: StatusReport) => statusText(report, false).text.split('\n');

  it('says how old the account of a collector is, beyond five seconds', () => {
    expect(lines(told('2026-11-22T10:00:08.000000+00:00'))).toEqual([
      'COLLECTOR  HOST   STATE    LAG  READ  STORED  WAITING  REFUSED  LOST  MISSED  AS OF',
      'there      there  running  -    0     0       0        0        0     0       12 s ago',
    ]);
    for (const fresh of ['2026-11-22T10:00:16.000000+00:00', null]) {
      expect(lines(told(fresh))[0]).toMatch(/MISSED$/);
    }
  });

  it('cuts an error to the width of the terminal only, with an ellipsis', () => {
    const last_error = 'no answer '.repeat(12).trim();
    const report = {
      ...told(null),
      devices: [{ ...device(OTHER, 'there', 'pdu-1', 5), up: false, last_error }],
    };
    expect(lines(report).at(-1)?.endsWith(`  ${last_error}`)).toBe(true);
    const narrow = statusText(report, false, 100).text.split('\n').at(-1);
    expect(narrow).toMatch(/ no answer no.*…$/);
    expect(narrow?.length).toBeLessThanOrEqual(100);
  });
});
