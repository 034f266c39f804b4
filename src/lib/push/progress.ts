/** What `kw push` tells on stderr: refused lines as they come, a count on a terminal, one line at the end. */
import { printable } from '../printable.ts';
import type { PushReport } from './push.ts';
import type { Refusal } from './pushRow.ts';

/** Refused lines told one by one; a file in a wrong format has as many as it has lines. */
const MAX_TOLD = 20;
const REDRAW_MS = 200;

export class PushProgress {
  readonly #stream: NodeJS.WriteStream;
  #told = 0;
  #drawnAt = 0;
  #drawn = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  readonly listeners = {
    onRefusal: (refusal: Refusal) => this.#refusal(refusal),
    onProgress: (lines: number, stored: number) => this.#progress(lines, stored),
  };

  /** The summary. */
  end(report: PushReport, { allOrNothing }: { allOrNothing: boolean }): void {
    const { stored, refused, removedLabels } = report;
    this.stop();
    if (refused > MAX_TOLD) this.#write(`... and ${count(refused - MAX_TOLD, 'more', 'more')}\n`);
    const parts = [`stored ${count(stored, 'value', 'values')}`];
    if (refused > 0) parts.push(`refused ${count(refused, 'line', 'lines')}`);
    if (removedLabels > 0)
      parts.push(`removed ${count(removedLabels, 'label that begins', 'labels that begin')} with _`);
    if (refused > 0 && allOrNothing) parts.push('all or nothing was asked for');
    this.#write(`${parts.join(', ')}\n`);
  }

  /** Takes the count off the terminal. */
  stop(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }

  #refusal({ line, reason }: Refusal): void {
    if (++this.#told > MAX_TOLD) return;
    this.#write(`${line === 0 ? 'kw' : `line ${line}`}: ${printable(reason)}\n`);
  }

  #progress(lines: number, stored: number): void {
    if (!this.#stream.isTTY || performance.now() - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = performance.now();
    this.#drawn = true;
    this.#stream.write(
      `\r\x1b[K${count(lines, 'line', 'lines')}, ${count(stored, 'value', 'values')} stored`,
    );
  }

  #write(text: string): void {
    this.stop();
    this.#stream.write(text);
  }
}

function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}
