/** What is wrong in the configuration, and where. */
import { printable } from '../printable.ts';
import type { Place } from './model.ts';

/** One thing to mend (`error`) or to know (`warning`). Never contains a secret. */
export interface ConfigProblem {
  readonly place: Place;
  readonly severity: 'error' | 'warning';
  /** What is wrong, and what to write instead. */
  readonly message: string;
  readonly hint?: string;
}

/** Beyond this many problems of one file only their number is told. */
const MAX_PROBLEMS_PER_FILE = 200;

/** Characters of a message or hint. */
const MAX_TEXT = 600;

/** Gathers problems: one mistake never hides the next. */
export class ProblemList {
  readonly #problems: ConfigProblem[] = [];
  readonly #countByFile = new Map<string, number>();
  /** By file and message: where each error of `errorOnce` was told, and how many more entries have it. */
  readonly #shared = new Map<string, { readonly told: ConfigProblem | undefined; more: number }>();
  #errors = 0;

  error(place: Place, message: string, hint?: string): void {
    this.#errors++;
    this.#add('error', place, message, hint);
  }

  /** An error that has one cause for many entries of a file: told where it is met first, with how many more have it. */
  errorOnce(place: Place, message: string, hint?: string): void {
    const key = JSON.stringify([place.file, message]);
    const shared = this.#shared.get(key);
    if (shared === undefined) {
      this.#shared.set(key, { told: this.#add('error', place, message, hint), more: 0 });
    } else shared.more++;
    this.#errors++;
  }

  warning(place: Place, message: string, hint?: string): void {
    this.#add('warning', place, message, hint);
  }

  /** Errors so far, those beyond the limit included. */
  get errorCount(): number {
    return this.#errors;
  }

  /** All problems, sorted by file, line and column. */
  sorted(): ConfigProblem[] {
    const more = new Map([...this.#shared.values()].map((shared) => [shared.told, shared.more]));
    const all = this.#problems.map((problem) => withMore(problem, more.get(problem) ?? 0));
    for (const [file, count] of this.#countByFile) {
      const hidden = count - MAX_PROBLEMS_PER_FILE;
      if (hidden <= 0) continue;
      const place = { file, line: Number.MAX_SAFE_INTEGER, column: 1 };
      all.push({ place, severity: 'error', message: `${hidden} more problems in this file` });
    }
    all.sort((a, b) => comparePlaces(a.place, b.place));
    return all.map((problem) =>
      problem.place.line === Number.MAX_SAFE_INTEGER
        ? { ...problem, place: { ...problem.place, line: 0, column: 0 } }
        : problem,
    );
  }

  #add(
    severity: ConfigProblem['severity'],
    place: Place,
    message: string,
    hint?: string,
  ): ConfigProblem | undefined {
    const { file } = place;
    const count = (this.#countByFile.get(file) ?? 0) + 1;
    this.#countByFile.set(file, count);
    if (count > MAX_PROBLEMS_PER_FILE) return undefined;
    const texts = { message: oneLine(message), ...(hint === undefined ? {} : { hint: oneLine(hint) }) };
    const problem = { place, severity, ...texts };
    this.#problems.push(problem);
    return problem;
  }
}

function withMore(problem: ConfigProblem, more: number): ConfigProblem {
  if (more === 0) return problem;
  const entries =
    more === 1 ? '1 more entry of this file needs it' : `${more} more entries of this file need it`;
  return { ...problem, message: `${problem.message}; ${entries}` };
}

/** One line of bounded length that moves no cursor: parts of it may come from the file. */
function oneLine(text: string): string {
  const line = printable(text);
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}...` : line;
}

export function comparePlaces(a: Place, b: Place): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** The place of a whole file or folder: line 0, which is not shown. */
export function wholeFile(file: string): Place {
  return { file, line: 0, column: 0 };
}

/** `file:line:column`, or only `file` for a whole file. */
export function formatPlace(place: Place): string {
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`;
}

/** `file:line:column: error: message (hint)`, in the form that editors and CI systems know from compilers. */
export function formatProblem(problem: ConfigProblem): string {
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${formatPlace(problem.place)}: ${problem.severity}: ${problem.message}${hint}`;
}
