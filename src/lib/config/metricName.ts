/**
 * Whether a metric name keeps to Prometheus's rules (prometheus.io/docs/practices/naming). Kwollect's own names
 * do, with units in the singular (`power_watt`), which is taken for right here. What does not is stored all the
 * same: the rules are a promise to the reader, not a need of the database.
 */

/** Units to avoid, the base unit to use, and how many base units one of them is. */
const UNITS: readonly (readonly [pattern: string, base: string, scale: number])[] = [
  ['milliwatts?|mw', 'watt', 0.001],
  ['kilowatts?|kw', 'watt', 1000],
  ['deciwatts?', 'watt', 0.1],
  ['watt_?hours?|wh', 'joule', 3600],
  ['kilowatt_?hours?|kwh', 'joule', 3_600_000],
  ['millivolts?|mv', 'volt', 0.001],
  ['milliamps?|milliamperes?|ma', 'ampere', 0.001],
  ['deciamps?|deciamperes?', 'ampere', 0.1],
  ['milliseconds?|msecs?|ms', 'second', 0.001],
  ['microseconds?|usecs?|us', 'second', 0.000001],
  ['minutes?', 'second', 60],
  ['hours?', 'second', 3600],
  ['bits?', 'byte', 0.125],
  ['kilobytes?|kb', 'byte', 1000],
  ['megabytes?|mb', 'byte', 1_000_000],
  ['gigabytes?|gb', 'byte', 1_000_000_000],
  ['kibibytes?|kib', 'byte', 1024],
  ['mebibytes?|mib', 'byte', 1_048_576],
  ['percent|percentage|pct', 'ratio', 0.01],
];

const UNIT_SUFFIXES = UNITS.map(
  ([pattern, base, scale]) => ({ suffix: new RegExp(`_(${pattern})(_total)?$`, 'i'), base, scale }) as const,
);

/** Columns of standard MIBs that count up: ifTable and ifXTable (RFC 2863) octets, packets, discards and errors. */
const COUNTER_OIDS =
  /(?:^|\/)\.?1\.3\.6\.1\.2\.1\.(?:2\.2\.1\.1[0-9]|2\.2\.1\.20|31\.1\.1\.1\.(?:[2-9]|1[0-3]))(?:\.|\s*\{\{|$)/;

export interface NameAdvice {
  readonly message: string;
  readonly hint?: string;
}

/** What Prometheus's rules say against a name; nothing if it is good. `url` tells counters, as far as it can. */
export function metricNameAdvice(name: string, url: string): NameAdvice[] {
  const advice: NameAdvice[] = [];
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    const plain = name.normalize('NFKD').replace(/\p{M}/gu, '');
    const better = plain.replace(/[^a-zA-Z0-9_]+/g, '_').replace(/^(?=[0-9])/, '_');
    advice.push({
      message: 'a metric name has letters, digits and _ only, and begins with a letter',
      ...(/^_*$/.test(better) || better.length > 60 ? {} : { hint: `write ${better}` }),
    });
    return advice;
  }
  if (name.startsWith('__')) {
    advice.push({
      message: 'names that begin with __ are reserved by Prometheus',
      hint: `write ${name.replace(/^_+/, '')}`,
    });
  }
  const unit = unitAdvice(name);
  if (unit) advice.push(unit);
  if (COUNTER_OIDS.test(url) && !name.endsWith('_total')) {
    advice.push({
      message: 'this OID counts up, and the name of a counter ends in _total',
      hint: `write ${name}_total`,
    });
  }
  return advice;
}

function unitAdvice(name: string): NameAdvice | undefined {
  for (const { suffix, base, scale } of UNIT_SUFFIXES) {
    const match = suffix.exec(name);
    if (match === null) continue;
    const plural = /[a-z]{3}s$/i.test(match[1] ?? '') ? 's' : '';
    const better = name.replace(suffix, `_${base}${plural}${match[2] ?? ''}`);
    return {
      message: `metrics are kept in base units, and the unit of this name is "${match[1]}"`,
      hint: `write name: ${better} and scale_factor: ${scale}`,
    };
  }
  return undefined;
}
