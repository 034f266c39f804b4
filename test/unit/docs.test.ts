// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
/** The pages: links lead somewhere, and the YAML of docs/devices is what `kw config check` takes without a word. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/lib/config/check.ts';
import { formatProblem } from '../../src/lib/config/place.ts';
import { inFolder, settingsOf } from './config/support.ts';

const root = join(import.meta.dirname, '../..');
const read = (page: string) => readFileSync(join(root, page), 'utf8');
const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));

const devicePages = pagesIn('docs/devices');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'examples/README.md',
  ...pagesIn('docs'),
  ...pagesIn('docs/jobs'),
  ...devicePages,
];

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  const text = read(page).replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Fenced YAML, as files: a comment `# kw.yaml` or `# metrics.d/NAME` begins another one. */
function yamlOf(page: string): Record<string, string>[] {
  return [...read(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => {
    const files: Record<string, string> = {};
    let name = 'metrics.d/block.yaml';
    for (const line of text.split('\n')) {
      const [, other] = /^# (kw\.yaml|metrics\.d\/\S+)$/.exec(line) ?? [];
      if (other) name = other;
      else files[name] = `${files[name] ?? ''}${line}\n`;
    }
    return files;
  });
}

describe('a page', () => {
  it.each(pages)('%s has links that lead somewhere', (page) => {
    const text = read(page)
      .replace(/^```[\s\S]*?^```/gm, '')
      .replace(/`[^`]*`/g, '');
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      if (/^(https?|mailto):/.test(link)) return false;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor);
    });
    expect(broken).toEqual([]);
  });
});

describe('docs/devices', () => {
  const unset: string[] = [];
  afterEach(() => {
    for (const name of unset.splice(0)) delete process.env[name];
  });

  it('has an index that names all of its pages', () => {
    const index = read('docs/devices/README.md');
    const others = devicePages.filter((page) => page !== 'docs/devices/README.md');
    const unnamed = others.filter((page) => !index.includes(`](${page.replace('docs/devices/', '')})`));
    expect(unnamed).toEqual([]);
  });

  it.each(
    devicePages.flatMap((page) => yamlOf(page).map((files, index) => ({ page, number: index + 1, files }))),
  )('$page: YAML block $number passes kw config check', ({ files: written }) => {
    const here = Object.entries(written).map(([name, text]) => [
      name,
      text.replace(/\$\{file:[^}]*\}/g, '${env:A_FILE}'),
    ]);
    const files: Record<string, string> = Object.fromEntries(here);
    inFolder({ 'kw.yaml': '', ...files }, (folder) => {
      for (const text of Object.values(files))
        for (const [, name = ''] of text.matchAll(/\$\{env:(\w+)\}/g)) {
          if (process.env[name] !== undefined) continue;
          process.env[name] = 'a-secret-value';
          unset.push(name);
        }
      const check = checkConfig(settingsOf(folder));
      expect(check.problems.map(formatProblem)).toEqual([]);
      expect(check.collection.always.devices + check.collection.onDemand.devices).toBeGreaterThan(0);
    });
  });
});
