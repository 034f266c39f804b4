/** Requests to the server that the page comes from. The token is kept for this tab only, and goes nowhere else. */
import { EventParser } from '../src/lib/live/eventParser.ts';
import { isoText } from './format.ts';
import type { SeriesColumns } from './lines.ts';
import type { StreamRow } from './ring.ts';
import type { Span } from './view.ts';

export interface Envelope {
  readonly from: string;
  readonly to: string;
  readonly column_seconds: number;
  readonly columns: number;
  readonly source: 'values' | 'summary';
  readonly cut: boolean;
  readonly series: readonly SeriesColumns[];
}

export interface Job {
  readonly id: string;
  readonly owner: string;
  readonly state: string;
  readonly comment: string | null;
  readonly nodes: readonly string[];
  readonly started: number | null;
  readonly stopped: number | null;
}

export interface MetricChoice {
  readonly metric: string;
  readonly unit: string | null;
  readonly description: string | null;
  readonly devices: number;
  /** Could be enabled, and has no values in this time. */
  readonly optional: boolean;
}

/** What the server says is wrong, in its words. */
export class ServerProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TOKEN = 'kw-token';

export function storedToken(): string | null {
  return sessionStorage.getItem(TOKEN);
}

export function storeToken(token: string | undefined): void {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

async function ask(
  path: string,
  query: Query,
  signal?: AbortSignal,
  accept = 'application/json',
): Promise<Response> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === 'string') parameters.append(name, value);
    else for (const item of value ?? []) parameters.append(name, item);
  }
  const token = storedToken();
  const headers: Record<string, string> = { accept };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(`${path}?${parameters}`, {
    headers,
    cache: 'no-store',
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ServerProblem(0, 'The server does not answer.');
  });
  if (response.ok) return response;
  const problem: unknown = await response.json().catch(() => undefined);
  throw new ServerProblem(response.status, sentenceOf(problem, response.status));
}

function sentenceOf(problem: unknown, status: number): string {
  if (typeof problem !== 'object' || problem === null || !('message' in problem)) {
    return `The server answers ${status}.`;
  }
  // A refusal is answered with the field for a token, which says enough.
  const hint = status !== 401 && 'hint' in problem && typeof problem.hint === 'string' ? problem.hint : '';
  return [String(problem.message), hint].filter(Boolean).map(asSentence).join(' ');
}

function asSentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
}

/** A backslash before a comma: here each name is a parameter of its own. */
function exact(names: readonly string[]): string[] {
  return names.map((name) => name.replace(/[*?]/g, '\\$&').replaceAll(',', '\\,'));
}

function plain(names: readonly string[]): string[] {
  return names.map((name) => name.replaceAll(',', '\\,'));
}

export interface What {
  readonly devices: readonly string[];
  readonly metrics: readonly string[];
}

export async function fetchEnvelope(
  { devices, metrics }: What,
  { from, to }: Span,
  pixels: number,
  rate: boolean,
  signal?: AbortSignal,
): Promise<Envelope> {
  const query = {
    devices: plain(devices),
    metrics: exact(metrics),
    from: isoText(from),
    to: isoText(to),
    pixels: String(pixels),
    rate: rate ? 'true' : undefined,
  };
  return (await (await ask('kw/envelope', query, signal)).json()) as Envelope;
}

export async function fetchJobs(search: string, signal?: AbortSignal): Promise<Job[]> {
  return ((await (await ask('kw/choices/jobs', { search }, signal)).json()) as { jobs: Job[] }).jobs;
}

export async function fetchDevices(
  search: string,
  signal?: AbortSignal,
): Promise<{ devices: string[]; more: boolean }> {
  return (await (await ask('kw/choices/devices', { search }, signal)).json()) as {
    devices: string[];
    more: boolean;
  };
}

export async function fetchMetrics(
  devices: readonly string[],
  { from, to }: Span,
  signal?: AbortSignal,
): Promise<MetricChoice[]> {
  const query = { devices: plain(devices), from: isoText(from), to: isoText(to) };
  return ((await (await ask('kw/choices/metrics', query, signal)).json()) as { metrics: MetricChoice[] })
    .metrics;
}

/** All values of a time, as CSV. */
export async function fetchCsv({ devices, metrics }: What, { from, to }: Span): Promise<Blob> {
  const query = {
    devices: devices.join(','),
    metrics: metrics.join(','),
    start_time: isoText(from),
    end_time: isoText(to),
  };
  return await (await ask('rpc/get_metrics', query, undefined, 'text/csv')).blob();
}

export interface StreamHandlers {
  rows(rows: readonly StreamRow[]): void;
  warning(message: string): void;
  /** The first bytes came. */
  open(): void;
}

/** Until the signal, or the server ends it. @throws ServerProblem */
export async function followStream(
  { devices, metrics }: What,
  handlers: StreamHandlers,
  signal: AbortSignal,
): Promise<void> {
  const query = { devices: plain(devices), metrics: exact(metrics) };
  const response = await ask('stream', query, signal, 'text/event-stream');
  if (response.body === null) return;
  handlers.open();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const { event, data } of parser.push(value)) {
      if (event === 'message') {
        handlers.rows(data.split('\n').map((line) => JSON.parse(line) as StreamRow));
      } else if (event === 'warning') {
        handlers.warning((JSON.parse(data) as { message: string }).message);
      }
    }
  }
}
