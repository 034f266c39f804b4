/** What of a table may be cut, and how far. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayWidth, fitColumns, terminalWidth } from '../../../src/lib/output/fit.ts';
import { listing } from '../../../src/lib/output/listing.ts';

const widthOf = (columns: readonly { head: string; cells: readonly string[] }[]) =>
  columns.reduce((sum, { head, cells }) => sum + Math.max(...[head, ...cells].map(displayWidth)), 0) +
  2 * (columns.length - 1);

describe('fitColumns', () => {
  it('cuts the longest first, to the same width, and leaves short ones', () => {
    const columns = [
      { head: 'a', cells: ['short'] },
      { head: 'b', cells: ['b'.repeat(40)] },
      { head: 'c', cells: ['c'.repeat(60)] },
    ];
    expect(fitColumns(columns, 5 + 2 + 20 + 2 + 20).map(({ cells }) => cells[0])).toEqual([
      'short',
      `${'b'.repeat(19)}…`,
      `${'c'.repeat(19)}…`,
    ]);
  });

  it('never cuts numbers, times and columns to the right, nor anything without a width', () => {
    const columns = [
      { head: 'TIME', cells: ['2026-11-22 10:00:00.000000'] },
      { head: 'COUNT', cells: ['123456789012345678'] },
      { head: 'value', cells: ['a text of a device, shown as its value'], right: true },
      { head: 'name', cells: ['a-very-long-name-indeed'] },
    ];
    expect(fitColumns(columns, 40)).toEqual([
      ...columns.slice(0, 3),
      { head: 'name', cells: ['a-very-long…'] },
    ]);
    expect(fitColumns(columns, undefined)).toEqual(columns);
  });

  it('fits whatever can be fitted, and cuts nothing that fits', () => {
    const column = fc.record({
      head: fc.string({ maxLength: 10 }),
      cells: fc.array(fc.string({ unit: 'grapheme', maxLength: 60 })),
    });
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 100, max: 300 }),
        (columns, width) => {
          const texts = columns.map(({ head, cells }) => ({ head, cells: [...cells, 'text'] }));
          const fitted = fitColumns(texts, width);
          expect(widthOf(fitted)).toBeLessThanOrEqual(Math.max(width, 0));
          if (widthOf(texts) <= width) expect(fitted).toEqual(texts);
        },
      ),
    );
  });

  it('counts the cells of wide characters and of marks', () => {
    expect(['é', 'e\u0301', '電力', '😀', 'abc'].map(displayWidth)).toEqual([1, 1, 4, 2, 3]);
    expect(fitColumns([{ head: 'x', cells: ['電力電力電力電力電力'] }], 13)[0]?.cells).toEqual([
      '電力電力電力…',
    ]);
  });
});

it('the width is that of a terminal only', () => {
  expect(terminalWidth({ isTTY: true, columns: 80 })).toBe(80);
  expect(terminalWidth({ columns: 80 })).toBeUndefined();
  expect(terminalWidth({ isTTY: true, columns: 0 })).toBeUndefined();
});

it('listings are cut too', () => {
  expect(listing(['JOB', 'NODES'], [['1', 'node-[1-20],gpu-[1-7],other-1']], 25)).toBe(
    ['JOB  NODES', '1    node-[1-20],gpu-[1-…'].join('\n'),
  );
});
