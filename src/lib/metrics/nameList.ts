/** Names in a sentence. */

const MAX_NAMES = 8;

/** `a, b, c`; of many the first ones and how many more. */
export function nameList(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).join(', ');
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}
