import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandHostList, foldHostList, MAX_NODES } from '../../../src/lib/jobs/hostList.ts';

describe('a list of nodes', () => {
  it.each([
    ['node-1', ['node-1']],
    ['node-[1-3,7],b', ['node-1', 'node-2', 'node-3', 'node-7', 'b']],
    ['n[08-11].site.fr', ['n08.site.fr', 'n09.site.fr', 'n10.site.fr', 'n11.site.fr']],
    ['n[001-003]', ['n001', 'n002', 'n003']],
    ['r[1-2]n[1-2]', ['r1n1', 'r1n2', 'r2n1', 'r2n2']],
    ['a b\nc\r\nd\t,e,', ['a', 'b', 'c', 'd', 'e']],
    ['n[1, 3-4]', ['n1', 'n3', 'n4']],
    ['n1,n1,n[1-2]', ['n1', 'n2']],
    ['[1-2]', ['1', '2']],
    ['n0[0-1]', ['n00', 'n01']],
    ["a'b;$(x)", ["a'b;$(x)"]],
    ['2001:db8::1', ['2001:db8::1']],
  ])('%j', (text, nodes) => {
    expect(expandHostList(text)).toEqual(nodes);
  });

  it.each([
    ['', 'the list of nodes is empty'],
    [' ,\n', 'the list of nodes is empty'],
    ['a,node-[1-3', 'list of nodes, character 8 ("[1-3"): this [ is never closed'],
    ['node-1]', 'list of nodes, character 7 ("]"): this ] has no [ before it'],
    ['n[1,,3]', 'list of nodes, character 5 (",3]"): a number or a range such as 1-20 belongs here'],
    ['n[]', 'list of nodes, character 3 ("]"): a number or a range such as 1-20 belongs here'],
    ['n[1-x]', 'list of nodes, character 3 ("1-x]"): a number or a range such as 1-20 belongs here'],
    ['n[1-[2-3]]', 'list of nodes, character 3 ("1-[2-3]]"): a number or a range such as 1-20 belongs here'],
    ['n[5-3]', 'list of nodes, character 3 ("5-3]"): the range 5-3 runs backwards'],
    ['n[1-010]', 'list of nodes, character 3 ("1-010]"): 1 and 010 have different numbers of digits'],
    [
      'n[1-99999999999999999999]',
      'list of nodes, character 3 ("1-999999999999999999…"): the number is too big',
    ],
    ['a,n[1-65536]', 'list of nodes, character 3 ("n[1-65536]"): the list names more than 65536 nodes'],
    [
      'n[1-999999][1-999999]',
      'list of nodes, character 1 ("n[1-999999][1-999999…"): the list names more than 65536 nodes',
    ],
    ['a\0b', 'list of nodes, character 1 ("a\\u0000b"): the device name contains a NUL character'],
    [
      'x'.repeat(256),
      'list of nodes, character 1 ("xxxxxxxxxxxxxxxxxxxx…"): the device name has 256 bytes, and at most 255 can be stored',
    ],
  ])('%j is refused with its place', (text, message) => {
    expect(() => expandHostList(text)).toThrow(expect.objectContaining({ message, code: 'BAD_NODES' }));
  });

  it('may be as long as the bound', () => {
    expect(expandHostList(`n[1-${MAX_NODES}]`)).toHaveLength(MAX_NODES);
  });

  it('takes time in proportion to a hostile text', () => {
    const startedMs = performance.now();
    for (const text of [
      '['.repeat(1e6),
      '[1'.repeat(5e5),
      `n[${'1,'.repeat(5e5)}`,
      `n[1${' '.repeat(1e6)}x]`,
    ])
      expect(() => expandHostList(text)).toThrow();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it.each([
    [['node-1', 'node-2', 'node-3', 'node-7', 'gpu'], 'node-[1-3,7],gpu'],
    [['n098', 'n099', 'n100', 'n101'], 'n[098-101]'],
    [['n2.site1', 'n1.site1', 'n1.site2'], 'n[1-2].site1,n1.site2'],
    [['10.0.0.1', '10.0.0.2'], '10.0.0.1,10.0.0.2'],
    [['a'], 'a'],
    [[], ''],
    [['n1', 'n01'], 'n1,n01'],
  ])('%j folds to %j', (nodes, text) => {
    expect(foldHostList(nodes)).toBe(text);
  });

  it('comes back from its folded form', () => {
    const name = fc
      .tuple(
        fc.constantFrom('n', 'node-', 'r1n', '', 'é'),
        fc.stringMatching(/^\d{1,4}$/),
        fc.constantFrom('', '.site', '-ib', '.s3.fr'),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), (names) => {
        expect(new Set(expandHostList(foldHostList(names)))).toEqual(new Set(names));
      }),
      { seed: 1 },
    );
  });
});
