/**
 * Parameters of requests by Kwollect's rules: in the query or in a JSON body, lists as `a,b`, booleans as Python prints
 * them, times with a plus that arrived as a blank, and empty ones as if they were not there. No I/O.
 */
import { closest } from '../didYouMean.ts';
import { nameProblem } from '../limits.ts';
import { parseTimeUs, type TimeContext } from '../time.ts';
import { HttpProblem } from './problem.ts';

/** Parameters as they came: texts from a query, any JSON from a body. */
export type RawParameters = Readonly<Record<string, unknown>>;

export class Parameters {
  readonly #raw: RawParameters;

  /** @throws HttpProblem 400 for a name that is not among `known`: a value that is ignored answers another question */
  constructor(raw: RawParameters, known: readonly string[]) {
    this.#raw = raw;
    for (const name of Object.keys(raw)) {
      if (known.includes(name)) continue;
      const [near] = closest(name, known);
      throw new HttpProblem(400, 'UNKNOWN_PARAMETER', `there is no parameter ${quoted(name)}`, {
        hint: near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`,
      });
    }
  }

  /** Undefined for an empty one. A number is taken as its text. */
  text(name: string): string | undefined {
    const value = this.#raw[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'string') {
      if (value.includes('\0')) throw bad(name, 'contains a NUL character');
      return value;
    }
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw bad(
      name,
      Array.isArray(value) && value.every((item) => typeof item === 'string')
        ? 'is given several times'
        : 'is not a text',
      `write one ${name}=...`,
    );
  }

  /** `a,b`, or in JSON also `["a", "b"]`; empty items are left out. */
  list(name: string): string[] | undefined {
    const value = this.#raw[name];
    const isTexts = Array.isArray(value) && value.every((item): item is string => typeof item === 'string');
    const items = isTexts ? value.flatMap((item) => item.split(',')) : (this.text(name)?.split(',') ?? []);
    const found = items.filter((item) => item !== '');
    return found.length === 0 ? undefined : found;
  }

  /** Names of devices or metrics. */
  names(name: string, kind: 'device' | 'metric'): string[] | undefined {
    const names = this.list(name);
    for (const one of names ?? []) {
      const problem = nameProblem(kind, one);
      if (problem !== undefined) throw bad(name, `has a name that cannot be: ${problem}`);
    }
    return names && [...new Set(names)];
  }

  /** true and false as Python, SQL, JSON and HTML forms write them. */
  boolean(name: string): boolean {
    const text = this.text(name)?.trim().toLowerCase();
    if (text === undefined) return false;
    if (['true', 't', 'yes', 'y', 'on', '1'].includes(text)) return true;
    if (['false', 'f', 'no', 'n', 'off', '0', 'none', 'null'].includes(text)) return false;
    throw bad(name, `is ${quoted(text)}`, 'write true or false');
  }

  integer(name: string): number | undefined {
    const text = this.text(name)?.trim();
    if (text === undefined || text === '' || /^(none|null)$/i.test(text)) return undefined;
    const number = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
    throw bad(name, `is ${quoted(text)}`, 'write a whole number');
  }

  /** A finite number. */
  number(name: string): number | undefined {
    const text = this.text(name)?.trim();
    if (text === undefined || text === '') return undefined;
    const number = Number(text);
    if (Number.isFinite(number)) return number;
    throw bad(name, `is ${quoted(text)}`, 'write a number');
  }

  /** Microseconds since the epoch. */
  timeUs(name: string, context: TimeContext): number | undefined {
    const text = this.text(name)?.trim();
    if (text === undefined || text === '' || /^(none|null)$/i.test(text)) return undefined;
    try {
      return parseTimeUs(mendTime(text), context);
    } catch (error) {
      const { message, hint } = error as Error & { hint?: string };
      throw bad(name, message, hint);
    }
  }
}

/**
 * A plus in a query that was not written %2B arrives as a blank: `2020-12-31T22:00:00 01:00`. Python prints large
 * numbers as `1.6e+09`.
 */
export function mendTime(text: string): string {
  if (/^[+-]?\d+(\.\d*)?e[+ -]?\d{1,2}$/i.test(text)) {
    const number = Number(text.replace(' ', '+'));
    return Number.isSafeInteger(Math.trunc(number)) ? String(number) : text;
  }
  return text.replace(/(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) (\d{2}(?::?\d{2})?)$/, '$1+$2');
}

function bad(name: string, problem: string, hint?: string): HttpProblem {
  return new HttpProblem(400, 'BAD_PARAMETER', `${name}: ${problem}`, { hint });
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
