/**
 * The page of kw serve: the view (view.ts) is the one state, and is in the URL; whatever changes it goes through `change`,
 * and everything that is shown follows from it.
 */
import {
  type Envelope,
  fetchCsv,
  fetchEnvelope,
  type Job,
  ServerProblem,
  storedToken,
  storeToken,
} from './api.ts';
import { Charts, type Drawing } from './chart.ts';
import { Choose } from './choose.ts';
import { button, byId, debounced, make } from './dom.ts';
import { durationText, groupDigits, parseTime, timeText, type Zone } from './format.ts';
import { Legend, valueAt } from './legend.ts';
import { type Figures, filledColumns, makeLines, type SeriesColumns } from './lines.ts';
import { startLive } from './live.ts';
import { makePicture, saveAs } from './png.ts';
import { moved, readView, type Span, sortSteps, timeOfView, type View, viewText, zoomed } from './view.ts';

const RANGES = [
  ['1 min', 60],
  ['5 min', 300],
  ['1 h', 3600],
  ['6 h', 21_600],
  ['1 d', 86_400],
  ['7 d', 604_800],
] as const;
const MAX_LIVE_S = 3600;
const LIVE_S = 300;
const MAX_UNDO = 50;
const LOAD_WAIT_MS = 120;

let view: View = readView(location.hash);
let undo: View[] = [];
let job: Job | undefined;
let dragMarks = false;
let cursor: number | undefined;
/** What was loaded last, and for which time. */
let loaded: { envelope: Envelope; time: Span } | undefined;
let spanFigures: ReadonlyMap<string, Figures> | undefined;
let spanLoading = false;
let loading: AbortController | undefined;
let loadingSpan: AbortController | undefined;
let live: { key: string; stop: () => void } | undefined;

const host = byId('charts');
const zoneSelect = byId<HTMLSelectElement>('zone');
const zone = (): Zone => (zoneSelect.value === 'utc' ? 'utc' : 'local');
const now = (): number => Date.now() / 1000;
const isWhole = ({ devices, metrics }: View): boolean => devices.length > 0 && metrics.length > 0;

const charts = new Charts(host, {
  dragged: (span) => (dragMarks ? change({ span }) : zoomTo(span)),
  cursor: (column) => {
    cursor = column;
    legend.showCursor(column);
  },
  key: onKey,
});
const legend = new Legend(charts, (key, shown) =>
  change({ hidden: shown ? view.hidden.filter((one) => one !== key) : [...view.hidden, key] }),
);
const choose = new Choose({
  job: (chosen) => {
    job = chosen;
    if (chosen === undefined) return change({ job: undefined });
    const time = chosen.started === null ? undefined : { from: chosen.started, to: chosen.stopped ?? now() };
    change({ job: chosen.id, devices: chosen.nodes, time, live: false, span: undefined }, { undoable: true });
  },
  devices: (devices) => change({ devices }),
  metrics: (metrics) => change({ metrics }),
  failed: showError,
  zone,
});

// --- state -------------------------------------------------------------------------------------------------

function change(part: Partial<View>, { undoable = false } = {}): void {
  if (undoable) undo = [...undo.slice(-MAX_UNDO), view];
  view = { ...view, ...part };
  history.replaceState(null, '', `#${viewText(view)}`);
  show();
}

function zoomTo(time: Span): void {
  change({ time, live: false }, { undoable: true });
}

function show(): void {
  const time = timeOfView(view, now());
  choose.show(view);
  showTime(time);
  byId('undo').toggleAttribute('disabled', undo.length === 0);
  press('live', view.live);
  press('drag-zoom', !dragMarks);
  press('drag-mark', dragMarks);
  for (const id of ['live', 'zoom-in', 'zoom-out', 'back', 'forth', 'step', 'csv', 'png']) {
    byId(id).toggleAttribute('disabled', !isWhole(view));
  }
  byId<HTMLInputElement>('rate').checked = view.rate;
  showSteps();
  showSpan();
  showEmpty();
  redraw();
  void choose.loadMetrics(view, time).catch(showError);
  load();
}

function load(): void {
  const key = JSON.stringify([view.devices, view.metrics, view.last, view.rate]);
  if (live && (!view.live || live.key !== key || !isWhole(view))) {
    live.stop();
    live = undefined;
  }
  if (!isWhole(view)) return;
  if (view.live) {
    if (live === undefined) goLive(key);
  } else {
    loadSoon();
    loadSpanSoon();
  }
}

const loadSoon = debounced(LOAD_WAIT_MS, async () => {
  if (view.live || !isWhole(view)) return;
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  const time = timeOfView(view, now());
  host.classList.add('loading');
  try {
    const envelope = await fetchEnvelope(view, time, charts.pixels, view.rate, signal);
    loaded = { envelope, time };
    showError(undefined);
    redraw();
    tell(describe(envelope));
  } catch (error) {
    if (!signal.aborted) showError(error);
  } finally {
    if (!signal.aborted) host.classList.remove('loading');
  }
});

/** One column over the whole span: the figures are of all values, not of what is drawn. */
const loadSpanSoon = debounced(LOAD_WAIT_MS, async () => {
  loadingSpan?.abort();
  const { span } = view;
  spanFigures = undefined;
  if (span === undefined || view.live || !isWhole(view)) return;
  loadingSpan = new AbortController();
  const { signal } = loadingSpan;
  spanLoading = true;
  try {
    const { columns, series } = await fetchEnvelope(view, span, 1, false, signal);
    const lines = makeLines(series, columns);
    spanFigures = new Map(
      lines
        // Lowest and highest of a sum are not those of its parts, and a rate is none of its counter.
        .filter(({ origins, metric }) => origins.length < 2 && !(view.rate && metric.endsWith('_total')))
        .flatMap(({ key, min, max, mean, count }) =>
          count[0]
            ? [[key, { min: min[0] ?? 0, max: max[0] ?? 0, mean: mean[0] ?? 0, count: count[0] }] as const]
            : [],
        ),
    );
    const [first] = [...spanFigures];
    if (first) {
      const [key, { min, mean, max }] = first;
      const [low, middle, high] = [min, mean, max].map((value) => String(Number(value.toPrecision(5))));
      tell(
        `Marked ${durationText(span.to - span.from)}: ${key} minimum ${low}, mean ${middle}, maximum ${high}.`,
      );
    }
  } catch (error) {
    if (!signal.aborted) showError(error);
  } finally {
    if (!signal.aborted) {
      spanLoading = false;
      redraw();
    }
  }
});

function goLive(key: string): void {
  loading?.abort();
  const { rate, last } = view;
  const stop = startLive({
    what: view,
    last,
    before: (time) => fetchEnvelope(view, time, charts.pixels, rate),
    pixels: () => Math.min(charts.pixels, 800),
    draw: (series, grid) => {
      showError(undefined);
      drawColumns(series, grid, { from: grid.from, to: grid.from + grid.columnS * grid.columns });
    },
    state: tell,
    failed: (error) => {
      showError(error);
      change({ live: false });
    },
  });
  live = { key, stop };
}

// --- what is shown -------------------------------------------------------------------------------------------

function redraw(): void {
  if (view.live) return;
  if (!isWhole(view) || loaded === undefined) {
    charts.clear();
    byId('figures').hidden = true;
    return;
  }
  const { envelope } = loaded;
  const grid = {
    from: Date.parse(envelope.from) / 1000 + microseconds(envelope.from),
    columnS: envelope.column_seconds,
    columns: envelope.columns,
  };
  // Until the columns of a new time are there, the old ones are shown in their places.
  drawColumns(envelope.series, grid, view.time ?? loaded.time);
}

/** Date.parse reads milliseconds. */
function microseconds(iso: string): number {
  return Number(/\.\d{3}(\d{3})/.exec(iso)?.[1] ?? 0) / 1e6;
}

function drawColumns(
  series: readonly SeriesColumns[],
  grid: { from: number; columnS: number; columns: number },
  time: Span,
): void {
  const wanted = new Set(view.metrics);
  const lines = makeLines(
    series.filter(({ metric_id }) => wanted.has(metric_id)),
    grid.columns,
  );
  const drawing: Drawing = {
    grid,
    time,
    lines,
    hidden: new Set(view.hidden),
    steps: view.steps,
    jobTimes: [job?.started, job?.stopped].filter((at): at is number => typeof at === 'number'),
    span: view.span,
    zone: zone(),
  };
  charts.draw(drawing);
  byId('figures').hidden = lines.length === 0;
  legend.show(
    drawing,
    view.span && !view.live ? spanFigures : undefined,
    view.span !== undefined && spanLoading,
  );
  if (cursor !== undefined) legend.showCursor(cursor);
  showEmpty();
}

function describe({ source, cut, series, column_seconds }: Envelope): string {
  if (series.length === 0) return 'No values in this time.';
  const values = series.reduce((sum, { count }) => sum + count.reduce((total, one) => total + one, 0), 0);
  const lines = series.length === 1 ? '1 series' : `${series.length} series`;
  const from = source === 'summary' ? ', from the 5-minute summary (zoom in for the values themselves)' : '';
  const more = cut ? '; there are more series than are shown' : '';
  return `${lines}, ${groupDigits(values)} values in columns of ${durationText(column_seconds)}${from}${more}.`;
}

function showEmpty(): void {
  const box = byId('empty');
  const hasLines = (charts.drawing?.lines.length ?? 0) > 0;
  const texts = !isWhole(view)
    ? view.devices.length === 0
      ? ['Choose a job or devices', 'Then choose metrics. A link to what you see is in the address bar.']
      : ['Choose metrics', 'The list shows those that these devices have in this time.']
    : hasLines || loaded === undefined || view.live
      ? []
      : ['No values in this time', 'Choose another time, or zoom out.'];
  const [title, hint] = texts;
  box.replaceChildren(...(title && hint ? [make('strong', {}, title), make('span', {}, hint)] : []));
}

function showTime({ from, to }: Span): void {
  for (const [id, at] of [
    ['from', from],
    ['to', to],
  ] as const) {
    const input = byId<HTMLInputElement>(id);
    if (document.activeElement !== input) input.value = timeText(at, zone(), (to - from) / 100);
  }
  for (const one of byId('ranges').children) {
    const isOn = view.time === undefined && Number((one as HTMLElement).dataset.last) === view.last;
    one.setAttribute('aria-pressed', String(isOn));
  }
}

function showSpan(): void {
  const { span } = view;
  byId('span').hidden = span === undefined;
  if (span === undefined) return;
  const length = span.to - span.from;
  const text = `Marked: ${timeText(span.from, zone(), length / 100)} to ${timeText(span.to, zone(), length / 100)} (${durationText(length)})`;
  byId('span-text').textContent = text;
}

function showSteps(): void {
  const { steps } = view;
  byId('steps').hidden = steps.length === 0;
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement && focused.closest('#step-list')) return;
  byId('step-list').replaceChildren(
    ...steps.map((step, index) => {
      const input = make('input', {
        type: 'text',
        'aria-label': `Name of step ${index + 1}`,
        maxlength: '100',
      });
      input.value = step.name;
      input.placeholder = `step ${index + 1}`;
      input.addEventListener('change', () =>
        change({
          steps: view.steps.map((one) => (one.at === step.at ? { ...one, name: input.value } : one)),
        }),
      );
      const next = steps[index + 1]?.at ?? timeOfView(view, now()).to;
      const name = step.name || `step ${index + 1}`;
      const measure = button(
        'Mark this step',
        () => change({ span: { from: step.at, to: Math.max(next, step.at + 1e-3) } }),
        `Mark the span of ${name}`,
      );
      const remove = button(
        'Remove',
        () => change({ steps: view.steps.filter(({ at }) => at !== step.at) }),
        `Remove ${name}`,
      );
      return make('li', {}, make('time', {}, timeText(step.at, zone(), 0.001)), input, measure, remove);
    }),
  );
}

function press(id: string, isOn: boolean): void {
  byId(id).setAttribute('aria-pressed', String(isOn));
}

/** For everybody: below the chart, and read out. */
function tell(text: string): void {
  const status = byId('status');
  if (status.textContent !== text) status.textContent = text;
}

function showError(error: unknown): void {
  const box = byId('alert');
  if (error === undefined) {
    box.hidden = true;
    return;
  }
  box.hidden = false;
  box.textContent = error instanceof Error ? error.message : String(error);
  if (error instanceof ServerProblem && error.status === 401) askToken(error.message);
}

// --- keyboard ------------------------------------------------------------------------------------------------

function onKey(event: KeyboardEvent): void {
  const { drawing } = charts;
  if (drawing === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  const at = cursor === undefined ? undefined : drawing.grid.from + (cursor + 0.5) * drawing.grid.columnS;
  const keys: Record<string, () => void> = {
    ArrowRight: () => moveCursor(1, event.shiftKey),
    ArrowLeft: () => moveCursor(-1, event.shiftKey),
    Home: () => moveCursor(Number.NEGATIVE_INFINITY, event.shiftKey),
    End: () => moveCursor(Number.POSITIVE_INFINITY, event.shiftKey),
    '+': () => zoomTo(zoomed(drawing.time, 0.5, at)),
    '=': () => zoomTo(zoomed(drawing.time, 0.5, at)),
    '-': () => zoomTo(zoomed(drawing.time, 2, at)),
    PageUp: () => zoomTo(moved(drawing.time, -0.5)),
    PageDown: () => zoomTo(moved(drawing.time, 0.5)),
    m: () => addStep(),
    Escape: () => change({ span: undefined }),
  };
  const act = keys[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

/** To the next column that has a value. */
function moveCursor(by: number, marks: boolean): void {
  const { drawing } = charts;
  if (drawing === undefined) return;
  const { grid, time } = drawing;
  const lines = drawing.lines.filter(({ key }) => !drawing.hidden.has(key));
  const filled = filledColumns(lines, grid.columns);
  const middle = Math.floor(((time.from + time.to) / 2 - grid.from) / grid.columnS);
  const from = cursor ?? middle;
  const target =
    by > 0
      ? ((Number.isFinite(by) ? filled.find((column) => column > from) : undefined) ?? filled.at(-1))
      : ((Number.isFinite(by) ? filled.findLast((column) => column < from) : undefined) ?? filled[0]);
  if (target === undefined) return;
  if (marks) {
    const begin = grid.from + from * grid.columnS;
    const end = grid.from + (target + (target > from ? 1 : 0)) * grid.columnS;
    const { span } = view;
    const next =
      span === undefined
        ? { from: Math.min(begin, end), to: Math.max(begin, end) }
        : target > from
          ? { from: Math.min(span.from, end), to: end }
          : { from: end, to: Math.max(span.to, begin) };
    if (next.to > next.from) change({ span: next });
  }
  cursor = target;
  charts.showCursor(target);
  legend.showCursor(target);
  const at = timeText(grid.from + target * grid.columnS, zone(), grid.columnS);
  tell(`${at}: ${lines.map((line) => `${line.key} ${valueAt(line, target) || 'no value'}`).join('; ')}`);
}

function addStep(): void {
  const { drawing } = charts;
  if (drawing === undefined) return;
  const { grid, time } = drawing;
  const at = cursor === undefined ? (time.from + time.to) / 2 : grid.from + (cursor + 0.5) * grid.columnS;
  const rounded = Math.round(at * 1000) / 1000;
  if (view.steps.some((step) => step.at === rounded)) return;
  const steps = sortSteps([...view.steps, { at: rounded, name: '' }]);
  change({ steps });
  tell(`Step mark at ${timeText(rounded, zone(), 0.001)}.`);
}

// --- controls ------------------------------------------------------------------------------------------------

function on(id: string, use: () => void): void {
  byId(id).addEventListener('click', use);
}

const currentTime = () => charts.drawing?.time ?? timeOfView(view, now());

on('zoom-in', () => zoomTo(zoomed(currentTime(), 0.5)));
on('zoom-out', () => zoomTo(zoomed(currentTime(), 2)));
on('back', () => zoomTo(moved(currentTime(), -0.5)));
on('forth', () => zoomTo(moved(currentTime(), 0.5)));
on('undo', () => {
  const before = undo.at(-1);
  if (before === undefined) return;
  undo = undo.slice(0, -1);
  change({ time: before.time, last: before.last, live: before.live });
});
on('live', () => {
  if (view.live) {
    const time = currentTime();
    tell('Live mode is off.');
    change({ live: false, time, last: view.last });
  } else {
    change(
      {
        live: true,
        time: undefined,
        last: view.last <= MAX_LIVE_S && !view.time ? view.last : LIVE_S,
        span: undefined,
      },
      { undoable: true },
    );
  }
});
on('drag-zoom', () => setDrag(false));
on('drag-mark', () => setDrag(true));
on('step', addStep);
on('span-clear', () => change({ span: undefined }));
on('span-zoom', () => view.span && zoomTo(view.span));
on('link', async () => {
  await navigator.clipboard?.writeText(location.href).then(
    () => tell('The link is on the clipboard.'),
    () => tell('The link is in the address bar.'),
  );
});
on('csv', async () => {
  const time = view.span ?? currentTime();
  tell('Reading the values …');
  try {
    const csv = await fetchCsv(view, time);
    saveAs(csv, fileName('csv'));
    tell(`CSV of ${durationText(time.to - time.from)}: ${groupDigits(csv.size)} bytes.`);
  } catch (error) {
    showError(error);
  }
});
on('png', async () => {
  const picture = await makePicture(charts);
  if (picture) saveAs(picture, fileName('png'));
});

function setDrag(marks: boolean): void {
  dragMarks = marks;
  show();
}

/** Letters that every system takes. */
function fileName(extension: string): string {
  const what = (view.job ?? view.devices.join('_')).replace(/[^\w.-]+/g, '_').slice(0, 60);
  const from = timeText(currentTime().from, 'utc').replace(/[^\d]/g, '').slice(0, 14);
  return `kw-${what}-${from}.${extension}`;
}

for (const [text, last] of RANGES) {
  const one = button(text, () =>
    change({ last, time: undefined, live: view.live && last <= MAX_LIVE_S }, { undoable: true }),
  );
  one.dataset.last = String(last);
  byId('ranges').append(one);
}

for (const id of ['from', 'to'] as const) {
  byId<HTMLInputElement>(id).addEventListener('change', () => {
    const [from, to] = (['from', 'to'] as const).map((name) =>
      parseTime(byId<HTMLInputElement>(name).value, zone(), now()),
    );
    const problem =
      from === undefined || to === undefined
        ? 'Write a time as 2026-11-22 10:00:00, -2h or now.'
        : from >= to
          ? 'The end is not after the beginning.'
          : undefined;
    const box = byId('time-problem');
    box.hidden = problem === undefined;
    box.textContent = problem ?? '';
    byId(id).setAttribute('aria-invalid', String(problem !== undefined));
    if (problem === undefined && from !== undefined && to !== undefined) zoomTo({ from, to });
  });
}

/** Where there is little room, what was chosen makes way for what is seen. */
function setChooseOpen(isOpen: boolean): void {
  byId('choose-toggle').setAttribute('aria-expanded', String(isOpen));
}

on('choose-toggle', () => setChooseOpen(byId('choose-toggle').getAttribute('aria-expanded') === 'false'));
byId('choose').addEventListener('submit', (event) => event.preventDefault());
byId('rate').addEventListener('change', () => change({ rate: byId<HTMLInputElement>('rate').checked }));
zoneSelect.addEventListener('change', () => show());
addEventListener('hashchange', () => {
  view = readView(location.hash);
  job = undefined;
  void begin();
});
new ResizeObserver(
  debounced(100, () => {
    charts.resize();
    if (!view.live) load();
  }),
).observe(host);

// --- theme ---------------------------------------------------------------------------------------------------

const themeSelect = byId<HTMLSelectElement>('theme');
const systemDark = matchMedia('(prefers-color-scheme: dark)');

function applyTheme(): void {
  const wanted = themeSelect.value;
  document.documentElement.dataset.shown =
    wanted === 'auto' ? (systemDark.matches ? 'dark' : 'light') : wanted;
  redraw();
}

themeSelect.value = localStorage.getItem('kw-theme') ?? 'auto';
if (themeSelect.selectedIndex < 0) themeSelect.value = 'auto';
themeSelect.addEventListener('change', () => {
  localStorage.setItem('kw-theme', themeSelect.value);
  applyTheme();
});
systemDark.addEventListener('change', applyTheme);

// --- token ---------------------------------------------------------------------------------------------------

const tokenDialog = byId<HTMLDialogElement>('token-dialog');
const tokenInput = byId<HTMLInputElement>('token');
const tokenWhy = byId('token-why').textContent ?? '';

function askToken(why?: string): void {
  if (tokenDialog.open) return;
  byId('token-why').textContent = why ? `${why} ${tokenWhy}` : tokenWhy;
  tokenInput.value = '';
  tokenDialog.returnValue = 'cancel';
  tokenDialog.showModal();
  tokenInput.focus();
}

function showToken(): void {
  byId('token-button').textContent = storedToken() ? 'Token: set' : 'Token';
}

on('token-button', () => askToken());
tokenDialog.addEventListener('close', () => {
  const written = tokenInput.value.trim();
  tokenInput.value = '';
  if (tokenDialog.returnValue === 'forget') storeToken(undefined);
  else if (tokenDialog.returnValue === 'use' && written !== '') storeToken(written);
  else return;
  showToken();
  showError(undefined);
  choose.forget();
  void begin();
});

async function begin(): Promise<void> {
  show();
  if (view.job === undefined) return;
  try {
    job = await choose.findJob(view.job);
    if (job === undefined) return;
    // A link may name the job alone.
    if (view.devices.length === 0) {
      const time = job.started === null ? view.time : { from: job.started, to: job.stopped ?? now() };
      change({ devices: job.nodes, time: view.time ?? time });
    } else redraw();
  } catch (error) {
    showError(error);
  }
}

showToken();
applyTheme();
setChooseOpen(!isWhole(view));
void begin();
