/** Short lists for people, such as `kw job list`: aligned columns under a heading, no frame. */
import { printable } from '../printable.ts';

const GAP = '  ';

/** Lines without trailing blanks. Cells must be single lines; the last column is never padded. */
export function listing(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows].map((row) => row.map(printable));
  const widths = heading.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}
