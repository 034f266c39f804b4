/**
 * Reads typed values out of a YAML map. Each reader reports what is wrong at its place and then gives
 * undefined, so that a caller goes on to the next key.
 */
import type { YAMLMap } from 'yaml';
import { closest } from '../didYouMean.ts';
import type { Place } from './model.ts';
import { durationMs, sizeBytes } from './quantity.ts';
import { scalarText, type YamlField, type YamlFile } from './yamlFile.ts';
import { yamlModule } from './yamlModule.ts';

/** How much of a wrong value a message repeats. */
const MAX_SHOWN = 60;

export class Fields {
  readonly place: Place;
  readonly #file: YamlFile;
  readonly #fields: Map<string, YamlField>;

  constructor(file: YamlFile, map: YAMLMap) {
    this.#file = file;
    this.place = file.placeOf(map);
    this.#fields = file.fieldsOf(map);
  }

  /** The field with its value, or undefined if it is absent or empty (`key:`). */
  get(key: string): YamlField | undefined {
    const field = this.#fields.get(key);
    return field?.value === undefined ? undefined : field;
  }

  all(): YamlField[] {
    return [...this.#fields.values()];
  }

  /** Where the key stands, even without a value; else the place of the map. */
  placeOf(key: string): Place {
    return this.#fields.get(key)?.place ?? this.place;
  }

  /** Whether the key is there, with or without a value. */
  has(key: string): boolean {
    return this.#fields.has(key);
  }

  errorAt(place: Place, message: string, hint?: string): void {
    this.#file.problems.error(place, message, hint);
  }

  /** An error that other entries of the file may share, see ProblemList. */
  errorOnce(place: Place, message: string, hint?: string): void {
    this.#file.problems.errorOnce(place, message, hint);
  }

  error(field: YamlField, message: string, hint?: string): undefined {
    this.#file.problems.error(field.place, message, hint);
    return undefined;
  }

  warningAt(place: Place, message: string, hint?: string): void {
    this.#file.problems.warning(place, message, hint);
  }

  warning(field: YamlField, message: string, hint?: string): void {
    this.#file.problems.warning(field.place, message, hint);
  }

  /** Reports keys that nobody reads. `instead` maps keys that other programs know to what to write. */
  refuseUnknown(known: readonly string[], instead: Readonly<Record<string, string>> = {}): void {
    for (const field of this.#fields.values()) {
      if (known.includes(field.key)) continue;
      const near = closest(field.key, known)[0];
      const hint =
        (Object.hasOwn(instead, field.key) ? instead[field.key] : undefined) ??
        (near === undefined ? `known keys: ${known.join(', ')}` : `did you mean "${near}"?`);
      this.#file.problems.error(field.keyPlace, `unknown key ${shown(field.key)}`, hint);
    }
  }

  /** Any scalar as the text that stands in the file. */
  text(key: string): string | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    return fieldText(field) ?? this.error(field, `${key} must be text, and this is ${kindOf(field)}`);
  }

  /** A finite number; also one in quotes. */
  number(key: string): number | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const text = fieldText(field);
    const number = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(number)) return number;
    return this.error(field, `${key} must be a number, and this is ${describe(field)}`);
  }

  /** `true`, `false`, and YAML 1.1's `yes`, `no`, `on`, `off`, which Kwollect's files may hold. */
  boolean(key: string): boolean | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const text = fieldText(field)?.toLowerCase();
    if (text === 'true' || text === 'yes' || text === 'on') return true;
    if (text === 'false' || text === 'no' || text === 'off') return false;
    return this.error(field, `${key} must be true or false, and this is ${describe(field)}`);
  }

  /** A whole number of milliseconds from `min` to a day. */
  milliseconds(key: string, min: number): number | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const text = fieldText(field)?.trim() ?? '';
    const number = text === '' ? Number.NaN : Number(text);
    if (Number.isInteger(number) && number >= min && number <= 86_400_000) return number;
    // A number too small is likely meant in seconds.
    const duration = number > 0 && number < min ? number * 1000 : durationMs(text);
    const hint =
      duration !== undefined && Number.isInteger(duration)
        ? `write ${key}: ${duration}`
        : `such as ${key}: 1000`;
    return this.error(
      field,
      `${key} must be a whole number of milliseconds from ${min} to 86400000, and this is ${describe(field)}`,
      hint,
    );
  }

  /** A duration with its unit, in milliseconds. */
  duration(key: string, minMs: number, maxMs: number): number | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const ms = durationMs(fieldText(field) ?? '');
    if (ms === undefined) {
      return this.error(
        field,
        `${key} must be a duration, and this is ${describe(field)}`,
        'write 500ms, 2s, 15m, 1h, 30d or 10y',
      );
    }
    if (ms < minMs || ms > maxMs) {
      return this.error(
        field,
        `${key} must be from ${inWords(minMs)} to ${inWords(maxMs)}, and this is ${describe(field)}`,
      );
    }
    return ms;
  }

  /** A size with its unit, in bytes. */
  size(key: string, minBytes: number, maxBytes: number): number | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const bytes = sizeBytes(fieldText(field) ?? '');
    if (bytes === undefined) {
      return this.error(
        field,
        `${key} must be a size, and this is ${describe(field)}`,
        'write 64MB, 256MB or 1GB',
      );
    }
    if (bytes < minBytes || bytes > maxBytes) {
      return this.error(
        field,
        `${key} must be from ${minBytes / 1e6}MB to ${maxBytes / 1e6}MB, and this is ${describe(field)}`,
      );
    }
    return bytes;
  }

  /** A whole number from `min` to `max`. */
  integer(key: string, min: number, max: number): number | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    const text = fieldText(field)?.trim() ?? '';
    const number = text === '' ? Number.NaN : Number(text);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    return this.error(
      field,
      `${key} must be a whole number from ${min} to ${max}, and this is ${describe(field)}`,
    );
  }

  /** A map below this one. */
  map(key: string): Fields | undefined {
    const field = this.get(key);
    if (field === undefined) return undefined;
    if (yamlModule().isMap(field.value)) return new Fields(field.file, field.value);
    return this.error(
      field,
      `${key} must be a map, and this is ${describe(field)}`,
      `write "${key}:" and its keys below, indented`,
    );
  }

  /** A map of texts; numbers and booleans become the text that stands in the file. */
  textMap(key: string): Record<string, string> | undefined {
    const fields = this.map(key);
    if (fields === undefined) return undefined;
    // No prototype: "__proto__" is a name like any other.
    const texts: Record<string, string> = Object.create(null);
    for (const field of fields.all()) {
      const text = fieldText(field);
      if (text === undefined) {
        const value = field.value === undefined ? 'is empty' : `is ${kindOf(field)}`;
        fields.error(field, `the value of ${shown(field.key)} in ${key} must be text, and this ${value}`);
      } else {
        texts[field.key] = text;
      }
    }
    return texts;
  }
}

/** The text of a scalar, or undefined for lists, maps and nothing. */
export function fieldText(field: YamlField): string | undefined {
  return yamlModule().isScalar(field.value) ? scalarText(field.value) : undefined;
}

/** A text for messages: quoted, escaped and cut. */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  return JSON.stringify(cut.toWellFormed());
}

function describe(field: YamlField): string {
  const text = fieldText(field);
  return text === undefined ? kindOf(field) : shown(text);
}

function kindOf(field: YamlField): string {
  const yaml = yamlModule();
  if (field.value === undefined) return 'empty';
  if (yaml.isSeq(field.value)) return 'a list';
  return yaml.isMap(field.value) ? 'a map' : 'a text';
}

function inWords(ms: number): string {
  for (const [unit, size] of [
    ['y', 31_557_600_000],
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms >= size && Number.isInteger(ms / size)) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** The texts of a list, or of one text with commas; undefined when it is neither. */
export function textsOf(field: YamlField): string[] | undefined {
  const text = fieldText(field);
  if (text !== undefined) return text.split(',').map((part) => part.trim());
  if (!yamlModule().isSeq(field.value)) return undefined;
  const items: unknown = field.value.toJSON();
  return Array.isArray(items) && items.every((item) => typeof item === 'string') ? items : undefined;
}
