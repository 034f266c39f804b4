/**
 * Users' patterns of metric names: regular expressions, as in Kwollect (Python's `re.match`: anchored at the
 * start, not at the end). They come from anybody who has a job, and are matched inside the collector, so they
 * are compiled by RE2, whose time is linear in the name, and never reach RegExp or SQL's `~`.
 *
 * Linear is not yet cheap; what bounds it:
 *   - the text, and the size of the compiled program (a repetition counts as often as it repeats);
 *   - the memory of one automaton, and how many automata are kept (all others are compiled again on demand);
 *   - each name is matched once: the answers are remembered;
 *   - a pattern that has used up WORK_BUDGET_MS matches no further names (`exhausted`). Only names made for the
 *     purpose (255 random letters) can bring that about; thousands of real names take a few ms.
 */
import { RE2JSSyntaxException, RE2Set } from 're2js';
import { KwError } from './errors.ts';
import { type Pattern, prefixPattern } from './prefixPattern.ts';

export type { Pattern } from './prefixPattern.ts';

export const MAX_PATTERN_BYTES = 1024;
/** Instructions of the compiled program. Twenty-five alternative names of twenty characters are 500. */
export const MAX_PROGRAM_SIZE = 512;

const AUTOMATON_BYTES = 2 * 1024 * 1024;
const AUTOMATA_KEPT = 16;
const PATTERNS_KEPT = 1_024;
const NAMES_KEPT = 16_384;
const WORK_BUDGET_MS = 250;
/** A pause of the process in the middle of a match is not the pattern's fault. */
const LONGEST_MATCH_COUNTED_MS = 25;

/** A pattern that knows whether it gave up; see WORK_BUDGET_MS. */
export interface CompiledPattern extends Pattern {
  readonly exhausted: boolean;
}

const compiled = new Map<string, CompiledPattern>();

/**
 * Compiles a pattern, or returns the one compiled before.
 * @throws KwError BAD_PATTERN for what RE2 does not know (look-around, back-references) and what is too big
 */
export function compilePattern(text: string): CompiledPattern {
  const known = compiled.get(text);
  if (known !== undefined) return known;
  const simple = prefixPattern(text);
  const pattern = simple === undefined ? regularPattern(text) : { ...simple, exhausted: false };
  if (compiled.size >= PATTERNS_KEPT) compiled.delete(compiled.keys().next().value ?? '');
  compiled.set(text, pattern);
  return pattern;
}

function regularPattern(text: string): CompiledPattern {
  checkSyntax(text);
  return new RegularPattern(text);
}

class RegularPattern implements CompiledPattern {
  readonly text: string;
  #answers = new Map<string, boolean>();
  #filtered = new WeakMap<readonly string[], readonly string[]>();
  #spentMs = 0;

  constructor(text: string) {
    this.text = text;
  }

  get exhausted(): boolean {
    return this.#spentMs >= WORK_BUDGET_MS;
  }

  matches(name: string): boolean {
    const known = this.#answers.get(name);
    if (known !== undefined) return known;
    if (this.exhausted) return false;
    const startedMs = performance.now();
    const answer = automaton(this.text).match(name).length > 0;
    this.#spentMs += Math.min(performance.now() - startedMs, LONGEST_MATCH_COUNTED_MS);
    if (this.#answers.size >= NAMES_KEPT) this.#answers.clear();
    this.#answers.set(name, answer);
    return answer;
  }

  filter(names: readonly string[]): readonly string[] {
    const known = this.#filtered.get(names);
    if (known !== undefined) return known;
    const matching = names.filter((name) => this.matches(name));
    this.#filtered.set(names, matching);
    return matching;
  }
}

/** The automata last used, oldest first. A set of one: only a set can be anchored and bounded in memory. */
const automata = new Map<string, RE2Set>();

function automaton(text: string): RE2Set {
  let set = automata.get(text);
  if (set === undefined) {
    set = compileAutomaton(text);
    if (automata.size >= AUTOMATA_KEPT) automata.delete(automata.keys().next().value ?? '');
  } else {
    automata.delete(text);
  }
  automata.set(text, set);
  return set;
}

function compileAutomaton(text: string): RE2Set {
  const set = new RE2Set(RE2Set.ANCHOR_START, 0, AUTOMATON_BYTES);
  set.add(text);
  set.compile();
  return set;
}

function checkSyntax(text: string): void {
  if (text === '') throw badPattern('the pattern is empty', 'write .* for every optional metric');
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_PATTERN_BYTES)
    throw badPattern(
      `the pattern has ${bytes} bytes, and at most ${MAX_PATTERN_BYTES} are allowed`,
      'use several shorter patterns',
    );
  if (text.includes('\0')) throw badPattern('the pattern contains a NUL character');
  if (!text.isWellFormed()) throw badPattern('the pattern is not valid Unicode');
  const openRepetition = /\{,\d+\}/.exec(text);
  if (openRepetition !== null)
    throw badPattern(
      `the pattern ${quote(text)} has ${openRepetition[0]}, which no two dialects read alike`,
      `write {0${openRepetition[0].slice(1)}`,
    );
  const size = programSize(text);
  if (size > MAX_PROGRAM_SIZE) {
    automata.delete(text);
    throw badPattern(
      `the pattern ${quote(text)} is too complex: ${size} steps, and at most ${MAX_PROGRAM_SIZE} are allowed`,
      'use smaller repetition counts, or several shorter patterns',
    );
  }
}

function programSize(text: string): number {
  try {
    return automaton(text).prog.numInst();
  } catch (error) {
    // The library throws other exceptions of its own for a few shapes; none of them is worth a defect report.
    const description = error instanceof RE2JSSyntaxException ? error.getDescription() : 'cannot be compiled';
    const part = error instanceof RE2JSSyntaxException ? (error.getPattern() ?? '') : '';
    throw badPattern(
      `the pattern ${quote(text)} is not a regular expression that kw can match: ${description}${part ? ` ${quote(part)}` : ''}`,
      hintFor(description, part),
    );
  }
}

function hintFor(description: string, part: string): string {
  if (/^\(\?(<?[=!])/.test(part)) return 'look-ahead and look-behind are not supported';
  if (/^\\([1-9]|k)/.test(part) || part.startsWith('(?P')) return 'back-references are not supported';
  if (part === '\\Z') return 'write \\z or $ for the end of the name';
  if (description.includes('repeat count'))
    return 'repetitions may come to 1000 at most, nested ones multiplied';
  if (description.includes('nested repetition'))
    return 'possessive repetitions are not supported; put (...) around the inner one';
  if (description.includes('missing argument to repetition'))
    return 'this is a regular expression, not a shell pattern: write .* instead of *';
  return 'patterns are regular expressions of RE2, see https://github.com/google/re2/wiki/Syntax';
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function badPattern(message: string, hint?: string): KwError {
  return new KwError(message, { code: 'BAD_PATTERN', hint });
}
