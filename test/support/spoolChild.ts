/**
 * Runs the script of spoolScript.ts on the real disk, telling what happens on stdout, and kills itself right after the
 * n-th operation that changes the disk: `node spoolChild.mjs FOLDER N`. Without N it runs to the end and tells how many
 * operations that takes.
 */
import { writeSync } from 'node:fs';
import { realFiles, type SpoolFile, type SpoolFiles } from '../../src/lib/spool/files.ts';
import { Spool } from '../../src/lib/spool/spool.ts';
import { type Note, runScript, scriptOptions } from './spoolScript.ts';

const [, , folder = '', last = 'Infinity'] = process.argv;
let operations = 0;
let failNext: 'write' | 'sync' | undefined;

/** The work, and the end of this process if it was the last that it may do. */
async function counted<T>(work: () => Promise<T>): Promise<T> {
  const result = await work();
  if (++operations >= Number(last)) process.kill(process.pid, 'SIGKILL');
  return result;
}

function isToFail(operation: 'write' | 'sync', path: string): boolean {
  if (operation !== failNext || !path.endsWith('.seg')) return false;
  failNext = undefined;
  return true;
}

function countedFile(file: SpoolFile, path: string): SpoolFile {
  return {
    read: (buffer, position) => file.read(buffer, position),
    size: () => file.size(),
    changedAtMs: () => file.changedAtMs(),
    close: () => file.close(),
    truncate: (bytes) => counted(() => file.truncate(bytes)),
    write: async (parts, position) => {
      if (!isToFail('write', path)) return counted(() => file.write(parts, position));
      await counted(() => file.write([Buffer.concat(parts).subarray(0, 100)], position));
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    },
    sync: async () => {
      if (isToFail('sync', path)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      await counted(() => file.sync());
    },
  };
}

const files: SpoolFiles = {
  ...realFiles,
  makeFolder: (path) => counted(() => realFiles.makeFolder(path)),
  open: async (path, purpose) =>
    countedFile(
      purpose === 'create' || purpose === 'change'
        ? await counted(() => realFiles.open(path, purpose))
        : await realFiles.open(path, purpose),
      path,
    ),
  rename: (from, to) => counted(() => realFiles.rename(from, to)),
  remove: (path) => counted(() => realFiles.remove(path)),
  syncFolder: (path) => counted(() => realFiles.syncFolder(path)),
};

const note = (what: Note) => void writeSync(1, `${JSON.stringify(what)}\n`);
const spool = await Spool.open(folder, scriptOptions(note), files);
await runScript(spool, note, (what) => {
  failNext = what;
});
writeSync(2, `${operations}\n`);
