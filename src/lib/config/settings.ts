/**
 * The settings of a command: flag, then environment, then kw.yaml. Cheap when there is no kw.yaml: a job's
 * prolog waits for `kw enable`, so nothing that parses is loaded before there is something to parse.
 */
import { dirname, resolve } from 'node:path';
import { dataFolder } from '../dataFolder.ts';
import { KwError } from '../errors.ts';
import { DEFAULT_MAX_FUTURE_US, DEFAULT_MAX_PAST_US } from '../limits.ts';
import { readConfigFile } from './configFile.ts';
import { findSettingsFile, realSurroundings, type Surroundings } from './findSettings.ts';
import { type ConfigProblem, formatProblem, ProblemList } from './place.ts';
import { referencedFiles, resolveReferences } from './references.ts';
import { type FileSettings, type PlacedReference, readSettingsFile } from './settingsFile.ts';
import type { Settings } from './settingsModel.ts';

export interface SettingsFlags {
  readonly config?: string | undefined;
  readonly database?: string | undefined;
  readonly url?: string | undefined;
}

const DAY_MS = 86_400_000;
const DEFAULT_LISTEN = { host: '127.0.0.1', port: 9842 };
const DEFAULT_SERVER_LISTEN = { host: '127.0.0.1', port: 9843 };

/**
 * The settings of this process. Throws KwError CONFIG_INVALID with every error of kw.yaml, CONFIG_UNREADABLE,
 * CONFIG_UNSAFE (see findSettings.ts).
 */
export function loadSettings(
  flags: SettingsFlags = {},
  onWarning: (warning: string) => void = () => {},
): Settings {
  const { settings, problems } = readSettings(flags);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    throw new KwError(errors.map(formatProblem).join('\n'), {
      code: 'CONFIG_INVALID',
      hint: 'mend kw.yaml, or name another file with --config',
    });
  }
  for (const problem of problems) onWarning(formatProblem(problem));
  return settings;
}

export interface ReadSettings {
  readonly settings: Settings;
  readonly problems: ConfigProblem[];
  /** Texts of kw.yaml that are resolved only when they are needed. */
  readonly references: readonly PlacedReference[];
}

/** As loadSettings, but errors inside kw.yaml are returned, beside what could be read, for `kw config check`. */
export function readSettings(
  flags: SettingsFlags = {},
  around: Surroundings = realSurroundings(),
): ReadSettings {
  const problems = new ProblemList();
  const found = findSettingsFile(flags.config, around);
  const file: FileSettings | undefined =
    found && readSettingsFile(found.path, readConfigFile(found.path, found.check), problems);
  const settings = combine(flags, around, file);
  return { settings, problems: problems.sorted(), references: file?.references ?? [] };
}

function combine(flags: SettingsFlags, around: Surroundings, file: FileSettings | undefined): Settings {
  const { env } = around;
  const folder = file ? dirname(file.path) : around.cwd;
  const database = flags.database || env.KW_DATABASE_URL;
  const source = { folder, env };
  const data = env.KW_DATA_DIR || !file?.dataDir ? dataFolder(env) : resolve(folder, file.dataDir);
  return {
    file: file?.path,
    get databaseUrl() {
      if (database) return database;
      return file?.databaseUrl && resolveUrl(file.databaseUrl, source);
    },
    databaseFiles: database ? [] : referencedFiles(file?.databaseUrl ?? '', folder),
    databaseNamedBy: databaseNamedBy(flags, env, file),
    ...meantServer(flags, env, file),
    get token() {
      return env.KW_TOKEN || (file?.token && resolveReferences(file.token, source));
    },
    tokenFiles: env.KW_TOKEN ? [] : referencedFiles(file?.token ?? '', folder),
    caFile: env.KW_CA_FILE
      ? resolve(around.cwd, env.KW_CA_FILE)
      : file?.caFile && resolve(folder, file.caFile),
    metricsDir: file
      ? resolve(folder, file.metricsDir ?? 'metrics.d')
      : resolve(around.systemFolder, 'metrics.d'),
    timeZone: file?.timeZone,
    dataFolder: data,
    logLevel: file?.logLevel ?? 'info',
    listen: file?.listen === 'off' ? undefined : (file?.listen ?? DEFAULT_LISTEN),
    credentials: file?.credentials ?? {},
    collector: {
      name: file?.collector?.name,
      bufferBytes: file?.collector?.bufferBytes ?? 128e6,
      flushIntervalMs: file?.collector?.flushIntervalMs ?? 1000,
      batchRows: file?.collector?.batchRows ?? 10_000,
      phaseGridMs: file?.collector?.phaseGridMs ?? 50,
      nice: file?.collector?.nice ?? -5,
      shards: file?.collector?.shards ?? 'auto',
    },
    spool: {
      enabled: file?.spool?.enabled ?? true,
      folder: file?.spool?.folder && resolve(folder, file.spool.folder),
      maxBytes: file?.spool?.maxBytes,
      maxAgeMs: file?.spool?.maxAgeMs ?? 30 * DAY_MS,
      drainShare: file?.spool?.drainShare ?? 0.5,
    },
    pushSpool: { maxBytes: file?.pushSpool?.maxBytes },
    limits: {
      maxPastUs: file?.limits?.maxPastUs ?? DEFAULT_MAX_PAST_US,
      maxFutureUs: file?.limits?.maxFutureUs ?? DEFAULT_MAX_FUTURE_US,
      labelSetsPerDay: file?.limits?.labelSetsPerDay ?? 10_000,
    },
    jobs: { runningMaxAgeMs: file?.jobs?.runningMaxAgeMs ?? 30 * DAY_MS },
    server: {
      keysFile: resolve(
        file?.access?.keysFile === undefined ? data : folder,
        file?.access?.keysFile ?? 'keys.json',
      ),
      get jwtSecret() {
        return file?.access?.jwtSecret && resolveReferences(file.access.jwtSecret, source);
      },
      proxy: file?.access?.proxy,
      tls: file?.access?.tls && {
        certificateFile: resolve(folder, file.access.tls.certificateFile),
        keyFile: resolve(folder, file.access.tls.keyFile),
      },
      limits: {
        userRequests: file?.access?.limits.userRequests ?? 6_000,
        anonymousRequests: file?.access?.limits.anonymousRequests ?? 1_200,
        atOnce: file?.access?.limits.atOnce ?? 64,
        bodyBytes: file?.access?.limits.bodyBytes ?? 16e6,
      },
      listen: file?.server?.listen ?? DEFAULT_SERVER_LISTEN,
      connections: file?.server?.connections ?? 20,
      bigReads: file?.server?.bigReads ?? 12,
      statementTimeoutMs: file?.server?.statementTimeoutMs ?? 300_000,
    },
  };
}

/** The server that is meant rather than a database: named more strongly, by flag, then environment, then file. */
function meantServer(
  flags: SettingsFlags,
  env: NodeJS.ProcessEnv,
  file: FileSettings | undefined,
): Pick<Settings, 'url' | 'urlNamedBy'> {
  if (flags.url) return { url: flags.url, urlNamedBy: '--url' };
  if (flags.database || env.KW_DATABASE_URL) return {};
  if (env.KW_URL) return { url: env.KW_URL, urlNamedBy: 'KW_URL' };
  if (file?.url === undefined || file.databaseUrl !== undefined) return {};
  return { url: file.url, urlNamedBy: `url in ${file.path}` };
}

function databaseNamedBy(
  flags: SettingsFlags,
  env: NodeJS.ProcessEnv,
  file: FileSettings | undefined,
): string | undefined {
  if (flags.database) return '--database';
  if (env.KW_DATABASE_URL) return 'KW_DATABASE_URL';
  return file?.databaseUrl === undefined ? undefined : `database_url in ${file.path}`;
}

/** References in a URL: what they stand for is escaped, unless the reference is the whole URL. */
function resolveUrl(text: string, source: { folder: string; env: NodeJS.ProcessEnv }): string {
  const whole = /^\$\{[^{}]*\}$/.test(text);
  return resolveReferences(text, whole ? source : { ...source, encode: encodeURIComponent });
}
