/**
 * What is looked at: the whole of it stands in the URL, behind the #, so that a link shows another person the same, and
 * no server's log has it. No DOM.
 *
 *   #job=1234&device=node-1&device=node-2&metric=power_watt&from=...&to=...&step=TIME~name&span=FROM~TO&live=300
 */
import { isoText } from './format.ts';

export interface Step {
  readonly at: number;
  readonly name: string;
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface View {
  readonly job: string | undefined;
  readonly devices: readonly string[];
  readonly metrics: readonly string[];
  /** Fixed, or undefined: the last `last` seconds. */
  readonly time: Span | undefined;
  readonly last: number;
  readonly live: boolean;
  readonly rate: boolean;
  readonly steps: readonly Step[];
  readonly span: Span | undefined;
  /** Keys of lines that are not shown. */
  readonly hidden: readonly string[];
}

const DEFAULT_LAST_S = 3600;
const MAX_STEPS = 100;
const MAX_ITEMS = 200;

/** Without the #. */
export function viewText(view: View): string {
  const parameters = new URLSearchParams();
  if (view.job !== undefined) parameters.set('job', view.job);
  for (const device of view.devices) parameters.append('device', device);
  for (const metric of view.metrics) parameters.append('metric', metric);
  if (view.live) parameters.set('live', String(view.last));
  else if (view.time !== undefined) {
    parameters.set('from', shortIso(view.time.from));
    parameters.set('to', shortIso(view.time.to));
  } else if (view.last !== DEFAULT_LAST_S) parameters.set('last', String(view.last));
  if (!view.rate) parameters.set('rate', 'no');
  for (const { at, name } of view.steps) parameters.append('step', `${shortIso(at)}~${name}`);
  if (view.span !== undefined)
    parameters.set('span', `${shortIso(view.span.from)}~${shortIso(view.span.to)}`);
  for (const key of view.hidden) parameters.append('hide', key);
  // These need no escape behind a #, and people read links.
  return parameters.toString().replaceAll('%3A', ':').replaceAll('%7E', '~');
}

/** What cannot be read is left out: a link is text from anybody. */
export function readView(text: string): View {
  const parameters = new URLSearchParams(text.replace(/^#/, ''));
  const all = (name: string) => [...new Set(parameters.getAll(name))].filter(Boolean).slice(0, MAX_ITEMS);
  const time = spanOf(parameters.get('from'), parameters.get('to'));
  const live = secondsOf(parameters.get('live'));
  const steps = parameters.getAll('step').flatMap((step) => {
    const cut = step.indexOf('~');
    const at = timeOf(cut < 0 ? step : step.slice(0, cut));
    return at === undefined ? [] : [{ at, name: cut < 0 ? '' : step.slice(cut + 1, cut + 101) }];
  });
  return {
    job: parameters.get('job') ?? undefined,
    devices: all('device'),
    metrics: all('metric'),
    time: live === undefined ? time : undefined,
    last: live ?? secondsOf(parameters.get('last')) ?? DEFAULT_LAST_S,
    live: live !== undefined,
    rate: parameters.get('rate') !== 'no',
    steps: sortSteps(steps).slice(0, MAX_STEPS),
    span: spanOf(...((parameters.get('span') ?? '').split('~') as [string, string?])),
    hidden: all('hide'),
  };
}

export function sortSteps(steps: readonly Step[]): Step[] {
  return [...steps].sort((a, b) => a.at - b.at);
}

/** The time of the view as it is now. */
export function timeOfView({ time, last }: View, nowS: number): Span {
  return time ?? { from: nowS - last, to: nowS };
}

const MIN_SPAN_S = 1e-3;
const MAX_SPAN_S = 20 * 365 * 86_400;

/** `factor` below 1 shows less. `around` stays where it is. */
export function zoomed({ from, to }: Span, factor: number, around = (from + to) / 2): Span {
  const length = Math.min(Math.max((to - from) * factor, MIN_SPAN_S), MAX_SPAN_S);
  const share = (around - from) / (to - from);
  const begin = around - length * share;
  return { from: begin, to: begin + length };
}

export function moved({ from, to }: Span, share: number): Span {
  const by = (to - from) * share;
  return { from: from + by, to: to + by };
}

function shortIso(seconds: number): string {
  return isoText(seconds).replace(/\.?0*\+00:00$/, 'Z');
}

function timeOf(text: string | null | undefined): number | undefined {
  if (!text || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text)) return undefined;
  const [whole = '', fraction = '0Z'] = text.split('.');
  const ms = Date.parse(whole.endsWith('Z') ? whole : `${whole}Z`);
  return Number.isNaN(ms) ? undefined : ms / 1000 + Number(`0.${fraction.slice(0, -1)}`);
}

function spanOf(from: string | null | undefined, to: string | null | undefined): Span | undefined {
  const [first, last] = [timeOf(from), timeOf(to)];
  return first === undefined || last === undefined || last <= first ? undefined : { from: first, to: last };
}

function secondsOf(text: string | null): number | undefined {
  const seconds = Number(text);
  return text && Number.isFinite(seconds) && seconds > 0 && seconds <= MAX_SPAN_S ? seconds : undefined;
}
