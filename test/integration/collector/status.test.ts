/** `kw status` looks on: it starts nothing. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

let folder: string;
let removeFolder: () => void;
beforeEach(() => {
  ({ folder, remove: removeFolder } = temporaryFolder());
});
afterEach(() => removeFolder());

test.each([['--json'], ['--check']])(
  'kw status %s leaves a stopped embedded database stopped',
  async (flag) => {
    const home = join(folder, 'postgres');
    mkdirSync(join(home, 'data'), { recursive: true });
    writeFileSync(join(folder, 'kw.yaml'), 'listen: off\n');
    const { code, stdout, stderr } = await runKw(['status', flag], {
      env: { KW_DATA_DIR: folder },
      cwd: folder,
    });
    const problem = `the embedded database in ${home} is stopped; and no collector answers on this machine`;
    expect(stdout + stderr).toContain(problem);
    if (flag === '--check') expect(stdout).toMatch(/^kw CRITICAL: the embedded/);
    expect(code).toBe(flag === '--check' ? 2 : 1);
    expect(readdirSync(home)).toEqual(['data']);
  },
);
