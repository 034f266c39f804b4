/** Durations and sizes as people write them in kw.yaml: `500ms`, `1h`, `30d`, `256MB`. */

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  y: 365.25 * 86_400_000,
};

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Milliseconds of a duration of one number and one unit, or undefined if it is none. */
export function durationMs(text: string): number | undefined {
  return quantity(text, MILLISECONDS);
}

/** Bytes of a size of one number and one unit, or undefined if it is none. */
export function sizeBytes(text: string): number | undefined {
  return quantity(text, BYTES);
}

function quantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : units[match[2]];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}
