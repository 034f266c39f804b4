/** What `kw push` tells on stderr: refused lines as they come, a count on a terminal, one line at the end. */
import { join } from 'node:path';
import type { KwError } from '../errors.ts';
import { printable } from '../printable.ts';
import { REFUSED_FILE } from '../spool/refusedFile.ts';
import type { PushReport } from './push.ts';
import type { Refusal } from './pushRow.ts';
import type { SpoolOutcome } from './spooledPush.ts';

/** Refused lines told one by one; a file in a wrong format has as many as it has lines. */
const MAX_TOLD = 20;
const REDRAW_MS = 200;

export class PushProgress {
  readonly #stream: NodeJS.WriteStream;
  /** What is done with values as they come. */
  readonly #verb: 'stored' | 'kept';
  #told = 0;
  #drawnAt = 0;
  #drawn = false;

  constructor(stream: NodeJS.WriteStream, verb: 'stored' | 'kept' = 'stored') {
    this.#stream = stream;
    this.#verb = verb;
  }

  readonly listeners = {
    onRefusal: (refusal: Refusal) => this.#refusal(refusal),
    onProgress: (lines: number, stored: number) => this.#progress(lines, stored),
  };

  /** The summary. */
  end(report: PushReport, { allOrNothing }: { allOrNothing: boolean }): void {
    const { stored, refused, removedLabels, spooled = 0 } = report;
    this.stop();
    if (refused > MAX_TOLD) this.#write(`... and ${count(refused - MAX_TOLD, 'more', 'more')}\n`);
    const parts = stored > 0 || spooled === 0 ? [`stored ${count(stored, 'value', 'values')}`] : [];
    if (stored + refused + spooled === 0) parts[0] += `: ${this.#nothing()}`;
    if (refused > 0) parts.push(`refused ${count(refused, 'line', 'lines')}`);
    if (removedLabels > 0)
      parts.push(`removed ${count(removedLabels, 'label that begins', 'labels that begin')} with _`);
    if (refused > 0 && allOrNothing) parts.push('all or nothing was asked for');
    if (parts.length > 0) this.#write(`${parts.join(', ')}\n`);
    if (spooled > 0) {
      this.#write(
        `${count(spooled, 'value waits', 'values wait')} in the spool; kw push --spool or kw spool drain sends ${spooled === 1 ? 'it' : 'them'}\n`,
      );
    }
  }

  /** What became of a spool, where that is all there is to tell. */
  outcome({ stored, waiting, refused, setAsideIn }: SpoolOutcome): void {
    this.setAside(setAsideIn);
    this.end({ stored, refused, refusals: [], removedLabels: 0, spooled: waiting }, { allOrNothing: false });
  }

  /** Folders of spools in which there is what the database refused. */
  setAside(folders: readonly string[]): void {
    for (const folder of folders) this.note(`what was refused stands in ${join(folder, REFUSED_FILE)}`);
  }

  /** Why values wait in the spool; undefined: all are stored now. */
  away(error: KwError | undefined): void {
    this.note(error === undefined ? 'what waited in the spool is stored' : error.message);
    if (error?.hint !== undefined) this.#write(`    ${printable(error.hint)}\n`);
  }

  stored(values: number): void {
    this.#draw(`${count(values, 'value', 'values')} stored`);
  }

  /** A sentence of its own line. */
  note(text: string): void {
    this.#write(`kw: ${printable(text)}\n`);
  }

  /** Takes the count off the terminal. */
  stop(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }

  #nothing(): string {
    return this.#verb === 'kept'
      ? 'the input had none, and none waited to be sent there'
      : 'the input had none';
  }

  #refusal({ line, reason }: Refusal): void {
    if (++this.#told > MAX_TOLD) return;
    this.#write(`${line === 0 ? 'kw' : `line ${line}`}: ${printable(reason)}\n`);
  }

  #progress(lines: number, stored: number): void {
    this.#draw(`${count(lines, 'line', 'lines')}, ${count(stored, 'value', 'values')} ${this.#verb}`);
  }

  #draw(text: string): void {
    if (!this.#stream.isTTY || performance.now() - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = performance.now();
    this.#drawn = true;
    this.#stream.write(`\r\x1b[K${text}`);
  }

  #write(text: string): void {
    this.stop();
    this.#stream.write(text);
  }
}

function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}
