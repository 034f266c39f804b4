/** Units of sensors: IPMI 2.0 table 43-15 with modifiers, rates and percentage, as `ipmi-sensors` prints them. */

/** Sensor Units 1 to 3 of an SDR. */
export interface Units {
  readonly isPercentage: boolean;
  readonly base: number;
  readonly modifier: number;
  readonly modifierUse: 'none' | 'divide' | 'multiply' | 'reserved';
  /** 0: none, 1: per microsecond, ms, s, minute, hour, 6: per day, 7: reserved. */
  readonly rate: number;
}

/** By number, in the abbreviations that `ipmi-sensors` prints. */
const NAMES = (
  'unspecified|C|F|K|V|A|W|J|C|VA|nits|lm|lux|cd|KPA|PSI|N|CFM|RPM|Hz|us|ms|s|min|hr|day|wk|mil|in|ft|cu in|cu feet|' +
  'mm|cm|m|cu cm|cu m|L|fl oz|rad|sr|rev|c|g|oz|lb|ft lB|oz in|G|Gi|H|mH|F|uF|ohms|S|mol|Bq|PPM|Reserved|dB|DbA|DbC|' +
  'Gy|Sv|color temp deg K|b|Kb|Mb|Gb|B|KB|MB|GB|word|dword|qword|line|hit|miss|retry|reset|overrun / overflow|' +
  'underrun|collision|pkts|msgs|chars|err|correctable err|uncorrectable err|fatal err|g'
).split('|');

const RATES = ['', 'per uS', 'per ms', 'per s', 'per minute', 'per hour', 'per day'];

const MODIFIER_USES = ['none', 'divide', 'multiply', 'reserved'] as const;

export function decodeUnits(units1: number, base: number, modifier: number): Units {
  return {
    isPercentage: (units1 & 1) === 1,
    base,
    modifier,
    modifierUse: MODIFIER_USES[(units1 >> 1) & 3] as Units['modifierUse'],
    rate: (units1 >> 3) & 7,
  };
}

/** Whether the record says what its numbers count. */
export function hasUnit({ isPercentage, base }: Units): boolean {
  return isPercentage || base !== 0;
}

const UNIT = { rpm: 18 } as const;

/** Such as `W`, `RPM`, `%`, `B per s`, `W / m`; `unspecified` when the record names none, `N/A` when it cannot be read. */
export function unitsText(units: Units): string {
  const { isPercentage, base, modifier, modifierUse, rate } = units;
  const name = NAMES[base];
  const other = NAMES[modifier];
  const isWrong =
    modifierUse === 'reserved' || rate >= RATES.length || (modifierUse !== 'none' && rate !== 0);
  if (name === undefined || other === undefined || isWrong) return 'N/A';
  if (isPercentage && base === 0 && modifierUse === 'none' && rate === 0) return '%';
  const prefix = isPercentage ? '% ' : '';
  // Revolutions a minute are a rate by themselves.
  if (rate !== 0) return `${prefix}${base === UNIT.rpm && rate === 4 ? name : `${name} ${RATES[rate]}`}`;
  if (modifierUse === 'none' || modifier === 0) return `${prefix}${name}`;
  return `${prefix}${name} ${modifierUse === 'divide' ? '/' : '*'} ${other}`;
}
