/** Where the demo keeps what it remembers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { demoFolderOf } from '../../../scripts/demo/state.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kw-demo-state-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("the demo's folder", () => {
  it('lies in the data folder', () => {
    expect(demoFolderOf({ KW_DATA_DIR: folder })).toBe(join(folder, 'demo'));
    expect(demoFolderOf({ XDG_DATA_HOME: folder })).toBe(join(folder, 'kw', 'demo'));
  });

  it('is found again in a shell whose KW_DATA_DIR is the folder itself, as the demo says to set it', async () => {
    const demo = join(folder, 'demo');
    await mkdir(demo);
    await writeFile(join(demo, 'state.json'), '{}');
    expect(demoFolderOf({ KW_DATA_DIR: demo })).toBe(demo);
  });

  it('is a new one in a data folder that happens to be called demo', () => {
    const demo = join(folder, 'demo');
    expect(demoFolderOf({ KW_DATA_DIR: demo })).toBe(join(demo, 'demo'));
  });
});
