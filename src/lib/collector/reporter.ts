/**
 * Tells the database what the collector reads and how its devices are: the catalogue when it changes, states and
 * counters every twenty seconds, and at once when a device goes up or down or a configuration
 * is taken or refused.
 */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import type { Catalogue, CatalogueRow } from './catalogue.ts';
import type { CollectorCounters, DeviceStatus } from './status.ts';

export interface ReporterSource {
  readonly collectorId: string;
  readonly catalogue: Catalogue;
  monotonicMs(): number;
  /** Every device with its protocol, polled yet or not. */
  configuredDevices(): { device: string; protocol: string }[];
  deviceStatuses(): DeviceStatus[];
  counters(): CollectorCounters;
}

const STATUS_EVERY_MS = 20_000;
const DISCOVERED_EVERY_MS = 5_000;
const ROWS_A_STATEMENT = 1_000;

export class Reporter {
  readonly #source: ReporterSource;
  #catalogueChanged = true;
  /** When what the catalogue has now was configured, in microseconds since the epoch. */
  #configuredAtUs = 0;
  #statusDueAtMs = 0;
  #discoveredDueAtMs = 0;

  constructor(source: ReporterSource) {
    this.#source = source;
  }

  /** The configuration changed, at this time. */
  catalogueChanged(atUs: number): void {
    this.#configuredAtUs = atUs;
    this.#catalogueChanged = true;
  }

  /** A device went up or down, a configuration was taken or refused, or the collector stops. */
  statusChanged(): void {
    this.#statusDueAtMs = 0;
  }

  /** Tells what is due; everything when `first` on a connection. */
  async publish(client: Client, first: boolean): Promise<void> {
    const nowMs = this.#source.monotonicMs();
    if (first || this.#catalogueChanged) {
      this.#catalogueChanged = false;
      await this.#publishCatalogue(client);
    } else if (nowMs >= this.#discoveredDueAtMs) {
      this.#discoveredDueAtMs = nowMs + DISCOVERED_EVERY_MS;
      await this.#upsertCatalogue(client, this.#source.catalogue.takeFresh());
    }
    if (first || nowMs >= this.#statusDueAtMs) {
      this.#statusDueAtMs = nowMs + STATUS_EVERY_MS;
      await this.#publishStatus(client);
    }
  }

  async #publishCatalogue(client: Client): Promise<void> {
    const { collectorId, catalogue } = this.#source;
    const devices = JSON.stringify(this.#source.configuredDevices());
    await client.query('BEGIN');
    await this.#upsertCatalogue(client, catalogue.all());
    await client.query(readSql('queries/collector_catalogue_prune'), [collectorId, this.#configuredAtUs]);
    await client.query(readSql('queries/collector_devices_prune'), [collectorId, devices]);
    await client.query('COMMIT');
  }

  async #upsertCatalogue(client: Client, rows: readonly CatalogueRow[]): Promise<void> {
    for (let first = 0; first < rows.length; first += ROWS_A_STATEMENT) {
      const part = JSON.stringify(rows.slice(first, first + ROWS_A_STATEMENT));
      const values = [this.#source.collectorId, part, this.#configuredAtUs];
      await client.query(readSql('queries/collector_catalogue'), values);
    }
  }

  async #publishStatus(client: Client): Promise<void> {
    const { collectorId } = this.#source;
    const statuses = this.#source.deviceStatuses();
    for (let first = 0; first < statuses.length; first += ROWS_A_STATEMENT) {
      const part = JSON.stringify(statuses.slice(first, first + ROWS_A_STATEMENT));
      await client.query(readSql('queries/collector_devices'), [collectorId, part]);
    }
    await client.query(readSql('queries/collector_counters'), [collectorId, this.#source.counters()]);
  }
}
