/** Pages that nobody wrote: random bytes, good pages with damage, and generated ones with known contents. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumberScanner, parseSecondsUs, parseValue } from '../../../../src/lib/devices/prometheus/numbers.ts';
import type { PageReader } from '../../../../src/lib/devices/prometheus/page.ts';
import type { ExpositionFormat } from '../../../../src/lib/devices/prometheus/valueText.ts';
import { labelsProblem, nameProblem, timestampProblem } from '../../../../src/lib/limits.ts';
import type { Sample } from '../../../../src/lib/sample.ts';
import { random } from '../../../support/random.ts';
import { NOW_US, read, reader, show } from './pages.ts';

const RUNS = 100_000;
const TIMEOUT_MS = 120_000;

const GOOD = Buffer.from(`# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 361175.42
node_cpu_seconds_total{cpu="0",mode="user"} 1.361e+07 1795341500000
node_filesystem_free_bytes{device="/dev/vda1",mountpoint="/\\"odd\\\\\\n}"} NaN
{"quoted.name",l="é電"} -Inf
kwollect_custom{_metric_id="mine",_timestamp="1795341500.5",run="3"} 42
foo_bucket{le="+Inf"} 17 1795341500.123 # {trace_id="a"} 9.8 1795341500
foo_created 5
node_load1 0.21
`);

/** Bytes that pages are made of, and some that they never have. */
const ALPHABET = Buffer.from('{}{}""""==,,\\\\ \t\n\n\n\r##ab_:01.9e+-NaNInf\u00e9\0');

/** What must hold whatever the page was. */
function checkSamples(samples: readonly Sample[], page: Buffer): void {
  // A sample has a line of its own.
  let lines = 1;
  for (const byte of page) if (byte === 0x0a) lines++;
  if (samples.length > lines) expect(samples.length).toBeLessThanOrEqual(lines);
  for (const { series, timestampUs, value } of samples) {
    const problem =
      nameProblem('metric', series.metricId) ??
      labelsProblem(series.labels) ??
      timestampProblem(timestampUs, NOW_US) ??
      (typeof value === 'number' && Number.isInteger(timestampUs) && series.deviceId === 'node-1'
        ? Object.keys(series.labels).find((name) => name.startsWith('_') && name !== '_metric_origin')
        : 'not a sample');
    if (problem !== undefined) expect(problem).toBeUndefined();
  }
}

/** Reads a page; at each `compareEvery`th run also with a new reader, which must say the same as a used one. */
function check(
  used: PageReader,
  page: Buffer,
  format: ExpositionFormat,
  run: number,
  compareEvery: number,
): void {
  const { samples } = read(used, page, format);
  checkSamples(samples, page);
  if (run % compareEvery !== 0) return;
  // A value with a time of its own is given once only, and so not again by the used reader.
  const withoutOwnTime = (all: readonly Sample[]) =>
    show(all.filter(({ timestampUs }) => timestampUs === NOW_US));
  expect(withoutOwnTime(samples)).toEqual(withoutOwnTime(read(reader(), page, format).samples));
}

function mutate(good: Buffer, next: () => number): Buffer {
  let bad = Buffer.from(good);
  for (let times = 1 + (next() % 4); times > 0; times--) {
    const at = next() % Math.max(bad.length, 1);
    const kind = next() % 6;
    if (kind === 0) bad[at] = next();
    else if (kind === 1) bad[at] = ALPHABET[next() % ALPHABET.length] ?? 0;
    else if (kind === 2) bad = bad.subarray(0, at);
    else if (kind === 3) bad = Buffer.concat([bad.subarray(0, at), bad.subarray(at + (next() % 8))]);
    else if (kind === 4)
      bad = Buffer.concat([bad.subarray(0, at), bad.subarray(Math.max(0, at - (next() % 80)))]);
    else bad = Buffer.concat([bad.subarray(at), bad.subarray(0, at)]);
  }
  return bad;
}

describe('any bytes', () => {
  it(`are read without harm: ${RUNS} random pages`, { timeout: TIMEOUT_MS }, () => {
    const next = random(1);
    const used = reader();
    for (let run = 0; run < RUNS; run++) {
      const page = Buffer.alloc(next() % 120);
      const plain = next() % 4 === 0;
      for (let index = 0; index < page.length; index++)
        page[index] = plain ? next() : (ALPHABET[next() % ALPHABET.length] ?? 0);
      check(used, page, run % 7 === 0 ? 'openmetrics' : 'text', run, 2);
    }
  });

  it(`are read without harm: ${RUNS} damaged pages`, { timeout: TIMEOUT_MS }, () => {
    const next = random(2);
    const used = reader();
    for (let run = 0; run < RUNS; run++) check(used, mutate(GOOD, next), 'text', run, 10);
  });

  it('cost time in proportion to their number: long lines, quotes, backslashes, braces, blanks', {
    timeout: TIMEOUT_MS,
  }, () => {
    const pieces = [
      '"',
      '\\',
      '{',
      '}',
      ' ',
      'a{',
      'a{b="',
      'a{b="\\',
      'a{b="c",',
      '# ',
      '\n',
      'a 1 ',
      'a{a="",',
    ];
    for (const piece of pieces) {
      for (const start of ['', 'a{b="', 'a ', 'a{']) {
        const page = Buffer.concat([Buffer.from(start), Buffer.alloc(1_000_000, piece)]);
        for (const newlineEvery of [0, 60_000, 500]) {
          const cut = Buffer.from(page);
          if (newlineEvery > 0)
            for (let at = newlineEvery; at < cut.length; at += newlineEvery) cut[at] = 0x0a;
          const begin = performance.now();
          read(reader(), cut);
          expect(performance.now() - begin).toBeLessThan(2_000);
        }
      }
    }
  });
});

describe('a page that was written', () => {
  const labelName = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_]{0,8}$/);
  const labelValue = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => !text.includes('\0'));
  const series = fc.record({
    name: fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,12}$/).filter((name) => name !== 'kwollect_custom'),
    labels: fc.dictionary(labelName, labelValue, { maxKeys: 4 }),
    value: fc.double(),
  });
  const escaped = (text: string) =>
    text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  const valueText = (value: number) =>
    value === Infinity ? '+Inf' : Object.is(value, -0) ? '-0' : String(value);

  it('is read as it was written, on every page of a series of pages', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(series, {
          maxLength: 20,
          selector: ({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()]),
        }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
        (all, seeds) => {
          const used = reader();
          for (const seed of seeds) {
            const next = random(seed);
            const lines = all.filter(() => next() % 5 > 0).sort(() => (next() % 9 === 0 ? 1 : 0));
            const page = lines.map(({ name, labels, value }) => {
              const text = Object.entries(labels).map(([label, content]) => `${label}="${escaped(content)}"`);
              return `${name}{${text.join(',')}} ${valueText(value)}\n`;
            });
            const { samples, problems } = read(used, page.join(''));
            expect(problems).toEqual([]);
            expect(
              samples.map(({ series: { metricId, labels }, value }) => ({ metricId, labels, value })),
            ).toEqual(
              lines.map(({ name, labels, value }) => ({
                metricId: `prom_${name}`,
                labels: { ...labels },
                value,
              })),
            );
          }
        },
      ),
      { numRuns: 500, seed: 3 },
    );
  });

  it('has its numbers read to the last bit', () => {
    const scanner = new NumberScanner();
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()),
        (value) => {
          const { exact, exponential, fixed } = {
            exact: valueText(value),
            exponential: value.toExponential(),
            fixed: Math.abs(value) < 1e15 ? value.toFixed(6) : valueText(value),
          };
          for (const text of [exact, exponential, fixed]) {
            expect(parseValue(text)).toBe(Number(text));
            scanner.scan(Buffer.from(`${text}\n`), 0);
            if (scanner.end >= 0) expect([scanner.value, scanner.end]).toEqual([Number(text), text.length]);
          }
        },
      ),
      { numRuns: 20_000, seed: 4 },
    );
  });

  it('has its times read to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), fc.integer({ min: 0, max: 999_999 }), (seconds, us) => {
        expect(parseSecondsUs(`${seconds}.${String(us).padStart(6, '0')}`)).toBe(seconds * 1e6 + us);
      }),
      { numRuns: 5_000, seed: 5 },
    );
  });
});
