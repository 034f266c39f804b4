/**
 * Times and durations as people write them, and as kw prints them.
 *
 * A timestamp is a whole number of microseconds since 1970-01-01T00:00:00Z, everywhere. JavaScript's Date has
 * milliseconds only and is not used: text goes to numbers and back by civil-calendar arithmetic, and only the
 * offset of a time zone is asked of Intl.
 */
import { KwError } from './errors.ts';

const US_PER_SECOND = 1e6;
const SECONDS_PER_DAY = 86_400;
/** Epoch seconds above this (year 5138) are milliseconds, microseconds or nanoseconds by mistake. */
const MAX_EPOCH_SECONDS = 1e11;

export interface TimeContext {
  /** The clock's reading that `now`, `-2h` and `today` refer to. */
  nowUs: number;
  /** IANA name for times without an offset, such as `Europe/Paris`; default the zone of the process. */
  timeZone?: string | undefined;
}

/** Milliseconds between the epoch and the zero of the monotonic clock; follows steps and slews of the wall clock. */
let monotonicZeroMs = performance.timeOrigin;

/**
 * The wall clock in microseconds. Node's own wall clock counts milliseconds; the monotonic clock, held within
 * the current one of them, gives the digits below.
 */
export function nowUs(): number {
  const wallMs = Date.now();
  const sinceZeroMs = performance.now();
  const lag = wallMs - (monotonicZeroMs + sinceZeroMs);
  if (lag > 0 || lag <= -1) monotonicZeroMs += lag;
  return Math.round((monotonicZeroMs + sinceZeroMs) * 1000);
}

/** The zone of the process (TZ, else the system's), such as `Europe/Paris`. */
export function localTimeZone(): string {
  return new Intl.DateTimeFormat('en-US').resolvedOptions().timeZone;
}

/** @throws KwError BAD_TIME_ZONE unless Intl knows the zone */
export function checkTimeZone(timeZone: string): string {
  offsetSecondsAt(0, timeZone);
  return timeZone;
}

/**
 * Reads a time as written on a command line or in an HTTP query:
 * - ISO 8601: `2026-11-22T10:00:00.123456+01:00`; `T` or a blank, seconds, fraction and offset may be missing;
 *   a date alone is the first instant of that day; more than six fractional digits are rounded;
 * - epoch seconds, whole or with a fraction, never milliseconds;
 * - `now`, `today`, `yesterday`, `tomorrow` (midnight), and distances from now: `-2h`, `now-1h30m`, `+5m`.
 *
 * Times without an offset are local to `timeZone`. One that exists twice (clocks go back) or never (clocks go
 * forward) there is refused, with both readings in UTC.
 * @returns microseconds since the epoch
 * @throws KwError BAD_TIME, BAD_TIME_ZONE
 */
export function parseTimeUs(text: string, context: TimeContext): number {
  const trimmed = text.trim();
  const us =
    parseWord(trimmed, context) ??
    parseDistance(trimmed, context) ??
    parseEpoch(trimmed) ??
    parseIso(trimmed, context);
  if (us === undefined) {
    throw badTime(
      text,
      'is not a time that kw can read',
      'write 2026-11-22T10:00:00, 2026-11-22T10:00:00.123456+01:00, epoch seconds, -2h, now, today or yesterday',
    );
  }
  if (!Number.isSafeInteger(us)) throw badTime(text, 'lies outside the years 1685 to 2254');
  return us;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads a duration: `500ms`, `10s`, `1m30s`, `2h`, `1.5d`, `1w`. A number without a unit is refused.
 * @returns milliseconds, possibly fractional
 * @throws KwError BAD_DURATION
 */
export function parseDurationMs(text: string): number {
  const ms = durationMs(text.trim());
  if (ms === undefined) {
    const bare = /^\d+(\.\d+)?$/.test(text.trim());
    throw new KwError(`${quoted(text)} is not a duration`, {
      code: 'BAD_DURATION',
      hint: bare ? `add a unit: ${text.trim()}s or ${text.trim()}m` : 'write 500ms, 10s, 1m30s, 2h or 7d',
    });
  }
  return ms;
}

/** `2026-11-22T10:00:00.123456+00:00`: the form of every machine format. Always six decimals, always UTC. */
export function formatUtc(us: number): string {
  if (us === Number.POSITIVE_INFINITY) return 'infinity';
  if (us === Number.NEGATIVE_INFINITY) return '-infinity';
  const second = Math.floor(us / US_PER_SECOND);
  return `${secondText(second, 'T')}.${pad(us - second * US_PER_SECOND, 6)}+00:00`;
}

/** As formatUtc, with as many decimals as there are: as PostgreSQL writes timestamps in JSON. */
export function formatUtcShort(us: number): string {
  return formatUtc(us).replace(/\.?0+\+00:00$/, '+00:00');
}

/**
 * `2026-11-22 11:00:00.123456`: for tables that people read, in `timeZone`.
 * `fractionDigits` 0 to 6 cuts, and never rounds to a later time.
 */
export function formatLocal(us: number, timeZone: string, fractionDigits = 6): string {
  if (!Number.isFinite(us)) return us > 0 ? 'infinity' : '-infinity';
  const second = Math.floor(us / US_PER_SECOND);
  const text = secondText(second + offsetSecondsAt(second, timeZone), ' ');
  if (fractionDigits === 0) return text;
  return `${text}.${pad(us - second * US_PER_SECOND, 6).slice(0, fractionDigits)}`;
}

/** A duration for people: `3 s`, `2 min`, `5 h`, `12 d`; one unit, cut towards zero. */
export function formatAge(us: number): string {
  const seconds = Math.max(0, us) / US_PER_SECOND;
  if (seconds < 1) return '0 s';
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * SECONDS_PER_DAY) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / SECONDS_PER_DAY)} d`;
}

// --- reading ---------------------------------------------------------------------------------------------

/** Days from today. */
const DAY_WORDS = new Map([
  ['yesterday', -1],
  ['today', 0],
  ['tomorrow', 1],
]);

function parseWord(text: string, context: TimeContext): number | undefined {
  const word = text.toLowerCase();
  if (word === 'now') return context.nowUs;
  const days = DAY_WORDS.get(word);
  if (days === undefined) return undefined;
  const zone = context.timeZone ?? localTimeZone();
  const second = Math.floor(context.nowUs / US_PER_SECOND);
  const today = Math.floor((second + offsetSecondsAt(second, zone)) / SECONDS_PER_DAY);
  return startOfDay((today + days) * SECONDS_PER_DAY, zone) * US_PER_SECOND;
}

function parseDistance(text: string, context: TimeContext): number | undefined {
  const match = /^(?:now\s*)?([+-])\s*(\S.*)$/i.exec(text);
  if (match?.[2] === undefined) return undefined;
  const ms = durationMs(match[2]);
  if (ms === undefined) return undefined;
  const us = Math.round(ms * 1000);
  return match[1] === '-' ? context.nowUs - us : context.nowUs + us;
}

function durationMs(text: string): number | undefined {
  if (text.length > 100 || !/^(\d+(\.\d+)?\s*[a-z]+\s*)+$/i.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/gi)) {
    const unitMs = DURATION_UNITS_MS[unit?.toLowerCase() ?? ''];
    if (unitMs === undefined) return undefined;
    total += Number(amount) * unitMs;
  }
  return Number.isFinite(total) ? total : undefined;
}

/** Digits are taken as text: `1763805600.123456` is no double, and its last digit counts. */
function parseEpoch(text: string): number | undefined {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match?.[2] === undefined) return undefined;
  const whole = Number(match[2]);
  if (whole >= MAX_EPOCH_SECONDS) {
    const unit = whole < 1e14 ? 1e3 : whole < 1e17 ? 1e6 : 1e9;
    const name = { 1e3: 'milliseconds', 1e6: 'microseconds', 1e9: 'nanoseconds' }[unit];
    throw badTime(text, `is too far in the future: ${name}?`, `kw reads seconds: ${whole / unit}`);
  }
  const us = whole * US_PER_SECOND + fractionUs(match[3]);
  return match[1] === '-' ? -us : us;
}

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

function parseIso(text: string, context: TimeContext): number | undefined {
  const match = ISO.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((digits) => (digits === undefined ? undefined : Number(digits))) as [
    number,
    number,
    number,
    ...number[],
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) {
    throw badTime(text, 'is no day of the calendar');
  }
  // 24:00:00 is the next midnight and 23:59:60 a leap second: ISO 8601 has both, and so has PostgreSQL.
  const endOfDay = hour === 24 && minute === 0 && second === 0 && !Number(match[7] ?? 0);
  if ((hour > 23 && !endOfDay) || minute > 59 || second > 60) throw badTime(text, 'is no time of a day');

  const civil = civilSecond(year, month, day) + hour * 3600 + minute * 60 + second;
  const us = fractionUs(match[7]);
  if (match[8] !== undefined) return (civil - offsetOfText(match[8], text)) * US_PER_SECOND + us;
  const zone = context.timeZone ?? localTimeZone();
  const epochSecond = match[4] === undefined ? startOfDay(civil, zone) : localToEpoch(civil, zone, text);
  return epochSecond * US_PER_SECOND + us;
}

/** Digits after the point, as microseconds, rounded to the nearest. */
function fractionUs(digits: string | undefined): number {
  if (!digits) return 0;
  const us = Number(digits.slice(0, 6).padEnd(6, '0'));
  return digits.length > 6 && digits.charCodeAt(6) >= 53 /* '5' */ ? us + 1 : us;
}

function offsetOfText(offset: string, text: string): number {
  if (/^z$/i.test(offset)) return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(':', '') || 0);
  if (hours > 15 || minutes > 59) throw badTime(text, 'has an offset that no place on Earth has');
  return (offset[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

function badTime(text: string, problem: string, hint?: string): KwError {
  return new KwError(`${quoted(text)} ${problem}`, { code: 'BAD_TIME', hint });
}

/** User's text inside a message: escaped and cut. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

// --- time zones ------------------------------------------------------------------------------------------

/**
 * A local time to epoch seconds. The offsets in force a day before and a day after are the only two that the
 * local time can have been written in; it exists once, twice or never according to how many of them are in
 * force at the instant they lead to.
 */
function localToEpoch(civil: number, timeZone: string, text: string): number {
  const { readings, before, after } = localReadings(civil, timeZone);
  const [first] = readings;
  if (readings.length === 1 && first !== undefined) return first;
  const [early, late] = [civil - Math.max(before, after), civil - Math.min(before, after)];
  throw badTime(
    text,
    readings.length === 0
      ? `does not exist in ${timeZone}: clocks go forward over it`
      : `exists twice in ${timeZone}: clocks go back over it`,
    `give the offset or UTC: ${secondText(early, 'T')}Z or ${secondText(late, 'T')}Z`,
  );
}

/** First instant of a local day; where midnight is skipped, the instant at which clocks go forward. */
function startOfDay(civil: number, timeZone: string): number {
  const { readings, before } = localReadings(civil, timeZone);
  return readings.length === 0 ? civil - before : Math.min(...readings);
}

function localReadings(civil: number, timeZone: string) {
  const before = offsetSecondsAt(civil - SECONDS_PER_DAY, timeZone);
  const after = offsetSecondsAt(civil + SECONDS_PER_DAY, timeZone);
  const offsets = before === after ? [before] : [before, after];
  const readings = offsets
    .map((offset) => civil - offset)
    .filter((second, i) => offsetSecondsAt(second, timeZone) === offsets[i]);
  return { readings, before, after };
}

const zoneFormats = new Map<string, Intl.DateTimeFormat>();
/** Last minute asked for in each zone: rows come in order of time, and no zone changes within a minute. */
const lastOffsets = new Map<string, { minute: number; offset: number }>();

/** Seconds east of UTC in `timeZone` at an epoch second. */
function offsetSecondsAt(epochSecond: number, timeZone: string): number {
  const minute = Math.floor(epochSecond / 60);
  const last = lastOffsets.get(timeZone);
  if (last?.minute === minute) return last.offset;
  const parts: Record<string, number> = {};
  for (const { type, value } of zoneFormat(timeZone).formatToParts(minute * 60_000))
    parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute: min = 0, second = 0 } = parts;
  const offset = civilSecond(year, month, day) + hour * 3600 + min * 60 + second - minute * 60;
  lastOffsets.set(timeZone, { minute, offset });
  return offset;
}

function zoneFormat(timeZone: string): Intl.DateTimeFormat {
  let format = zoneFormats.get(timeZone);
  if (format !== undefined) return format;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw new KwError(`there is no time zone ${quoted(timeZone)}`, {
      code: 'BAD_TIME_ZONE',
      hint: 'write an IANA name such as Europe/Paris, or UTC',
    });
  }
  zoneFormats.set(timeZone, format);
  return format;
}

// --- calendar --------------------------------------------------------------------------------------------

/**
 * Midnight of a Gregorian day as seconds since 1970-01-01, the zone left aside.
 * Algorithm days_from_civil of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March,
 * so that the leap day is the last of its year.
 */
function civilSecond(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return (era * 146_097 + dayOfEra - 719_468) * SECONDS_PER_DAY;
}

/** The reverse of civilSecond: `YYYY-MM-DD`. */
function dateText(dayNumber: number): string {
  const z = dayNumber + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yearOfEra = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  );
  const dayOfYear = doe - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted + (shifted < 10 ? 3 : -9);
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
}

// Rows come in order of time: nearly every row has the second of the row before, and else its day.
let lastSecond = Number.NaN;
let lastSeparator = '';
let lastSecondText = '';
let lastDay = Number.NaN;
let lastDayText = '';

function secondText(second: number, separator: string): string {
  if (second === lastSecond && separator === lastSeparator) return lastSecondText;
  const day = Math.floor(second / SECONDS_PER_DAY);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = dateText(day);
  }
  const rest = second - day * SECONDS_PER_DAY;
  const hour = Math.floor(rest / 3600);
  const minute = Math.floor((rest - hour * 3600) / 60);
  lastSecond = second;
  lastSeparator = separator;
  lastSecondText = `${lastDayText}${separator}${pad(hour, 2)}:${pad(minute, 2)}:${pad(rest % 60, 2)}`;
  return lastSecondText;
}

function pad(number: number, width: number): string {
  return String(number).padStart(width, '0');
}
