/**
 * Names for what devices offer, after Prometheus's rules (prometheus.io/docs/practices/naming) and in the words
 * of Kwollect's default metrics: a prefix for the kind of device, what it is, the base unit, `_total` for what
 * counts up. Used by the `discover` of every driver.
 */
import type { Labels } from '../sample.ts';
import type { Finding } from './driver.ts';

/** A base unit, and how many of it one of the device's units is: kWh is `{unit: 'joule', scale: 3600000}`. */
export interface BaseUnit {
  readonly unit: string;
  readonly scale: number;
}

/** Base units by the words that devices use for them, in lower case. */
const BASE_UNITS: Readonly<Record<string, BaseUnit>> = Object.fromEntries(
  (
    [
      ['watt', 1, 'w watt watts'],
      ['watt', 0.001, 'mw milliwatt milliwatts'],
      ['watt', 1000, 'kw kilowatt kilowatts'],
      ['joule', 1, 'j joule joules'],
      ['joule', 3600, 'wh watthour watthours watt-hour watt-hours'],
      ['joule', 3_600_000, 'kwh kilowatthour kilowatthours kilowatt-hour kilowatt-hours'],
      ['voltampere', 1, 'va volt-ampere voltampere volt-amp'],
      ['voltampere', 1000, 'kva'],
      ['voltampere_reactive', 1, 'var volt-ampere-reactive'],
      ['celsius', 1, 'c cel celsius degc °c ℃ degrees_c degreesc'],
      ['fahrenheit', 1, 'f fahrenheit degf °f degreesf'],
      ['kelvin', 1, 'k kelvin kelvins'],
      ['volt', 1, 'v volt volts'],
      ['volt', 0.001, 'mv millivolt millivolts'],
      ['ampere', 1, 'a amp amps ampere amperes'],
      ['ampere', 0.001, 'ma milliamp milliamps milliampere milliamperes'],
      ['hertz', 1, 'hz hertz'],
      ['hertz', 1e6, 'mhz megahertz'],
      ['ratio', 0.01, '% percent percentage %rh'],
      ['rpm', 1, 'rpm r/min {rev}/min'],
      ['second', 1, 's sec second seconds'],
      ['second', 0.001, 'ms millisecond milliseconds'],
      ['byte', 1, 'b byte bytes'],
      ['pascal', 1, 'pa pascal pascals'],
      ['meter_per_second', 1, 'm/s'],
    ] as const
  ).flatMap(([unit, scale, words]) => words.split(' ').map((word) => [word, { unit, scale }] as const)),
);

/** The base unit of a unit as a device writes it (`W`, `degrees C`, `kWh`, `%`), or undefined if none is known. */
export function baseUnit(text: string): BaseUnit | undefined {
  const word = text
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace('degrees ', 'degrees_')
    .replaceAll(' ', '');
  return Object.hasOwn(BASE_UNITS, word) ? BASE_UNITS[word] : undefined;
}

/**
 * A metric name: `metricName(['pdu', 'outlet', 'energy'], 'joule', {counter: true})` is
 * `pdu_outlet_energy_joule_total`. Words may hold anything: what is no letter or digit becomes `_`.
 */
export function metricName(
  words: readonly string[],
  unit?: string,
  { counter = false }: { counter?: boolean } = {},
): string {
  const all = [...words, ...(unit === undefined ? [] : [unit]), ...(counter ? ['total'] : [])];
  const name = all
    .map(nameWord)
    .filter((word) => word !== '')
    .join('_');
  return /^[0-9]/.test(name) ? `_${name}` : name || 'value';
}

/** Longest piece of a metric name that comes from a device. */
const MAX_WORD = 80;

function nameWord(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, MAX_WORD)
    .replace(/^_+|_+$/g, '');
}

/** What a sensor measures, by its base unit: the middle of its metric's name, and where it stands in the file. */
const MEASURES: Readonly<Record<string, { word: string; rank: number }>> = {
  watt: { word: 'power', rank: 0 },
  joule: { word: 'energy', rank: 1 },
  celsius: { word: 'temp', rank: 2 },
  fahrenheit: { word: 'temp', rank: 2 },
  kelvin: { word: 'temp', rank: 2 },
  volt: { word: 'voltage', rank: 3 },
  ampere: { word: 'current', rank: 3 },
  voltampere: { word: 'apparent_power', rank: 3 },
  voltampere_reactive: { word: 'reactive_power', rank: 3 },
  hertz: { word: 'frequency', rank: 3 },
  rpm: { word: 'fan_speed', rank: 3 },
  ratio: { word: '', rank: 3 },
};

/** Where a metric of this base unit stands in a file; see Finding.rank. */
export function rankOfUnit(unit: string | undefined): number {
  return (unit === undefined ? undefined : MEASURES[unit]?.rank) ?? 9;
}

/** Words in the names of sensors that say which part they belong to, and the word of Kwollect's names. */
const PARTS: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/\b(?:ps|psu|pwr ?sup\w*|power ?suppl\w*)[ _-]?\d*\b/i, 'psu'],
  [/\b(?:inlet|ambient|intake|front panel|fp)\b/i, 'ambient'],
  [/\b(?:exhaust|outlet)\b/i, 'exhaust'],
  [/\b(?:gpu|accelerator)[ _-]?\d*\b/i, 'gpu'],
  [/\b(?:dimm|memory|mem|ddr)[ _-]?\w*\b/i, 'memory'],
  [/\b(?:cpu|proc|processor|p)[ _-]?\d+\b|\bcpu\b|\bprocessor\b/i, 'cpu'],
  [/\bfans?\b/i, 'fan'],
];
/** Power of the whole machine, as BMCs call it. */
const WHOLE =
  /\b(?:pwr consumption|power consumption|system (?:board )?(?:pwr|power)\w*|total[ _]power|power[ _]meter|sys[ _]?power|chassis power|node power|dcmi)\b/i;

/**
 * The metric's name for a sensor that a device names (`CPU1 Temp`, `System Board Inlet Temp`), by its base unit
 * and the part it belongs to: `bmc_cpu_temp_celsius`, `bmc_ambient_temp_celsius`, `bmc_node_power_watt`. Names
 * of sensors do not go into names of metrics: several sensors share one and are told apart by the label
 * `sensor`, so that a query over all machines finds them under one name.
 */
export function sensorMetricName(prefix: string, sensor: string, unit: string | undefined): string {
  const spaced = sensor.replace(/[_.]+/g, ' ');
  const measure = unit === undefined ? nameWord(sensor) : (MEASURES[unit]?.word ?? 'sensor');
  const counter = unit === 'joule';
  if (unit === 'watt' || unit === 'joule') {
    if (WHOLE.test(spaced)) return metricName([prefix, 'node', measure], unit, { counter });
  }
  if (unit === 'rpm') return metricName([prefix, measure], unit);
  if (unit === 'ratio') return metricName([prefix, ratioWord(spaced)], unit);
  const part = PARTS.find(([pattern]) => pattern.test(spaced))?.[1];
  const isTemp = MEASURES[unit ?? '']?.rank === 2;
  return metricName([prefix, part ?? (isTemp ? 'other' : ''), measure], unit, { counter });
}

/** Ratios measure all kinds of things; the sensor's name tells which. */
function ratioWord(sensor: string): string {
  if (/humid|\brh\b/i.test(sensor)) return 'humidity';
  if (/fan|pwm/i.test(sensor)) return 'fan_speed';
  const part = PARTS.find(([pattern]) => pattern.test(sensor))?.[1];
  if (/usage|util|load/i.test(sensor)) return part === undefined ? 'usage' : `${part}_usage`;
  return part === undefined ? 'level' : `${part}_level`;
}

const MAX_TEXT = 120;

/** Text of a device for a label or a description: one line, nothing that acts on a terminal, not endless. */
export function deviceText(text: string, limit = MAX_TEXT): string {
  const plain = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\s]+/gu, ' ')
    .trim();
  return [...plain].length > limit ? `${[...plain].slice(0, limit).join('')}...` : plain;
}

/** Labels from texts of a device; empty ones are left out. */
export function deviceLabels(texts: Readonly<Record<string, string | undefined>>): Labels {
  const labels: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    const plain = text === undefined ? '' : deviceText(text);
    if (plain !== '') labels[name] = plain;
  }
  return labels;
}

/**
 * A secret of a URL as it may be written into a file: a reference stays as the user wrote it, what was typed
 * becomes a reference to an environment variable, which the head of the file tells to set.
 * @param text the component of the URL as it was written, with its escapes
 */
export function writableSecret(text: string, variable: string): string {
  const typed = text.replace(/\$\{[A-Za-z]+:[^{}]*\}/g, '');
  return typed === '' ? text : `\${env:${variable}}`;
}

/**
 * Findings that would store the same metric with the same labels get a label `number`: 1, 2, ... in the order of
 * the device. Two that also read the same URL are one.
 */
export function tellApart(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.metricId, Object.entries(finding.labels).sort()]);
    const group = groups.get(key) ?? [];
    if (!group.some(({ url }) => url === finding.url)) group.push(finding);
    groups.set(key, group);
  }
  const numbered = new Map<Finding, Finding>();
  for (const group of groups.values()) {
    group.forEach((finding, index) => {
      const labels = { ...finding.labels, number: String(index + 1) };
      numbered.set(finding, group.length === 1 ? finding : { ...finding, labels });
    });
  }
  return findings.map((finding) => numbered.get(finding)).filter((finding) => finding !== undefined);
}
