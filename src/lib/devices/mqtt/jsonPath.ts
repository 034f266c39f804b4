/** The part of JSONPath (RFC 9535) that names one value: `$.a.b[0]['c d']`. No wildcards, filters or slices. */
import { DeviceUrlError } from '../driver.ts';

const STEP = /\.([^.[\]'"*\s]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]/y;

/**
 * The names and numbers of a path, for follow() of shared/pointer.ts. The `$` may be left out: `a.b` is `$.a.b`.
 * @param offset where the path stands in its URL
 * @throws DeviceUrlError
 */
export function parseJsonPath(text: string, offset: number): readonly string[] {
  const path = text.startsWith('$') ? text.slice(1) : /^[.[]/.test(text) ? text : `.${text}`;
  const tokens: string[] = [];
  STEP.lastIndex = 0;
  let end = 0;
  for (let step = STEP.exec(path); step !== null; step = STEP.exec(path)) {
    tokens.push(step[1] ?? step[2] ?? step[3] ?? step[4] ?? '');
    end = STEP.lastIndex;
  }
  if (end !== path.length || tokens.length === 0)
    throw new DeviceUrlError('path is no path to one value', offset, "write $.a.b, $.list[0] or $['a b']");
  return tokens;
}
