/** The labels by which a stored row names its alias, and by which a row of an alias names its origins. */

export const ALIAS_LABEL = '_device_alias';
const ORIGINS_LABEL = '_device_orig';

/** Labels of a row of an alias, as JSON. */
export function withOrigins(labels: Readonly<Record<string, unknown>>, origins: readonly string[]): string {
  return JSON.stringify({ ...labels, [ORIGINS_LABEL]: origins });
}
