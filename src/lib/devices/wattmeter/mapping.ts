/**
 * Which node is at which port, as Kwollect's mapping files say it:
 *
 *   node-1: [wattmetre1-port3, wattmetre2-port3]
 *   node-2: wattmetre1-port4
 */

import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { nameProblem } from '../../limits.ts';

/** Nodes by port. */
export type Mapping = ReadonlyMap<string, string>;

const MAX_BYTES = 10_000_000;
const LOOK_EVERY_MS = 1_000;

/** @throws Error with one sentence that names the file */
export async function readMapping(path: string): Promise<Mapping> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new Error(`cannot read the mapping ${path}: ${why}`);
  }
  if (text.length > MAX_BYTES) throw new Error(`the mapping ${path} is too large`);
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(text, { maxAliasCount: 1_000, logLevel: 'error' });
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new Error(`the mapping ${path} is no YAML: ${reason}`);
  }
  return mappingOf(content ?? {}, path);
}

function mappingOf(content: unknown, path: string): Mapping {
  const refuse = (problem: string): never => {
    throw new Error(`the mapping ${path}: ${problem}`);
  };
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return refuse('it must have lines of the form "node: [wattmetre1-port3]"');
  }
  const mapping = new Map<string, string>();
  for (const [node, ports] of Object.entries(content)) {
    const problem = nameProblem('device', node);
    if (problem !== undefined) refuse(problem);
    for (const port of Array.isArray(ports) ? (ports as unknown[]) : [ports]) {
      if (port === null) continue;
      if (typeof port !== 'string') return refuse(`${node} has a port that is no text`);
      const other = mapping.get(port);
      if (other !== undefined && other !== node) refuse(`${port} is at ${other} and at ${node}`);
      mapping.set(port, node);
    }
  }
  return mapping;
}

/** Calls back when the file may have changed, until the result is called. Looks once a second: works on network file systems, and for a file that is replaced or comes later. */
export function watchMapping(path: string, onChange: () => void): () => void {
  const listener = (now: { mtimeMs: number; ino: number }, before: { mtimeMs: number; ino: number }) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) onChange();
  };
  watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, listener);
  return () => unwatchFile(path, listener);
}
