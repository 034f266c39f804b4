/** JSON pointers (RFC 6901) in the fragment of a URL: `PowerControl/0/PowerConsumedWatts`, with or without the leading `/`. */

/** What a pointer led to: the value, and the object or array that holds it. */
export interface Pointed {
  readonly value: unknown;
  readonly holder: unknown;
}

/** The tokens of a pointer, already percent-decoded (RFC 6901 section 6): `~1` is a slash, `~0` a tilde. */
export function parsePointer(text: string): readonly string[] {
  if (text === '') return [];
  const tokens = text.startsWith('/') ? text.slice(1) : text;
  return tokens.split('/').map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer as it stands in a URL: percent-encoded, without the leading `/`. */
export function formatPointer(tokens: readonly string[]): string {
  return tokens
    .map((token) =>
      encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1')).replaceAll('%40', '@'),
    )
    .join('/');
}

/**
 * Follows a pointer (RFC 6901 section 4): own members of objects by their name, elements of arrays by their number
 * without leading zeros; beyond the RFC, `-1` is the last element. Undefined when there is nothing.
 */
export function follow(document: unknown, tokens: readonly string[]): Pointed | undefined {
  let value: unknown = document;
  let holder: unknown;
  for (const token of tokens) {
    holder = value;
    if (Array.isArray(value)) {
      const index = /^(?:0|-?[1-9]\d{0,8})$/.test(token) ? Number(token) : value.length;
      if (index >= value.length || index < -value.length) return undefined;
      value = value.at(index);
    } else if (typeof value === 'object' && value !== null && Object.hasOwn(value, token)) {
      value = (value as Record<string, unknown>)[token];
    } else {
      return undefined;
    }
  }
  return { value, holder };
}
