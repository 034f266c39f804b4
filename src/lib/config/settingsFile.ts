/** The keys of kw.yaml, each checked at its place. */
import type { Node } from 'yaml';
import type { readConfigFile } from './configFile.ts';
import { Fields, fieldText, textsOf } from './fields.ts';
import { isLoopback, parseListen } from './listen.ts';
import type { Place } from './model.ts';
import type { ProblemList } from './place.ts';
import { hasReference, withoutReferences } from './references.ts';
import { ACCESS_KEYS, type FileAccess, readServerAccess } from './serverAccess.ts';
import type { Settings } from './settingsModel.ts';
import { scalarText, YamlFile } from './yamlFile.ts';
import { yamlModule } from './yamlModule.ts';

const DAY_MS = 86_400_000;
const YEAR_MS = 365.25 * DAY_MS;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** A text of kw.yaml that holds `${env:...}` or `${file:...}`. */
export interface PlacedReference {
  readonly place: Place;
  readonly text: string;
}

/** What kw.yaml gave; undefined where it is silent. Texts with references are not resolved. */
export interface FileSettings {
  readonly path: string;
  /** Every text with references, and where it stands. */
  readonly references: readonly PlacedReference[];
  readonly databaseUrl?: string | undefined;
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly caFile?: string | undefined;
  readonly metricsDir?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly listen?: Settings['listen'] | 'off';
  readonly credentials?: Settings['credentials'] | undefined;
  readonly collector?: Partial<Settings['collector']> | undefined;
  readonly spool?: Partial<Settings['spool']> | undefined;
  readonly pushSpool?: Settings['pushSpool'] | undefined;
  readonly limits?: Partial<Settings['limits']> | undefined;
  readonly jobs?: Partial<Settings['jobs']> | undefined;
  readonly server?: Partial<Settings['server']> | undefined;
  readonly access?: FileAccess | undefined;
}

/** Reads kw.yaml; what cannot be read is a problem and left out. */
export function readSettingsFile(
  path: string,
  content: ReturnType<typeof readConfigFile>,
  problems: ProblemList,
): FileSettings {
  const file = new YamlFile(path, content.text, problems);
  const root = file.roots[0];
  if (root === undefined) return { path, references: [] };
  if (file.roots[1]) problems.error(file.placeOf(file.roots[1]), 'kw.yaml holds one document only');
  if (!yamlModule().isMap(root)) {
    problems.error(file.placeOf(root), 'kw.yaml must be a map of settings', 'write "database_url: ..."');
    return { path, references: [] };
  }
  const fields = new Fields(file, root);
  fields.refuseUnknown(TOP_KEYS, KWOLLECT_KEYS);
  const settings: FileSettings = {
    path,
    references: readReferences(file, root),
    databaseUrl: readDatabaseUrl(fields),
    url: readServerUrl(fields),
    token: fields.text('token'),
    caFile: fields.text('ca_file'),
    metricsDir: fields.text('metrics_dir'),
    timeZone: readTimeZone(fields),
    dataDir: fields.text('data_dir'),
    logLevel: readLogLevel(fields),
    listen: readListen(fields),
    credentials: readCredentials(fields),
    collector: readCollector(fields),
    spool: readSpool(fields),
    pushSpool: readPushSpool(fields),
    limits: readLimits(fields),
    jobs: readJobs(fields),
    ...readServer(fields),
  };
  if ((content.stat.mode & 0o004) !== 0) warnAboutReaders(fields, settings);
  return settings;
}

const TOP_KEYS = [
  'database_url',
  'url',
  'token',
  'ca_file',
  'metrics_dir',
  'time_zone',
  'data_dir',
  'log_level',
  'listen',
  'credentials',
  'collector',
  'spool',
  'push_spool',
  'limits',
  'jobs',
  'server',
];

/** Keys of kwollector.conf, and what stands for them here. */
const KWOLLECT_KEYS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['db_host', 'db_port', 'db_name', 'db_user', 'db_password'].map((key) => [
      key,
      'write database_url: postgres://USER:PASSWORD@HOST/NAME',
    ]),
  ),
  worker: 'remove it: one process serves all devices',
};

function readReferences(file: YamlFile, root: Node): PlacedReference[] {
  const references: PlacedReference[] = [];
  yamlModule().visit(root, {
    Scalar(_key, node) {
      const text = scalarText(node);
      if (hasReference(text)) references.push({ place: file.placeOf(node), text });
    },
  });
  return references;
}

function readDatabaseUrl(fields: Fields): string | undefined {
  const field = fields.get('database_url');
  const text = fields.text('database_url');
  if (field === undefined || text === undefined) return undefined;
  if (/^postgres(ql)?:\/\//.test(text) || /^\$\{[^{}]*\}$/.test(text)) return text;
  return fields.error(
    field,
    'database_url is no PostgreSQL URL',
    'write postgres://USER:PASSWORD@HOST:PORT/NAME',
  );
}

function readServerUrl(fields: Fields): string | undefined {
  const field = fields.get('url');
  const text = fields.text('url');
  if (field === undefined || text === undefined) return undefined;
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  return fields.error(
    field,
    'url is no HTTP address',
    'write https://HOST:PORT of a kw serve; a database goes in database_url',
  );
}

function readTimeZone(fields: Fields): string | undefined {
  const field = fields.get('time_zone');
  const text = fields.text('time_zone');
  if (field === undefined || text === undefined) return undefined;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return text;
  } catch {
    return fields.error(
      field,
      'time_zone is no time zone that this machine knows',
      'write a name such as Europe/Paris or UTC',
    );
  }
}

function readLogLevel(fields: Fields): string | undefined {
  const field = fields.get('log_level');
  const text = fields.text('log_level')?.toLowerCase();
  if (field === undefined || text === undefined) return undefined;
  // Kwollect's word.
  if (text === 'warning') return 'warn';
  if (LOG_LEVELS.some((level) => level === text)) return text;
  return fields.error(field, 'log_level is none that kw knows', `write one of ${LOG_LEVELS.join(', ')}`);
}

function readListen(fields: Fields): Settings['listen'] | 'off' {
  const field = fields.get('listen');
  const text = fields.text('listen')?.trim();
  if (field === undefined || text === undefined) return undefined;
  if (['off', 'no', 'false'].includes(text.toLowerCase())) return 'off';
  const listen = parseListen(text);
  if (listen === undefined) {
    return fields.error(field, 'listen must be an address and a port', 'write 127.0.0.1:9842, or off');
  }
  if (!isLoopback(listen.host)) {
    fields.warning(field, 'everyone who reaches this address can read the status of the collector');
  }
  return listen;
}

function readCredentials(fields: Fields): Settings['credentials'] | undefined {
  const map = fields.map('credentials');
  if (map === undefined) return undefined;
  const credentials: Record<string, Record<string, string>> = Object.create(null);
  for (const { key } of map.all()) {
    const credential = map.textMap(key);
    if (credential !== undefined) credentials[key] = credential;
  }
  return credentials;
}

function readCollector(fields: Fields): FileSettings['collector'] {
  const map = fields.map('collector');
  map?.refuseUnknown(['name', 'buffer', 'flush_interval', 'batch_rows', 'phase_grid', 'nice', 'shards']);
  return (
    map &&
    defined({
      name: map.text('name'),
      bufferBytes: map.size('buffer', 1e6, 64e9),
      flushIntervalMs: map.duration('flush_interval', 50, 60_000),
      batchRows: map.integer('batch_rows', 1, 1_000_000),
      phaseGridMs: map.duration('phase_grid', 1, 1000),
      nice: map.integer('nice', -20, 19),
      shards: readShards(map),
    })
  );
}

function readShards(map: Fields): Settings['collector']['shards'] | undefined {
  const field = map.get('shards');
  if (field === undefined) return undefined;
  // YAML 1.1's false: Kwollect's files may hold it.
  const text = fieldText(field)?.toLowerCase();
  if (text === 'auto' || text === 'off') return text;
  if (text === 'false') return 'off';
  const devices = text === undefined ? textsOf(field) : undefined;
  if (devices && devices.length > 0 && devices.every((device) => device.trim() !== '')) return devices;
  return map.error(
    field,
    'shards must be auto, off, or a list of devices',
    'write "shards: [pdu-1, pdu-2]", or names in brackets such as pdu-[1-20]',
  );
}

function readSpool(fields: Fields): FileSettings['spool'] {
  const map = fields.map('spool');
  map?.refuseUnknown(['enabled', 'folder', 'max_bytes', 'max_age', 'drain_share']);
  return (
    map &&
    defined({
      enabled: map.boolean('enabled'),
      folder: map.text('folder'),
      maxBytes: map.size('max_bytes', 1e6, 1e15),
      maxAgeMs: map.duration('max_age', 60_000, 10 * YEAR_MS),
      drainShare: readShare(map, 'drain_share'),
    })
  );
}

function readShare(map: Fields, key: string): number | undefined {
  const field = map.get(key);
  const share = map.number(key);
  if (field === undefined || share === undefined || (share >= 0.01 && share <= 1)) return share;
  return map.error(field, `${key} must be a number from 0.01 to 1`, 'write 0.5 for half of the time');
}

function readPushSpool(fields: Fields): FileSettings['pushSpool'] {
  const map = fields.map('push_spool');
  map?.refuseUnknown(['max_bytes']);
  return map && { maxBytes: map.size('max_bytes', 64e3, 1e12) };
}

function readLimits(fields: Fields): FileSettings['limits'] {
  const map = fields.map('limits');
  map?.refuseUnknown(['max_past', 'max_future', 'label_sets_per_day']);
  if (map === undefined) return undefined;
  const maxPastMs = map.duration('max_past', DAY_MS, 100 * YEAR_MS);
  const maxFutureMs = map.duration('max_future', 0, YEAR_MS);
  return defined({
    maxPastUs: maxPastMs === undefined ? undefined : maxPastMs * 1000,
    maxFutureUs: maxFutureMs === undefined ? undefined : maxFutureMs * 1000,
    labelSetsPerDay: map.integer('label_sets_per_day', 1, 100_000_000),
  });
}

function readJobs(fields: Fields): FileSettings['jobs'] {
  const map = fields.map('jobs');
  map?.refuseUnknown(['running_max_age']);
  return map && defined({ runningMaxAgeMs: map.duration('running_max_age', 60_000, 10 * YEAR_MS) });
}

function readServer(fields: Fields): Pick<FileSettings, 'server' | 'access'> {
  const map = fields.map('server');
  map?.refuseUnknown(['listen', 'connections', 'big_reads', 'statement_timeout', ...ACCESS_KEYS]);
  if (map === undefined) return {};
  const field = map.get('listen');
  const text = map.text('listen')?.trim();
  const listen = text === undefined ? undefined : parseListen(text);
  if (field !== undefined && text !== undefined && listen === undefined) {
    map.error(field, 'listen must be an address and a port', 'write 127.0.0.1:9843');
  }
  const server = defined({
    listen,
    connections: map.integer('connections', 2, 1000),
    bigReads: map.integer('big_reads', 1, 1000),
    statementTimeoutMs: map.duration('statement_timeout', 100, DAY_MS),
  });
  return { server, access: readServerAccess(map) };
}

/** The same object without its undefined fields. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Everyone on the machine may read this file: say so if a secret stands in it. */
function warnAboutReaders(fields: Fields, settings: FileSettings): void {
  const place =
    fields.get('database_url') && holdsPassword(settings.databaseUrl) ? 'database_url' : undefined;
  const secretKey = place ?? (settings.token && withoutReferences(settings.token) ? 'token' : undefined);
  const credential = Object.values(settings.credentials ?? {}).some((fieldsOfOne) =>
    Object.entries(fieldsOfOne).some(
      ([name, text]) => /pass|key|token|secret|community/.test(name) && !hasReference(text),
    ),
  );
  const field = fields.get(secretKey ?? (credential ? 'credentials' : ''));
  if (field === undefined || fieldText(field) === '') return;
  fields.warningAt(
    field.keyPlace,
    `${field.key} holds a secret, and every user of this machine can read this file`,
    `chmod o-r ${settings.path}, or keep the secret elsewhere: \${file:PATH}`,
  );
}

function holdsPassword(url: string | undefined): boolean {
  const password = /^[a-z]+:\/\/[^/@]*?:([^/@]*)@/.exec(url === undefined ? '' : withoutReferences(url));
  return password?.[1] !== undefined && password[1] !== '';
}
