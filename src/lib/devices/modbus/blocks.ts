/** Which registers are read together: neighbours of one unit and table, in as few requests as the protocol allows. */
import { REGISTERS } from './decode.ts';
import type { ModbusUrl, Table } from './url.ts';

/** Registers and bits in one answer (MODBUS Application Protocol 1.1b3, sections 6.1 and 6.3). */
const MOST_REGISTERS = 125;
const MOST_BITS = 2000;
/** So many registers between two that are wanted cost less than another request. */
const LARGEST_GAP = 8;

type Place = Pick<ModbusUrl, 'unit' | 'table' | 'register' | 'type'>;

/** What one request reads, and the items in it, by register. */
export interface Block<T> {
  readonly unit: number;
  readonly table: Table;
  readonly start: number;
  readonly count: number;
  readonly items: readonly T[];
}

/** Registers, or bits, that a value takes. */
export function sizeOf({ type }: Pick<Place, 'type'>): number {
  return type === 'bit' ? 1 : REGISTERS[type];
}

/** @param gap how many registers may be read without need between two that are wanted */
export function blocksOf<T>(items: readonly T[], placeOf: (item: T) => Place, gap = LARGEST_GAP): Block<T>[] {
  const sorted = [...items].sort((a, b) => compare(placeOf(a), placeOf(b)));
  const blocks: Block<T>[] = [];
  for (const item of sorted) {
    const place = placeOf(item);
    const end = place.register + sizeOf(place);
    const last = blocks.at(-1);
    if (last !== undefined && fits(last, place, end, gap)) {
      blocks[blocks.length - 1] = {
        ...last,
        count: Math.max(last.count, end - last.start),
        items: [...last.items, item],
      };
    } else {
      const { unit, table, register: start } = place;
      blocks.push({ unit, table, start, count: end - start, items: [item] });
    }
  }
  return blocks;
}

function fits<T>({ unit, table, start, count }: Block<T>, place: Place, end: number, gap: number): boolean {
  const most = place.type === 'bit' ? MOST_BITS : MOST_REGISTERS;
  return (
    unit === place.unit &&
    table === place.table &&
    place.register - (start + count) <= gap &&
    end - start <= most
  );
}

function compare(a: Place, b: Place): number {
  return (
    a.unit - b.unit || a.table.localeCompare(b.table) || a.register - b.register || sizeOf(a) - sizeOf(b)
  );
}

/**
 * Smaller blocks for one that a device refuses because of an address in it: first without gaps, then each value by
 * itself. Undefined when it holds one value only.
 */
export function split<T>({ items }: Block<T>, placeOf: (item: T) => Place): Block<T>[] | undefined {
  if (items.length <= 1) return undefined;
  const withoutGaps = blocksOf(items, placeOf, 0);
  return withoutGaps.length > 1 ? withoutGaps : items.flatMap((item) => blocksOf([item], placeOf));
}
