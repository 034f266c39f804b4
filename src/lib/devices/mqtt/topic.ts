/** Topics and the filters that fit them (MQTT 3.1.1, section 4.7). */

/** What is wrong with a filter, or undefined. */
export function filterProblem(filter: string): string | undefined {
  if (filter === '') return 'the URL names no topic';
  if (Buffer.byteLength(filter) > 65_535) return 'the topic is too long';
  if (filter.includes('\0') || !filter.isWellFormed()) return 'a topic has no such characters';
  const levels = filter.split('/');
  if (levels.some((level) => level.length > 1 && /[+#]/.test(level)))
    return '+ and # stand for whole levels of a topic: write them alone between slashes';
  const hash = levels.indexOf('#');
  if (hash >= 0 && hash < levels.length - 1) return '# stands at the end of a topic only';
  return undefined;
}

export function hasWildcard(filter: string): boolean {
  return filter.split('/').some((level) => level === '+' || level === '#');
}

/** Whether a filter fits a topic. Topics that begin with `$` are the broker's own, and no wildcard fits them. */
export function fits(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const levels = topic.split('/');
  const parts = filter.split('/');
  for (const [index, part] of parts.entries()) {
    // `a/#` fits `a` too.
    if (part === '#') return true;
    if (index >= levels.length || (part !== '+' && part !== levels[index])) return false;
  }
  return levels.length === parts.length;
}
