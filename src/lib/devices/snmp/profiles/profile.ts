/**
 * What a profile is: a family of SNMP tables as data. The walker (../discover.ts) reads the columns, joins them
 * by index, and asks each table what a row measures.
 */
import type { Labels } from '../../../sample.ts';

/** A row of a table, from all the columns that were walked. */
export interface Row {
  /** What follows the column in the OID, dotted. */
  readonly index: string;
  /** The cell as text, or undefined where the agent has none. */
  text(column: string): string | undefined;
  /** The cell as a number; undefined where there is none. */
  number(column: string): number | undefined;
}

/** One metric of a row: which cell is read, and what it means. */
export interface Measure {
  /** Column whose cell is the value. */
  readonly column: string;
  /** Name of the metric with its unit, as naming.ts makes it. */
  readonly metricId: string;
  readonly unit?: string | undefined;
  /** The value times this is in `unit`. */
  readonly scale?: number | undefined;
  /** `Power of outlet {outlet}`: labels stand in braces. */
  readonly description: string;
  readonly labels: Labels;
  readonly periodMs: number;
  /** Default: by the unit. */
  readonly rank?: number | undefined;
  /** See Finding.part. */
  readonly part?: {
    readonly id: string;
    readonly labels: readonly string[];
    readonly alias: string | undefined;
  };
  /**
   * Column and text by which the row is found again where indexes move; the value is then read through a template.
   * Used only when no other row has the text.
   */
  readonly stable?: { readonly column: string; readonly text: string } | undefined;
}

export interface Table {
  /**
   * Columns by the names that `measures` uses: their OIDs without an index. With `drop` a column belongs to a table
   * whose index is that of this one without its last numbers, such as the name of an outlet beside its sensors.
   */
  readonly columns: Readonly<Record<string, string | { readonly oid: string; readonly drop: number }>>;
  /** The column that is walked first: without a row in it the table is not there. */
  readonly key: string;
  measures(row: Row, options: { readonly all: boolean }): readonly (Measure | undefined)[];
}

export interface Profile {
  readonly name: string;
  readonly title: string;
  /** sysObjectIDs of its devices begin with one of these; profiles that fit come first. */
  readonly objectIds?: readonly string[];
  /** Of a PDU or BMC as such: where it fits, what is `aside` is left out. */
  readonly isDevice?: boolean;
  /** What any computer has, also the card that manages a PDU: left out there unless it is asked for. */
  readonly isAside?: boolean;
  /** Not applied when this other profile has found something: the same values by an older table. */
  readonly unless?: string;
  readonly tables: readonly Table[];
}

/** Periods that suit the kind of device, in milliseconds: what changes fast and what hardly changes. */
export const PDU_MS = 1_000;
export const BMC_MS = 5_000;
export const SLOW_MS = 10_000;

/** A cell that says by a negative number that there is no value: -1 in PowerNet-MIB and EATON-EPDU-MIB. */
export function isKnown(row: Row, column: string): boolean {
  const value = row.number(column);
  return value !== undefined && value >= 0;
}

/** The `position`th number of an index, counted from 0. */
export function indexPart(index: string, position: number): string {
  return index.split('.')[position] ?? index;
}

/** A name that people gave, or undefined for the one that the device came with: `Outlet 7`. */
function givenName(text: string | undefined, number: string): string | undefined {
  const plain = text?.trim() ?? '';
  if (plain === '' || plain === number) return undefined;
  return /^outlet[ _-]*[a-z]?\d+$/i.test(plain) ? undefined : plain;
}

/** Labels and part of an outlet. */
export function outletOf(
  number: string,
  name: string | undefined,
  extra: Labels = {},
): Pick<Measure, 'labels' | 'part'> {
  const given = givenName(name, number);
  const id = [...Object.values(extra), number].join('-');
  return {
    labels: { ...extra, outlet: number, ...(given !== undefined && { outlet_name: given }) },
    part: { id: `outlet-${id}`, labels: [...Object.keys(extra), 'outlet', 'outlet_name'], alias: given },
  };
}
