/** Short lists for people, such as `kw job list`: aligned columns under a heading, no frame. */
import { printable } from '../printable.ts';
import { displayWidth, fitColumns } from './fit.ts';

const GAP = '  ';

/**
 * Lines without trailing blanks. Cells must be single lines; the last column is never padded.
 * @param width of the terminal; undefined cuts nothing
 */
export function listing(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  width?: number | undefined,
): string {
  const whole = heading.map((head, column) => ({
    head: printable(head),
    cells: rows.map((row) => printable(row[column] ?? '')),
  }));
  const columns = fitColumns(whole, width).map(({ head, cells }) => [head, ...cells]);
  const widths = columns.map((cells) => Math.max(...cells.map(displayWidth)));
  return [heading, ...rows]
    .map((_, line) =>
      columns
        .map((cells, column) => {
          const cell = cells[line] ?? '';
          return cell + ' '.repeat((widths[column] ?? 0) - displayWidth(cell));
        })
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}
