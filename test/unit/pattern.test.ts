import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KwError } from '../../src/lib/errors.ts';
import { compilePattern } from '../../src/lib/pattern.ts';
import { prefixPattern } from '../../src/lib/prefixPattern.ts';

function refusal(text: string): KwError {
  try {
    compilePattern(text);
  } catch (error) {
    if (error instanceof KwError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe('a pattern of metric names', () => {
  it.each([
    ['bmc', 'bmc_node_power_watt', true],
    ['power', 'bmc_node_power_watt', false],
    ['wattmetre.*', 'wattmetre_power_watt', true],
    ['.*', 'anything', true],
    ['.*power', 'bmc_node_power_watt', true],
    ['bmc_temp_(cpu|ambient)_celsius', 'bmc_temp_cpu_celsius', true],
    ['bmc_temp_(cpu|ambient)_celsius', 'bmc_temp_dimm_celsius', false],
    ['bmc_temp$', 'bmc_temp', true],
    ['bmc_temp$', 'bmc_temp_cpu', false],
    ['^bmc', 'bmc_temp', true],
    ['^bmc', 'a_bmc_temp', false],
    ['a|b', 'b1', true],
    ['a|b', 'xb', false],
    ['(?i)BMC', 'bmc_temp', true],
    ['prom_\\w+_total$', 'prom_cpu_total', true],
    ['température', 'température_celsius', true],
    ['a.b', 'a\nb', false],
    ['a[.]b', 'a.b', true],
  ])('%j on %j: %j, anchored at the start only', (text, name, expected) => {
    expect(compilePattern(text).matches(name)).toBe(expected);
    expect(compilePattern(text).matches(name), 'the remembered answer').toBe(expected);
  });

  it('filters names, in their order', () => {
    const names = ['c_1', 'a_1', 'b_1', 'a_2'];
    expect(compilePattern('[ab]_\\d').filter(names)).toEqual(['a_1', 'b_1', 'a_2']);
    expect(compilePattern('a_').filter(names)).toEqual(['a_1', 'a_2']);
  });

  it('needs no engine for plain names, and means the same by them', () => {
    const names = ['', 'a', 'ab', 'a-b', 'a:b_c', 'b', 'a.b', 'A'];
    fc.assert(
      fc.property(
        fc.stringMatching(/^\^?[ab:_-]{0,4}(\.\*|\$)?$/),
        fc.constantFrom(...names),
        (text, name) => {
          fc.pre(text !== '');
          // The same expression, wrapped so that it is not of the simple form.
          expect(prefixPattern(text)?.matches(name)).toBe(compilePattern(`(?:${text})`).matches(name));
        },
      ),
      { seed: 1 },
    );
    expect(prefixPattern('a.b')).toBeUndefined();
    expect(prefixPattern('a+')).toBeUndefined();
    expect(prefixPattern('')).toBeUndefined();
  });

  it.each([
    ['(?=a)b', 'look-ahead and look-behind are not supported'],
    ['(?<!a)b', 'look-ahead and look-behind are not supported'],
    ['(a)\\1', 'back-references are not supported'],
    ['(?P<x>a)(?P=x)', 'back-references are not supported'],
    ['a++', 'possessive repetitions are not supported; put (...) around the inner one'],
    ['*power*', 'this is a regular expression, not a shell pattern: write .* instead of *'],
    ['watt\\Z', 'write \\z or $ for the end of the name'],
    ['((a{1000}){1000})', 'repetitions may come to 1000 at most, nested ones multiplied'],
    ['(.{1,25}){1,25}', 'use smaller repetition counts, or several shorter patterns'],
    ['\\pL{600}', 'use smaller repetition counts, or several shorter patterns'],
    ['a{,3}', 'write {0,3}'],
    ['', 'write .* for every optional metric'],
    [`${'a'.repeat(1024)}.`, 'use several shorter patterns'],
    ['é'.repeat(513), 'use several shorter patterns'],
  ])('refuses %.30j and says what to do', (text, hint) => {
    expect(refusal(text)).toMatchObject({ code: 'BAD_PATTERN', hint });
  });

  it('refuses text that the database cannot keep, and never shows all of a long one', () => {
    expect(refusal('a\0b').message).toBe('the pattern contains a NUL character');
    expect(refusal('a\ud800').message).toBe('the pattern is not valid Unicode');
    expect(refusal(`(${'x'.repeat(900)}`).message.length).toBeLessThan(300);
    expect(refusal('('.repeat(1_000_000)).message).toBe(
      'the pattern has 1000000 bytes, and at most 1024 are allowed',
    );
  });

  it('answers any text with a pattern or BAD_PATTERN', () => {
    const pieces = fc.constantFrom(...'()[]{}|*+?.^$\\,-ab1\n"\'é😀', '(?', '{1000}', '{2,}', '\\p', '[[:');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.string(), (parts, name) => {
        const text = parts.join('');
        try {
          expect(compilePattern(text).matches(name)).toBeTypeOf('boolean');
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_PATTERN' });
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  it('gives up a pattern that costs too much, and no other', () => {
    let seed = 7;
    const letter = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return 'abp_'[(seed % 977) & 3] ?? 'a';
    };
    const adversarial = Array.from({ length: 5_000 }, () => Array.from({ length: 255 }, letter).join(''));
    const costly = compilePattern('.*[ap].{100}[^p]{40}(.*b.{30}[ap]){3}!');
    const startedMs = performance.now();
    expect(costly.filter(adversarial)).toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(costly.exhausted).toBe(true);
    expect(compilePattern('.*_watt').exhausted).toBe(false);
  });
});
