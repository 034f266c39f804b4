/** Cuts a stream of bytes into lines, as many at a time as came; a line without end is refused, not kept. */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without the line's end and, on the first line, without a byte order mark. Valid until the next lines are asked for. */
  readonly bytes: Buffer;
  /** Longer than the bound: `bytes` is only its beginning. */
  readonly tooLong: boolean;
}

export const MAX_LINE_BYTES = 4 * 1024 * 1024;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

export async function* readLines(
  source: AsyncIterable<Buffer>,
  maxBytes = MAX_LINE_BYTES,
): AsyncGenerator<Line[]> {
  let rest: Buffer = Buffer.alloc(0);
  let skipping = false;
  let number = 1;
  const line = (bytes: Buffer, tooLong = false): Line => {
    let text = bytes;
    if (number === 1 && text.subarray(0, 3).equals(BYTE_ORDER_MARK)) text = text.subarray(3);
    if (text[text.length - 1] === RETURN) text = text.subarray(0, -1);
    return { number, bytes: text, tooLong };
  };
  for await (const chunk of source) {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const lines: Line[] = [];
    let start = 0;
    for (;;) {
      const newline = data.indexOf(NEWLINE, start);
      if (newline < 0) break;
      if (skipping) skipping = false;
      else if (newline - start > maxBytes) lines.push(line(data.subarray(start, start + 100), true));
      else lines.push(line(data.subarray(start, newline)));
      number++;
      start = newline + 1;
    }
    rest = data.subarray(start);
    if (!skipping && rest.length > maxBytes) {
      lines.push(line(rest.subarray(0, 100), true));
      skipping = true;
    }
    if (skipping) rest = Buffer.alloc(0);
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) yield [line(rest)];
}
