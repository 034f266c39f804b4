/** From a JSON value, or a text, to what is stored. */
import { parsePythonFloat } from './numbers.ts';

export type Scalar =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'text'; readonly text: string }
  /** There is no reading: null, nothing, an empty text, `N/A`, NaN. */
  | { readonly kind: 'none' }
  /** Something that is no single value. */
  | { readonly kind: 'bad'; readonly reason: string };

/** Booleans are 1 and 0; texts that look like numbers are numbers, as in Kwollect. */
export function scalarOf(value: unknown): Scalar {
  if (value === null || value === undefined) return { kind: 'none' };
  if (typeof value === 'boolean') return { kind: 'number', number: value ? 1 : 0 };
  if (typeof value === 'object')
    return { kind: 'bad', reason: `is ${Array.isArray(value) ? 'an array' : 'an object'} and no value` };
  const number = typeof value === 'number' ? value : parsePythonFloat(String(value));
  if (number !== undefined) return Number.isNaN(number) ? { kind: 'none' } : { kind: 'number', number };
  const text = String(value);
  return /^\s*(?:n\/a)?\s*$/i.test(text) ? { kind: 'none' } : { kind: 'text', text };
}
