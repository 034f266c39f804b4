/**
 * Asks an agent what it offers: walks the tables of the profiles, and makes a finding of each cell that measures
 * something. Bounded against agents without an end: by rows a column, by values in all, and by time.
 */
import type { DiscoverOptions, Discovery, Fact, Finding, Problem, SessionContext } from '../driver.ts';
import { deviceLabels, deviceText, rankOfUnit } from '../naming.ts';
import { parsePythonFloat } from '../shared/numbers.ts';
import { type Failure, SnmpClient, SnmpRequest } from './client.ts';
import { encodeGet, Tag } from './codec.ts';
import { parseOid } from './oid.ts';
import { PROFILES } from './profiles/index.ts';
import type { Measure, Profile, Row, Table } from './profiles/profile.ts';
import { sharedTransport } from './transport.ts';
import type { SnmpUrl } from './url.ts';
import { valueText } from './value.ts';
import { walk } from './walk.ts';

/** A column of more is no table of a PDU or a switch. */
const MAX_ROWS = 5_000;
/** In all. */
const MAX_VALUES = 60_000;
const FIRST_TIMEOUT_MS = 10_000;

const SYSTEM: readonly (readonly [name: string, oid: string])[] = [
  ['sysDescr', '1.3.6.1.2.1.1.1.0'],
  ['sysObjectID', '1.3.6.1.2.1.1.2.0'],
  ['sysName', '1.3.6.1.2.1.1.5.0'],
  ['sysLocation', '1.3.6.1.2.1.1.6.0'],
];

export async function discoverSnmp(
  _deviceId: string,
  url: SnmpUrl,
  context: SessionContext,
  options: DiscoverOptions,
): Promise<Discovery> {
  const client = new SnmpClient(url, sharedTransport, { nowUs: () => context.nowUs() });
  const onAbort = () => client.close();
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted) onAbort();
  try {
    return await new Discoverer(client, options).run();
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    client.close();
  }
}

/** Why nothing more is asked. */
class Ended extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

class Discoverer {
  readonly #client: SnmpClient;
  readonly #options: DiscoverOptions;
  readonly #deadlineMs: number;
  readonly #problems: Problem[] = [];
  /** Columns by OID: cells by index. */
  readonly #columns = new Map<string, ReadonlyMap<string, string>>();
  #values = 0;
  #current = '';
  /** Columns in a row that were not answered. */
  #silences = 0;

  constructor(client: SnmpClient, options: DiscoverOptions) {
    this.#client = client;
    this.#options = options;
    this.#deadlineMs = performance.now() + options.timeoutMs;
  }

  async run(): Promise<Discovery> {
    const { profile: wanted, all } = this.#options;
    const profiles: string[] = [];
    const findings: Finding[] = [];
    let isDevice = false;
    const about: Fact[] = [];
    try {
      const system = await this.#system();
      for (const [name, text] of system)
        if (text.trim() !== '') about.push({ name, text: deviceText(text, 300) });
      for (const profile of this.#candidates(system.get('sysObjectID') ?? '')) {
        if (profile.unless !== undefined && profiles.includes(profile.unless)) continue;
        if (profile.isAside && isDevice && wanted === undefined && !all) continue;
        const found: Finding[] = [];
        for (const table of profile.tables) {
          this.#current = profile.name;
          found.push(...(await this.#table(table)));
        }
        if (found.length === 0) continue;
        profiles.push(profile.name);
        findings.push(...found);
        if (profile.isDevice) isDevice = true;
      }
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.#problems.push(error.problem);
    }
    return { profiles, findings, problems: this.#problems, about };
  }

  /** What is wanted, those of the device's own kind first. */
  #candidates(objectId: string): Profile[] {
    const { profile } = this.#options;
    if (profile !== undefined) return PROFILES.filter(({ name }) => name === profile);
    const isOwn = ({ objectIds = [] }: Profile) =>
      objectIds.some((prefix) => `${objectId}.`.startsWith(`${prefix}.`.replace('..', '.')));
    return [...PROFILES.filter(isOwn), ...PROFILES.filter((one) => !isOwn(one))];
  }

  /** The system group. An agent that does not answer is told here, once. */
  async #system(): Promise<Map<string, string>> {
    const values = new Map<string, string>();
    this.#options.onProgress?.(`asking ${this.#client.url.hostPort}`);
    for (const [name, oid] of SYSTEM) {
      // One a request: an agent of v1 refuses a request as a whole.
      const request = new SnmpRequest(this.#client.url, encodeGet(Tag.getRequest, [parseOid(oid)]), 1);
      const endMs = Math.min(this.#deadlineMs, performance.now() + FIRST_TIMEOUT_MS);
      const outcome = await this.#client.ask(request, endMs, FIRST_TIMEOUT_MS / 6);
      if (!outcome.ok) throw new Ended(outcome.failure);
      const { response } = request;
      if (response.errorStatus !== 0 || response.count !== 1) continue;
      const [tag = 0, start = 0, end = 0] = [response.tag[0], response.valueStart[0], response.valueEnd[0]];
      const text = valueText(tag, response.data, start, end);
      if (text !== undefined) values.set(name, text);
    }
    return values;
  }

  async #table(table: Table): Promise<Finding[]> {
    const key = await this.#column(oidOf(table, table.key));
    if (key.size === 0) return [];
    const cells = new Map<string, ReadonlyMap<string, string>>();
    for (const name of Object.keys(table.columns)) cells.set(name, await this.#column(oidOf(table, name)));
    const findings: Finding[] = [];
    for (const index of key.keys()) {
      const row = new CellsRow(table, cells, index);
      for (const measure of table.measures(row, { all: this.#options.all ?? false })) {
        if (measure) findings.push(this.#finding(table, cells, row, measure));
      }
    }
    return findings;
  }

  /** Walks a column once, whatever tables it belongs to. */
  async #column(oid: string): Promise<ReadonlyMap<string, string>> {
    const known = this.#columns.get(oid);
    if (known) return known;
    const cells = new Map<string, string>();
    this.#columns.set(oid, cells);
    const failure = await walk(
      this.#client,
      oid,
      (index, text) => {
        cells.set(index, text);
        this.#values++;
        this.#options.onProgress?.(`${this.#current}: ${this.#values} values read`);
      },
      { maxRows: Math.min(MAX_ROWS, Math.max(1, MAX_VALUES - this.#values)), deadlineMs: this.#deadlineMs },
    );
    if (failure) this.#failed(failure);
    else this.#silences = 0;
    return cells;
  }

  /** What is wrong with one column is told and passed over; what ends the whole ends it. */
  #failed(failure: Failure): void {
    const { timeoutMs, signal } = this.#options;
    if (signal?.aborted) throw new Ended({ kind: 'timeout', message: 'stopped' });
    // The last request of all is given up a little before the end.
    if (performance.now() >= this.#deadlineMs - timeoutMs / 10) {
      const message = `the ${Math.round(timeoutMs / 1000)} s for all are over in profile ${this.#current}: take what is there, name a --profile, or give a longer --timeout`;
      throw new Ended({ kind: 'timeout', message });
    }
    if (this.#values >= MAX_VALUES) {
      const message = `the agent gave ${MAX_VALUES} values and has more: kw stops there, name a --profile`;
      throw new Ended({ kind: 'limit', message });
    }
    // Some agents are silent about a table that they do not have; one that is silent twice is gone.
    if (failure.kind === 'timeout') this.#silences++;
    if (this.#silences > 1 || failure.kind === 'refused' || failure.kind === 'auth') throw new Ended(failure);
    this.#problems.push(failure);
  }

  #finding(
    table: Table,
    cells: ReadonlyMap<string, ReadonlyMap<string, string>>,
    row: Row,
    measure: Measure,
  ): Finding {
    const { column, metricId, unit, scale, labels, periodMs, part } = measure;
    const value = row.number(column);
    const plain = deviceLabels(labels);
    return {
      metricId,
      url: this.#url(oidOf(table, column), indexOf(table, cells, row, measure)),
      unit,
      description: measure.description.replace(/\{(\w+)\}/g, (_, label: string) => plain[label] ?? ''),
      labels: plain,
      part,
      periodMs,
      scaleFactor: scale === 1 ? undefined : scale,
      value: value === undefined ? row.text(column) : value * (scale ?? 1),
      rank: measure.rank ?? rankOfUnit(unit),
    };
  }

  #url(column: string, index: string): string {
    const { written = { before: '', behind: '' } } = this.#client.url;
    return `${written.before}${column}.${index}${written.behind}`;
  }
}

/** The index of a row as a URL says it: the template that finds it again, or the numbers. */
function indexOf(
  table: Table,
  cells: ReadonlyMap<string, ReadonlyMap<string, string>>,
  row: Row,
  { stable }: Measure,
): string {
  if (stable === undefined || !isWritable(stable.text)) return row.index;
  const texts = [...(cells.get(stable.column)?.values() ?? [])];
  if (texts.filter((text) => text.trim() === stable.text).length !== 1) return row.index;
  return `{{ ${oidOf(table, stable.column)} == ${stable.text.replaceAll('%', '%25')} }}`;
}

/** Whether a template can say this text: printable, and without what ends a template or is a reference. */
function isWritable(text: string): boolean {
  return (
    text !== '' && text.length <= 200 && !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]|\}\}|\{\{|==|\$\{/u.test(text)
  );
}

function oidOf(table: Table, column: string): string {
  const place = table.columns[column];
  if (place === undefined) throw new TypeError(`the table has no column ${column}`);
  return typeof place === 'string' ? place : place.oid;
}

class CellsRow implements Row {
  readonly index: string;
  readonly #table: Table;
  readonly #cells: ReadonlyMap<string, ReadonlyMap<string, string>>;

  constructor(table: Table, cells: ReadonlyMap<string, ReadonlyMap<string, string>>, index: string) {
    this.#table = table;
    this.#cells = cells;
    this.index = index;
  }

  text(column: string): string | undefined {
    const place = this.#table.columns[column];
    const drop = typeof place === 'object' ? place.drop : 0;
    const index = drop === 0 ? this.index : this.index.split('.').slice(0, -drop).join('.');
    return this.#cells.get(column)?.get(index);
  }

  number(column: string): number | undefined {
    const text = this.text(column);
    const number = text === undefined ? undefined : parsePythonFloat(text);
    return number !== undefined && Number.isFinite(number) ? number : undefined;
  }
}
