/**
 * Links between resources. A BMC is a program of somebody else that kw sends a token to: whatever a link or a redirect
 * says, requests go to the host of the URL and below /redfish/ only.
 */
import { encodeForHttp } from '../shared/urlParts.ts';
import { member, text } from './value.ts';

const MAX_PATH = 2048;

/**
 * The path of a link (`{"@odata.id": ...}`, DSP0266 section 9.8), without its fragment; undefined when there is no link
 * or it leads elsewhere. Some services write the path itself where the schema has an object: Cisco's CIMC 4.0
 * (github.com/influxdata/telegraf/issues/8418).
 */
export function linkOf(value: unknown): string | undefined {
  const target = typeof value === 'string' ? value : text(value, '@odata.id');
  return target === undefined ? undefined : pathOf(target);
}

/** The link that a resource has under this name. */
export function linkTo(resource: unknown, name: string): string | undefined {
  return linkOf(member(resource, name));
}

function pathOf(target: string): string | undefined {
  const [path = ''] = target.split('#', 1);
  if (path.length > MAX_PATH || !path.isWellFormed() || !path.startsWith('/redfish/')) return undefined;
  if (/[\p{Cc}\s\\]/u.test(path) || /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(path)) return undefined;
  return encodeForHttp(path);
}

/**
 * Where a redirect or a `Location` leads on the same host, or undefined.
 *
 * A URL with another host counts when only the host differs from what was asked: iLO 4 redirects to its own address
 * when it was asked by name (github.com/mrlhansen/idrac_exporter/issues/201), and behind a NAT that address leads
 * nowhere. The request goes to the host of the configuration all the same.
 * @param asked the path that was asked for; undefined for the Location of a session, whose path is all that counts
 */
export function sameHostPath(location: string, origin: string, asked?: string): string | undefined {
  if (location.startsWith('/') && !location.startsWith('//')) return pathOf(location);
  let url: URL;
  try {
    url = new URL(location);
  } catch {
    return undefined;
  }
  const path = pathOf(url.pathname + url.search);
  if (path === undefined || asked === undefined || url.origin === new URL(origin).origin) return path;
  const bare = (text: string) => text.replace(/\/+$/, '');
  const onlyHostDiffers =
    bare(path) === bare(asked) && url.protocol === new URL(origin).protocol && url.port === '';
  return onlyHostDiffers && path !== asked ? path : undefined;
}
