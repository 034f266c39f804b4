/** Reads a configuration file as text, with what must be known of its rights. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { KwError } from '../errors.ts';
import { reason } from './references.ts';
import { MAX_FILE_BYTES } from './yamlFile.ts';

export interface ConfigFileText {
  readonly text: string;
  /** Of the very file that was read: it was opened before it was asked. */
  readonly stat: Stats;
}

/**
 * The text of a file without its byte order mark. Throws KwError CONFIG_UNREADABLE, and ENOENT too when it is
 * not there. `check` sees the rights before anything is read.
 */
export function readConfigFile(path: string, check: (stat: Stats) => void = () => {}): ConfigFileText {
  let handle: number | undefined;
  try {
    // Not blocking: a FIFO without a writer would hold the command for ever.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(handle);
    if (!stat.isFile()) throw new Error(stat.isDirectory() ? 'it is a folder' : 'it is not a regular file');
    check(stat);
    if (stat.size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES / 2 ** 20} MiB`);
    return { text: decode(readFileSync(handle)), stat };
  } catch (error) {
    if (error instanceof KwError) throw error;
    throw new KwError(`cannot read ${path}: ${reason(error)}`, { code: 'CONFIG_UNREADABLE', cause: error });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** UTF-8 only: a wrong byte in a name would become another name. */
function decode(bytes: Buffer): string {
  try {
    // TextDecoder takes the byte order mark away.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const before = bytes.toString('utf8').split('\uFFFD', 1)[0] ?? '';
    throw new Error(`it is not UTF-8 text, see line ${before.split('\n').length}; save it as UTF-8`);
  }
}
