/** A status report for people. */
import { sourceTable } from '../jobs/sources/listSources.ts';
import { listing } from '../output/listing.ts';
import { formatAge, parseTimeUs } from '../time.ts';
import { gapsLeftOut, gapTable } from './gaps.ts';
import { deviceState } from './statusJudge.ts';
import type { CollectorReport, DeviceReport, ShardReport, StatusReport } from './statusReport.ts';

/** With more devices than this, only those that need attention are shown unless all are asked for. */
const FEW = 30;
/** The age of what a collector told is shown beyond this. */
const NEW_ENOUGH_US = 5e6;

/** The tables, and a remark about what was left out. */
export function statusText(
  report: StatusReport,
  all: boolean,
  width?: number,
): { text: string; remark: string | undefined } {
  const nowUs = timeUs(report.at) as number;
  const troubled = report.devices.filter(needsAttention);
  const few = report.devices.length <= FEW;
  const shown = all || few ? report.devices : troubled;
  // A collector of another host tells its counters and devices every twenty seconds.
  const age = ({ state, reported_at }: CollectorReport): string => {
    const ageUs = nowUs - (timeUs(reported_at) ?? nowUs);
    return state === 'running' && ageUs > NEW_ENOUGH_US ? `${formatAge(ageUs)} ago` : '';
  };
  const old = report.collectors.some((collector) => age(collector) !== '');
  const parts = [
    listing(
      [
        'COLLECTOR',
        'HOST',
        'STATE',
        'LAG',
        'READ',
        'STORED',
        'WAITING',
        'REFUSED',
        'LOST',
        'MISSED',
        ...(old ? ['AS OF'] : []),
      ],
      report.collectors.map((collector) => [
        ...collectorRow(collector, nowUs),
        ...(old ? [age(collector)] : []),
      ]),
      width,
    ),
  ];
  const { sharing } = report;
  if (sharing && sharing.collectors.length > 1) {
    const heading = ['COLLECTOR', 'DEVICES', 'OF', 'LEASE', 'ASSIGNED'];
    parts.push(listing(heading, sharing.collectors.map(shardRow), width));
  }
  const spools = report.collectors.filter(hasNewsOfSpool);
  if (spools.length > 0) parts.push(listing(SPOOL_HEADING, spools.map(spoolRow), width));
  if (shown.length > 0) {
    const heading = [
      'DEVICE',
      'PROTOCOL',
      'STATE',
      'LAST POLL',
      'TOOK',
      'PERIOD',
      'MISSED',
      'ERRORS',
      'LAST ERROR',
    ];
    parts.push(
      listing(
        heading,
        shown.map((device) => deviceRow(device, nowUs)),
        width,
      ),
    );
  }
  const sources = (report.sources ?? []).filter(({ kind }) => kind !== 'kw');
  if (sources.length > 0) parts.push(sourceTable(sources, nowUs, width));
  const gaps = report.gaps ?? [];
  if (gaps.length > 0) parts.push(gapTable(gaps, { all, width }));
  const hidden = report.devices.length - shown.length;
  const hiddenGaps = gapsLeftOut(gaps, all);
  const remarks = [
    ...(hidden > 0 ? [`${hidden} devices are well`] : []),
    ...(hiddenGaps > 0 ? [`there are ${hiddenGaps} more gaps`] : []),
  ];
  const remark = remarks.length > 0 ? `${remarks.join(', and ')}; --all shows them too` : undefined;
  return { text: parts.join('\n\n'), remark };
}

function needsAttention(device: DeviceReport): boolean {
  return deviceState(device) !== 'up' || device.missed > 0 || Object.keys(device.errors).length > 0;
}

const SPOOL_HEADING = ['SPOOL OF', 'WAITING', 'SIZE', 'STORED', 'DROPPED', 'DAMAGED', 'SET ASIDE', 'DISK'];

/** A spool that only holds what is stored in a moment is nobody's concern. */
function hasNewsOfSpool({ counters: { spool } }: CollectorReport): boolean {
  if (spool === undefined) return false;
  const { backlog, dropped, damaged, setAside, problem } = spool;
  return backlog + dropped + damaged + setAside > 0 || problem !== undefined;
}

function spoolRow({ name, counters: { spool } }: CollectorReport): string[] {
  const {
    waiting = 0,
    bytes = 0,
    drainRate = 0,
    dropped = 0,
    damaged = 0,
    setAside = 0,
    problem,
  } = spool ?? {};
  return [
    name,
    String(waiting),
    `${(bytes / 1e6).toFixed(1)} MB`,
    drainRate > 0 ? `${drainRate}/s` : '-',
    String(dropped),
    String(damaged),
    String(setAside),
    problem ?? 'well',
  ];
}

function collectorRow(
  { name, host, state, lag_seconds, seen_at, counters }: CollectorReport,
  nowUs: number,
): string[] {
  const silence = formatAge(Math.max(0, nowUs - (timeUs(seen_at) ?? nowUs)));
  const count = (value: number | undefined) => String(value ?? 0);
  return [
    name,
    host,
    state === 'silent' ? `silent for ${silence}` : state,
    state !== 'running' || lag_seconds === null ? '-' : `${lag_seconds.toFixed(1)} s`,
    count(counters.read),
    count(counters.stored),
    count(counters.waiting),
    count(counters.refused),
    count(counters.lost),
    count(counters.missed),
  ];
}

function shardRow({ collector, devices, configured, lease, lease_seconds, fixed }: ShardReport): string[] {
  const over = lease === 'late' ? `late, ends in ${Math.max(0, lease_seconds).toFixed(0)} s` : lease;
  return [collector, String(devices), String(configured), over, fixed ? 'by its list' : 'by share'];
}

function deviceRow(device: DeviceReport, nowUs: number): string[] {
  const { last_poll, poll_ms, period_ms, last_error } = device;
  const errors = Object.entries(device.errors).map(([kind, count]) => `${count} ${kind}`);
  return [
    device.device_id,
    device.protocol,
    deviceState(device),
    last_poll === null ? '-' : `${formatAge(Math.max(0, nowUs - (timeUs(last_poll) as number)))} ago`,
    poll_ms === null ? '-' : `${poll_ms < 10 ? poll_ms.toFixed(1) : Math.round(poll_ms)} ms`,
    period_ms === null ? '-' : `${period_ms / 1000} s`,
    String(device.missed),
    errors.join(', ') || '-',
    last_error ?? '',
  ];
}

function timeUs(text: string | null): number | undefined {
  return text === null ? undefined : parseTimeUs(text, { nowUs: 0 });
}
