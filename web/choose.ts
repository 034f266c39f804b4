/** The left side: job, devices, metrics. It tells what was chosen, and shows what the view says. */
import { fetchDevices, fetchJobs, fetchMetrics, type Job, type MetricChoice } from './api.ts';
import { makeCombo } from './combo.ts';
import { button, byId, debounced, make } from './dom.ts';
import { timeText, type Zone } from './format.ts';
import type { Span, View } from './view.ts';

export interface ChooseHandlers {
  /** Undefined: none any more. */
  job(job: Job | undefined): void;
  devices(devices: readonly string[]): void;
  metrics(metrics: readonly string[]): void;
  failed(error: unknown): void;
  zone(): Zone;
}

const MAX_SHOWN = 300;
const MAX_NODES_IN_TEXT = 3;

export class Choose {
  readonly #handlers: ChooseHandlers;
  readonly #metricInput = byId<HTMLInputElement>('metric');
  readonly #metricList = byId('metric-list');
  readonly #metricHint = byId('metric-hint');
  readonly #jobs = new Map<string, Job>();
  #view: View | undefined;
  #choices: readonly MetricChoice[] = [];
  #loadedFor = '';
  #loading: AbortController | undefined;

  constructor(handlers: ChooseHandlers) {
    this.#handlers = handlers;
    makeCombo({
      input: byId('job'),
      list: byId('job-list'),
      free: false,
      suggest: (text, signal) => this.#suggestJobs(text, signal),
      take: (id) => handlers.job(this.#jobs.get(id)),
      failed: handlers.failed,
    });
    makeCombo({
      input: byId('device'),
      list: byId('device-list'),
      free: true,
      suggest: (text, signal) => this.#suggestDevices(text, signal),
      take: (device) => {
        const devices = this.#view?.devices ?? [];
        if (!devices.includes(device)) handlers.devices([...devices, device]);
      },
      failed: handlers.failed,
    });
    this.#metricInput.addEventListener(
      'input',
      debounced(80, () => this.#showMetrics()),
    );
  }

  show(view: View): void {
    this.#view = view;
    const job = view.job === undefined ? undefined : this.#jobs.get(view.job);
    byId('job-chosen').replaceChildren(
      ...(view.job === undefined
        ? []
        : [
            chip(view.job, () => this.#handlers.job(undefined)),
            ...(job?.comment ? [make('span', { class: 'hint' }, job.comment)] : []),
          ]),
    );
    byId('device-chosen').replaceChildren(
      ...view.devices.map((device) =>
        chip(device, () => this.#handlers.devices(view.devices.filter((one) => one !== device))),
      ),
    );
    this.#showMetrics();
  }

  /** The job of a link: its times and comment. */
  async findJob(id: string): Promise<Job | undefined> {
    const jobs = await fetchJobs(id);
    for (const job of jobs) this.#jobs.set(job.id, job);
    const job = this.#jobs.get(id);
    if (this.#view) this.show(this.#view);
    return job;
  }

  /** Finds out which metrics the devices have in this time. */
  async loadMetrics(view: View, time: Span): Promise<void> {
    const key = JSON.stringify([view.devices, Math.round(time.from / 600), Math.round(time.to / 600)]);
    if (key === this.#loadedFor) return;
    this.#loading?.abort();
    this.#loadedFor = key;
    if (view.devices.length === 0) {
      this.#choices = [];
      this.#showMetrics();
      return;
    }
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    try {
      this.#choices = await fetchMetrics(view.devices, time, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#loadedFor = '';
      throw error;
    }
    this.#showMetrics();
  }

  /** After a new token. */
  forget(): void {
    this.#loadedFor = '';
  }

  #showMetrics(): void {
    const chosen = new Set(this.#view?.metrics ?? []);
    const known = new Set(this.#choices.map(({ metric }) => metric));
    const all: readonly MetricChoice[] = [
      ...[...chosen]
        .filter((metric) => !known.has(metric))
        .map((metric) => ({ metric, unit: null, description: null, devices: 0, optional: false })),
      ...this.#choices,
    ];
    const search = this.#metricInput.value.trim().toLowerCase();
    const matching = all.filter(
      ({ metric, description }) =>
        chosen.has(metric) ||
        metric.toLowerCase().includes(search) ||
        description?.toLowerCase().includes(search),
    );
    const focused = (document.activeElement as HTMLInputElement | null)?.value;
    const wasInside = this.#metricList.contains(document.activeElement);
    this.#metricList.replaceChildren(
      ...matching.slice(0, MAX_SHOWN).map((one) => this.#metricBox(one, chosen)),
    );
    this.#metricList.hidden = matching.length === 0;
    if (wasInside) {
      [...this.#metricList.querySelectorAll('input')].find(({ value }) => value === focused)?.focus();
    }
    const devices = this.#view?.devices.length ?? 0;
    this.#metricHint.textContent =
      devices === 0
        ? 'Choose a job or devices first.'
        : this.#choices.length === 0
          ? 'No metric of these devices is known in this time.'
          : `${matching.length} of ${all.length}${matching.length > MAX_SHOWN ? `, the first ${MAX_SHOWN} shown` : ''}`;
  }

  #metricBox(
    { metric, unit, description, devices, optional }: MetricChoice,
    chosen: ReadonlySet<string>,
  ): HTMLElement {
    const box = make('input', { type: 'checkbox', value: metric });
    box.checked = chosen.has(metric);
    box.addEventListener('change', () => {
      const now = this.#view?.metrics ?? [];
      this.#handlers.metrics(box.checked ? [...now, metric] : now.filter((one) => one !== metric));
    });
    const count = this.#view?.devices.length ?? 0;
    const details = [
      description,
      unit,
      devices > 0 && devices < count ? `${devices} of ${count} devices` : undefined,
      optional ? 'only when enabled' : undefined,
    ].filter(Boolean);
    const text = make('span', { class: 'text' }, metric);
    if (details.length > 0) text.append(make('small', {}, details.join(' · ')));
    return make('label', { class: 'check' }, box, text);
  }

  async #suggestJobs(text: string, signal: AbortSignal) {
    const jobs = await fetchJobs(text, signal);
    for (const job of jobs) this.#jobs.set(job.id, job);
    const suggestions = jobs.map((job) => ({
      value: job.id,
      text: `${job.id} · ${job.owner}`,
      detail: describeJob(job, this.#handlers.zone()),
    }));
    return { suggestions, note: jobs.length === 0 ? 'no job found' : undefined };
  }

  async #suggestDevices(text: string, signal: AbortSignal) {
    const { devices, more } = await fetchDevices(text, signal);
    const chosen = new Set(this.#view?.devices ?? []);
    const suggestions = devices.filter((one) => !chosen.has(one)).map((one) => ({ value: one, text: one }));
    const note = more
      ? 'more: write more of the name'
      : suggestions.length === 0
        ? 'none known; Enter takes the name as it is'
        : undefined;
    return { suggestions, note };
  }
}

function describeJob({ state, comment, nodes, started, stopped }: Job, zone: Zone): string {
  const times =
    started === null
      ? 'not started'
      : `${timeText(started, zone)} to ${stopped === null ? 'now' : timeText(stopped, zone)}`;
  const names =
    nodes.length > MAX_NODES_IN_TEXT
      ? `${nodes.slice(0, MAX_NODES_IN_TEXT).join(', ')} and ${nodes.length - MAX_NODES_IN_TEXT} more`
      : nodes.join(', ');
  return [state, times, names, comment].filter(Boolean).join(' · ');
}

function chip(text: string, onRemove: () => void): HTMLElement {
  return make('span', { class: 'chip' }, text, button('×', onRemove, `Remove ${text}`));
}
