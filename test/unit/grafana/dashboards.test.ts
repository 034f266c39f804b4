// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Grafana look like ${this}
/** The dashboards as files: of the types that Grafana publishes, with the statements of sql/grafana/. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { dashboardFiles, queriesOf, readDashboard } from '../../support/grafana.ts';
import type { KwDashboard } from './dashboardTypes.ts';

const root = packageRoot();

/**
 * What `tsc` says of the dashboards as literals of the types in dashboardTypes.ts. Literals, because properties that the
 * types do not know are mistakes in those only.
 */
function problemsOf(dashboards: Readonly<Record<string, unknown>>): string[] {
  const folder = join(root, 'test', 'unit', 'grafana');
  const file = join(folder, 'literals.ts');
  const text = [
    "import type { KwDashboard } from './dashboardTypes.ts';",
    ...Object.entries(dashboards).map(
      ([name, dashboard]) => `export const ${name}: KwDashboard = ${JSON.stringify(dashboard)};`,
    ),
  ].join('\n');
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.getSourceFile = (path, target) =>
    path === file ? ts.createSourceFile(path, text, target) : getSourceFile(path, target);
  const program = ts.createProgram([file], { ...options, types: [] }, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** If the first test holds. */
const dashboards = Object.fromEntries(
  dashboardFiles.map((file) => [file.replace('.json', ''), readDashboard(file) as unknown as KwDashboard]),
);

describe('the dashboards', () => {
  it('are of the types of @grafana/schema, which refuse what is not', () => {
    const [first] = Object.values(dashboards);
    if (!first) throw new Error('there is no dashboard');
    const wrong = {
      word: { ...first, refrsh: '1m' },
      number: { ...first, graphTooltip: 7 },
      panel: { ...first, panels: [{ ...first.panels[0], type: 'timeseries', options: { legend: 'table' } }] },
      kind: { ...first, panels: [{ ...first.panels[0], type: 'pie' }] },
      variable: { ...first, templating: { list: [{ name: 'x', type: 'querry' }] } },
    };
    expect(problemsOf(dashboards)).toEqual([]);
    expect(problemsOf(wrong)).toHaveLength(Object.keys(wrong).length);
  }, 60_000);

  it('hold each statement of sql/grafana/ as it is in its file', () => {
    const used = dashboardFiles.flatMap((file) =>
      queriesOf(readDashboard(file)).map(({ of, sql }) => {
        const [, name] = /^-- sql\/grafana\/(\w+\.sql)\n/.exec(sql) ?? [];
        expect({ of, sql }).toEqual({
          of,
          sql: readFileSync(join(root, 'sql', 'grafana', `${name}`), 'utf8'),
        });
        return name;
      }),
    );
    expect([...new Set(used)].sort()).toEqual(readdirSync(join(root, 'sql', 'grafana')).sort());
  });

  it('have each an identity, and panels that do not overlap', () => {
    expect(Object.values(dashboards).map(({ uid }) => uid)).toEqual([
      'kw-cluster',
      'kw-collectors',
      'kw-devices',
      'kw-job',
    ]);
    for (const { panels } of Object.values(dashboards)) {
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      for (const [index, one] of panels.entries()) {
        const { x = 0, w = 99 } = one.gridPos ?? {};
        expect(x + w).toBeLessThanOrEqual(24);
        for (const other of panels.slice(index + 1)) expect(overlap(one.gridPos, other.gridPos)).toBe(false);
      }
    }
  });

  it('ask the data source of the site that is chosen, and no other', () => {
    const text = dashboardFiles.map((file) => JSON.stringify(readDashboard(file))).join('');
    const sources = [...text.matchAll(/"datasource":(\{.*?"\})/g)].map(([, source]) => source);
    expect([...new Set(sources)]).toEqual(['{"type":"grafana-postgresql-datasource","uid":"${site}"}']);
  });

  it('quote every variable', () => {
    for (const file of dashboardFiles) {
      for (const { of, sql } of queriesOf(readDashboard(file))) {
        const unquoted = [...sql.matchAll(/\$\{?(\w+)(:\w+)?/g)]
          .filter(([, name = '', format]) => !name.startsWith('__') && format !== ':sqlstring')
          .map(([text]) => text);
        expect({ of, unquoted }).toEqual({ of, unquoted: [] });
      }
    }
  });
});

type Place = KwDashboard['panels'][number]['gridPos'];

function overlap(a: Place, b: Place): boolean {
  if (!a || !b) throw new Error('a panel has no place');
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
