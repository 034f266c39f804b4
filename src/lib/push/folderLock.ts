/**
 * A folder that one process has for itself until it ends, however that ends.
 *
 * The lock is a Unix socket on which the process listens. It is bound under a name of its own, and taken by a hard link
 * named `lock`, which the file system makes for one process only. One that nobody answers on was left behind by a
 * process that was killed: it is moved out of the way, asked once more there (somebody may have taken the lock in
 * between, and then it is put back), and removed.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { link, rename, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { codeOf } from '../errors.ts';
import { folderSocket } from '../folderSocket.ts';

const ASK_TIMEOUT_MS = 1_000;
const ATTEMPTS = 3;

export interface FolderLock {
  release(): Promise<void>;
}

/** Undefined while another process has it. Throws what the file system says. */
export async function lockFolder(folder: string): Promise<FolderLock | undefined> {
  const lock = join(folder, 'lock');
  const own = `lock.${randomUUID()}`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid}\n`);
  });
  server.unref();
  await listen(server, folderSocket(folder, own));
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        await link(join(folder, own), lock);
        await removeOthers(folder, own);
        return {
          release: () =>
            unlink(lock)
              .catch(() => undefined)
              .then(close),
        };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      if (!(await removeDead(folder))) break;
    }
  } catch (error) {
    await close();
    // Somebody else tidied up while he took the lock.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  await close();
  return undefined;
}

/** Takes the lock of a dead process away. @returns false when a living one has it */
async function removeDead(folder: string): Promise<boolean> {
  if (await answers(folderSocket(folder, 'lock'))) return false;
  const aside = `lock.${randomUUID()}`;
  try {
    await rename(join(folder, 'lock'), join(folder, aside));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
  const isAlive = await answers(folderSocket(folder, aside));
  if (isAlive) await link(join(folder, aside), join(folder, 'lock')).catch(() => undefined);
  await unlink(join(folder, aside)).catch(() => undefined);
  return !isAlive;
}

/** What killed processes left behind. */
async function removeOthers(folder: string, own: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    if (name.startsWith('lock.') && name !== own) await unlink(join(folder, name)).catch(() => undefined);
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

/** Whether a process listens there. One that says nothing for a second is stopped, and holds it all the same. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(ASK_TIMEOUT_MS, () => done(true));
    socket.on('connect', () => done(true));
    socket.on('error', () => done(false));
  });
}
