/**
 * How long users' patterns may hold a collector up: 100 hostile patterns on 10,000 names.
 *
 *   node bench/run.js pattern/match
 *
 * Configured: 10,000 metrics of 2,500 devices, which have 100 different names. Distinct: 10,000 different names, as
 * no configuration has them. First: compiled and matched; again: what a collector does at each change.
 */
import { compilePattern } from '../../src/lib/pattern.ts';

const WORDS = ['bmc', 'prom', 'network', 'wattmetre', 'node', 'temp', 'power', 'ifacein', 'bytes', 'total'];
const SHAPES: ((n: number) => string)[] = [
  (n) => `(a+)+$|${'(b|'.repeat(n % 40)}b${')*'.repeat(n % 40)}!`,
  (n) => `.*[a-m_].{${n}}[^a-z]{3}!`,
  (n) => `(.{0,${1 + (n % 5)}}){0,20}!`,
  (n) => `.*(\\pL|\\pN|_){5,${6 + n}}!`,
  (n) => `${'(.*[ab_].)'.repeat(1 + (n % 40))}!`,
  (n) => `(\\w*\\b\\w*){${1 + (n % 40)}}!`,
  (n) => `(.?){${20 + n}}!`,
  (n) => `.*a.{${n}}b.*a.{${n}}!`,
  (n) => `(?i)(.*p.*r.*o.*m.*){${1 + (n % 9)}}!`,
  (n) => `(${WORDS.map((word, index) => `.*${word}.{${(n + index) % 9}}_`).join('|')})!`,
];
const patterns = Array.from({ length: 100 }, (_, n) => SHAPES[n % SHAPES.length]?.(n) ?? '');

function names(distinct: number): string[] {
  return Array.from({ length: 10_000 }, (_, index) => {
    const n = (index * 7919) % distinct;
    return [WORDS[n % 10], WORDS[Math.floor(n / 10) % 10], n, WORDS[Math.floor(n / 100) % 10], 'x'].join('_');
  });
}

let variant = 0;
for (const [label, distinct] of [
  ['configured', 100],
  ['distinct', 10_000],
] as const) {
  // Patterns of its own for each round: nothing is remembered from the last one.
  variant++;
  const own = patterns.map((pattern) => `${pattern}|${'!'.repeat(variant)}`);
  const metrics = names(distinct);
  const startedMs = performance.now();
  for (const text of own) compilePattern(text).filter(metrics);
  const firstMs = performance.now() - startedMs;
  const againMs = performance.now();
  for (const text of own) for (const name of metrics) compilePattern(text).matches(name);
  const matchesMs = performance.now() - againMs;
  const cachedMs = performance.now();
  for (const text of own) compilePattern(text).filter(metrics);
  const exhausted = own.filter((text) => compilePattern(text).exhausted).length;
  console.log(
    `${label.padEnd(10)}  first ${firstMs.toFixed(0)} ms, again name by name ${matchesMs.toFixed(0)} ms, ` +
      `the same list again ${(performance.now() - cachedMs).toFixed(2)} ms, given up ${exhausted}`,
  );
}
