/** One file of metrics.d, as far as its entries. */
import type { Node, YAMLMap } from 'yaml';
import { KwError } from '../errors.ts';
import { type ConfigFileText, readConfigFile } from './configFile.ts';
import { type ProblemList, wholeFile } from './place.ts';
import { reason, withoutReferences } from './references.ts';
import { scalarText, YamlFile } from './yamlFile.ts';
import { yamlModule } from './yamlModule.ts';

/** Entries of a file, as maps. */
interface MetricPart {
  readonly yaml: YamlFile;
  readonly maps: readonly YAMLMap[];
}

/** The entries of a file part by part, a few milliseconds each; nothing if it cannot be read. */
export function* readMetricFile(path: string, problems: ProblemList): Generator<MetricPart> {
  let content: ConfigFileText;
  try {
    content = readConfigFile(path);
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    problems.error(wholeFile(path), `cannot read it: ${reason(error.cause)}`);
    return;
  }
  if (process.getuid !== undefined && (content.stat.mode & 0o002) !== 0) {
    const hint = `look at it, then: chmod o-w ${path}`;
    problems.error(wholeFile(path), 'every user of this machine can change this file', hint);
    return;
  }
  let _warned = (content.stat.mode & 0o004) === 0;
  for (const { text, linesBefore } of splitList(content.text)) {
    const yaml = new YamlFile(path, text, problems, linesBefore);
    const maps = metricMaps(yaml);
    _warned ||= warnAboutReaders(yaml, maps);
    yield { yaml, maps };
  }
}

/** Files below this are parsed whole. */
const MIN_SPLIT_LENGTH = 32_768;
const ITEMS_PER_PART = 100;

/**
 * A long list of entries in parts that can be parsed one after the other. In a list that begins in column 1,
 * a line that begins with `- ` is always a new item: whatever an item holds is indented, quoted texts too.
 * Files in which one entry may depend on another (anchors, several documents, directives) stay whole.
 */
export function splitList(text: string): { text: string; linesBefore: number }[] {
  const whole = [{ text, linesBefore: 0 }];
  if (text.length < MIN_SPLIT_LENGTH || !/^(?:[ \t\r]*(?:#[^\n]*)?\n)*- /.test(text)) return whole;
  if (/(?:^|[\s[{,])[&*]\S/.test(text) || /(?:^|\n)(?:---|\.\.\.|%)/.test(text)) return whole;
  const parts: { text: string; linesBefore: number }[] = [];
  let start = 0;
  let linesBefore = 0;
  let items = 0;
  for (const { index } of text.matchAll(/(?<=^|\n)-(?=[ \r\n])/g)) {
    if (items++ === 0 || items % ITEMS_PER_PART !== 1) continue;
    const part = text.slice(start, index);
    parts.push({ text: part, linesBefore });
    linesBefore += part.split('\n').length - 1;
    start = index;
  }
  return [...parts, { text: text.slice(start), linesBefore }];
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

/** Everyone on the machine may read this file: says so if a password stands in a URL. True if it said so. */
function warnAboutReaders(file: YamlFile, maps: readonly YAMLMap[]): boolean {
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
    return true;
  }
  return false;
}
