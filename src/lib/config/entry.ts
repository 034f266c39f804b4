/** One entry of a metric file, each key checked at its place. */
import type { YAMLMap } from 'yaml';
import { type AnyDriver, DeviceUrlError, isStreamDriver, type UrlContext } from '../devices/driver.ts';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';
import { labelsProblem, nameProblem } from '../limits.ts';
import type { Labels } from '../sample.ts';
import { Fields, shown } from './fields.ts';
import { metricNameAdvice } from './metricName.ts';
import type { MetricEntry, Place } from './model.ts';
import { isPageUrl } from './pageUrl.ts';
import { placeInside, type YamlField, type YamlFile } from './yamlFile.ts';

/** Kwollect's default. */
const DEFAULT_UPDATE_EVERY_MS = 10_000;

/** Nothing that kw speaks to answers more often than a hundred times a second. */
const MIN_PERIOD_MS = 10;

const KEYS = [
  'name',
  'device_id',
  'url',
  'update_every',
  'optional_update_every',
  'optional',
  'scale_factor',
  'labels',
  'unit',
  'description',
  'timeout',
  'credential',
];

/** Keys of Kwollect's own reader that were never meant to be written, and words of its generators. */
const INSTEAD: Readonly<Record<string, string>> = {
  path: 'write it at the end of url',
  path_template: 'write the template at the end of url',
  device: 'write device_id',
  metric_id: 'write name',
  period: 'write update_every, in milliseconds',
  optional_period: 'write optional_update_every, in milliseconds',
  interval: 'write update_every, in milliseconds',
};

/** What reading an entry needs from outside. */
export interface EntryContext {
  /** The protocols; see devices/registry.ts. */
  driverFor(scheme: string): AnyDriver | undefined;
  knownSchemes(): readonly string[];
  /** Throws KwError when there is no such credential or it cannot be resolved. */
  urlContext(credential: string | undefined): UrlContext;
}

/** The entry, or undefined if it cannot be collected; then the problems say why. */
export function readEntry(file: YamlFile, map: YAMLMap, context: EntryContext): MetricEntry | undefined {
  const errorsBefore = file.problems.errorCount;
  const fields = new Fields(file, map);
  fields.refuseUnknown(KEYS, INSTEAD);
  const name = readName(fields, 'name', 'metric');
  const deviceId = readName(fields, 'device_id', 'device');
  const target = readUrl(fields, context);
  const usual = target && isStreamDriver(target.driver) ? target.driver.defaultPeriodsMs : undefined;
  const updateEveryMs = readPeriod(fields, 'update_every') ?? usual?.usual ?? DEFAULT_UPDATE_EVERY_MS;
  const optionalUpdateEveryMs = readPeriod(fields, 'optional_update_every') ?? usual?.promoted;
  const entry = {
    updateEveryMs,
    optionalUpdateEveryMs: optionalUpdateEveryMs === updateEveryMs ? undefined : optionalUpdateEveryMs,
    scaleFactor: readScaleFactor(fields),
    labels: readLabels(fields),
    optional: fields.boolean('optional') ?? false,
    unit: fields.text('unit'),
    description: fields.text('description'),
    timeoutMs: readTimeout(fields, Math.min(updateEveryMs, optionalUpdateEveryMs ?? updateEveryMs)),
    place: fields.place,
  };
  if (name !== undefined && target !== undefined) adviseName(fields, name, target);
  if (optionalUpdateEveryMs !== undefined && optionalUpdateEveryMs > updateEveryMs) {
    file.problems.warning(
      fields.placeOf('optional_update_every'),
      `promoted, this metric is read less often (${optionalUpdateEveryMs} ms) than otherwise (${updateEveryMs} ms)`,
    );
  }
  if (file.problems.errorCount > errorsBefore) return undefined;
  if (name === undefined || deviceId === undefined || target === undefined) return undefined;
  return { name, deviceId, url: target.url, driver: target.driver, ...entry };
}

function readName(fields: Fields, key: 'name' | 'device_id', kind: 'metric' | 'device'): string | undefined {
  const field = fields.get(key);
  if (field === undefined) {
    fields.errorAt(
      fields.placeOf(key),
      fields.has(key) ? `${key} is empty` : `the entry has no ${key}`,
      `write "${key}: ..."`,
    );
    return undefined;
  }
  const text = fields.text(key);
  if (text === undefined) return undefined;
  const problem = nameProblem(kind, text);
  return problem === undefined ? text : fields.error(field, problem);
}

function readUrl(fields: Fields, context: EntryContext): Pick<MetricEntry, 'url' | 'driver'> | undefined {
  const field = fields.get('url');
  if (field === undefined) {
    const message = fields.has('url') ? 'url is empty' : 'the entry has no url';
    fields.errorAt(fields.placeOf('url'), message, 'write "url: snmp://COMMUNITY@HOST/OID" or another');
    return undefined;
  }
  const text = fields.text('url')?.trim();
  if (text === undefined) return undefined;
  // By an escape in quotes; the drivers need not bear it.
  if (!text.isWellFormed()) return fields.error(field, 'url is not valid Unicode');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    return fields.error(field, 'url has no protocol', `it begins with ${schemeList(context)}`);
  }
  const driver = context.driverFor(scheme);
  if (driver === undefined) return refuseScheme(fields, field, scheme, context);
  const credential = fields.text('credential');
  let urlContext: UrlContext;
  try {
    urlContext = context.urlContext(credential);
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    return refuseSecret(fields, fields.placeOf('credential'), error);
  }
  try {
    return { url: driver.parseUrl(text, urlContext), driver };
  } catch (error) {
    if (error instanceof DeviceUrlError) {
      const { cause } = error;
      if (cause instanceof KwError) return refuseSecret(fields, placeInside(field, error.offset), cause);
      fields.errorAt(placeInside(field, error.offset), error.message, error.hint);
      return undefined;
    }
    if (error instanceof KwError) return refuseSecret(fields, field.place, error);
    throw error;
  }
}

/** A variable that is not set, or a file that is not there, is one mistake however many entries need it. */
function refuseSecret(fields: Fields, place: Place, { code, message, hint }: KwError): undefined {
  if (code === 'BAD_REFERENCE') fields.errorOnce(place, message, hint);
  else fields.errorAt(place, message, hint);
}

function refuseScheme(fields: Fields, field: YamlField, scheme: string, context: EntryContext): undefined {
  const ways = context.knownSchemes().filter((known) => known.startsWith(`${scheme}+`));
  const near = ways[0] ?? closest(scheme, [...context.knownSchemes()])[0];
  const hint = near === undefined ? `known ones: ${schemeList(context)}` : `did you mean ${near}://?`;
  return fields.error(field, `${shown(`${scheme}://`)} is no protocol that kw speaks`, hint);
}

function schemeList(context: EntryContext): string {
  return context
    .knownSchemes()
    .map((scheme) => `${scheme}://`)
    .join(', ');
}

function readPeriod(fields: Fields, key: 'update_every' | 'optional_update_every'): number | undefined {
  const ms = fields.milliseconds(key, MIN_PERIOD_MS);
  const field = fields.get(key);
  if (ms !== undefined && field !== undefined && ms < 100) {
    fields.warning(
      field,
      `${key} is in milliseconds: ${ms} means ${Math.round(1000 / ms)} readings a second`,
      `for ${ms} seconds write ${ms * 1000}`,
    );
  }
  return ms;
}

function readTimeout(fields: Fields, periodMs: number): number | undefined {
  const ms = fields.milliseconds('timeout', 1);
  const field = fields.get('timeout');
  if (ms === undefined || field === undefined || ms < periodMs) return ms;
  return fields.error(
    field,
    `timeout (${ms} ms) must be below the period (${periodMs} ms)`,
    'shorten it, or leave it out',
  );
}

function readScaleFactor(fields: Fields): number | undefined {
  const factor = fields.number('scale_factor');
  const field = fields.get('scale_factor');
  if (factor !== 0 || field === undefined) return factor;
  fields.warning(field, 'scale_factor 0 is not applied, as in Kwollect', 'remove it');
  return undefined;
}

function readLabels(fields: Fields): Labels {
  const labels = fields.textMap('labels') ?? {};
  const field = fields.get('labels');
  if (field === undefined) return labels;
  const problem = labelsProblem(labels);
  if (problem !== undefined) fields.error(field, problem);
  const alias = labels._device_alias;
  const aliasProblem = alias === undefined ? undefined : nameProblem('device', alias);
  if (aliasProblem !== undefined) fields.error(field, `_device_alias: ${aliasProblem}`);
  return labels;
}

/** The name of a page of metrics is stored nowhere, so that its form matters to nobody. */
function adviseName(fields: Fields, name: string, target: Pick<MetricEntry, 'url'>): void {
  const field = fields.get('name');
  if (field === undefined || isPageUrl(target.url)) return;
  for (const { message, hint } of metricNameAdvice(name, target.url.safeUrl))
    fields.warning(field, message, hint);
}
