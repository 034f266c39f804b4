import { describe, expect, test } from 'vitest';
import { checkPatterns, patternsOfComment, storableComment } from '../../../../src/lib/jobs/slurm/comment.ts';
import { mutated, random } from '../../../support/random.ts';

describe('what a comment asks for', () => {
  test.each([
    ['', []],
    ['monitor', ['.*']],
    ['monitor=wattmetre.*', ['wattmetre.*']],
    ['project=x monitor=a;monitor=b\tmonitor=a', ['a', 'b']],
    ['monitoring=a Monitor=b xmonitor=c', []],
    ['monitor= monitor', ['.*']],
    ['monitor=bmc_(temp|fan),x{1,2}', ['bmc_(temp|fan),x{1,2}']],
    ['a\nmonitor=b\0c', ['bc']],
  ])('%j', (comment, patterns) => {
    expect(patternsOfComment(comment)).toEqual(patterns);
  });

  test('is bounded', () => {
    const many = Array.from({ length: 100 }, (_, index) => `monitor=p${index}`).join(' ');
    expect(patternsOfComment(many)).toHaveLength(16);
    expect(patternsOfComment(`${'x'.repeat(5_000)} monitor=a`)).toEqual([]);
  });

  test('patterns that cannot be matched within bounds are refused with the reason, others stay', async () => {
    const { usable, refused } = await checkPatterns([
      'a.*',
      '(?=x)',
      '((x{50}){50}){50}',
      '(a+)+$',
      'x'.repeat(2_000),
    ]);
    expect(usable).toEqual(['a.*', '(a+)+$']);
    expect(refused.map(({ pattern }) => pattern.length)).toEqual([5, 17, 2_000]);
    for (const { message } of refused) expect(message).toMatch(/\w/);
  });
});

test('a comment is stored as far as it can be, whatever it is', () => {
  expect(storableComment('short')).toBe('short');
  expect(storableComment(`a\0b${'é'.repeat(3_000)}`)).toBe(`ab${'é'.repeat(2_047)}`);
  expect(storableComment('\ud800')).toBe('\ufffd');
  const next = random(9);
  const good = Buffer.from(`monitor=a ${'€𝄞é'.repeat(700)}`);
  for (let times = 0; times < 500; times++) {
    const text = storableComment(mutated(good, next).toString());
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
    expect(text.isWellFormed() && !text.includes('\0')).toBe(true);
  }
});
