/** The tables below the charts: what each line is, its figures, and all drawn values for who reads no chart. */
import type { Charts, Drawing } from './chart.ts';
import { byId, make } from './dom.ts';
import { groupDigits, numberText, timeText } from './format.ts';
import { type Figures, figuresOf, filledColumns, type Line } from './lines.ts';

const ROWS_A_PAGE = 100;

export class Legend {
  readonly #charts: Charts;
  readonly #toggle: (key: string, shown: boolean) => void;
  readonly #cursorCells = new Map<string, HTMLElement>();
  readonly #figureCells = new Map<string, HTMLElement[]>();
  #look = '';
  #page = 0;

  constructor(charts: Charts, toggle: (key: string, shown: boolean) => void) {
    this.#charts = charts;
    this.#toggle = toggle;
    byId('table-before').addEventListener('click', () => this.#turn(-1));
    byId('table-after').addEventListener('click', () => this.#turn(1));
    byId('table-details').addEventListener('toggle', () => this.#drawTable());
  }

  /** `exact`: figures of the marked span as the server has them; of summed lines and live ones those of the columns. */
  show(drawing: Drawing, exact: ReadonlyMap<string, Figures> | undefined, loading: boolean): void {
    const look = JSON.stringify([
      drawing.lines.map(({ key, unit, origins }) => [key, unit, origins]),
      [...drawing.hidden],
      document.documentElement.dataset.shown,
    ]);
    if (look !== this.#look) {
      this.#look = look;
      this.#makeRows(drawing);
    }
    byId('legend-caption').textContent = drawing.span ? 'Values of the marked span' : 'Values of the view';
    for (const line of drawing.lines) {
      const figures = exact?.get(line.key) ?? figuresIn(drawing, line);
      const texts = loading
        ? ['…', '…', '…', '…']
        : [
            withUnit(figures?.min, line.unit),
            withUnit(figures?.mean, line.unit),
            withUnit(figures?.max, line.unit),
            figures ? groupDigits(figures.count) : '0',
          ];
      const cells = this.#figureCells.get(line.key) ?? [];
      for (const [index, text] of texts.entries()) {
        const cell = cells[index];
        if (cell) cell.textContent = text;
      }
    }
    this.#drawTable();
  }

  showCursor(column: number | undefined): void {
    for (const line of this.#charts.drawing?.lines ?? []) {
      const cell = this.#cursorCells.get(line.key);
      if (cell) cell.textContent = column === undefined ? '' : valueAt(line, column);
    }
  }

  #makeRows({ lines, hidden }: Drawing): void {
    this.#cursorCells.clear();
    this.#figureCells.clear();
    byId('legend').replaceChildren(
      ...lines.map((line) => {
        const shown = !hidden.has(line.key);
        const box = make('input', { type: 'checkbox', 'aria-label': `Show ${line.key}` });
        box.checked = shown;
        box.addEventListener('change', () => this.#toggle(line.key, box.checked));
        const device = make('th', { scope: 'row' }, line.device);
        if (line.origins.length > 0) {
          const sum = line.origins.length > 1 ? 'sum of ' : 'by ';
          device.append(make('small', {}, sum + line.origins.join(', ')));
        }
        const metric = make('td', {}, line.metric);
        if (line.labels) metric.append(make('small', {}, line.labels));
        const cursor = make('td', { class: 'number' });
        const cells = [0, 1, 2, 3].map(() => make('td', { class: 'number' }));
        this.#cursorCells.set(line.key, cursor);
        this.#figureCells.set(line.key, cells);
        const first = make('td', {}, make('label', {}, box, this.#swatch(line.key)));
        return make('tr', shown ? {} : { class: 'off' }, first, device, metric, cursor, ...cells);
      }),
    );
  }

  #swatch(key: string): HTMLElement {
    const scale = devicePixelRatio;
    const swatch = make('canvas', { class: 'swatch', 'aria-hidden': 'true' });
    swatch.width = 20 * scale;
    swatch.height = 12 * scale;
    const context = swatch.getContext('2d');
    if (context) {
      context.scale(scale, scale);
      context.strokeStyle = this.#charts.colourOf(key);
      context.lineWidth = 3.5;
      context.setLineDash(this.#charts.dashOf(key));
      context.beginPath();
      context.moveTo(0, 6);
      context.lineTo(20, 6);
      context.stroke();
    }
    return swatch;
  }

  #turn(pages: number): void {
    this.#page += pages;
    this.#drawTable();
  }

  #drawTable(): void {
    const { drawing } = this.#charts;
    if (!byId<HTMLDetailsElement>('table-details').open || drawing === undefined) return;
    const { grid, zone } = drawing;
    const lines = drawing.lines.filter(({ key }) => !drawing.hidden.has(key));
    const filled = filledColumns(lines, grid.columns);
    const pages = Math.max(Math.ceil(filled.length / ROWS_A_PAGE), 1);
    this.#page = Math.min(Math.max(this.#page, 0), pages - 1);
    const head = make(
      'tr',
      {},
      make('th', { scope: 'col' }, 'Time'),
      ...lines.map(({ key, unit }) =>
        make('th', { scope: 'col', class: 'number' }, unit ? `${key} (${unit})` : key),
      ),
    );
    const rows = filled
      .slice(this.#page * ROWS_A_PAGE, (this.#page + 1) * ROWS_A_PAGE)
      .map((column) =>
        make(
          'tr',
          {},
          make('th', { scope: 'row' }, timeText(grid.from + column * grid.columnS, zone, grid.columnS)),
          ...lines.map((line) => make('td', { class: 'number' }, rangeAt(line, column))),
        ),
      );
    byId('table').replaceChildren(
      make('caption', {}, 'Mean of each column of the chart, with lowest and highest where they differ'),
      make('thead', {}, head),
      make('tbody', {}, ...rows),
    );
    byId('table-place').textContent = `page ${this.#page + 1} of ${pages}`;
    byId<HTMLButtonElement>('table-before').disabled = this.#page === 0;
    byId<HTMLButtonElement>('table-after').disabled = this.#page >= pages - 1;
  }
}

function figuresIn({ grid, span, time }: Drawing, line: Line): Figures | undefined {
  const { from, to } = span ?? time;
  return figuresOf(
    line,
    Math.floor((from - grid.from) / grid.columnS),
    Math.ceil((to - grid.from) / grid.columnS) - 1,
  );
}

function withUnit(value: number | undefined, unit: string): string {
  const text = numberText(value);
  return unit && value !== undefined ? `${text} ${unit}` : text;
}

function rangeAt(line: Line, column: number): string {
  const mean = line.mean[column];
  if (mean === null || mean === undefined) return '';
  const [min, max] = [line.min[column] ?? mean, line.max[column] ?? mean];
  return min === max ? numberText(mean) : `${numberText(mean)} (${numberText(min)} to ${numberText(max)})`;
}

/** Of the column, or of the last one before it that has a value where the line goes on. */
export function valueAt(line: Line, column: number): string {
  let at = column;
  while (at > 0 && line.mean[at] === undefined) at--;
  const text = rangeAt(line, at);
  return text && line.unit ? `${text} ${line.unit}` : text;
}
