/**
 * The sensors of one BMC: their records from the disk or from the BMC, and which one a URL means.
 *
 *   new --> loading --> loaded --(every few minutes: has the repository changed?)--> loading in the background
 *             '--fails--> new, after a while
 *
 * Loading may take longer than a poll may: it goes on behind it, and the polls meanwhile tell how far it is.
 */
import { closest } from '../../didYouMean.ts';
import type { Problem } from '../driver.ts';
import { IpmiError } from './errors.ts';
import type { Requester } from './requester.ts';
import type { SdrCache } from './sdrCache.ts';
import { decodeSensorRecord, type Sensor, sensorsOf } from './sdrRecord.ts';
import { type RepositoryState, readRecords, readRepositoryState } from './sdrRepository.ts';

/** How often a BMC is asked whether its records have changed: firmware updates, another power supply. */
const CHECK_MS = 300_000;
/** The same when a sensor that was there is gone. */
const CHECK_SOON_MS = 30_000;
/** After records that cannot be read, doubling. Not answering at all is the session's affair. */
const RETRY_MS = 10_000;
const RETRY_MAX_MS = 600_000;

export class SensorCatalogue {
  readonly #bmc: Requester;
  readonly #hostPort: string;
  readonly #cache: SdrCache | undefined;
  #sensors: readonly Sensor[] | undefined;
  #byKey = new Map<string, Sensor>();
  #fingerprint: string | undefined;
  /** Grows with every change, so that polls look their sensors up again. */
  generation = 0;
  #loading: Promise<void> | undefined;
  #progress: string | undefined;
  #failure: Problem | undefined;
  #retryMs = RETRY_MS;
  /** On performance.now(). */
  #nextMs = 0;
  #checkedMs = 0;
  /** For people: where the records came from. */
  origin = '';

  constructor(bmc: Requester, hostPort: string, cache: SdrCache | undefined) {
    this.#bmc = bmc;
    this.#hostPort = hostPort;
    this.#cache = cache;
  }

  /** In the order of the repository; undefined as long as it has not been read. */
  get sensors(): readonly Sensor[] | undefined {
    return this.#sensors;
  }

  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** Waits for the sensors, not longer than `deadlineMs` (on performance.now()): what is wrong, if they are not there. */
  async ready(deadlineMs: number): Promise<Problem | undefined> {
    const nowMs = performance.now();
    if (nowMs >= this.#nextMs && !this.#loading) this.#loading = this.#load();
    if (this.#sensors) return undefined;
    if (this.#loading) await before(this.#loading, deadlineMs);
    if (this.#sensors) return undefined;
    if (!this.#loading && this.#failure) return this.#failure;
    const message = this.#progress ?? `no answer from ${this.#hostPort} in time`;
    return { kind: 'timeout', message };
  }

  /** A sensor is gone: the records are compared soon, not in some minutes. */
  checkSoon(): void {
    this.#nextMs = Math.min(this.#nextMs, this.#checkedMs + CHECK_SOON_MS);
  }

  async #load(): Promise<void> {
    try {
      await this.#update();
      this.#failure = undefined;
      this.#retryMs = RETRY_MS;
      this.#checkedMs = performance.now();
      this.#nextMs = this.#checkedMs + CHECK_MS;
    } catch (error) {
      if (!(error instanceof IpmiError)) throw error;
      this.#failure = error.toProblem();
      // What is known stays in use; without an answer the next poll tries again.
      if (this.#sensors) this.#nextMs = performance.now() + CHECK_MS;
      else if (error.kind === 'protocol') {
        this.#nextMs = performance.now() + this.#retryMs;
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
      }
    } finally {
      this.#loading = undefined;
      this.#progress = undefined;
    }
  }

  async #update(): Promise<void> {
    const state = await readRepositoryState(this.#bmc);
    if (state.fingerprint === this.#fingerprint) return;
    const cached = await this.#cache?.read();
    if (cached?.fingerprint === state.fingerprint) {
      this.#take(cached.records, state, 'from the cache');
      return;
    }
    this.#tell(0, state.count);
    const records = await readRecords(this.#bmc, state, (read, count) => this.#tell(read, count));
    this.#take(records, state, 'from the BMC');
    try {
      await this.#cache?.write({ fingerprint: state.fingerprint, records });
    } catch {
      // A full or read-only disk: the records are read again at the next start.
    }
  }

  #tell(read: number, count: number): void {
    const of = count === 0 ? '' : ` of ${count}`;
    this.#progress = `the sensor data records of ${this.#hostPort} are being read: ${read}${of} so far`;
  }

  #take(records: readonly Buffer[], { fingerprint }: RepositoryState, origin: string): void {
    this.#sensors = records.flatMap((bytes) => {
      const record = decodeSensorRecord(bytes);
      return record ? sensorsOf(record) : [];
    });
    this.#byKey = indexOf(this.#sensors);
    this.#fingerprint = fingerprint;
    this.origin = `${records.length} records, ${this.#sensors.length} sensors, ${origin}`;
    this.generation++;
  }

  /** The sensor that a URL means, by name or record id. */
  find(key: string): Sensor | undefined {
    return this.#byKey.get(key.trim());
  }

  /** The sentence for a key that means no sensor. */
  notFound(key: string): string {
    const [near] = closest(key, new Set((this.#sensors ?? []).map(({ name }) => name)));
    const hint = near === undefined ? '' : `, there is ${JSON.stringify(near)}`;
    return `the BMC has no sensor ${JSON.stringify(key.slice(0, 60))}${hint}`;
  }
}

/**
 * Names and record ids as Kwollect makes them from the lines of `ipmi-sensors`: both in one table, a later line
 * replaces an earlier one. What `ipmi-sensors` does not print (the sensors behind a shared record, event-only
 * records) comes after, where nothing else has the name.
 */
function indexOf(sensors: readonly Sensor[]): Map<string, Sensor> {
  const index = new Map<string, Sensor>();
  const rest: [string, Sensor][] = [];
  let previous: Sensor | undefined;
  for (const sensor of sensors) {
    const { record, name } = sensor;
    const isFirst = previous?.record !== record;
    previous = sensor;
    if (name !== record.name || !isFirst) rest.push([name, sensor]);
    if (!isFirst) continue;
    const keys = [String(record.recordId), record.name];
    if (record.kind === 'event-only') rest.push(...keys.map((key): [string, Sensor] => [key, sensor]));
    else for (const key of keys) index.set(key, sensor);
  }
  for (const [key, sensor] of rest) if (!index.has(key)) index.set(key, sensor);
  return index;
}

/** Waits until then at the longest. */
async function before(work: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()));
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}
