/** Text in pieces, such as a program's stderr, as lines of bounded length. */
const MAX_LINE = 1_000;

export class LineBreaker {
  readonly #onLine: (line: string) => void;
  #carried = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#carried + chunk.toString('utf8')).split('\n');
    this.#carried = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#tell(line);
  }

  /** What has no newline is a line, too. */
  end(): void {
    this.#tell(this.#carried);
    this.#carried = '';
  }

  #tell(line: string): void {
    const text = line.trim().slice(0, MAX_LINE);
    if (text !== '') this.#onLine(text);
  }
}
