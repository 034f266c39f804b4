/**
 * The patterns that most people write, such as `wattmetre_power_watt` or `bmc_.*`, matched without a regular
 * expression engine: `kw enable` in a prolog need not load one, and a collector matches them in nanoseconds.
 */

/** A compiled pattern of metric names. */
export interface Pattern {
  /** As the user wrote it. */
  readonly text: string;
  /** Whether a metric of this name is meant. As Python's `re.match`: anchored at the start, not at the end. */
  matches(name: string): boolean;
  /** Those of `names` that match, in their order. Give the same array again and the answer costs nothing. */
  filter(names: readonly string[]): readonly string[];
}

/** Names, an optional `^` before, and `.*` or `$` behind: these characters mean themselves in every dialect. */
const PREFIX_FORM = /^\^?([\w:-]*)(\.\*|\$)?$/;

/** The pattern, if its text is of the simple form; else undefined, and pattern.ts must compile it. */
export function prefixPattern(text: string): Pattern | undefined {
  if (text === '' || text.length > 255) return undefined;
  const parts = PREFIX_FORM.exec(text);
  if (parts === null) return undefined;
  const [, prefix = '', end] = parts;
  const matches = end === '$' ? (name: string) => name === prefix : (name: string) => name.startsWith(prefix);
  return { text, matches, filter: (names) => names.filter(matches) };
}
