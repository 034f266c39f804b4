/**
 * Reads pages in the Prometheus text format 0.0.4 and OpenMetrics 1.0, in one pass over the bytes.
 *
 * An exporter writes the same series in the same order at every scrape, and only the values change. So the reader
 * remembers, for each sample line of the last page, the text before the value and what that became. A line of the
 * next page is then a comparison with the text expected at this place, and a number. Where the order differs, the
 * text is looked up in a map, and the expectation goes on behind the line found. Only text never seen is parsed.
 *
 * The page is searched as a Latin-1 string (comparing strings is what V8 does fastest) and its numbers are read from
 * the bytes of the same page; an index means the same place in both.
 *
 * Hostile pages: lines, samples, bad lines and what is remembered are bounded, and `step` returns after a number of
 * lines so that the caller can let other devices go first.
 */
import { timestampProblem } from '../../limits.ts';
import type { Sample, Series } from '../../sample.ts';
import type { Problem, ProblemKind } from '../driver.ts';
import { quote, Tally } from '../shared/tally.ts';
import { NumberScanner } from './numbers.ts';
import { CUSTOM_NAME, type Refused, type Selected, type Selection } from './selection.ts';
import { nameOf, parseSeriesText } from './seriesText.ts';
import { type ExpositionFormat, parseValueText } from './valueText.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const HASH = 0x23;

/** A longer sample line is refused unread; labels that can be stored have 1 kB. */
const MAX_LINE_BYTES = 65_536;
/** A page with more bad lines is no page of metrics: the rest is not read. */
const MAX_BAD_LINES = 10_000;
/** Comments and blank lines included: the rest is not read. */
const MAX_LINES = 1_000_000;

/** One stored series, shared by all lines that mean it. */
interface Target {
  readonly series: Series;
  /** Number of the page that had it last, and the timestamp it had there: to see duplicates. */
  page: number;
  timestampUs: number;
}

/** A sample line as remembered: its text up to the value, and what became of it. */
interface Line {
  readonly text: string;
  /** The series' name if an entry asks for it by name. */
  readonly wantedName: string | undefined;
  readonly refused: Refused | undefined;
  /** With `target`: what is stored. Neither this nor `refused`: no entry asks for it. */
  readonly selected: Selected | undefined;
  readonly target: Target | undefined;
  /** Place among the sample lines of the page that had it last. */
  order: number;
  /** The last sample with a time of its own: an exporter shows it again at each scrape until there is a newer one. */
  ownTimestampUs: number;
  ownValue: number;
}

/** Reads the pages of one poll, one after the other: `begin`, then `step` until it gives true, then `end`. */
export class PageReader {
  readonly #selection: Selection;
  readonly #maxSeries: number;
  readonly #numbers = new NumberScanner();

  // What is known from earlier pages.
  #expected: Line[] = [];
  #byText = new Map<string, Line>();
  #targets = new Map<string, Target>();
  #format: ExpositionFormat = 'text';
  #pageNumber = 0;

  // The page being read.
  #bytes: Buffer = Buffer.alloc(0);
  #page = '';
  #timestampUs = 0;
  #at = 0;
  #lineNumber = 0;
  /** Index into `#expected` of the line that should come next. */
  #cursor = 0;
  #lines: Line[] = [];
  #samples: Sample[] = [];
  #tally = new Tally();
  #badLines = 0;
  #done = false;
  /** OpenMetrics families whose `_created` samples tell when a counter began, and are no measurements. */
  #counters = new Set<string>();
  /** Timestamps of the series that this page has more than once. */
  #repeated = new Map<Target, Set<number>>();

  constructor(selection: Selection, maxSeries: number) {
    this.#selection = selection;
    this.#maxSeries = maxSeries;
  }

  /** `timestampUs` becomes the time of samples without their own. The bytes must not change until `end`. */
  begin(bytes: Buffer, format: ExpositionFormat, timestampUs: number): void {
    if (format !== this.#format) this.#forget();
    this.#format = format;
    this.#bytes = bytes;
    this.#page = bytes.toString('latin1');
    this.#timestampUs = timestampUs;
    this.#at = 0;
    this.#lineNumber = 0;
    this.#cursor = 0;
    this.#lines = [];
    this.#samples = [];
    this.#tally = new Tally();
    this.#badLines = 0;
    this.#done = false;
    this.#counters.clear();
    this.#repeated.clear();
    this.#pageNumber++;
  }

  /** Reads at most `maxLines` lines more; true when there are no more. */
  step(maxLines: number): boolean {
    const bytes = this.#bytes;
    const page = this.#page;
    const numbers = this.#numbers;
    for (let count = 0; count < maxLines; count++) {
      const at = this.#at;
      if (this.#done || at >= bytes.length) return true;
      if (++this.#lineNumber > MAX_LINES) {
        this.stop('limit', `the page has more than ${MAX_LINES} lines; the rest was not read`);
        return true;
      }
      if (bytes[at] === HASH) {
        this.#comment();
        continue;
      }
      const line = this.#expected[this.#cursor];
      if (line !== undefined && page.startsWith(line.text, at)) {
        numbers.scan(bytes, at + line.text.length);
        const after = numbers.end;
        // A number directly followed by the end of the line: nearly every line of nearly every page.
        if (after >= 0 && (bytes[after] === NEWLINE || after === bytes.length)) {
          this.#at = after + 1;
          this.#cursor++;
          this.#keep(line, numbers.value, undefined);
          continue;
        }
      }
      this.#slowLine();
    }
    return this.#done || this.#at >= bytes.length;
  }

  /** What the page gave. */
  end(): { samples: readonly Sample[]; problems: Problem[] } {
    if (this.#format === 'openmetrics' && !this.#done)
      this.#tally.add('protocol', 'eof', () => 'the page does not end with # EOF: it may be cut off');
    this.#reportMissing();
    this.#expected = this.#lines;
    // Lines that went away are forgotten, late enough that a page which flaps does not cost the work each time.
    // Series are counted by themselves: a page with new ones each time fills the map of texts only up to its bound.
    if (Math.max(this.#byText.size, this.#targets.size) > 2 * this.#lines.length + 1000) this.#rebuild();
    const result = { samples: this.#samples, problems: this.#tally.problems() };
    this.#bytes = Buffer.alloc(0);
    this.#page = '';
    this.#lines = [];
    this.#samples = [];
    return result;
  }

  /** How many lines and series are kept for the next page. */
  get remembered(): { lines: number; series: number } {
    return { lines: this.#byText.size, series: this.#targets.size };
  }

  #forget(): void {
    this.#expected = [];
    this.#byText.clear();
    this.#targets.clear();
  }

  #rebuild(): void {
    this.#byText = new Map(this.#lines.map((line) => [line.text, line]));
    const targets = new Set(this.#lines.map((line) => line.target));
    for (const [key, target] of this.#targets) if (!targets.has(target)) this.#targets.delete(key);
  }

  #reportMissing(): void {
    const missing = new Set(this.#selection.names);
    // It is on the page only while a user of the node says something through it.
    missing.delete(CUSTOM_NAME);
    if (missing.size === 0) return;
    for (const line of this.#lines) if (line.wantedName !== undefined) missing.delete(line.wantedName);
    if (missing.size === 0) return;
    const names = [...missing].slice(0, 5).map(quote).join(', ');
    this.#tally.add('missing', 'missing', () => `the page has no series named ${names}`, missing.size);
  }

  /** Reads no further, for a reason to be told. */
  stop(kind: ProblemKind, message: string): void {
    this.#tally.add(kind, message, () => message);
    this.#done = true;
  }

  #bad(kind: ProblemKind, reason: string, text: string): void {
    const lineNumber = this.#lineNumber;
    this.#tally.add(kind, reason, () => `line ${lineNumber}: ${reason}: ${quote(text)}`);
    if (++this.#badLines === MAX_BAD_LINES)
      this.stop(
        'protocol',
        `more than ${MAX_BAD_LINES} lines are malformed; the rest of the page was not read`,
      );
  }

  /** `# HELP`, `# TYPE`, `# UNIT`, `# EOF` or nothing in particular. Only OpenMetrics gives them a meaning for kw. */
  #comment(): void {
    const start = this.#at;
    const newline = this.#page.indexOf('\n', start);
    this.#at = newline < 0 ? this.#bytes.length : newline + 1;
    if (this.#format === 'text') return;
    const text = this.#page.slice(start, Math.min(this.#at, start + MAX_LINE_BYTES)).trimEnd();
    if (text === '# EOF') this.#done = true;
    const type = /^# TYPE (\S+) (?:counter|histogram|gaugehistogram|summary)$/.exec(text);
    if (type?.[1] !== undefined) this.#counters.add(type[1]);
  }

  /** A line that was not expected here, or whose value has no simple form, or that has a timestamp. */
  #slowLine(): void {
    const start = this.#at;
    const newline = this.#page.indexOf('\n', start);
    let end = newline < 0 ? this.#bytes.length : newline;
    this.#at = end + 1;
    if (this.#bytes[end - 1] === RETURN && end > start) end--;
    if (end - start > MAX_LINE_BYTES) {
      const head = this.#page.slice(start, start + 100);
      this.#bad('limit', `the line is longer than ${MAX_LINE_BYTES} bytes`, head);
      return;
    }
    const text = this.#page.slice(start, end);
    const name = nameOf(text);
    // On a page of a million series of which an entry wants three, the others are not worth more than their name.
    if (name !== undefined && !this.#selection.wants(name)) return;
    const expected = this.#expected[this.#cursor];
    let line =
      expected !== undefined && hasSeriesText(text, expected.text) ? expected : this.#remembered(text);
    if (line !== undefined) {
      this.#cursor = line.order + 1;
    } else {
      const trimmed = text.trimStart();
      if (trimmed === '' || trimmed.startsWith('#')) return;
      line = this.#parse(text, start);
      if (line === undefined) return;
    }
    this.#valueOf(line, text);
  }

  /**
   * The remembered line with this text before the value. The value begins behind the last brace; if that is one of
   * an exemplar, then nothing is found and the line is parsed, which finds it.
   */
  #remembered(text: string): Line | undefined {
    const brace = text.lastIndexOf('}');
    const from = brace < 0 ? text.search(/[ \t]/) : brace + 1;
    if (from < 0) return undefined;
    let valueStart = from;
    while (text[valueStart] === ' ' || text[valueStart] === '\t') valueStart++;
    return this.#byText.get(text.slice(0, valueStart));
  }

  /** Parses a line and remembers it; undefined if it is malformed. */
  #parse(onPage: string, start: number): Line | undefined {
    // Cut out of the bytes: names and labels are slices of it, and a slice keeps what it was cut from in memory.
    const text = this.#bytes.toString('latin1', start, start + onPage.length);
    const parsed = parseSeriesText(text);
    if (typeof parsed === 'string') {
      this.#bad('value', parsed, text);
      return undefined;
    }
    const known = this.#byText.get(text.slice(0, parsed.valueStart));
    if (known !== undefined) return known;
    const outcome = this.#isCreationTime(parsed.name) ? undefined : this.#selection.select(parsed);
    const selected = outcome !== undefined && 'series' in outcome ? outcome : undefined;
    const line: Line = {
      text: text.slice(0, parsed.valueStart),
      wantedName: this.#selection.wantsByName(parsed.name) ? parsed.name : undefined,
      refused: outcome !== undefined && 'kind' in outcome ? outcome : undefined,
      selected,
      target: selected && this.#targetOf(selected.series),
      order: this.#expected.length,
      ownTimestampUs: Number.NaN,
      ownValue: 0,
    };
    if (this.#byText.size < 2 * this.#maxSeries + 1000) this.#byText.set(line.text, line);
    return line;
  }

  /** OpenMetrics 1.0, section 5.1.1: `x_created` tells when the counter x began. */
  #isCreationTime(name: string): boolean {
    return name.endsWith('_created') && this.#counters.has(name.slice(0, -'_created'.length));
  }

  /** The same object for the same series, however its labels are ordered on the page. */
  #targetOf(series: Series): Target {
    const labels = Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([series.metricId, labels]);
    let target = this.#targets.get(key);
    if (target === undefined) {
      target = { series, page: 0, timestampUs: 0 };
      this.#targets.set(key, target);
    }
    return target;
  }

  /** Value, timestamp and exemplar of a line. */
  #valueOf(line: Line, text: string): void {
    const found = parseValueText(text.slice(line.text.length), this.#format);
    if (typeof found === 'string') this.#bad('value', found, text);
    else this.#keep(line, found.value, found.timestampUs);
  }

  /** Takes the value of a line, if it is to be stored. */
  #keep(line: Line, value: number, timestampOnPageUs: number | undefined): void {
    line.order = this.#lines.length;
    this.#lines.push(line);
    const { selected, target } = line;
    if (selected === undefined || target === undefined) {
      if (line.refused) this.#refuse(line.refused);
      return;
    }
    if (selected.removedLabels > 0) this.#countRemovedLabels(selected);
    if (selected.custom && this.#selection.isForeign(target.series)) {
      this.#refuseForeign(target.series);
      return;
    }
    let timestampUs = this.#timestampUs;
    const ownUs = selected.timestampUs ?? timestampOnPageUs;
    if (ownUs !== undefined) {
      const problem = timestampProblem(ownUs, this.#timestampUs);
      if (problem !== undefined) {
        this.#bad('value', problem, line.text);
        return;
      }
      if (line.ownTimestampUs === ownUs && Object.is(line.ownValue, value)) return;
      line.ownTimestampUs = ownUs;
      line.ownValue = value;
      timestampUs = ownUs;
    }
    if (this.#isRepeated(target, timestampUs)) {
      this.#bad('value', 'the series stands on the page twice, and the first one counts', line.text);
      return;
    }
    if (this.#samples.length === this.#maxSeries) {
      this.stop(
        'limit',
        `the page has more than ${this.#maxSeries} series; the rest was not read (see max_series)`,
      );
      return;
    }
    this.#samples.push({ series: target.series, timestampUs, value: value * selected.scaleFactor });
  }

  /** Whether this page had the series with this timestamp before. Several times of one series are no duplicates. */
  #isRepeated(target: Target, timestampUs: number): boolean {
    if (target.page !== this.#pageNumber) {
      target.page = this.#pageNumber;
      target.timestampUs = timestampUs;
      return false;
    }
    let known = this.#repeated.get(target);
    if (known === undefined) {
      known = new Set([target.timestampUs]);
      this.#repeated.set(target, known);
    }
    if (known.has(timestampUs)) return true;
    known.add(timestampUs);
    return false;
  }

  #refuse({ kind, reason, message }: Refused): void {
    const lineNumber = this.#lineNumber;
    this.#tally.add(kind, reason, () => `line ${lineNumber}: ${message}`);
  }

  #refuseForeign({ deviceId, metricId }: Series): void {
    this.#refuse({
      kind: 'dropped',
      reason: 'foreign name',
      message: `kwollect_custom may not name ${quote(metricId)}, which kw collects for ${quote(deviceId)} itself`,
    });
  }

  #countRemovedLabels({ removedLabels }: Selected): void {
    const lineNumber = this.#lineNumber;
    this.#tally.add(
      'dropped',
      'labels',
      () => `line ${lineNumber}: a label that begins with _ was removed; those come from the configuration`,
      removedLabels,
    );
  }
}

/** Whether the line's text before the value is `seriesText`, which ends where a value began. */
function hasSeriesText(line: string, seriesText: string): boolean {
  if (!line.startsWith(seriesText)) return false;
  const next = line[seriesText.length];
  return next !== '{' && next !== ' ' && next !== '\t';
}
