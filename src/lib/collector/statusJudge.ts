/** Is all well? One verdict on a status report, with its reasons: for `kw status` and for scripts. */
import { sourceProblem } from '../jobs/sources/listSources.ts';
import type { CollectorReport, DeviceReport, StatusReport } from './statusReport.ts';

export type Level = 'ok' | 'warning' | 'critical';

export interface Finding {
  readonly level: Exclude<Level, 'ok'>;
  readonly message: string;
}

export type DeviceState = 'up' | 'slow' | 'down';

/** What was measured longer ago than this is not stored yet: the database lags behind. */
const LAG_WARNING_S = 30;
/** A poll that takes more than this share of its period will soon miss intervals. */
const SLOW_SHARE = 0.5;
const NAMES_SHOWN = 5;

export function deviceState(device: DeviceReport): DeviceState {
  if (!device.up) return 'down';
  if (
    device.poll_ms !== null &&
    device.period_ms !== null &&
    device.poll_ms > device.period_ms * SLOW_SHARE
  ) {
    return 'slow';
  }
  return 'up';
}

export function judge({ collectors, devices, sources = [] }: StatusReport): {
  level: Level;
  findings: Finding[];
} {
  const findings: Finding[] = [];
  const running = collectors.filter(({ state }) => state === 'running');
  if (running.length === 0) findings.push({ level: 'critical', message: 'no collector runs' });
  for (const collector of collectors) findings.push(...judgeCollector(collector));
  const down = devices.filter((device) => deviceState(device) === 'down');
  if (down.length > 0) {
    const all = down.length === devices.length;
    findings.push({
      level: all ? 'critical' : 'warning',
      message: `${down.length} of ${devices.length} devices down (${names(down)})`,
    });
  }
  const slow = devices.filter((device) => deviceState(device) === 'slow');
  if (slow.length > 0) findings.push({ level: 'warning', message: `${slow.length} slow (${names(slow)})` });
  for (const source of sources) {
    const problem = sourceProblem(source);
    if (problem !== undefined) findings.push({ level: 'warning', message: problem });
  }
  const level = findings.some((finding) => finding.level === 'critical')
    ? 'critical'
    : findings.length > 0
      ? 'warning'
      : 'ok';
  return { level, findings };
}

function judgeCollector({
  name,
  state,
  lag_seconds,
  database_problem,
  counters,
}: CollectorReport): Finding[] {
  const findings: Finding[] = [];
  if (state === 'silent') findings.push({ level: 'critical', message: `collector ${name} is silent` });
  if (state !== 'running') return findings;
  if (database_problem !== null) {
    const waiting = counters.waiting ?? 0;
    findings.push({
      level: 'critical',
      message: `collector ${name} cannot write, ${waiting} values wait: ${database_problem}`,
    });
  } else if (lag_seconds !== null && lag_seconds > LAG_WARNING_S) {
    findings.push({
      level: 'warning',
      message: `collector ${name} lags ${Math.round(lag_seconds)} s behind`,
    });
  }
  const { spool } = counters;
  if (spool?.problem)
    findings.push({
      level: 'critical',
      message: `collector ${name} keeps values in memory only: ${spool.problem}`,
    });
  if (spool?.backlog) {
    const rate = spool.drainRate > 0 ? `, ${spool.drainRate} a second are stored` : '';
    findings.push({
      level: 'warning',
      message: `collector ${name} has ${spool.backlog} values in its spool${rate}`,
    });
  }
  if (spool?.setAside) {
    findings.push({
      level: 'warning',
      message: `collector ${name} set ${spool.setAside} refused values aside`,
    });
  }
  if (counters.lost)
    findings.push({ level: 'warning', message: `collector ${name} lost ${counters.lost} values` });
  if (counters.clockCorrectionS) {
    const [seconds, way] = [
      Math.abs(counters.clockCorrectionS),
      counters.clockCorrectionS < 0 ? 'ahead of' : 'behind',
    ];
    findings.push({
      level: 'warning',
      message: `the clock of collector ${name} is ${seconds} s ${way} that of the database, which its timestamps follow`,
    });
  }
  if (counters.reloadProblem) {
    const [first] = counters.reloadProblem.split('\n');
    findings.push({ level: 'warning', message: `collector ${name} refused its new configuration: ${first}` });
  }
  return findings;
}

/** For monitoring: one line, the worst first. */
export function checkLine(report: StatusReport): { level: Level; line: string } {
  const { level, findings } = judge(report);
  const up = report.devices.filter((device) => device.up).length;
  const lag = Math.max(
    0,
    ...report.collectors.map(({ lag_seconds, state }) => (state === 'running' ? (lag_seconds ?? 0) : 0)),
  );
  const fine = `${up} devices up, lag ${lag.toFixed(1)} s`;
  const worstFirst = [...findings].sort((a, b) => a.level.localeCompare(b.level));
  const what = worstFirst.map(({ message }) => message).join('; ');
  return { level, line: `kw ${level.toUpperCase()}: ${what || fine}` };
}

function names(devices: readonly DeviceReport[]): string {
  const shown = devices.slice(0, NAMES_SHOWN).map(({ device_id }) => device_id);
  if (devices.length > NAMES_SHOWN) shown.push('...');
  return shown.join(', ');
}
