/** One file of metrics.d, as far as its entries. */
import type { Node, YAMLMap } from 'yaml';
import { KwError } from '../errors.ts';
import { type ConfigFileText, readConfigFile } from './configFile.ts';
import { type ProblemList, wholeFile } from './place.ts';
import { reason, withoutReferences } from './references.ts';
import { scalarText, YamlFile } from './yamlFile.ts';
import { yamlModule } from './yamlModule.ts';

/** The entries of a file as maps, or undefined if it cannot be read. */
export function readMetricFile(
  path: string,
  problems: ProblemList,
): { yaml: YamlFile; maps: YAMLMap[] } | undefined {
  let content: ConfigFileText;
  try {
    content = readConfigFile(path);
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    problems.error(wholeFile(path), `cannot read it: ${reason(error.cause)}`);
    return undefined;
  }
  if (process.getuid !== undefined && (content.stat.mode & 0o002) !== 0) {
    problems.error(
      wholeFile(path),
      'every user of this machine can change this file',
      `look at it, then: chmod o-w ${path}`,
    );
    return undefined;
  }
  const yaml = new YamlFile(path, content.text, problems);
  const maps = metricMaps(yaml);
  if ((content.stat.mode & 0o004) !== 0) warnAboutReaders(yaml, maps);
  return { yaml, maps };
}

/** The entries of all documents. */
export function metricMaps(file: YamlFile): YAMLMap[] {
  return file.roots.flatMap((root) => entryMaps(file, root));
}

/** A document is a list of entries or, as in Kwollect, one entry. */
function entryMaps(file: YamlFile, root: Node): YAMLMap[] {
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
