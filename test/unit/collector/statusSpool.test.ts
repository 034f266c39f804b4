/** What kw status says of a collector's spool: nothing while all is well, and everything when it is not. */
import { describe, expect, it } from 'vitest';
import type { SpoolCounters } from '../../../src/lib/collector/status.ts';
import { judge } from '../../../src/lib/collector/statusJudge.ts';
import type { StatusReport } from '../../../src/lib/collector/statusReport.ts';
import { statusText } from '../../../src/lib/collector/statusText.ts';

const AT = '2026-11-22T10:00:00.000000+00:00';
const WELL: SpoolCounters = {
  waiting: 20,
  backlog: 0,
  drainRate: 0,
  bytes: 2_000_000,
  maxBytes: 1e9,
  segments: 1,
  dropped: 0,
  damaged: 0,
  setAside: 0,
};

function report(spool: SpoolCounters | undefined): StatusReport {
  return {
    source: 'collector',
    at: AT,
    devices: [],
    collectors: [
      {
        id: 'a',
        name: 'east',
        host: 'h',
        version: '0',
        state: 'running',
        started_at: AT,
        seen_at: AT,
        stopped_at: null,
        reported_at: AT,
        written_up_to: AT,
        lag_seconds: 1,
        database_problem: null,
        endpoint: null,
        counters: { spool },
      },
    ],
  };
}

const messages = (spool: SpoolCounters) => judge(report(spool)).findings.map(({ message }) => message);

describe('kw status of a spool', () => {
  it('says nothing while all is well, or when there is none', () => {
    for (const spool of [WELL, undefined]) {
      expect(judge(report(spool))).toEqual({ level: 'ok', findings: [] });
      expect(statusText(report(spool), false).text).not.toContain('SPOOL');
    }
  });

  it('says what waits and how fast it is stored', () => {
    const draining = { ...WELL, waiting: 5_000, backlog: 4_000, drainRate: 800 };
    expect(messages(draining)).toEqual([
      'collector east has 4000 values in its spool, 800 a second are stored',
    ]);
    expect(messages({ ...draining, drainRate: 0 })).toEqual(['collector east has 4000 values in its spool']);
    const { text } = statusText(report(draining), false);
    const [heading, row] = text.split('\n\n')[1]?.split('\n') ?? [];
    expect(heading?.split(/ {2,}/)).toEqual(
      'SPOOL OF,WAITING,SIZE,STORED,DROPPED,DAMAGED,SET ASIDE,DISK'.split(','),
    );
    expect(row?.trim().split(/ {2,}/)).toEqual(['east', '5000', '2.0 MB', '800/s', '0', '0', '0', 'well']);
  });

  it('is critical when the disk takes nothing, and warns of what was refused', () => {
    const full = { ...WELL, problem: 'no space left on device' };
    expect(judge(report(full))).toEqual({
      level: 'critical',
      findings: [
        { level: 'critical', message: 'collector east keeps values in memory only: no space left on device' },
      ],
    });
    expect(statusText(report(full), false).text).toContain('no space left on device');
    expect(messages({ ...WELL, setAside: 3 })).toEqual(['collector east set 3 refused values aside']);
  });
});
