/** What a device offers, for `kw device discover`: asks its driver, and puts the answer into the form of a file. */
import { isIP } from 'node:net';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';
import { labelsProblem } from '../limits.ts';
import type { Labels } from '../sample.ts';
import { nowUs } from '../time.ts';
import type { AnyDriver, DiscoverOptions, Discovery, Finding, UrlContext } from './driver.ts';
import { deviceText, tellApart } from './naming.ts';
import { allDrivers } from './registry.ts';
import { driverOf, hostOf, readUrl } from './urlText.ts';

export interface DiscoverRequest extends DiscoverOptions {
  readonly urlContext: UrlContext;
  /** Default: the host of the URL without its domain. */
  readonly deviceId?: string | undefined;
}

export interface Discovered extends Discovery {
  /** The URL for people: secrets replaced. */
  readonly safeUrl: string;
  readonly deviceId: string;
}

/**
 * Findings come in the order of a file, each with labels that can be stored and of its own.
 * @throws KwError BAD_URL, NO_DISCOVERY when the protocol cannot be asked, BAD_PROFILE; what the device does is in
 * the problems
 */
export async function discover(text: string, request: DiscoverRequest): Promise<Discovered> {
  const driver = driverOf(text);
  if (!driver.discover) throw cannotDiscover(driver);
  checkProfile(driver, request.profile);
  const url = readUrl(driver, () => (driver.parseDeviceUrl ?? driver.parseUrl)(text, request.urlContext));
  const deviceId = request.deviceId ?? shortName(hostOf(url));
  const context = { nowUs, isConfiguredMetric: () => false };
  const { urlContext: _, deviceId: __, ...options } = request;
  const { profiles, findings, problems, about } = await driver.discover(deviceId, url, context, options);
  const storable = findings.map((finding) => ({ ...finding, labels: storableLabels(finding.labels) }));
  const ordered = tellApart(storable).sort((a, b) => a.rank - b.rank);
  return { safeUrl: url.safeUrl, deviceId, profiles, findings: ordered, problems, about };
}

/** `pdu-1` of `pdu-1.example.org`: devices are named so; addresses stay whole. */
function shortName(host: string): string {
  return isIP(host) === 0 ? (host.split('.')[0] ?? host) : host;
}

function cannotDiscover(driver: AnyDriver): KwError {
  const able = allDrivers().flatMap((one) => (one.discover ? (one.schemes[0] ?? []) : []));
  return new KwError(`kw cannot ask ${driver.schemes[0]}:// devices what they offer`, {
    code: 'NO_DISCOVERY',
    exit: 2,
    hint: `it can with ${able.join(', ')}; kw device probe reads one URL of any protocol`,
  });
}

function checkProfile(driver: AnyDriver, profile: string | undefined): void {
  if (profile === undefined) return;
  const names = (driver.profiles ?? []).map(({ name }) => name);
  if (names.includes(profile)) return;
  const near = closest(profile, names)[0];
  throw new KwError(
    `there is no profile ${JSON.stringify(profile.slice(0, 60))} for ${driver.schemes[0]}://`,
    {
      code: 'BAD_PROFILE',
      exit: 2,
      hint:
        near !== undefined
          ? `did you mean ${near}?`
          : names.length > 0
            ? `profiles: ${names.join(', ')}`
            : 'this protocol needs none: leave --profile out',
    },
  );
}

/** Labels as one line each, cut until they can be stored: names that people gave may be long. */
function storableLabels(labels: Labels): Labels {
  for (let limit = 120; ; limit = Math.floor(limit / 2)) {
    const storable = Object.fromEntries(
      Object.entries(labels).map(([name, value]) => [name, deviceText(value, limit)]),
    );
    if (labelsProblem(storable) === undefined || limit === 0) return storable;
  }
}

/** A finding as JSON for programs: the keys of a metric file, the value, and the order. */
export function findingJson(finding: Finding): Record<string, unknown> {
  const { metricId, url, unit, description, labels, periodMs, optional, scaleFactor, value, rank } = finding;
  return {
    name: metricId,
    url,
    update_every: periodMs,
    ...(optional && { optional }),
    ...(scaleFactor !== undefined && { scale_factor: scaleFactor }),
    ...(unit !== undefined && { unit }),
    ...(description !== undefined && { description }),
    labels,
    ...(value !== undefined && { value }),
    rank,
  };
}
