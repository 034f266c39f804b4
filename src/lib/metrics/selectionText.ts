/** What users write to select metrics: lists, globs, labels. No I/O. */
import { EXIT_USAGE, KwError } from '../errors.ts';
import { MAX_NAME_BYTES, nameProblem } from '../limits.ts';

/** Names and SQL LIKE patterns; a metric is selected when it is one of the names or matches one of the patterns. */
export interface MetricFilter {
  readonly names: readonly string[];
  readonly patterns: readonly string[];
}

/**
 * Cuts `a,b` at its commas. A backslash makes a comma that follows a part of the name; before other characters it
 * is an ordinary character.
 */
export function splitList(text: string): string[] {
  if (!text.includes(',')) return [text];
  const items: string[] = [];
  let item = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\' && text[at + 1] === ',') {
      item += ',';
      at++;
    } else if (text[at] === ',') {
      items.push(item);
      item = '';
    } else {
      item += text[at];
    }
  }
  items.push(item);
  return items.filter((name) => name !== '');
}

/**
 * Metrics by name or glob: `*` is any text, `?` any one character, `\*` and `\?` are these characters.
 * @returns undefined for no arguments: every metric
 * @throws KwError BAD_NAME
 */
export function parseMetrics(arguments_: readonly string[]): MetricFilter | undefined {
  if (arguments_.length === 0) return undefined;
  const names = new Set<string>();
  const patterns = new Set<string>();
  for (const item of arguments_.flatMap(splitList)) {
    const problem = nameProblem('metric', item);
    if (problem !== undefined) throw badName(problem);
    const parts = globParts(item);
    if (parts.some(({ wild }) => wild)) patterns.add(likePattern(parts));
    else names.add(parts.map(({ text }) => text).join(''));
  }
  if (names.size + patterns.size === 0) throw badName('the metric name is empty');
  return { names: [...names], patterns: [...patterns] };
}

/** @throws KwError BAD_NAME */
export function parseDevices(arguments_: readonly string[]): string[] | undefined {
  if (arguments_.length === 0) return undefined;
  const names = [...new Set(arguments_.flatMap(splitList))];
  if (names.length === 0) throw badName('the device name is empty');
  for (const name of names) {
    const problem = nameProblem('device', name);
    if (problem !== undefined) throw badName(problem);
  }
  return names;
}

/**
 * Labels as `name=value`; the value may hold any character and may be empty.
 * @throws KwError BAD_LABEL
 */
export function parseLabels(arguments_: readonly string[]): Record<string, string> | undefined {
  if (arguments_.length === 0) return undefined;
  const labels: [string, string][] = arguments_.map((text) => {
    const at = text.indexOf('=');
    const problem =
      at < 1
        ? 'has no name=value'
        : text.includes('\0')
          ? 'contains a NUL character'
          : !text.isWellFormed()
            ? 'is not valid Unicode'
            : Buffer.byteLength(text) > 1024
              ? 'is longer than 1024 bytes, and no stored label is'
              : undefined;
    if (problem === undefined) return [text.slice(0, at), text.slice(at + 1)];
    throw new KwError(`the label ${JSON.stringify(text.slice(0, 60))} ${problem}`, {
      code: 'BAD_LABEL',
      exit: EXIT_USAGE,
      hint: 'write --label mode=idle',
    });
  });
  const result: Record<string, string> = Object.create(null);
  for (const [name, value] of labels) {
    if (name in result && result[name] !== value) {
      throw new KwError(`the label ${JSON.stringify(name)} is asked for with two values`, {
        code: 'BAD_LABEL',
        exit: EXIT_USAGE,
        hint: 'a row has one value for a label; give --label once for each name',
      });
    }
    result[name] = value;
  }
  return result;
}

/** Whether a metric is selected, as SQL decides it. */
export function metricMatcher(filter: MetricFilter | undefined): (metricId: string) => boolean {
  if (filter === undefined) return () => true;
  const names = new Set(filter.names);
  return (metricId) =>
    names.has(metricId) || filter.patterns.some((pattern) => likeMatches(pattern, metricId));
}

interface GlobPart {
  readonly text: string;
  readonly wild: boolean;
}

function globParts(glob: string): GlobPart[] {
  return [...glob.matchAll(/\\([*?])|([*?])|((?:[^*?\\]|\\(?![*?]))+)/gs)].map(([, escaped, wild, plain]) =>
    wild === undefined ? { text: escaped ?? plain ?? '', wild: false } : { text: wild, wild: true },
  );
}

function likePattern(parts: readonly GlobPart[]): string {
  return parts
    .map(({ text, wild }) => (wild ? (text === '*' ? '%' : '_') : likeLiteral(text)))
    .join('')
    .replace(/%+(?=%)/g, '');
}

/** The LIKE pattern that matches exactly this text. */
export function likeLiteral(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

/** LIKE in linear space and at most pattern x name steps: after a mismatch only the last `%` is tried again. */
function likeMatches(pattern: string, name: string): boolean {
  const tokens = [...pattern.matchAll(/\\(.)|([%_])|(.)/gsu)];
  const characters = [...name];
  let token = 0;
  let at = 0;
  let starToken = -1;
  let starAt = 0;
  while (at < characters.length) {
    const [, escaped, wild, plain] = tokens[token] ?? [];
    if (wild === '%') {
      starToken = token++;
      starAt = at;
    } else if (tokens[token] !== undefined && (wild === '_' || (escaped ?? plain) === characters[at])) {
      token++;
      at++;
    } else if (starToken >= 0) {
      token = starToken + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  return tokens.slice(token).every(([, , wild]) => wild === '%');
}

function badName(problem: string): KwError {
  return new KwError(problem, { code: 'BAD_NAME', hint: `names have 1 to ${MAX_NAME_BYTES} bytes` });
}
