/**
 * A process with a spool kills itself (SIGKILL) after every other operation on the real disk. After every one, and with
 * power cuts, but on a disk in memory: unit/spool/crashPoints.test.ts.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { checkRecovered, type Note, scriptOptions } from '../../support/spoolScript.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const AT_ONCE = 3;
const { folder, remove } = temporaryFolder();
const script = join(folder, 'spoolChild.mjs');

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('../../support/spoolChild.ts', import.meta.url))],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
});

afterAll(remove);

interface Ended {
  readonly notes: readonly Note[];
  readonly signal: string | null;
  readonly stderr: string;
}

function run(spoolFolder: string, lastOperation?: number): Promise<Ended> {
  const child = spawn(process.execPath, [
    script,
    spoolFolder,
    String(lastOperation ?? Number.POSITIVE_INFINITY),
  ]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on('close', (_code, signal) => {
      const lines = stdout.split('\n').slice(0, -1);
      resolve({ notes: lines.map((line) => JSON.parse(line) as Note), signal, stderr });
    });
  });
}

describe('a process that is killed after any operation of its spool', () => {
  it('finds all that was promised when it starts again', async () => {
    const whole = await run(join(folder, 'whole'));
    expect(whole.signal).toBeNull();
    const operations = Number(whole.stderr);
    expect(operations).toBeGreaterThan(80);
    let next = 1;
    const work = async () => {
      while (next <= operations) {
        const last = next;
        next += 2;
        const spoolFolder = join(folder, `after-${last}`);
        const { notes, signal, stderr } = await run(spoolFolder, last);
        expect([last, signal, stderr]).toEqual([last, 'SIGKILL', '']);
        await checkRecovered(
          () =>
            Spool.open(
              spoolFolder,
              scriptOptions(() => {}),
            ),
          notes,
        );
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  });
});
