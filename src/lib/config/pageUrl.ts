/** URLs that read a whole page of metrics at once, and whether two of them read the same ones. */
import type { DeviceUrl } from '../devices/driver.ts';

/** A prometheus URL, as far as the configuration looks at it. */
export interface PageUrl extends DeviceUrl {
  readonly origin: string;
  readonly pagePath: string;
  /** The metrics chosen, by their names on the page; undefined means all. */
  readonly names: readonly string[] | undefined;
}

export function isPageUrl(url: DeviceUrl): url is PageUrl {
  return 'origin' in url && 'pagePath' in url && 'names' in url;
}

/** What two selections of one page have in common: names, or `all` when that is the whole page. */
export function commonNames(a: PageUrl, b: PageUrl): readonly string[] | 'all' {
  if (a.names === undefined) return b.names ?? 'all';
  if (b.names === undefined) return a.names;
  const others = new Set(b.names);
  return a.names.filter((name) => others.has(name));
}
