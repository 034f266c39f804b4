/** Numbers and times for people, and times for the server. Times are seconds since the epoch. No DOM. */

export type Zone = 'local' | 'utc';

/** Five significant digits, without an exponent where people read none. */
export function numberText(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e12 || size < 1e-4) return value.toExponential(3);
  if (size >= 1e5) return groupDigits(Math.round(value));
  return String(Number(value.toPrecision(5)));
}

/** `1 234 567`, with thin blanks that do not break. */
export function groupDigits(whole: number): string {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** The form of the API: UTC, six decimals. */
export function isoText(seconds: number): string {
  const us = Math.round(seconds * 1e6);
  const wholeMs = Math.floor(us / 1000);
  const rest = us - wholeMs * 1000;
  return `${new Date(wholeMs).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}+00:00`;
}

/** `2026-11-22 10:00:00.123`; as many decimals as the step between values needs. */
export function timeText(seconds: number, zone: Zone, stepS = 1): string {
  // Half a microsecond, so that 10:00:00.120 is not cut to .119.
  const date = new Date(Math.floor(seconds * 1000 + 0.0005));
  const two = (value: number) => String(value).padStart(2, '0');
  const [year, month, day, hour, minute, second] =
    zone === 'utc'
      ? [
          date.getUTCFullYear(),
          date.getUTCMonth(),
          date.getUTCDate(),
          date.getUTCHours(),
          date.getUTCMinutes(),
          date.getUTCSeconds(),
        ]
      : [
          date.getFullYear(),
          date.getMonth(),
          date.getDate(),
          date.getHours(),
          date.getMinutes(),
          date.getSeconds(),
        ];
  const text = `${year}-${two(month + 1)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
  return stepS >= 1 ? text : `${text}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/**
 * Reads what `timeText` writes, parts of it, ISO 8601 with an offset, or `-2h` and `now`.
 * @returns undefined for anything else
 */
export function parseTime(text: string, zone: Zone, nowS: number): number | undefined {
  const trimmed = text.trim();
  if (trimmed === 'now') return nowS;
  const ago = /^-(\d+(?:\.\d+)?)\s*(s|m|min|h|d)$/.exec(trimmed);
  if (ago) return nowS - Number(ago[1]) * ({ s: 1, m: 60, min: 60, h: 3600, d: 86_400 }[ago[2] ?? 's'] ?? 1);
  const parts =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(
      trimmed,
    );
  if (!parts) return undefined;
  const [, day, minute = '00:00', second = '00', fraction = '', offset] = parts;
  const where = offset ?? (zone === 'utc' ? 'Z' : '');
  const ms = Date.parse(`${day}T${minute}:${second}${where.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`);
  return Number.isNaN(ms) ? undefined : ms / 1000 + Number(`0.${fraction || '0'}`);
}

/** `2 h 3 min`, `1 min 2.5 s`, `20 ms`: two units at most. */
export function durationText(seconds: number): string {
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(4))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(4))} s`;
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = units.findIndex(([, length]) => seconds >= length);
  const [big, small] = [units[first], units[first + 1]];
  if (big === undefined) return `${seconds} s`;
  const whole = Math.floor(seconds / big[1]);
  const rest = small === undefined ? 0 : Math.floor((seconds - whole * big[1]) / small[1]);
  return rest > 0 && small ? `${whole} ${big[0]} ${rest} ${small[0]}` : `${whole} ${big[0]}`;
}
