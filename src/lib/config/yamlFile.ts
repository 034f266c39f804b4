/**
 * One YAML file as nodes that know their place. Aliases and merge keys (`<<`) are followed here and never
 * expanded, so that a file of aliases of aliases costs what its text costs.
 */
import type { Document, LineCounter, Node, Pair, Scalar, YAMLMap, YAMLParseError } from 'yaml';
import type { Place } from './model.ts';
import { type ProblemList, wholeFile } from './place.ts';
import { yamlModule } from './yamlModule.ts';

/** Beyond this a file is refused: parsing takes about half a second and 100 MB a megabyte of entries. */
export const MAX_FILE_BYTES = 32 * 2 ** 20;

/** How many maps may be merged into one, through however many merge keys. */
const MAX_MERGED_MAPS = 100;

/** A key of a map with its value. */
export interface YamlField {
  readonly file: YamlFile;
  readonly key: string;
  readonly keyPlace: Place;
  /** Place of the value, or of the key when there is none. */
  readonly place: Place;
  /** Aliases are followed already; undefined for no value (`key:`) and for `null`. */
  readonly value: Node | undefined;
}

export class YamlFile {
  readonly path: string;
  readonly problems: ProblemList;
  /** The top node of each document that is not empty. */
  readonly roots: readonly Node[];
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #linesBefore: number;
  readonly #targets = new Map<Node, Node | undefined>();

  /**
   * Parses text; syntax errors go to `problems`, and a text that has any gives no roots.
   * @param linesBefore of the file, when the text is a part of it
   */
  constructor(path: string, text: string, problems: ProblemList, linesBefore = 0) {
    const yaml = yamlModule();
    this.path = path;
    this.problems = problems;
    this.#text = text;
    this.#linesBefore = linesBefore;
    this.#lines = new yaml.LineCounter();
    this.roots = this.#parse();
  }

  placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.path, line: this.#linesBefore + Math.max(line, 1), column: Math.max(col, 1) };
  }

  placeOf(node: Node): Place {
    return this.placeAt(node.range?.[0] ?? 0);
  }

  /** The file's own spelling of a part of it. */
  textBetween(start: number, end: number): string {
    return this.#text.slice(start, end);
  }

  /** The node that an alias stands for, or the node itself; undefined for `null` and unknown anchors. */
  follow(node: unknown): Node | undefined {
    const yaml = yamlModule();
    let current = node;
    for (let hops = 0; yaml.isAlias(current) && hops < 100; hops++) current = this.#targets.get(current);
    if (!yaml.isNode(current) || yaml.isAlias(current)) return undefined;
    if (yaml.isScalar(current) && current.value === null) return undefined;
    return current;
  }

  /**
   * The fields of a map, merged maps included; a map's own keys win over merged ones, and an earlier merged
   * map over a later one. Keys that stand twice are reported.
   */
  fieldsOf(map: YAMLMap): Map<string, YamlField> {
    const fields = new Map<string, YamlField>();
    const waiting: YAMLMap[] = [map];
    const seen = new Set<YAMLMap>();
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (seen.has(next)) continue;
      seen.add(next);
      if (seen.size > MAX_MERGED_MAPS) {
        this.problems.error(this.placeOf(map), `more than ${MAX_MERGED_MAPS} maps are merged into this one`);
        break;
      }
      waiting.unshift(...this.#addFields(next, fields));
    }
    return fields;
  }

  /** Adds the own keys of one map and returns the maps that it merges. */
  #addFields(map: YAMLMap, fields: Map<string, YamlField>): YAMLMap[] {
    const merged: YAMLMap[] = [];
    const own = new Set<string>();
    for (const pair of map.items) {
      const key = this.#keyOf(pair, map);
      if (key === undefined) continue;
      if (key.text === '<<' && key.plain) {
        merged.push(...this.#mergedMaps(pair));
        continue;
      }
      if (own.has(key.text)) {
        this.problems.error(
          key.place,
          `the key ${JSON.stringify(key.text)} stands twice`,
          'keep one of them; Kwollect silently took the last',
        );
        continue;
      }
      own.add(key.text);
      if (fields.has(key.text)) continue;
      const value = this.follow(pair.value);
      const valueNode = yamlModule().isNode(pair.value) ? pair.value : undefined;
      fields.set(key.text, {
        file: this,
        key: key.text,
        keyPlace: key.place,
        place: value !== undefined && valueNode ? this.placeOf(valueNode) : key.place,
        value,
      });
    }
    return merged;
  }

  #keyOf(pair: Pair, map: YAMLMap): { text: string; place: Place; plain: boolean } | undefined {
    const key = this.follow(pair.key);
    if (yamlModule().isScalar(key)) {
      return { text: scalarText(key), place: this.placeOf(key), plain: key.type === 'PLAIN' };
    }
    const place = yamlModule().isNode(pair.key) ? this.placeOf(pair.key) : this.placeOf(map);
    this.problems.error(place, 'a key must be text', 'write "key: value"');
    return undefined;
  }

  #mergedMaps(pair: Pair): YAMLMap[] {
    const yaml = yamlModule();
    const value = this.follow(pair.value);
    const candidates = yaml.isSeq(value) ? value.items.map((item) => this.follow(item)) : [value];
    const maps = candidates.filter((candidate) => yaml.isMap(candidate));
    if (maps.length !== candidates.length && yaml.isNode(pair.key)) {
      this.problems.error(this.placeOf(pair.key), '"<<" merges maps only', 'write "<<: *anchor" of a map');
    }
    return maps;
  }

  #parse(): Node[] {
    const yaml = yamlModule();
    let documents: Document.Parsed[];
    try {
      const parsed = yaml.parseAllDocuments(this.#text, {
        lineCounter: this.#lines,
        // The package compares each key with every other one: quadratic. fieldsOf() looks for doubles.
        uniqueKeys: false,
        prettyErrors: false,
        logLevel: 'silent',
      });
      documents = Array.isArray(parsed) ? parsed : [];
    } catch (error) {
      // The package composes nested nodes recursively.
      this.problems.error(wholeFile(this.path), error instanceof RangeError ? TOO_DEEP : 'this is not YAML');
      return [];
    }
    if (this.#reportSyntax(documents)) return [];
    const before = this.problems.errorCount;
    for (const document of documents) this.#resolveAliases(document);
    if (this.problems.errorCount > before) return [];
    return documents.flatMap((document) => (document.contents ? [document.contents] : []));
  }

  /** Tells the first syntax error only: those after it are mostly its echoes. True if there is one. */
  #reportSyntax(documents: readonly Document.Parsed[]): boolean {
    for (const { warnings } of documents) {
      for (const { pos, message } of warnings)
        this.problems.warning(this.placeAt(pos[0]), firstLine(message));
    }
    const errors = documents.flatMap(({ errors }) => errors);
    const first = errors.reduce<YAMLParseError | undefined>(
      (earliest, error) => (earliest && earliest.pos[0] <= error.pos[0] ? earliest : error),
      undefined,
    );
    if (first === undefined) return false;
    const place = this.placeAt(this.#openQuote(documents, first) ?? first.pos[0]);
    const indent =
      /^\s*/.exec(this.#text.slice(this.#lines.lineStarts[place.line - this.#linesBefore - 1]))?.[0] ?? '';
    if (indent.includes('\t')) {
      this.problems.error(
        { ...place, column: indent.indexOf('\t') + 1 },
        'a tab stands in the indentation',
        'indent with blanks',
      );
    } else if (/call stack/.test(first.message)) {
      this.problems.error(place, TOO_DEEP);
    } else {
      const [message, hint] = SYNTAX_ERRORS[first.code] ?? [firstLine(first.message)];
      this.problems.error(place, message, hint);
    }
    return true;
  }

  /** Where a quote opens that is never closed; the package tells only where the file ends. */
  #openQuote(documents: readonly Document.Parsed[], error: YAMLParseError): number | undefined {
    if (error.code !== 'MISSING_CHAR' || !error.message.includes('quote')) return undefined;
    let start: number | undefined;
    for (const document of documents) {
      yamlModule().visit(document, {
        Scalar(_key, { type, range }) {
          if (type?.startsWith('QUOTE') && range && range[0] < error.pos[0]) start = range[0];
        },
      });
    }
    return start;
  }

  /** Finds what each alias stands for: the last anchor of its name above it. Without recursion, once a document. */
  #resolveAliases(document: Document.Parsed): void {
    const yaml = yamlModule();
    const anchors = new Map<string, Node>();
    const stack: unknown[] = [document.contents];
    while (stack.length > 0) {
      const node = stack.pop();
      if (yaml.isPair(node)) {
        stack.push(node.value, node.key);
      } else if (yaml.isAlias(node)) {
        const target = anchors.get(node.source);
        this.#targets.set(node, target);
        if (target === undefined) {
          this.problems.error(
            this.placeOf(node),
            `there is no anchor &${node.source} above`,
            `a text that begins with "*" needs quotes`,
          );
        }
      } else if (yaml.isNode(node)) {
        if ('anchor' in node && node.anchor) anchors.set(node.anchor, node);
        if (yaml.isCollection(node)) {
          for (let index = node.items.length - 1; index >= 0; index--) stack.push(node.items[index]);
        }
      }
    }
  }
}

/** The text of a scalar as it stands in the file: `007` stays `007`, `yes` stays `yes`. */
export function scalarText(scalar: Scalar): string {
  if (typeof scalar.value === 'string') return scalar.value;
  return scalar.source ?? String(scalar.value);
}

/**
 * The place of one character of a scalar's text, for messages about a part of it. Escapes and doubled quotes
 * take more room in the file than in the text; texts of several lines give the place of their first character.
 */
export function placeInside(field: YamlField, offset: number): Place {
  const { value, place } = field;
  if (!yamlModule().isScalar(value) || value.range == null) return place;
  const start = field.file.placeOf(value);
  const raw = field.file.textBetween(value.range[0], value.range[1]);
  if (raw.includes('\n')) return start;
  return { ...start, column: start.column + rawOffset(raw, value.type, offset) };
}

/** Where character `offset` of the text stands in its spelling. */
function rawOffset(raw: string, type: string | undefined, offset: number): number {
  if (type !== 'QUOTE_SINGLE' && type !== 'QUOTE_DOUBLE') return Math.min(offset, raw.length);
  const unit = type === 'QUOTE_SINGLE' ? /''|./sy : /\\(?:x..|u.{4}|U.{8}|.)|./sy;
  unit.lastIndex = 1;
  for (let index = 0; index < offset && unit.lastIndex < raw.length - 1; index++) unit.exec(raw);
  return unit.lastIndex;
}

const TOO_DEEP = 'lists or maps are nested too deeply';

/** The errors that people make, in words that say what to do; others are told in the words of the package. */
const SYNTAX_ERRORS: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  BAD_INDENT: ['this line does not start in the column of its list or map', 'align the keys of an entry'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a text holds ": ", or a line is indented wrongly',
    'put the text in quotes, or align the keys of an entry',
  ],
  MISSING_CHAR: ['a quote, bracket or comma is missing to close this', 'close what is open'],
  MULTILINE_IMPLICIT_KEY: [
    'a colon is missing, or a line is indented wrongly',
    'write "key: value" on one line',
  ],
  UNEXPECTED_TOKEN: [
    'a colon, a quote or a line break is missing before this',
    'write "key: value" on one line',
  ],
};

function firstLine(message: string): string {
  const line = message.split('\n')[0] ?? '';
  return line.charAt(0).toLowerCase() + line.slice(1, 200);
}
