/**
 * From a JSON value to what is stored. DSP0266 section 9 makes readings numbers, and null when there is none; what
 * BMCs send besides is listed in docs/devices/redfish.md.
 */
import { type Scalar, scalarOf } from '../shared/scalar.ts';

export type Reading =
  | Exclude<Scalar, { readonly kind: 'none' }>
  /** There is no reading, and why. */
  | { readonly kind: 'none'; readonly reason: string };

/** States in which a number means nothing (DSP2046, Resource.Status): some BMCs then say 0 instead of null. */
const WITHOUT_READING = new Set(['Absent', 'Disabled', 'UnavailableOffline']);

/**
 * @param value as it stands in the resource
 * @param holder the object in which it stands, whose `Status` counts for numbers: a sensor that is Absent has no
 * reading whatever number it shows, while a text (`PowerState` of a system that is Disabled) is what it is
 */
export function readingOf(value: unknown, holder: unknown): Reading {
  const scalar = scalarOf(value);
  if (scalar.kind === 'none') return { kind: 'none', reason: 'no reading' };
  const state = scalar.kind === 'number' && typeof value !== 'boolean' ? stateOf(holder) : undefined;
  if (state !== undefined && WITHOUT_READING.has(state))
    return { kind: 'none', reason: `no reading: ${state}` };
  return scalar;
}

function stateOf(holder: unknown): string | undefined {
  const state = member(member(holder, 'Status'), 'State');
  return typeof state === 'string' ? state : undefined;
}

/** An own member of an object; undefined when there is none. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** A member that is an array, else an empty one. */
export function list(value: unknown, name: string): readonly unknown[] {
  const items = member(value, name);
  return Array.isArray(items) ? items : [];
}

/** A member that is a text with something in it. */
export function text(value: unknown, name: string): string | undefined {
  const found = member(value, name);
  return typeof found === 'string' && found.trim() !== '' ? found.trim() : undefined;
}
