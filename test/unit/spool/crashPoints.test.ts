/**
 * A scripted run stops after every single operation that changes the disk: as a kill leaves it, and as power cuts do,
 * which keep any part of what was not synced. Every time, all that was promised is found, once and in order.
 */
import { describe, expect, it } from 'vitest';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { random } from '../../support/random.ts';
import { SimulatedDisk, systemError } from '../../support/simulatedDisk.ts';
import { checkRecovered, type Note, runScript, scriptOptions } from '../../support/spoolScript.ts';

const FOLDER = '/data/spool';
const POWER_CUTS = 10;
const TIMEOUT_MS = 60_000;

/** Runs the script until it ends, or until the disk has stopped and nothing moves any more. */
async function runUntil(disk: SimulatedDisk): Promise<Note[]> {
  const notes: Note[] = [];
  let failNext: 'write' | 'sync' | undefined;
  disk.fault = (operation, path) => {
    if (operation !== failNext || !path.endsWith('.seg')) return undefined;
    failNext = undefined;
    if (operation === 'write') return 100;
    throw systemError('EIO', 'i/o error');
  };
  const note = (added: Note) => void notes.push(added);
  const ended = Spool.open(FOLDER, scriptOptions(note), disk).then((spool) =>
    runScript(spool, note, (what) => {
      failNext = what;
    }),
  );
  const stopped = new Promise<void>((resolve) => {
    disk.onStopped = resolve;
  });
  await Promise.race([ended, stopped]);
  return notes;
}

describe('a spool that is stopped after any operation', () => {
  it('has a script in which everything happens', async () => {
    const disk = new SimulatedDisk();
    const notes = await runUntil(disk);
    const kinds = new Set(disk.log.map((line) => line.split(' ')[0]));
    expect([...kinds].sort()).toEqual(
      ['create', 'makeFolder', 'remove', 'rename', 'sync', 'syncFolder', 'truncate', 'write'].sort(),
    );
    expect(disk.operations).toBeGreaterThan(80);
    expect(notes.filter(([what]) => what === 'rejected')).toHaveLength(4);
    expect(notes.filter(([what]) => what === 'gone').length).toBeGreaterThan(5);
  });

  it('recovers after a kill', { timeout: TIMEOUT_MS }, async () => {
    const { operations } = await run(Number.POSITIVE_INFINITY);
    for (let stopAfter = 0; stopAfter <= operations; stopAfter++) {
      const { disk, notes } = await run(stopAfter);
      await checkRecovered(
        () =>
          Spool.open(
            FOLDER,
            scriptOptions(() => {}),
            disk.afterKill(),
          ),
        notes,
      );
    }
  });

  it('recovers after a power cut', { timeout: TIMEOUT_MS }, async () => {
    const next = random(6);
    const { operations } = await run(Number.POSITIVE_INFINITY);
    for (let stopAfter = 0; stopAfter <= operations; stopAfter++) {
      const { disk, notes } = await run(stopAfter);
      for (let times = 0; times < POWER_CUTS; times++) {
        const left = disk.afterPowerCut(next);
        await checkRecovered(
          () =>
            Spool.open(
              FOLDER,
              scriptOptions(() => {}),
              left,
            ),
          notes,
        );
      }
    }
  });
});

async function run(stopAfter: number): Promise<{ disk: SimulatedDisk; notes: Note[]; operations: number }> {
  const disk = new SimulatedDisk();
  disk.stopAfter = stopAfter;
  const notes = await runUntil(disk);
  return { disk, notes: [...notes], operations: disk.operations };
}
