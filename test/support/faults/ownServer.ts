/** A database server of a test's own, which it may stop, crash, and put on a disk that is too small. */

import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { findLayout } from '../../../src/lib/database/embedded/layout.ts';
import { embeddedStatus, startEmbedded, stopEmbedded } from '../../../src/lib/database/embedded/server.ts';
import { temporaryFolder } from '../temporaryFolder.ts';
import { waitUntil } from '../waitUntil.ts';
import { mountSmallDisk, type SmallDisk } from './smallDisk.ts';

export interface OwnServer {
  readonly url: string;
  /** Of its data folder; undefined unless it was asked for. */
  readonly disk: SmallDisk | undefined;
  /** In an orderly way. */
  stop(): Promise<void>;
  /** Every process of it ends at once, and nothing is written (SIGQUIT to the postmaster). */
  crash(): Promise<void>;
  /** Also when it runs already. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** @param options.spareBytes its data folder gets a file system of its own, with that much free space at first */
export async function startOwnServer(options: { spareBytes?: number } = {}): Promise<OwnServer> {
  const { folder, remove } = temporaryFolder();
  const { url } = await startEmbedded(folder);
  const stop = async () => void (await stopEmbedded(folder));
  const start = async () => void (await startEmbedded(folder, { migrate: false }));
  let disk: SmallDisk | undefined;
  if (options.spareBytes !== undefined) {
    await stop();
    disk = moveToSmallDisk(folder, options.spareBytes);
    await start();
  }
  return {
    url,
    disk,
    stop,
    start,
    async crash() {
      const { pid } = embeddedStatus(folder);
      process.kill(pid as number, 'SIGQUIT');
      await waitUntil(() => !isAlive(pid as number));
    },
    async remove() {
      disk?.free();
      await stop();
      disk?.unmount();
      remove();
    },
  };
}

function moveToSmallDisk(folder: string, spareBytes: number): SmallDisk {
  const { data } = findLayout(folder) ?? {};
  if (data === undefined) throw new Error('there is no server');
  const before = `${data}.before`;
  renameSync(data, before);
  const bytes = Number(execFileSync('du', ['-sB1', before], { encoding: 'utf8' }).split('\t')[0]);
  const disk = mountSmallDisk(data, bytes + spareBytes);
  execFileSync('cp', ['-aT', before, data]);
  rmSync(before, { recursive: true });
  return disk;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
