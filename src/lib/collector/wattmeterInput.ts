/** The one entry of `kw collect wattmetre`: what a metric file would say, for lines on standard input. */
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { MetricEntry } from '../config/model.ts';
import { inputDriver } from '../devices/wattmeter/driver.ts';
import { readMapping } from '../devices/wattmeter/mapping.ts';
import { stdinUrl } from '../devices/wattmeter/url.ts';
import { KwError } from '../errors.ts';
import { nameProblem } from '../limits.ts';

/** The longest that is added to the name of a wattmeter: `-port1023`. */
const SUFFIX = '-port0000';

/** @throws KwError BAD_NAME, BAD_MAPPING: at the start a mapping that cannot be read is a mistake to mend */
export async function wattmeterEntry(
  id: string,
  mapping: string | undefined,
  input: Readable,
): Promise<MetricEntry> {
  const problem = nameProblem('device', `${id}${SUFFIX}`);
  if (problem !== undefined)
    throw new KwError(problem, { code: 'BAD_NAME', exit: 2, hint: 'give a name with --id' });
  const file = mapping === undefined ? undefined : resolve(mapping);
  if (file !== undefined) {
    try {
      await readMapping(file);
    } catch (error) {
      throw new KwError((error as Error).message, {
        code: 'BAD_MAPPING',
        hint: 'its lines have the form "node-1: [wattmetre1-port3, wattmetre2-port3]"',
      });
    }
  }
  return {
    name: 'wattmetre_power_watt',
    deviceId: id,
    url: stdinUrl(file),
    driver: inputDriver(input),
    updateEveryMs: 1_000,
    optionalUpdateEveryMs: 20,
    scaleFactor: undefined,
    labels: {},
    optional: false,
    unit: 'W',
    description: 'power at a port of a wattmeter',
    timeoutMs: undefined,
    place: { file: 'standard input', line: 1, column: 1 },
  };
}
