/**
 * The way to a value in a JSON document, as Kwollect and MQTT users write it: `PowerControl[0].PowerConsumedWatts`,
 * `$.a['b c']`. The part of JSONPath (RFC 9535) that leads to one value: no wildcards, filters or slices. Negative numbers count from the end of an array. A leading `$` may stand or not.
 */
import { DeviceUrlError } from '../driver.ts';

const HINT = "write names and numbers, such as PowerControl[0].PowerConsumedWatts, $.list[-1] or ['a.b']";
/** One step: a name, `[number]`, or `['name']`; all but the first name have a dot before them. */
const STEP = /(\.?)([^.[\]'"*?()$\s][^.[\]'"*?()]*)|\[(-?\d{1,9})\]|\[(?:'([^']+)'|"([^"]+)")\]/y;

/**
 * The steps as tokens for pointer.ts' `follow`; none for the document itself.
 * @param offset of the text in the URL
 * @throws DeviceUrlError for everything that could lead to several values
 */
export function parseJsonPath(text: string, offset: number): readonly string[] {
  const tokens: string[] = [];
  let at = text.startsWith('$') ? 1 : 0;
  while (at < text.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(text);
    const dotIsMissing = match?.[2] !== undefined && match[1] === '' && at > 0;
    if (match === null || dotIsMissing)
      throw new DeviceUrlError('this is no path to one value of a JSON document', offset + at, HINT);
    const [step, , name, number, single, double] = match;
    tokens.push((name ?? number ?? single ?? double) as string);
    at += step.length;
  }
  return tokens;
}
