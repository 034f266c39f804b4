/** The database as the writer sees it, in memory: a ledger, what is stored, what is told. Faults are the test's. */
import type {
  BatchStore,
  LedgerState,
  Outcome,
  StoreConnection,
  Work,
} from '../../src/lib/collector/store.ts';
import { decodeRow, rowOffsets } from '../../src/lib/database/rowEncoder.ts';

/** `before`: the connection breaks before COMMIT; `behind`: the COMMIT took place, and its answer is lost. */
type Fate = 'fine' | 'before' | 'behind';

interface State {
  floor: number;
  readonly ledger: ReadonlyMap<number, number>;
  /** Timestamps of rows, in the order in which they were stored. */
  readonly rows: readonly number[];
  /** Up to where each run is said to be complete. */
  readonly horizons: ReadonlyMap<number, number>;
  readonly losses: readonly {
    readonly fromUs: number;
    readonly toUs: number;
    readonly rows: number;
    readonly reason: string;
  }[];
}

export class LedgerStore implements BatchStore {
  state: State = { floor: 0, ledger: new Map(), rows: [], horizons: new Map(), losses: [] };
  isAway = false;
  fate: (work: Work) => Fate = () => 'fine';
  onCommit: () => void = () => {};
  /** How long a transaction takes. */
  wait: () => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));
  /** Of the collector's present run. */
  runUs = 0;

  async open(): Promise<StoreConnection> {
    if (this.isAway) throw new Error('connect ECONNREFUSED');
    const { floor, ledger } = this.state;
    const state: LedgerState = {
      floor,
      places: [...ledger].map(([segment, offset]) => ({ segment, offset })),
    };
    return {
      ledger: state,
      store: (work) => this.#store(work),
      publish: async (horizonUs) => {
        if (this.isAway) throw new Error('the connection broke');
        this.state = { ...this.state, horizons: new Map(this.state.horizons).set(this.runUs, horizonUs) };
        this.onCommit();
      },
      close: async () => {},
      destroy: () => {},
    };
  }

  async #store(work: Work): Promise<Outcome> {
    await this.wait();
    const fate = this.isAway ? 'before' : this.fate(work);
    if (fate === 'before') throw new Error('the connection broke before COMMIT');
    const ledger = new Map(this.state.ledger);
    const { floor } = this.state;
    const stored = (segment: number) =>
      segment < floor ? Number.POSITIVE_INFINITY : (ledger.get(segment) ?? 0);
    const losses = [...this.state.losses];
    for (const loss of work.losses) {
      if (loss.place.offset <= stored(loss.place.segment)) continue;
      ledger.set(loss.place.segment, loss.place.offset);
      losses.push(loss);
    }
    const segment = work.batches[0]?.place.segment as number;
    const done = stored(segment);
    const fresh = work.batches.filter(({ place }) => place.offset > done);
    const last = fresh.at(-1);
    if (last) ledger.set(segment, last.place.offset);
    const rows = fresh.flatMap(({ copy }) =>
      rowOffsets(copy)
        .slice(0, -1)
        .map((at) => decodeRow(copy, at).timestampUs),
    );
    const horizons = new Map(this.state.horizons);
    const runUs = work.batches[0]?.runUs as number;
    if (work.horizonUs !== undefined) horizons.set(runUs, Math.max(work.horizonUs, horizons.get(runUs) ?? 0));
    if (work.floor !== undefined)
      for (const number of [...ledger.keys()]) if (number < work.floor) ledger.delete(number);
    this.state = {
      floor: Math.max(floor, work.floor ?? 0),
      ledger,
      rows: [...this.state.rows, ...rows],
      horizons,
      losses,
    };
    this.onCommit();
    if (fate === 'behind') throw new Error('the connection broke behind COMMIT');
    const alreadyRows = work.batches.length - fresh.length;
    return { alreadyRows, othersRows: 0, refused: [] };
  }
}
