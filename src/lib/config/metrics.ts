/** Reads metrics.d: every file of it, every error of every file. */
import { readdirSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import type { YAMLMap } from 'yaml';
import type { UrlContext } from '../devices/driver.ts';
import { driverFor, knownSchemes } from '../devices/registry.ts';
import { KwError } from '../errors.ts';
import { type ConfigFileText, readConfigFile } from './configFile.ts';
import { urlContext } from './credentials.ts';
import { refuseDuplicates } from './duplicates.ts';
import { type EntryContext, readEntry } from './entry.ts';
import type { MetricEntry } from './model.ts';
import { type ConfigProblem, ProblemList, wholeFile } from './place.ts';
import { reason, withoutReferences } from './references.ts';
import type { Settings } from './settings.ts';
import { scalarText, YamlFile } from './yamlFile.ts';
import { yamlModule } from './yamlModule.ts';

export interface LoadedMetrics {
  /** What can be collected, in the order of the files and of their lines; entries with errors are left out. */
  readonly entries: MetricEntry[];
  /** Sorted by place. With an `error` among them, a collector must not take these entries for the whole. */
  readonly problems: ConfigProblem[];
}

/** The protocols that URLs are read with; tests give their own. */
export interface Protocols {
  readonly driverFor: EntryContext['driverFor'];
  readonly knownSchemes: EntryContext['knownSchemes'];
}

/** Reads and checks `settings.metricsDir`. Never throws for what stands in it. No I/O but reading files. */
export function loadMetrics(
  settings: Settings,
  protocols: Protocols = { driverFor, knownSchemes },
): LoadedMetrics {
  const problems = new ProblemList();
  const entries = metricFiles(settings.metricsDir, problems).flatMap((path) =>
    readMetricFile(path, settings, protocols, problems),
  );
  return { entries: refuseDuplicates(entries, problems), problems: problems.sorted() };
}

/** The files to read, sorted by name. Kwollect reads every file that is not hidden. */
function metricFiles(folder: string, problems: ProblemList): string[] {
  try {
    const files: string[] = [];
    for (const item of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, item.name);
      if (item.name.startsWith('.')) continue;
      if (/^\.ya?ml$/i.test(extname(item.name))) files.push(path);
      else if (item.isDirectory()) problems.warning(wholeFile(path), 'folders in metrics.d are not read');
      else problems.warning(wholeFile(path), 'not read: its name does not end in .yaml or .yml');
    }
    if (files.length === 0) {
      problems.warning(
        wholeFile(folder),
        'no metric file here, so nothing is collected',
        'examples/metrics.d shows some',
      );
    }
    return files.sort();
  } catch (error) {
    problems.error(
      wholeFile(folder),
      `cannot read the metric files: ${error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such folder' : reason(error)}`,
      'make the folder, or set metrics_dir in kw.yaml',
    );
    return [];
  }
}

function readMetricFile(
  path: string,
  settings: Settings,
  protocols: Protocols,
  problems: ProblemList,
): MetricEntry[] {
  let content: ConfigFileText;
  try {
    content = readConfigFile(path);
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    problems.error(wholeFile(path), `cannot read it: ${reason(error.cause)}`);
    return [];
  }
  if (process.getuid !== undefined && (content.stat.mode & 0o002) !== 0) {
    problems.error(
      wholeFile(path),
      'every user of this machine can change this file',
      `look at it, then: chmod o-w ${path}`,
    );
    return [];
  }
  const file = new YamlFile(path, content.text, problems);
  const maps = file.roots.flatMap((root) => entryMaps(file, root));
  if ((content.stat.mode & 0o004) !== 0) warnAboutReaders(file, maps);
  const context = { ...protocols, urlContext: urlContexts(settings, dirname(path)) };
  return maps.flatMap((map) => readEntry(file, map, context) ?? []);
}

/** A document is a list of entries or, as in Kwollect, one entry. */
function entryMaps(file: YamlFile, root: YamlFile['roots'][number]): YAMLMap[] {
  const yaml = yamlModule();
  if (yaml.isMap(root)) return [root];
  if (!yaml.isSeq(root)) {
    file.problems.error(
      file.placeOf(root),
      'a metric file is a list of entries',
      'write "- name: ..." and its other keys below',
    );
    return [];
  }
  return root.items.flatMap((item) => {
    const map = file.follow(item);
    if (yaml.isMap(map)) return [map];
    const place = file.placeOf(yaml.isNode(item) ? item : root);
    file.problems.error(place, 'an entry must be a map', 'write "- name: ..." and its other keys below');
    return [];
  });
}

/** One context for each credential that the file names: they are the same for all of its entries. */
function urlContexts(settings: Settings, folder: string): EntryContext['urlContext'] {
  const contexts = new Map<string | undefined, UrlContext>();
  return (credential) => {
    const known = contexts.get(credential) ?? urlContext(settings, folder, credential);
    contexts.set(credential, known);
    return known;
  };
}

/** Everyone on the machine may read this file: say so, once, if a password stands in one of its URLs. */
function warnAboutReaders(file: YamlFile, maps: readonly YAMLMap[]): void {
  for (const map of maps) {
    const url = map.get('url', true);
    if (!yamlModule().isScalar(url)) continue;
    const userinfo = /^[a-z+]+:\/\/([^/@]*)@/i.exec(withoutReferences(scalarText(url)))?.[1] ?? '';
    if (!/:./.test(userinfo)) continue;
    file.problems.warning(
      file.placeOf(url),
      'this url holds a password, and every user of this machine can read the file',
      `chmod o-r ${file.path}, or name a credential of kw.yaml`,
    );
    return;
  }
}
