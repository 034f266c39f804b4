/**
 * Random and mutated files into the reader of metric files: whatever stands in them, it ends soon and throws
 * nothing. Seeded: the number in a failure's message gives the same file again. No server is needed; this is
 * here because of its length.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { urlContext } from '../../../src/lib/config/credentials.ts';
import { refuseDuplicates } from '../../../src/lib/config/duplicates.ts';
import { readEntry } from '../../../src/lib/config/entry.ts';
import { metricMaps } from '../../../src/lib/config/metricFile.ts';
import { formatProblem, ProblemList } from '../../../src/lib/config/place.ts';
import { readSettings } from '../../../src/lib/config/settings.ts';
import { readSettingsFile } from '../../../src/lib/config/settingsFile.ts';
import { YamlFile } from '../../../src/lib/config/yamlFile.ts';
import { driverFor, knownSchemes } from '../../../src/lib/devices/registry.ts';

const FILES = 100_000;
/** A file of a few hundred bytes takes well under a millisecond; this allows for a busy machine. */
const MAX_MS = 2000;

/** mulberry32: 32 bits of state, good enough to choose bytes. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Pieces of real entries, so that mutations meet every key, protocol and kind of YAML. */
const examples = join(import.meta.dirname, '../../../examples/metrics.d');
const SEEDS = readdirSync(examples)
  .map((name) => readFileSync(join(examples, name), 'utf8'))
  .flatMap((text) => text.split(/^(?=- )/m))
  .filter((piece) => piece.startsWith('- ') && !piece.startsWith('- <<'));

const TOKENS = [
  '- ',
  ': ',
  '\n',
  '\n  ',
  '\n- ',
  '\t',
  '&a ',
  '*a',
  '<<: *a\n  ',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '|\n ',
  '>\n ',
  '!t ',
  '# ',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '? ',
  '~',
  'null',
  '0x1f',
  '1e999',
  '-0',
  '.nan',
  '{{ 1.3 == a }}',
  '${env:HOME}',
  '${file:/dev/zero}',
  '${',
  '%zz',
  '\0',
  '\uFEFF',
  '\uD800',
  '\u2028',
  '\\u0000',
  '://',
  '@',
  '[::1]',
  'name: ',
  'url: snmp://',
  'url: prometheus://h/',
  'labels: ',
  'update_every: ',
  'credential: ',
  '__proto__: ',
];

function makeFile(random: (below: number) => number, seeds: readonly string[]): string {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  let text = random(8) === 0 ? '' : pick(seeds) + (random(4) === 0 ? pick(seeds) : '');
  for (let edits = random(6) + (text === '' ? 20 : 0); edits >= 0; edits--) {
    const at = random(text.length + 1);
    const end = Math.min(text.length, at + random(12));
    const kind = random(5);
    if (kind === 0) text = text.slice(0, at) + text.slice(end);
    else if (kind === 1)
      text = text.slice(0, at) + String.fromCharCode(random(random(4) === 0 ? 65_536 : 128)) + text.slice(at);
    else if (kind === 2)
      text = text.slice(0, at) + text.slice(at, end).repeat(1 + random(4)) + text.slice(end);
    else text = text.slice(0, at) + pick(TOKENS) + text.slice(at);
  }
  return text;
}

it(`bears ${FILES} random files`, () => {
  const { settings } = readSettings({}, { env: {}, cwd: '/', systemFolder: '/nowhere', uid: undefined });
  const context = {
    driverFor,
    knownSchemes,
    urlContext: (credential: string | undefined) => urlContext(settings, dirname(examples), credential),
  };
  let loaded = 0;
  let slowestMs = 0;
  for (let seed = 0; seed < FILES; seed++) {
    const text = makeFile(randomNumbers(seed), SEEDS);
    const started = performance.now();
    const problems = new ProblemList();
    try {
      const file = new YamlFile('fuzz.yaml', text, problems);
      const entries = metricMaps(file).flatMap((map) => readEntry(file, map, context) ?? []);
      loaded += refuseDuplicates(entries, problems).length;
      for (const problem of problems.sorted()) {
        const line = formatProblem(problem);
        if (line.length > 1500 || /[\0\n]/.test(line))
          throw new Error(`a message for nobody: ${line.slice(0, 300)}`);
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  expect(slowestMs).toBeLessThan(MAX_MS);
  // Some mutations leave an entry whole, or else nothing but the parser was tried.
  expect(loaded).toBeGreaterThan(FILES / 10);
}, 300_000);

it('bears 20000 random kw.yaml', { timeout: 120_000 }, () => {
  const example = readFileSync(join(examples, '../kw.yaml'), 'utf8').replaceAll(/^#(?=[a-z]| {2})/gm, '');
  const seeds = [example, ...example.split('\n\n')];
  const stat = statSync(examples);
  for (let seed = 0; seed < 20_000; seed++) {
    const text = makeFile(randomNumbers(seed), seeds);
    try {
      readSettingsFile('fuzz.yaml', { text, stat }, new ProblemList());
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
});
