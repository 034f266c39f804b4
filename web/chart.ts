/**
 * The charts: one panel for each unit, below each other on one axis of time. A line is the mean of each column, the area
 * around it goes from the lowest to the highest value, so that no peak is lost.
 */
import uPlot from 'uplot';
import { colour, make } from './dom.ts';
import { numberText, timeText, type Zone } from './format.ts';
import { type Line, panelsOf, type Values } from './lines.ts';
import type { Span, Step } from './view.ts';

export interface Grid {
  /** Where the first column begins, in seconds. */
  readonly from: number;
  readonly columnS: number;
  readonly columns: number;
}

export interface Drawing {
  readonly grid: Grid;
  /** What is to be seen, which may be less or more than the grid. */
  readonly time: Span;
  /** All of them; colours follow the order. */
  readonly lines: readonly Line[];
  readonly hidden: ReadonlySet<string>;
  readonly steps: readonly Step[];
  /** Begin and end of the job. */
  readonly jobTimes: readonly number[];
  readonly span: Span | undefined;
  readonly zone: Zone;
}

export interface ChartHandlers {
  /** A span was drawn with the pointer. */
  dragged(span: Span): void;
  /** Undefined: the pointer left. */
  cursor(column: number | undefined): void;
  key(event: KeyboardEvent): void;
}

interface Panel {
  readonly unit: string;
  readonly element: HTMLElement;
  readonly plot: uPlot;
}

const HEIGHT_ONE = 340;
const HEIGHT_MANY = 220;
const COLOURS = 8;
const MIN_DRAG_PX = 4;

export class Charts {
  readonly #host: HTMLElement;
  readonly #handlers: ChartHandlers;
  #panels: Panel[] = [];
  #drawing: Drawing | undefined;
  #look = '';

  constructor(host: HTMLElement, handlers: ChartHandlers) {
    this.#host = host;
    this.#handlers = handlers;
  }

  get drawing(): Drawing | undefined {
    return this.#drawing;
  }

  /** Columns that there is room for. */
  get pixels(): number {
    const over = this.#panels[0]?.plot.over.clientWidth;
    return Math.max(over || this.#host.clientWidth - 70, 200);
  }

  get panels(): readonly { unit: string; lines: readonly Line[]; canvas: HTMLCanvasElement }[] {
    const shown = this.#shown();
    return this.#panels.map(({ unit, plot }) => ({
      unit,
      lines: shown.find((one) => one.unit === unit)?.lines ?? [],
      canvas: plot.ctx.canvas,
    }));
  }

  draw(drawing: Drawing): void {
    this.#drawing = drawing;
    const shown = this.#shown();
    // Whatever uPlot takes at the beginning only: a change makes new panels.
    const look = JSON.stringify([
      document.documentElement.dataset.shown,
      drawing.zone,
      drawing.lines.map(({ key }) => key),
      shown.map(({ unit, lines }) => [unit, lines.map(({ key }) => key)]),
    ]);
    if (look !== this.#look) {
      this.#look = look;
      this.#make(shown);
    } else {
      for (const [index, { lines }] of shown.entries()) {
        const panel = this.#panels[index];
        if (panel) panel.plot.setData(this.#data(lines));
      }
    }
    for (const [index, { unit, lines }] of shown.entries()) this.#describe(index, unit, lines);
  }

  clear(): void {
    for (const { plot } of this.#panels) plot.destroy();
    this.#panels = [];
    this.#look = '';
    this.#drawing = undefined;
    this.#host.replaceChildren();
  }

  /** Shows the cursor at a column in every panel. */
  showCursor(column: number): void {
    const at = this.#timeOf(column);
    for (const { plot } of this.#panels) {
      plot.setCursor({ left: plot.valToPos(at, 'x'), top: plot.over.clientHeight / 2 }, false);
    }
  }

  resize(): void {
    const width = this.#host.clientWidth;
    for (const { plot } of this.#panels) {
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }

  colourOf(key: string): string {
    const index = this.#drawing?.lines.findIndex((line) => line.key === key) ?? 0;
    return colour(`series-${Math.max(index, 0) % COLOURS}`);
  }

  dashOf(key: string): number[] {
    const index = this.#drawing?.lines.findIndex((line) => line.key === key) ?? 0;
    return index < COLOURS ? [] : index < 2 * COLOURS ? [7, 4] : [2, 3];
  }

  #shown() {
    const { lines, hidden } = this.#drawing ?? { lines: [], hidden: new Set<string>() };
    return panelsOf(lines.filter(({ key }) => !hidden.has(key)));
  }

  #timeOf(column: number): number {
    const { from, columnS } = this.#drawing?.grid ?? { from: 0, columnS: 1 };
    return from + (column + 0.5) * columnS;
  }

  #data(lines: readonly Line[]): uPlot.AlignedData {
    const columns = this.#drawing?.grid.columns ?? 0;
    const times = Array.from({ length: columns }, (_, column) => this.#timeOf(column));
    return [times, ...lines.flatMap(({ mean, max, min }): Values[] => [mean, max, min])] as uPlot.AlignedData;
  }

  #make(shown: readonly { unit: string; lines: readonly Line[] }[]): void {
    const focused = this.#panels.findIndex(({ element }) => element === document.activeElement);
    for (const { plot } of this.#panels) plot.destroy();
    this.#host.replaceChildren();
    const height = shown.length > 1 ? HEIGHT_MANY : HEIGHT_ONE;
    this.#panels = shown.map(({ unit, lines }) => {
      const element = make(
        'div',
        {
          class: 'panel',
          tabindex: '0',
          role: 'application',
          'aria-roledescription': 'chart',
          'aria-describedby': 'chart-help',
        },
        make('h2', {}, unit),
      );
      element.addEventListener('keydown', (event) => this.#handlers.key(event));
      this.#host.append(element);
      const plot = new uPlot(this.#options(lines, height), this.#data(lines), element);
      return { unit, element, plot };
    });
    this.#panels[focused]?.element.focus();
  }

  #describe(index: number, unit: string, lines: readonly Line[]): void {
    const panel = this.#panels[index];
    if (panel === undefined || this.#drawing === undefined) return;
    const { time, zone } = this.#drawing;
    const names = lines.map(({ key }) => key).join(', ');
    panel.element.setAttribute(
      'aria-label',
      `${unit}: ${names}; from ${timeText(time.from, zone)} to ${timeText(time.to, zone)}`,
    );
  }

  #options(lines: readonly Line[], height: number): uPlot.Options {
    const zone = this.#drawing?.zone;
    const axis: uPlot.Axis = {
      stroke: colour('quiet'),
      font: '12px system-ui, "DejaVu Sans", sans-serif',
      grid: { stroke: colour('grid'), width: 1 },
      ticks: { stroke: colour('line'), width: 1, size: 5 },
    };
    return {
      width: this.#host.clientWidth,
      height,
      padding: [10, 24, 0, 0],
      legend: { show: false },
      tzDate: (seconds) =>
        zone === 'utc' ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000),
      cursor: {
        sync: { key: 'kw', setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
      },
      scales: {
        x: { time: true, range: () => [this.#drawing?.time.from ?? 0, this.#drawing?.time.to ?? 1] },
        y: { range: (_plot, min, max) => rangeOf(min, max) },
      },
      axes: [
        {
          ...axis,
          space: 70,
          values: (_plot, times, _axis, _space, step) => tickTexts(times, step, zone ?? 'local'),
        },
        {
          ...axis,
          size: (_plot, values) =>
            Math.max(46, 14 + 7 * Math.max(0, ...(values ?? []).map((text) => text.length))),
          values: (_plot, values) => values.map((value) => (value === null ? '' : numberText(value))),
        },
      ],
      series: [
        {},
        ...lines.flatMap(({ key }): uPlot.Series[] => {
          const stroke = this.colourOf(key);
          // Thin, so that the mean is told from it and a peak of one column is still seen.
          const edge: uPlot.Series = { stroke: `${stroke}99`, width: 1, points: { show: false } };
          return [
            { stroke, width: 1.5, dash: this.dashOf(key), points: { show: isSparse, size: 5, fill: stroke } },
            edge,
            edge,
          ];
        }),
      ],
      bands: lines.map(({ key }, index) => ({
        series: [3 * index + 2, 3 * index + 3],
        fill: `${this.colourOf(key)}59`,
      })),
      hooks: {
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [(plot) => this.#cursorMoved(plot)],
        drawAxes: [(plot) => this.#drawSpan(plot)],
        draw: [(plot) => this.#drawMarks(plot)],
      },
    };
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < MIN_DRAG_PX) return;
    const span = { from: plot.posToVal(left, 'x'), to: plot.posToVal(left + width, 'x') };
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#handlers.dragged(span);
  }

  #cursorMoved(plot: uPlot): void {
    // Panels that only follow say nothing.
    if (plot.cursor.event === undefined || plot.cursor.event === null) return;
    const { left, idx } = plot.cursor;
    this.#handlers.cursor(left === undefined || left < 0 ? undefined : (idx ?? undefined));
  }

  #drawSpan(plot: uPlot): void {
    const span = this.#drawing?.span;
    if (span === undefined) return;
    const { ctx, bbox } = plot;
    const from = clamp(plot.valToPos(span.from, 'x', true), bbox.left, bbox.left + bbox.width);
    const to = clamp(plot.valToPos(span.to, 'x', true), bbox.left, bbox.left + bbox.width);
    ctx.save();
    ctx.fillStyle = colour('span');
    ctx.fillRect(from, bbox.top, Math.max(to - from, 1), bbox.height);
    ctx.restore();
  }

  #drawMarks(plot: uPlot): void {
    const { steps, jobTimes } = this.#drawing ?? { steps: [], jobTimes: [] };
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * scale}px system-ui, "DejaVu Sans", sans-serif`;
    ctx.textBaseline = 'top';
    ctx.textAlign = 'left';
    const line = (at: number, text: string, style: string, dash: number[]) => {
      const x = plot.valToPos(at, 'x', true);
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) return;
      ctx.strokeStyle = style;
      ctx.fillStyle = style;
      ctx.lineWidth = 1.5 * scale;
      ctx.setLineDash(dash.map((length) => length * scale));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const room = bbox.left + bbox.width - x;
      const width = ctx.measureText(text).width + 4 * scale;
      ctx.fillText(text, room > width ? x + 4 * scale : x - width, bbox.top + 2 * scale);
    };
    for (const at of jobTimes) line(at, '', colour('quiet'), [2, 3]);
    for (const [index, { at, name }] of steps.entries())
      line(at, name || `step ${index + 1}`, colour('mark'), [5, 3]);
    ctx.restore();
  }
}

/** As many parts of the time as the step needs; the day below the first of each day. */
function tickTexts(times: readonly number[], stepS: number, zone: Zone): string[] {
  let day = '';
  return times.map((at) => {
    const [date = '', time = ''] = timeText(at, zone, stepS).split(' ');
    const clock = stepS >= 60 ? time.slice(0, 5) : time;
    if (stepS >= 86_400) return date;
    if (date === day) return clock;
    day = date;
    return `${clock}\n${date}`;
  });
}

/** Points where values are so few that the line alone would hide them. */
function isSparse(plot: uPlot, seriesIndex: number, first: number, last: number): boolean {
  const values = plot.data[seriesIndex] ?? [];
  let count = 0;
  for (let at = first; at <= last; at++) if (typeof values[at] === 'number') count++;
  return count * 12 < plot.over.clientWidth;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** A little room above and below; nothing below zero where no value is. */
function rangeOf(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  const room = (max - min) * 0.06 || Math.abs(max) * 0.1 || 1;
  const low = min - room;
  return [min >= 0 && low < 0 ? 0 : low, max + room];
}
