/**
 * Lists of nodes as schedulers and people write them, such as `node-[1-20,25],gpu[01-08].site`, and back.
 *
 *   list    = name { separator name }       separator: commas, blanks, newlines (as $OAR_NODEFILE has)
 *   name    = { character | bracket }       all combinations of several brackets
 *   bracket = "[" range { "," range } "]"   range: 7 or 1-20; 001-010 keeps its zeros
 */
import { KwError } from '../errors.ts';
import { nameProblem } from '../limits.ts';

export const MAX_NODES = 65_536;

interface Range {
  first: number;
  last: number;
  /** Digits to pad to with zeros; 0 for none. */
  width: number;
}
type Part = string | Range[];

/**
 * The nodes of a list, in its order, each once.
 * @throws KwError BAD_NODES that names the place, or when they are more than MAX_NODES, or none
 */
export function expandHostList(text: string): string[] {
  const nodes = new Set<string>();
  let count = 0;
  for (const { parts, start } of parseNames(text)) {
    // Counted before anything is made: `n[1-99999][1-99999]` is short to write.
    count += parts.reduce((product, part) => product * (typeof part === 'string' ? 1 : size(part)), 1);
    if (count > MAX_NODES)
      throw problem(text, start, `the list names more than ${MAX_NODES} nodes`, 'give fewer nodes at a time');
    for (const name of combinations(parts)) {
      const wrong = nameProblem('device', name);
      if (wrong !== undefined) throw problem(text, start, wrong);
      nodes.add(name);
    }
  }
  if (nodes.size === 0)
    throw new KwError('the list of nodes is empty', {
      code: 'BAD_NODES',
      hint: "for example --nodes 'node-[1-3,7]'",
    });
  return [...nodes];
}

function* parseNames(text: string): Generator<{ parts: Part[]; start: number }> {
  let at = 0;
  while (at < text.length) {
    if (isSeparator(text, at)) {
      at++;
      continue;
    }
    const start = at;
    const parts: Part[] = [];
    while (at < text.length && !isSeparator(text, at)) {
      if (text[at] === '[') {
        const close = text.indexOf(']', at);
        if (close < 0) throw problem(text, at, 'this [ is never closed');
        parts.push(parseBracket(text, at + 1, close));
        at = close + 1;
      } else if (text[at] === ']') {
        throw problem(text, at, 'this ] has no [ before it');
      } else {
        const from = at;
        while (at < text.length && text[at] !== '[' && text[at] !== ']' && !isSeparator(text, at)) at++;
        parts.push(text.slice(from, at));
      }
    }
    yield { parts, start };
  }
}

function isSeparator(text: string, at: number): boolean {
  const character = text[at];
  return (
    character === ',' || character === ' ' || character === '\n' || character === '\t' || character === '\r'
  );
}

/** The ranges between `from` and `to`, the places just inside the brackets. */
function parseBracket(text: string, from: number, to: number): Range[] {
  const ranges: Range[] = [];
  let at = from;
  for (const piece of text.slice(from, to).split(',')) {
    const parsed = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(piece);
    if (parsed === null)
      throw problem(text, at, 'a number or a range such as 1-20 belongs here', 'for example node-[1-20,25]');
    const [, low = '', high = low] = parsed;
    const first = Number(low);
    const last = Number(high);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last))
      throw problem(text, at, 'the number is too big');
    if (last < first) throw problem(text, at, `the range ${low}-${high} runs backwards`);
    const padded = low.length > 1 && low.startsWith('0');
    if (high.length > 1 && high.startsWith('0') && high.length !== low.length)
      throw problem(
        text,
        at,
        `${low} and ${high} have different numbers of digits`,
        `write ${low.padStart(high.length, '0')}-${high}`,
      );
    ranges.push({ first, last, width: padded ? low.length : 0 });
    at += piece.length + 1;
  }
  return ranges;
}

function size(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { first, last }) => sum + (last - first + 1), 0);
}

function combinations(parts: readonly Part[]): string[] {
  let names = [''];
  for (const part of parts) {
    const endings = typeof part === 'string' ? [part] : [...numbers(part)];
    names = names.flatMap((name) => endings.map((ending) => name + ending));
  }
  return names;
}

function* numbers(ranges: readonly Range[]): Generator<string> {
  for (const { first, last, width } of ranges)
    for (let number = first; number <= last; number++) yield String(number).padStart(width, '0');
}

/** An error with the place: the character, counted from 1, and a piece of the text from there on. */
function problem(text: string, at: number, what: string, hint?: string): KwError {
  const piece = text.slice(at, at + 20);
  const rest = at + 20 < text.length ? '…' : '';
  return new KwError(`list of nodes, character ${at + 1} (${JSON.stringify(piece + rest)}): ${what}`, {
    code: 'BAD_NODES',
    hint,
  });
}

interface Group {
  prefix: string;
  suffix: string;
  width: number;
  numbers: number[];
}

/**
 * The shortest usual way to write nodes: `node-1, node-2, node-3, gpu` becomes `node-[1-3],gpu`.
 * `expandHostList` gives the same set of nodes back, numbers of one group in order.
 */
export function foldHostList(names: readonly string[]): string {
  const groups = new Map<string, Group>();
  const plain = new Set<string>();
  const order: (Group | string)[] = [];
  const split = [...new Set(names)].map(splitNumber);
  // 100 is written alike with and without padding to three digits: it joins 098 and 099 where these exist.
  const paddedWidths = new Set<string>();
  for (const name of split)
    if (typeof name !== 'string' && name.padded)
      paddedWidths.add(groupKey(name.prefix, name.suffix, name.digits.length));
  for (const name of split) {
    if (typeof name === 'string') {
      if (!plain.has(name)) order.push(name);
      plain.add(name);
      continue;
    }
    const { prefix, suffix, digits } = name;
    const width = paddedWidths.has(groupKey(prefix, suffix, digits.length)) ? digits.length : 0;
    const key = groupKey(prefix, suffix, width);
    let group = groups.get(key);
    if (group === undefined) {
      group = { prefix, suffix, width, numbers: [] };
      groups.set(key, group);
      order.push(group);
    }
    group.numbers.push(Number(digits));
  }
  return order.map((item) => (typeof item === 'string' ? item : foldGroup(item))).join(',');
}

function groupKey(prefix: string, suffix: string, width: number): string {
  return JSON.stringify([prefix, suffix, width]);
}

interface NumberedName {
  prefix: string;
  digits: string;
  suffix: string;
  padded: boolean;
}

/** Cuts a name around the last number of its host part (before the first dot). An IP address stays whole. */
function splitNumber(name: string): NumberedName | string {
  const dot = name.indexOf('.');
  const host = dot < 0 ? name : name.slice(0, dot);
  const parsed = /^(.*?)(\d+)(\D*)$/s.exec(host);
  if (parsed === null || /^\d+$/.test(host)) return name;
  const [, prefix = '', digits = '', rest = ''] = parsed;
  if (digits.length > 15) return name;
  return {
    prefix,
    digits,
    suffix: rest + name.slice(host.length),
    padded: digits.length > 1 && digits.startsWith('0'),
  };
}

function foldGroup({ prefix, suffix, width, numbers: unsorted }: Group): string {
  const sorted = unsorted.toSorted((a, b) => a - b);
  const write = (number: number) => String(number).padStart(width, '0');
  const ranges: string[] = [];
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (sorted[to + 1] === (sorted[to] ?? 0) + 1) to++;
    const first = write(sorted[from] ?? 0);
    ranges.push(to === from ? first : `${first}-${write(sorted[to] ?? 0)}`);
    from = to + 1;
  }
  const only = sorted.length === 1 ? ranges[0] : `[${ranges.join(',')}]`;
  return `${prefix}${only}${suffix}`;
}
