/**
 * What --json prints, the same for every command: one object on stdout, also for a failure; keys in snake_case as the
 * columns of the database; null for what is not known; times as UTC text with microseconds, their keys ending in
 * `_at`. Commands return what lib gives them, in TypeScript's own words, and this puts it into that form.
 */
import type { KwError } from '../lib/errors.ts';
import { formatUtc } from '../lib/time.ts';

/** Objects whose keys are data. */
const DATA = new Set(['labels']);

export function machineJson(value: unknown): unknown {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(machineJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (DATA.has(key)) return [key, inner ?? null];
      if (/[a-z]Us$/.test(key) && (inner === undefined || typeof inner === 'number'))
        return [
          `${snakeCase(key.replace(/(At)?Us$/, ''))}_at`,
          inner === undefined ? null : formatUtc(inner),
        ];
      return [snakeCase(key), machineJson(inner)];
    }),
  );
}

/** `code` is a stable word for scripts. */
export function errorJson({ message, code, hint }: Pick<KwError, 'message' | 'code' | 'hint'>): unknown {
  return { error: { message, code, hint: hint ?? null } };
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
