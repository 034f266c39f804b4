/**
 * Walks one column of a table: GETBULK, or GETNEXT in v1. No agent can make it endless: each OID must follow
 * the one before it, and rows and time are bounded.
 */
import { type Failure, type SnmpClient, SnmpRequest } from './client.ts';
import { ErrorStatus, encodeGet, encodeGetBulk, errorName, type Response, Tag } from './codec.ts';
import { compareArcs, isBelow, oidArcs, parseOid } from './oid.ts';
import { valueText } from './value.ts';

export const MAX_WALK_ROWS = 20_000;
const MAX_WALK_MS = 60_000;
const REQUEST_TIMEOUT_MS = 6_000;
const REPETITIONS = 24;

/** Called with a row's index (what follows the prefix in its OID, dotted) and its value. */
export type OnRow = (index: string, text: string) => void;

export interface WalkBounds {
  readonly maxRows?: number;
  /** On performance.now(); a walk ends after a minute in any case. */
  readonly deadlineMs?: number;
}

/** Returns undefined when the end of the column was reached, else why not. */
export async function walk(
  client: SnmpClient,
  prefix: string,
  onRow: OnRow,
  { maxRows = MAX_WALK_ROWS, deadlineMs: latestMs = Number.POSITIVE_INFINITY }: WalkBounds = {},
): Promise<Failure | undefined> {
  const column = new Column(prefix, onRow, maxRows);
  const startMs = performance.now();
  const deadlineMs = Math.min(latestMs, startMs + MAX_WALK_MS);
  let repetitions = client.url.version === '1' ? 1 : REPETITIONS;
  let from = parseOid(prefix);
  while (true) {
    const pdu =
      client.url.version === '1' ? encodeGet(Tag.getNextRequest, [from]) : encodeGetBulk(from, repetitions);
    const request = new SnmpRequest(client.url, pdu, repetitions);
    const stepEndMs = Math.min(deadlineMs, performance.now() + REQUEST_TIMEOUT_MS);
    const outcome = await client.ask(request, stepEndMs, REQUEST_TIMEOUT_MS / 3);
    if (!outcome.ok) return outcome.failure;
    const { response } = request;
    if (response.errorStatus === ErrorStatus.tooBig && repetitions > 1) {
      repetitions = Math.floor(repetitions / 2);
      continue;
    }
    // How v1 says that nothing follows.
    if (response.errorStatus === ErrorStatus.noSuchName) return undefined;
    if (response.errorStatus !== 0)
      return { kind: 'protocol', message: `the walk of ${prefix}: ${errorName(response.errorStatus)}` };
    const end = column.take(response);
    if (end === 'done') return undefined;
    if (end) return end;
    if (performance.now() >= deadlineMs)
      return {
        kind: 'limit',
        message: `the walk of ${prefix} takes longer than ${Math.round((deadlineMs - startMs) / 1000)} s`,
      };
    const last = response.count - 1;
    from = response.data.slice(response.oidStart[last], response.oidEnd[last]);
  }
}

/** The rows of one column as they come in. */
class Column {
  readonly #prefix: string;
  readonly #arcs: number[];
  readonly #onRow: OnRow;
  readonly #maxRows: number;
  #last: number[];
  #rows = 0;

  constructor(prefix: string, onRow: OnRow, maxRows: number) {
    this.#maxRows = maxRows;
    this.#prefix = prefix;
    this.#arcs = oidArcs(parseOid(prefix)) ?? [];
    this.#last = this.#arcs;
    this.#onRow = onRow;
  }

  /** Takes one answer: 'done' at the end of the column, undefined when there is more. */
  take(response: Response): Failure | 'done' | undefined {
    if (response.count === 0) return this.#failure('protocol', 'an answer without a row');
    for (let row = 0; row < response.count; row++) {
      const tag = response.tag[row] as number;
      if (tag === Tag.endOfMibView) return 'done';
      const arcs = oidArcs(response.data, response.oidStart[row], response.oidEnd[row]);
      if (!arcs) return this.#failure('protocol', 'an OID that is none');
      if (compareArcs(arcs, this.#last) <= 0) return this.#failure('protocol', 'the OID does not increase');
      if (!isBelow(this.#arcs, arcs)) return 'done';
      this.#last = arcs;
      if (++this.#rows > this.#maxRows) return this.#failure('limit', `more than ${this.#maxRows} rows`);
      const text = valueText(tag, response.data, response.valueStart[row] ?? 0, response.valueEnd[row] ?? 0);
      if (text !== undefined) this.#onRow(arcs.slice(this.#arcs.length).join('.'), text);
    }
    return undefined;
  }

  #failure(kind: Failure['kind'], what: string): Failure {
    return { kind, message: `the walk of ${this.#prefix}: ${what}` };
  }
}
