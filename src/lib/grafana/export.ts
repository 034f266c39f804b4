/**
 * Writes the dashboards of kw and the provisioning of Grafana into a folder:
 *
 *   provisioning/datasources/kw.yaml   the database, a login that only reads, the password by its variable's name
 *   provisioning/dashboards/kw.yaml    where the dashboards lie
 *   dashboards/*.json                  the dashboards
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { parseDatabaseUrl } from '../database/url.ts';
import { KwError, systemWords } from '../errors.ts';
import { createExportFile } from '../output/exportFile.ts';
import { packageRoot } from '../packageRoot.ts';

const DATASOURCES = 'provisioning/datasources/kw.yaml';
const PROVIDERS = 'provisioning/dashboards/kw.yaml';

export interface GrafanaExport {
  readonly folder: string;
  /** Replaces what is there. */
  readonly force: boolean;
  /** Of the data source: the dashboards offer those that begin with `kw`. */
  readonly datasource: string;
  /** Whose host and database Grafana is told; its login and password are not. */
  readonly databaseUrl: string | undefined;
  readonly user: string;
  readonly timescaledb: boolean;
}

/**
 * @returns the files that were written, absolute
 * @throws KwError FILE_EXISTS before anything is written, DATASOURCE_NAME, DATABASE_URL
 */
export async function exportGrafana(options: GrafanaExport): Promise<string[]> {
  if (!/^kw/.test(options.datasource)) {
    throw new KwError(`the data source "${options.datasource}" would not be found by the dashboards`, {
      code: 'DATASOURCE_NAME',
      hint: 'its name begins with kw, such as "kw nancy"',
    });
  }
  const folder = resolve(options.folder);
  const texts = new Map([
    [DATASOURCES, datasources(options)],
    [PROVIDERS, providers(join(folder, 'dashboards'))],
    ...readdirSync(source('dashboards'))
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name): [string, string] => [`dashboards/${name}`, read(`dashboards/${name}`)]),
  ]);
  const files = [...texts.keys()].map((name) => join(folder, name));
  const present = files.filter((file) => existsSync(file));
  if (present.length > 0 && !options.force) {
    throw new KwError(`${present[0]} is there already${present.length > 1 ? ', and others' : ''}`, {
      code: 'FILE_EXISTS',
      hint: 'name another folder, or use --force',
    });
  }
  for (const [name, text] of texts) await write(join(folder, name), text, options.force);
  return files;
}

function source(name: string): string {
  return join(packageRoot(), 'grafana', name);
}

function read(name: string): string {
  return readFileSync(source(name), 'utf8');
}

function datasources({ datasource, databaseUrl, user, timescaledb }: GrafanaExport): string {
  const document = parseDocument(read(DATASOURCES));
  const set = (path: (string | number)[], value: string | boolean) =>
    document.setIn(['datasources', 0, ...path], typeof value === 'string' ? literal(value) : value);
  set(['name'], datasource);
  set(['user'], user);
  set(['jsonData', 'timescaledb'], timescaledb);
  if (databaseUrl !== undefined) {
    const { host = 'localhost', port = 5432, database = 'kw' } = parseDatabaseUrl(databaseUrl).config;
    const address = host.includes(':') ? `[${host}]` : host;
    set(['url'], host.startsWith('/') ? host : `${address}:${port}`);
    set(['jsonData', 'database'], database);
    set(['jsonData', 'sslmode'], sslModeOf(databaseUrl, host));
  }
  return document.toString({ lineWidth: 0 });
}

/** Grafana knows no mode that tries both. Without a word, the way of a machine to itself needs no TLS. */
function sslModeOf(databaseUrl: string, host: string): string {
  const isLocal = host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host);
  const mode = new URL(databaseUrl).searchParams.get('sslmode') || process.env.PGSSLMODE;
  if (!mode) return isLocal ? 'disable' : 'verify-full';
  if (mode === 'allow' || mode === 'prefer') return isLocal ? 'disable' : 'require';
  return mode;
}

function providers(folder: string): string {
  const document = parseDocument(read(PROVIDERS));
  document.setIn(['providers', 0, 'options', 'path'], literal(folder));
  return document.toString({ lineWidth: 0 });
}

/** Grafana puts variables of the environment into provisioning files, unless the $ is doubled. */
function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}

async function write(path: string, text: string, force: boolean): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new KwError(`${dirname(path)} cannot be made: ${systemWords(error as Error)}`, {
      code: 'FILE_FAILED',
    });
  }
  const file = await createExportFile(path, { force });
  await file.write(Buffer.from(text));
  await file.close();
}
