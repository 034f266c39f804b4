/** Imports go one way, as docs/architecture.md says: its table of folders is read here and held against the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The files of src/, as `lib/jobs/model.ts`, each with the files that it imports: types and late imports too. */
const imports = new Map(
  readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, importsOf(file)]),
);

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, 'src', file), 'utf8');
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g)].map(([, path]) =>
    posix.join(dirname(file), path ?? ''),
  );
}

/** `folder -> folders that it may import`, of the table in docs/architecture.md. */
const allowed = new Map(
  [
    ...readFileSync(join(root, 'docs/architecture.md'), 'utf8').matchAll(
      /^\| `(\w+)\/` \| (nothing|(?:`\w+\/`(?:, )?)+) \|$/gm,
    ),
  ].map(([, folder = '', others = '']) => [
    folder,
    [...others.matchAll(/`(\w+)\/`/g)].map(([, other = '']) => other),
  ]),
);

/** `jobs` of `lib/jobs/model.ts`; undefined for what stands directly in lib/ or elsewhere. */
function libFolder(file: string): string | undefined {
  return /^lib\/(\w+)\//.exec(file)?.[1];
}

/** Imports for which `isForbidden` is true, as `file -> file`. */
function importsThat(isForbidden: (from: string, to: string) => boolean): string[] {
  return [...imports].flatMap(([from, all]) =>
    all.filter((to) => isForbidden(from, to)).map((to) => `${from} -> ${to}`),
  );
}

/** The first way round in a directed graph, or undefined. */
function circle(graph: ReadonlyMap<string, readonly string[]>): string | undefined {
  const done = new Set<string>();
  const walk = (node: string, path: readonly string[]): string | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node].join(' -> ');
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const found = walk(next, [...path, node]);
      if (found !== undefined) return found;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const found = walk(node, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('imports', () => {
  it('are found', () => {
    expect(imports.get('lib/promotions/enable.ts')).toContain('lib/jobs/findJob.ts');
    expect(imports.get('cli/main.ts')).toContain('cli/everyCommand.ts');
    expect(importsThat((_, to) => !imports.has(to))).toEqual([]);
  });

  it('never lead to a command', () => {
    expect(importsThat((_, to) => to.startsWith('commands/'))).toEqual([]);
  });

  it('never lead out of lib, nor into the demo', () => {
    expect(importsThat((from, to) => from.startsWith('lib/') && !to.startsWith('lib/'))).toEqual([]);
    expect(importsThat((from, to) => !from.startsWith('demo/') && to.startsWith('demo/'))).toEqual([]);
  });

  it('from one folder of lib to another are those of the table', () => {
    const folders = new Set([...imports.keys()].map(libFolder).filter((folder) => folder !== undefined));
    expect([...allowed.keys()].sort()).toEqual([...folders].sort());
    const isForbidden = (from: string, to: string) => {
      const [folder, other] = [libFolder(from), libFolder(to)];
      if (!from.startsWith('lib/') || other === undefined || other === folder) return false;
      return folder === undefined || !allowed.get(folder)?.includes(other);
    };
    expect(importsThat(isForbidden)).toEqual([]);
  });

  it('are all that the table allows', () => {
    const unused = [...allowed].flatMap(([folder, others]) =>
      others
        .filter(
          (other) =>
            importsThat((from, to) => libFolder(from) === folder && libFolder(to) === other).length === 0,
        )
        .map((other) => `${folder} -> ${other}`),
    );
    expect(unused).toEqual([]);
  });

  it('of one protocol do not lead to another', () => {
    const protocol = (file: string) => /^lib\/devices\/(\w+)\//.exec(file)?.[1];
    const differ = (one: string | undefined, other: string | undefined) =>
      one !== undefined && other !== undefined && one !== other && other !== 'shared';
    expect(importsThat((from, to) => differ(protocol(from), protocol(to)))).toEqual([]);
  });

  it('make no circle of files or folders', () => {
    expect(circle(imports)).toBeUndefined();
    expect(circle(allowed)).toBeUndefined();
  });
});
