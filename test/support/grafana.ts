/**
 * What Grafana makes of the SQL of a dashboard, in its two steps.
 *
 * In the browser variables are put in: grafana/scenes, packages/scenes/src/variables, constants.ts (VARIABLE_REGEX) and
 * interpolation/formatRegistry.ts (sqlStringFormatter). `$name` without a format stands in no query of kw.
 *
 * In the server macros are expanded, by the text alone, also where they lie inside of a literal: grafana/grafana,
 * pkg/tsdb/grafana-postgresql-datasource, sqleng/sql_engine.go (Interpolate) and macros.go (postgresMacroEngine).
 * Only the macros that do not depend on the flag `timescaledb` are known here; an unknown one is an error, as there.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/packageRoot.ts';

export interface GrafanaTarget {
  readonly rawSql: string;
  readonly format: 'table' | 'time_series';
}

export interface GrafanaDashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly { id: number; type: string; title: string; targets: readonly GrafanaTarget[] }[];
  readonly templating: {
    readonly list: readonly { name: string; type: string; query: string; multi: boolean }[];
  };
  readonly annotations: { readonly list: readonly { name: string; target: GrafanaTarget }[] };
}

export interface GrafanaQuery {
  /** Such as `kw-job, panel metric`. */
  readonly of: string;
  readonly kind: 'panel' | 'variable' | 'annotation';
  readonly sql: string;
  readonly format: 'table' | 'time_series';
}

export const dashboardFiles = readdirSync(join(packageRoot(), 'grafana', 'dashboards')).sort();

export function readDashboard(file: string): GrafanaDashboard {
  return JSON.parse(readFileSync(join(packageRoot(), 'grafana', 'dashboards', file), 'utf8'));
}

/** Every statement of a dashboard: of its panels, variables and annotations. */
export function queriesOf({ uid, panels, templating, annotations }: GrafanaDashboard): GrafanaQuery[] {
  return [
    ...panels.flatMap(({ title, type, targets }) =>
      targets.map(({ rawSql, format }) => ({
        of: `${uid}, ${type} ${title}`,
        kind: 'panel' as const,
        sql: rawSql,
        format,
      })),
    ),
    ...templating.list
      .filter(({ type }) => type === 'query')
      .map(({ name, query }) => ({
        of: `${uid}, variable ${name}`,
        kind: 'variable' as const,
        sql: query,
        format: 'table' as const,
      })),
    ...annotations.list.map(({ name, target }) => ({
      of: `${uid}, annotation ${name}`,
      kind: 'annotation' as const,
      sql: target.rawSql,
      format: target.format,
    })),
  ];
}

export interface GrafanaContext {
  readonly from: Date;
  readonly to: Date;
  readonly intervalMs: number;
  readonly variables: Readonly<Record<string, string | readonly string[]>>;
}

/** The statement that reaches PostgreSQL. */
export function expandQuery(sql: string, context: GrafanaContext): string {
  return expandMacros(putInVariables(sql, context.variables), context);
}

const VARIABLE_REGEX = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\${(\w+)(?:\.([^:^}]+))?(?::([^}]+))?}/g;

function putInVariables(sql: string, variables: GrafanaContext['variables']): string {
  return sql.replace(VARIABLE_REGEX, (text, plain, bracketed, _format, braced, _path, format) => {
    const value = variables[plain ?? bracketed ?? braced];
    if (value === undefined) return text;
    if (format !== 'sqlstring') throw new Error(`${text} has no format sqlstring`);
    return sqlString(value);
  });
}

function sqlString(value: string | readonly string[]): string {
  const quote = (text: string) => `'${text.replace(/['"]/g, (sign) => (sign === "'" ? "''" : '\\"'))}'`;
  return typeof value === 'string' ? quote(value) : value.map(quote).join(',');
}

function expandMacros(sql: string, { from, to, intervalMs }: GrafanaContext): string {
  const seconds = (time: Date) => String(Math.floor(time.getTime() / 1000));
  const literal = (time: Date) => `'${time.toISOString().replace(/\.?0*Z$/, 'Z')}'`;
  return sql
    .replaceAll('$__interval_ms', String(intervalMs))
    .replaceAll('$__interval', `${intervalMs}ms`)
    .replaceAll('$__unixEpochFrom()', seconds(from))
    .replaceAll('$__unixEpochTo()', seconds(to))
    .replace(/\$([_a-zA-Z0-9]+)\(([^)]*)\)/g, (_, name: string, text: string) => {
      const [column] = text.split(',').map((argument) => argument.replace(/^ +| +$/g, ''));
      switch (name) {
        case '__timeFilter':
          return `${column} BETWEEN ${literal(from)} AND ${literal(to)}`;
        case '__timeFrom':
          return literal(from);
        case '__timeTo':
          return literal(to);
        default:
          throw new Error(`unknown macro "${name}"`);
      }
    });
}
