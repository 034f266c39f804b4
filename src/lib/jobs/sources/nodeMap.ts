/**
 * What a scheduler calls its nodes and what their devices are called, where cutting at the first dot does not do: a file
 * of lines `node device`, with comments behind `#`.
 */
import { readFileSync } from 'node:fs';
import { KwError, systemWords } from '../../errors.ts';
import { nameProblem } from '../../limits.ts';

export type NodeMap = ReadonlyMap<string, string>;

const MAX_NODES = 100_000;

/** @throws KwError BAD_NODE_MAP with the line */
export function parseNodeMap(text: string, path: string): NodeMap {
  const map = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line
      .replace(/#.*/, '')
      .trim()
      .split(/[\s,:=]+/)
      .filter(Boolean);
    if (words.length === 0) continue;
    const [node = '', device = ''] = words;
    const problem =
      words.length === 2
        ? (nameProblem('device', node) ?? nameProblem('device', device))
        : 'a line is a node and its device';
    if (problem !== undefined || map.has(node) || map.size >= MAX_NODES) {
      const what =
        problem ?? (map.has(node) ? `${node} is there twice` : `there are more than ${MAX_NODES} nodes`);
      throw new KwError(`${path}, line ${index + 1}: ${what}`, {
        code: 'BAD_NODE_MAP',
        hint: 'for example: taurus-1.lyon.example taurus-1',
      });
    }
    map.set(node, device);
  }
  return map;
}

/** @throws KwError BAD_NODE_MAP */
export function readNodeMap(path: string): NodeMap {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new KwError(`${path} cannot be read: ${systemWords(error as Error)}`, { code: 'BAD_NODE_MAP' });
  }
  return parseNodeMap(text, path);
}
