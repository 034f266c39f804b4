import { expect, test, vi } from 'vitest';
import { readAllSql, readSql } from '../../src/lib/packageRoot.ts';

const files = vi.hoisted(() => ({ areGone: false }));
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  const readFileSync = ((...args: Parameters<typeof fs.readFileSync>) => {
    if (files.areGone) throw new Error('another version is installed');
    return fs.readFileSync(...args);
  }) as typeof fs.readFileSync;
  return { ...fs, readFileSync };
});

test('statements are those of the version that was started, also once another one is installed', () => {
  readAllSql();
  files.areGone = true;
  expect(readSql('queries/collector_copy')).toMatch(/^COPY kw\.metrics /);
  expect(() => readSql('queries/none')).toThrow('another version is installed');
});
