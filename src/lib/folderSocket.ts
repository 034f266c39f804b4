/** Where a Unix socket in a folder is, by a path that is short enough for the system. */
import { openSync } from 'node:fs';
import { join } from 'node:path';

/** Unix sockets have paths of at most 107 bytes. */
const MAX_SOCKET_PATH_BYTES = 100;
/** Folders with long paths, by path: open for as long as the process lives. */
const openFolders = new Map<string, number>();

/**
 * @param folder absolute; it is to exist when its path is too long
 * @returns the path of the socket `name` in it, or on Linux one by way of an open descriptor of the folder
 * @throws NodeJS.ErrnoException when such a folder cannot be opened
 */
export function folderSocket(folder: string, name: string): string {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES || process.platform !== 'linux') return path;
  const descriptor = openFolders.get(folder) ?? openSync(folder, 'r');
  openFolders.set(folder, descriptor);
  return `/proc/self/fd/${descriptor}/${name}`;
}
