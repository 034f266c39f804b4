/** Where the bytes go: the standard output or a file. */
import { KwError } from '../errors.ts';

export interface Destination {
  /** Resolves when more may be written: a slow reader holds the rows back. */
  write(bytes: Buffer): Promise<void> | undefined;
  /** After the last byte; resolves when everything is where it belongs. */
  close(): Promise<void>;
  /** Throws away what is unfinished. Safe at any time, also in a signal handler. */
  abort(): void;
}

/** Nobody reads the standard output any more, as after `| head`. No failure: the reader has what it wanted. */
export class OutputClosed extends Error {
  constructor() {
    super('the reader of the output has gone');
    this.name = 'OutputClosed';
  }
}

/** @throws OutputClosed from write() and close() once the reader has gone */
export function standardOutput(stream: NodeJS.WriteStream = process.stdout): Destination {
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    failure =
      error.code === 'EPIPE'
        ? new OutputClosed()
        : new KwError(`cannot write to the standard output: ${error.message}`, { code: 'OUTPUT_FAILED' });
    wake?.();
  });
  const drained = async (event: (done: () => void) => void) => {
    await new Promise<void>((resolve) => {
      wake = resolve;
      event(resolve);
    });
    if (failure) throw failure;
  };
  return {
    write(bytes) {
      if (failure) throw failure;
      if (stream.write(bytes)) return undefined;
      return drained((done) => stream.once('drain', done));
    },
    close: () => drained((done) => stream.write('', () => done())),
    abort() {},
  };
}
